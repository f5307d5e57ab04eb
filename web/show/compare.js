// Two pictures of the same thing, one over the other, with a line between them that follows the mouse.
import { element } from "../editor/dom.js";
import { t } from "../words.js";

/** The pictures as an element. pair: { before, after }, pictures; url: the address of a picture. */
export function comparison(pair, url) {
  const [below, above] = [pair.after, pair.before].map((one) =>
    element("img", { src: url(one), draggable: false, alt: "" }),
  );
  const frame = element(
    "div",
    { className: "qls-compare" },
    element("div", { className: "qls-checks" }, below),
    element("div", { className: "qls-checks qls-before" }, above),
    element("span", { className: "qls-tag", textContent: t("before") }),
    element("span", { className: "qls-tag qls-right", textContent: t("after") }),
  );
  const place = (share) => frame.style.setProperty("--qls-at", `${100 * Math.min(1, Math.max(0, share))}%`);
  frame.addEventListener("pointermove", (event) => {
    const box = frame.getBoundingClientRect();
    place((event.clientX - box.left) / box.width);
  });
  place(0.5);
  return frame;
}
