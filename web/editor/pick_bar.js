// What the pick tool offers, below the picture, in place of the properties of a layer.

import { element } from "./dom.js";
import { t } from "../words.js";

export class PickBar {
  constructor(panel) {
    this.panel = panel;
    const { tool } = panel;
    const act = (work) => () => {
      work();
      panel.refresh();
      panel.focus();
    };
    const button = (text, title, work, className = "") =>
      element("button", { type: "button", className: `qle-choice ${className}`, title, onclick: act(work) }, text);
    this.add = button(t("Add"), t("A click adds to the pick"), () => (tool.taking = false));
    this.take = button(t("Take away"), t("A click takes away from the pick (Alt-click)"), () => (tool.taking = true));
    this.shrink = button(t("Shrink"), t("Shrink the pick by a pixel (-)"), () => tool.grow(-1));
    this.grow = button(t("Grow"), t("Grow the pick by a pixel (+)"), () => tool.grow(1));
    this.grown = element("span", { className: "qle-value" });
    this.cut = button(t("Cut out"), t("Make the thing a layer of its own (Enter)"), () => tool.cutOut(), "qle-first");
    this.cancel = button(t("Cancel"), t("Leave the pick tool (Escape)"), () => tool.leave());
    this.text = element("span", { className: "qle-hint", role: "status" });
    this.run = button(t("Run"), t("Run the workflow"), () => panel.host.run());
    const pair = (...parts) => element("span", { className: "qle-pair", role: "group" }, ...parts);
    this.element = element(
      "div",
      { className: "qle-pick" },
      element("div", { className: "qle-said" }, this.text, this.run),
      element(
        "div",
        { className: "qle-fields" },
        pair(this.add, this.take),
        pair(this.shrink, this.grow),
        this.grown,
        element("span", { className: "qle-fill" }),
        this.cancel,
        this.cut,
      ),
    );
  }

  refresh() {
    const { tool } = this.panel;
    this.element.hidden = !tool.active;
    if (!tool.active) return;
    this.add.setAttribute("aria-pressed", String(!tool.taking));
    this.take.setAttribute("aria-pressed", String(tool.taking));
    this.text.textContent = tool.text;
    this.text.classList.toggle("qle-wrong", Boolean(tool.error));
    this.run.hidden = !(tool.error && tool.gone);
    const grow = tool.pick.grow ?? 0;
    this.grown.textContent = grow ? `${grow > 0 ? "+" : "−"}${Math.abs(grow)} px` : "";
    this.shrink.disabled = this.grow.disabled = !tool.mask;
    this.cut.disabled = !tool.ready;
  }
}
