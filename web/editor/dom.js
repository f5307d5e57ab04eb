// Small helpers for elements, and the icons: 16 x 16, drawn with lines in the colour of the text.

/** An element with properties and children. Keys that begin with "on" are listeners, `data` fills the dataset. */
export function element(tag, { data = {}, ...properties } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria") || key === "role")
      made.setAttribute(key.replace("aria", "aria-").toLowerCase(), value);
    else made[key] = value;
  }
  Object.assign(made.dataset, data);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A style sheet for the page, added once. */
export function addStyles(href) {
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(element("link", { rel: "stylesheet", href }));
}

const PATHS = {
  undo: "M6 4 3 7l3 3M3 7h6.5a3.5 3.5 0 0 1 0 7H7",
  redo: "m10 4 3 3-3 3M13 7H6.5a3.5 3.5 0 0 0 0 7H9",
  pick: "M2.500 13.500 9 7M8 3v2M12 7h2M11.500 4.500l1.500-1.500M5.500 2.500l1 1M12.500 10.500l-1-1",
  flipX: "M8 2v12M6 5 2 12h4zM10 5l4 7h-4z",
  flipY: "M2 8h12M5 6l7-4v4zM5 10l7 4v-4z",
  reset: "M3 3v4h4M3.5 7A5 5 0 1 1 3 9",
  copy: "M6 6h7v7H6zM3 10V3h7",
  merge: "M4 2v3l4 4 4-4V2M8 9v5",
  unmerge: "M8 2v5l-4 4v3M8 7l4 4v3",
  group: "M2 4h4l1.5 2H14v7H2z",
  ungroup: "M2 13V4h4l1.5 2H14v2M9 11h5M12 9l2 2-2 2",
  fit: "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4",
  compare: "M8 2v12M3 4h5v8H3zM10 4h3M13 4v8M10 12h3",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 1 0 4 2 2 0 0 1 0-4z",
  eyeOff:
    "M2 2l12 12M4 5C2.400 6.400 1.500 8 1.500 8S4 12.500 8 12.500c1.200 0 2.300-.4 3.200-1M6.500 3.700A6 6 0 0 1 8 3.500C12 3.500 14.500 8 14.500 8s-.6 1.100-1.600 2.200",
  lock: "M4 7h8v6H4zM5.500 7V5a2.500 2.500 0 0 1 5 0v2",
  unlock: "M4 7h8v6H4zM5.500 7V4.500a2.500 2.500 0 0 1 4.800-1",
  back: "m10 4-4 4 4 4",
  folded: "m6 4 4 4-4 4",
  open: "m4 6 4 4 4-4",
  clear: "M4 4l8 8M12 4l-8 8",
  run: "M5 3l8 5-8 5z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button of an icon, whose title is also its name for screen readers. */
export function button(name, title, onclick, className = "qle-button") {
  return element("button", { type: "button", className, title, ariaLabel: title, onclick }, icon(name));
}

/** Changes the icon and the title of a button. */
export function relabel(target, name, title) {
  target.replaceChildren(icon(name));
  target.title = title;
  target.setAttribute("aria-label", title);
}
