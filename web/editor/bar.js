// The tools above the picture, and the properties of what is selected below it.

import { canUnmerge, duplicate, flip, group, mergeSelected, reset, ungroup, unmergeSelected } from "./actions.js";
import { button, element } from "./dom.js";
import { splitName } from "./names.js";
import { MODES } from "./pixels/blend.js";
import { editOf, withEdit } from "./state.js";
import { modeName, t } from "../words.js";

const GREATEST_TURN = 180; // degrees of the hue slider, to both sides

const WHILE_PICKING = ["undo", "redo", "pick", "fit"];

export class Bar {
  constructor(panel) {
    this.panel = panel;
    this.tools = this.makeTools();
    this.properties = this.makeProperties();
  }

  makeTools() {
    const { panel } = this;
    const tool = (name, title, act, needs) => {
      const made = button(name, title, () => {
        act(panel);
        panel.focus();
      });
      (this.buttons ??= []).push({ made, needs, always: WHILE_PICKING.includes(name) });
      return made;
    };
    const some = () => panel.free.length > 0;
    const several = () => panel.free.length > 1;
    const inGroup = () => panel.free.some((id) => splitName(panel.names[id]).length > 1);
    const space = () => element("span", { className: "qle-space" });
    this.compare = this.makeCompare();
    return element(
      "div",
      { className: "qle-tools", role: "toolbar" },
      tool(
        "undo",
        t("Undo (Ctrl-Z)"),
        () => (panel.tool.active ? panel.tool : panel).undo(),
        () => (panel.tool.active ? panel.tool : panel).history.past.length > 0,
      ),
      tool(
        "redo",
        t("Redo (Ctrl-Shift-Z)"),
        () => (panel.tool.active ? panel.tool : panel).redo(),
        () => (panel.tool.active ? panel.tool : panel).history.future.length > 0,
      ),
      space(),
      (this.pick = tool(
        "pick",
        t("Pick: cut a thing out of a layer (P)"),
        () => panel.tool.toggle(),
        () => Boolean(panel.scene),
      )),
      space(),
      tool("flipX", t("Flip left and right"), () => flip(panel, "flip_x"), some),
      tool("flipY", t("Flip top and bottom"), () => flip(panel, "flip_y"), some),
      tool("reset", t("Reset: back to how the layer came"), () => reset(panel), some),
      space(),
      tool("copy", t("Duplicate (Ctrl-D)"), () => duplicate(panel), some),
      tool("merge", t("Merge the selected layers (Ctrl-E)"), () => mergeSelected(panel), several),
      tool(
        "unmerge",
        t("Take a merged layer apart again"),
        () => unmergeSelected(panel),
        () => canUnmerge(panel),
      ),
      tool("group", t("Group the selected layers (Ctrl-G)"), () => group(panel), some),
      tool("ungroup", t("Take the selected layers out of their group"), () => ungroup(panel), inGroup),
      element("span", { className: "qle-fill" }),
      this.makePages(),
      this.compare,
      tool(
        "fit",
        t("Show all of the picture (0)"),
        () => panel.canvas.fit(),
        () => Boolean(panel.scene),
      ),
    );
  }

  /** Which of several pictures is shown. */
  makePages() {
    const turn = (step) =>
      this.panel.open((this.panel.number + step + this.panel.stacks.length) % this.panel.stacks.length);
    this.page = element("span", { className: "qle-page" });
    const back = button("back", t("The picture before"), () => turn(-1), "qle-icon");
    const next = button("folded", t("The next picture"), () => turn(1), "qle-icon");
    return (this.pages = element("span", { className: "qle-pages" }, back, this.page, next));
  }

  /** Shows the original for as long as it is pressed. */
  makeCompare() {
    const show = (on) => () => {
      this.panel.comparing = on;
      this.panel.canvas.repaint();
    };
    const made = button("compare", t("Hold to see the original"), () => this.panel.focus());
    made.addEventListener("pointerdown", show(true));
    for (const kind of ["pointerup", "pointerleave", "pointercancel"]) made.addEventListener(kind, show(false));
    return made;
  }

  makeProperties() {
    const { panel } = this;
    this.fields = [
      this.slider(
        "opacity",
        t("Opacity"),
        0,
        100,
        (edit) => Math.round(edit.opacity * 100),
        (value) => ({ opacity: value / 100 }),
        "%",
      ),
      this.modes(),
      this.slider(
        "hue",
        t("Hue"),
        -GREATEST_TURN,
        GREATEST_TURN,
        (edit) => Math.round(edit.hue),
        (hue) => ({ hue, color: "" }),
        "°",
      ),
      this.color(),
      this.number(
        "X",
        (edit, place) => place[0],
        (value, edit, place) => ({ dx: edit.dx + value - place[0] }),
      ),
      this.number(
        "Y",
        (edit, place) => place[1],
        (value, edit, place) => ({ dy: edit.dy + value - place[1] }),
      ),
      this.number(
        t("Scale"),
        (edit) => Math.round(edit.scale_x * 1000) / 10,
        (value, edit) => scaled(edit, value / 100),
        "%",
      ),
      this.number(
        t("Angle"),
        (edit) => Math.round(edit.rotation * 10) / 10,
        (rotation) => ({ rotation }),
        "°",
      ),
    ];
    this.hint = element("div", { className: "qle-hint" });
    const [looks, places] = [this.fields.slice(0, 4), this.fields.slice(4)];
    const row = (fields) => element("div", { className: "qle-fields" }, ...fields.map((field) => field.element));
    this.inputs = element("div", { className: "qle-inputs" }, row(looks), row(places));
    this.inputs.addEventListener("change", () => panel.focus());
    return element("div", { className: "qle-properties" }, this.hint, this.inputs);
  }

