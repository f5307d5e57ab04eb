// The layers of a stack, each on a checkerboard with its name below it; a click shows one large.
import { element } from "../editor/dom.js";
import { t } from "../words.js";

/** The list of layers as an element. sheet: { layers: [{ name, detail, covers or size and count, picture }] }; url: the address of a picture. */
export function sheetOf(sheet, url) {
  const open = (index) => enlarged(sheet.layers, index, url);
  return element("div", { className: "qls-grid" }, ...sheet.layers.map((layer, i) => card(layer, url, () => open(i))));
}

// Workflows from before these words were translated hold a name and a detail in English alone.
const nameOf = (layer) => (layer.size ? t("composite") : layer.name);

function detailOf({ detail, covers, size, count }) {
  if (size) return t("{width} x {height} px, {count} layers", { width: size[0], height: size[1], count });
  return covers === undefined ? detail : t("covers {share} %", { share: (100 * covers).toFixed(1) });
}

function card(layer, url, onclick) {
  return element(
    "button",
    { type: "button", className: "qls-card", title: layer.name, onclick },
    element("span", { className: "qls-checks" }, picture(layer, url)),
    element("span", { className: "qls-name", textContent: nameOf(layer) }),
    element("span", { className: "qls-detail", textContent: detailOf(layer) }),
  );
}

function picture(layer, url) {
  const image = element("img", { src: url(layer.picture), alt: layer.name, loading: "lazy", draggable: false });
  image.addEventListener("error", () =>
    image.replaceWith(element("span", { className: "qls-gone", textContent: t("No longer there: run again.") })),
  );
  return image;
}

/** One layer over the whole window; arrow keys go on, Escape and a click close it. */
function enlarged(layers, index, url) {
  const frame = element("div", { className: "qls-checks qls-large" });
  const title = element("div", { className: "qls-title" });
  const shade = element(
    "div",
    { className: "qls qls-shade", tabIndex: -1, role: "dialog", onclick: () => shade.remove() },
    frame,
    title,
  );
  const show = (next) => {
    index = (next + layers.length) % layers.length;
    frame.replaceChildren(picture(layers[index], url));
    title.textContent = `${nameOf(layers[index])} · ${detailOf(layers[index])}`;
  };
  shade.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(index + step);
    if (event.key === "Escape") shade.remove();
    event.stopPropagation();
    event.preventDefault();
  });
  show(index);
  document.body.append(shade);
  shade.focus();
}