  slider(key, title, min, max, get, set, unit) {
    const input = element("input", { type: "range", min, max, step: 1, className: `qle-slider qle-${key}`, title });
    const value = element("span", { className: "qle-value" });
    input.addEventListener("input", () => this.panel.change(set(Number(input.value)), key));
    const show = (edit) => {
      input.value = get(edit);
      value.textContent = `${get(edit)}${unit === "%" ? " %" : unit}`;
    };
    return { element: field(title, input, value), show };
  }

  modes() {
    const select = element("select", { className: "qle-select", title: t("Blend mode") });
    select.append(...MODES.map((mode) => element("option", { value: mode }, modeName(mode))));
    select.addEventListener("change", () => this.panel.change({ mode: select.value }));
    const show = ({ mode }) => {
      const known = MODES.includes(mode);
      select.querySelector(".qle-other")?.remove();
      if (!known)
        select.append(
          element("option", { value: mode, className: "qle-other" }, t("{mode} (not shown live)", { mode })),
        );
      select.value = mode;
    };
    return { element: field(t("Blend"), select), show };
  }

  color() {
    const input = element("input", {
      type: "color",
      className: "qle-color",
      title: t("Colourise: give the layer one colour, light and dark stay"),
    });
    const clear = button(
      "clear",
      t("Back to the layer's own colours"),
      () => this.panel.change({ color: "", hue: 0 }),
      "qle-icon",
    );
    input.addEventListener("input", () => this.panel.change({ color: input.value, hue: 0 }, "color"));
    const show = ({ color, hue }) => {
      input.value = /^#[0-9a-f]{6}$/i.test(color) ? color : "#808080";
      input.classList.toggle("qle-unset", !color);
      clear.hidden = !color && !hue;
    };
    return { element: field(t("Colour"), input, clear), show };
  }

  number(title, get, set, unit = "") {
    const input = element("input", { type: "number", className: "qle-number", step: "any", title });
    input.addEventListener("change", () => {
      const { panel } = this;
      const value = Number(input.value);
      if (!Number.isFinite(value) || input.value === "") return this.refresh();
      const state = panel.free.reduce((done, id) => {
        const edit = editOf(done, id);
        return withEdit(done, id, set(value, edit, this.placeOf(id)));
      }, panel.history.present);
      panel.commit(state);
    });
    const show = (edit, place) => (input.value = get(edit, place));
    return {
      element: field(title, input, unit ? element("span", { className: "qle-unit" }, unit) : null),
      show,
      number: true,
    };
  }

  /** The left top corner of what one sees of a layer, in the picture's pixels. */
  placeOf(id) {
    const { scene, shown, items } = this.panel;
    const bounds = scene.boundsOf(shown, items, id);
    return bounds ? bounds.slice(0, 2).map((v) => Math.round(v)) : [0, 0];
  }

  refresh() {
    const { panel } = this;
    const picking = panel.tool.active;
    for (const { made, needs, always } of this.buttons)
      made.disabled = !panel.scene || !needs() || (picking && !always);
    this.pick.setAttribute("aria-pressed", String(picking));
    this.compare.hidden = !panel.original;
    this.pages.hidden = panel.stacks.length < 2;
    this.page.textContent = t("{number} of {count}", {
      number: (panel.number ?? 0) + 1,
      count: panel.stacks.length,
    });
    this.properties.hidden = !panel.scene || picking;
    this.inputs.hidden = !panel.selected.length;
    this.hint.hidden = Boolean(panel.selected.length);
    this.hint.textContent = t("Click a layer in the picture or in the list. Double-click a name to change it.");
    if (!panel.selected.length || !panel.scene) return;
    const locked = !panel.free.length;
    this.inputs.querySelectorAll("input, select").forEach((input) => (input.disabled = locked));
    this.refreshNumbers();
  }

  /** The values of the topmost selected layer; also during a gesture. */
  refreshNumbers() {
    const { panel } = this;
    const id = panel.selected.at(-1);
    if (!id) return;
    const [edit, place] = [editOf(panel.shown, id), this.placeOf(id)];
    for (const one of this.fields) one.show(edit, place);
  }
}

const scaled = (edit, scale) => ({ scale_x: scale, scale_y: (edit.scale_y * scale) / edit.scale_x });

function field(title, ...inputs) {
  return element(
    "label",
    { className: "qle-field" },
    element("span", { className: "qle-label" }, title),
    ...inputs.filter(Boolean),
  );
}
