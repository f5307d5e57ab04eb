// The panel: it holds the scene, the state with its history and the selection, and lets canvas, list and bars show
// them.

import { askCuts, isShown, withPixels } from "./api.js";
import { Bar } from "./bar.js";
import { Canvas } from "./canvas.js";
import { element, icon } from "./dom.js";
import { History } from "./history.js";
import { handleKey } from "./keys.js";
import { LayerList } from "./list.js";
import { PickTool } from "./pick.js";
import { PickBar } from "./pick_bar.js";
import { Scene } from "./scene.js";
import { Pieces } from "./sources.js";
import { EMPTY, editOf, originalOf, parseState, stateText, withEdits, withoutStale } from "./state.js";
import { t } from "../words.js";

const REST = 150; // milliseconds

export class Panel {
  /** host: {fetchApi, changed(), run()}. */
  constructor(host) {
    this.host = host;
    this.history = new History(EMPTY);
    this.shown = EMPTY; // the state on the screen: during a gesture ahead of the history's
    this.selected = [];
    this.folded = new Set();
    this.stacks = [];
    this.knownNames = new Map(); // also of layers that are gone
    this.pieces = new Pieces();
    this.tool = new PickTool(this);
    this.pickBar = new PickBar(this);
    this.canvas = new Canvas(this);
    this.list = new LayerList(this);
    this.bar = new Bar(this);
    this.notice = element("div", { className: "qle-notice", role: "status" });
    this.message = element("div", { className: "qle-message" });
    this.stage = element("div", { className: "qle-stage" }, this.canvas.element, this.message);
    const middle = element("div", { className: "qle-middle" }, this.stage, this.list.element);
    this.element = element(
      "div",
      { className: "qle", data: { captureWheel: "true" } },
      this.bar.tools,
      middle,
      this.bar.properties,
      this.pickBar.element,
      this.notice,
    );
    this.element.addEventListener("keydown", (event) => handleKey(this, event));
    for (const kind of ["pointerdown", "contextmenu", "dblclick"])
      this.element.addEventListener(kind, (event) => event.stopPropagation());
    this.wait(t("Run the workflow once: the layers appear here, and you can move, hide and recolour them."));
  }

  /** The widget's text: as it was given, letter for letter, until something is edited. */
  get text() {
    return this.given ?? stateText(this.history.present);
  }

  /** Takes the widget's text: from a file, an undo of ComfyUI or the clipboard. */
  setText(text) {
    if (text === this.text) return;
    this.given = text; // also one that cannot be read: nothing is lost, and the node says what is wrong with it
    this.problem = null;
    try {
      this.history.reset(parseState(text));
    } catch (error) {
      this.history.reset(EMPTY);
      this.problem = error.message;
    }
    this.show(this.history.present);
  }

  /** Shows what a run reported: a list of stacks, as the node's ui output has it. */
  async load(stacks) {
    if (!Array.isArray(stacks) || !stacks.length || !stacks.every(isShown)) return;
    this.stacks = stacks;
    await this.open(Math.min(this.number ?? 0, stacks.length - 1));
  }

  /** Shows one of the stacks; a run that changed nothing leaves the panel as it is. */
  async open(number) {
    const data = this.stacks[number];
    const turn = (this.opening = JSON.stringify(data));
    if (turn === this.opened && this.scene) return this.refresh();
    try {
      const full = await withPixels(data, this.host.fetchApi);
      if (turn !== this.opening) return; // a later run was faster
      [this.opened, this.number] = [turn, number];
      this.fill(full);
    } catch (error) {
      if (turn !== this.opening) return;
      this.trouble = t("Run the workflow to fill the panel again: {why}.", { why: error.message });
      if (this.scene) this.refreshNotice();
      else this.wait(this.trouble);
    }
  }

  fill(full) {
    this.canvas.cancel(); // a drag of layers that may be gone
    this.trouble = null;
    const resized = String(this.scene?.canvas) !== String(full.canvas);
    this.pieces.take(full.cuts);
    this.scene = new Scene({ ...full, pieces: this.pieces });
    for (const { id, name } of full.layers) this.knownNames.set(id, name);
    this.original = full.original;
    this.message.hidden = true;
    if (resized) this.canvas.view.fits = true;
    this.canvas.opened();
    this.list.opened();
    this.asked = null;
    this.show(this.history.present);
    this.tool.opened();
  }

  wait(text) {
    this.message.hidden = false;
    const run = element(
      "button",
      { type: "button", className: "qle-run", onclick: () => this.host.run() },
      icon("run"),
      t("Run"),
    );
    this.message.replaceChildren(element("p", {}, text), run);
    this.refresh();
  }

  /** Makes a state the present one; after a text that cannot be read it is the first one. key: steps of the same key
   * are undone together. */
  commit(state, key = null) {
    this.problem = null;
    this.history.push(this.keeping(state), key);
    if (key && this.scene) this.passing();
    else this.restored();
  }

  /** The state with the order of layers that are not in this stack, which an order of those that are does not name. */
  keeping(state) {
    const before = this.history.present;
    if (state.order === before.order || !this.scene) return state;
    const absent = before.order.filter((id) => this.items.stale.includes(id) && !state.order.includes(id));
    return absent.length ? { ...state, order: [...state.order, ...absent] } : state;
  }

  /** Ids that the edits name and that are in none of the stacks that the node got. */
  get stale() {
    if (!this.scene) return [];
    const known = new Set(this.stacks.flatMap(({ layers }) => layers.map(({ id }) => id)));
    const { merged, cut } = this.shown;
    const made = (id) => merged[id] ?? (cut[originalOf(id)] && [cut[originalOf(id)].of]);
    const there = (id) => made(id)?.every(there) ?? known.has(originalOf(id));
    return this.items.stale.filter((id) => !there(id));
  }

  forget() {
    const stale = this.stale;
    this.history.push(withoutStale(this.history.present, stale));
    this.restored();
  }

  /** Shows a step of a gesture, such as an opacity that is dragged: all pixels follow when it rests. */
  passing() {
    this.given = null;
    this.show(this.history.present, { live: this.canvas.liveScene(), draft: true });
    this.bar.refreshNumbers();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.restored(), REST);
  }

  undo() {
    if (this.history.undo()) this.restored();
  }

  redo() {
    if (this.history.redo()) this.restored();
  }

  restored() {
    clearTimeout(this.resting);
    this.given = null;
    this.show(this.history.present);
    this.host.changed();
  }

  /** Puts a state on the screen. draw: see Canvas.paint. */
  show(state, draw = {}) {
    this.shown = state;
    if (this.scene) {
      this.items = this.scene.arrange(state);
      this.names = this.scene.names(state, this.items);
      this.selected = this.selected.filter((id) => this.items.order.includes(id));
      this.fetchCuts(state);
    }
    this.canvas.paint(draw);
    if (!draw.live) this.refresh();
  }

  /** Asks for what the cuts of a state give where it is not here, as after a text was pasted; once for each. */
  async fetchCuts(state) {
    const { missing } = this.scene.sources.of(state);
    if (!missing?.length || this.asked === state.cut) return;
    this.asked = state.cut;
    const known = Object.entries(state.cut).filter(([id]) => this.items.stale.includes(id) === false);
    try {
      this.pieces.take(await askCuts(Object.fromEntries(known), this.host.fetchApi));
      if (this.shown.cut === state.cut) this.show(this.shown);
    } catch (error) {
      this.trouble = t("The things that were cut out are shown after the next run: {why}", { why: error.message });
      this.refreshNotice();
    }
  }

  /** The pick tool was taken up or put down. */
  toolChanged() {
    this.canvas.gestures.hover(null);
    this.canvas.repaint();
    this.refresh();
  }

  select(ids) {
    this.selected = ids;
    this.canvas.repaint();
    this.refresh();
  }

  /** Shows list, bars and notices anew. */
  refresh() {
    this.list.refresh();
    this.bar.refresh();
    this.pickBar.refresh();
    this.refreshNotice();
  }

  refreshNotice() {
    const { stale } = this;
    if (this.problem)
      this.tell(t("The edits cannot be read: {why}", { why: this.problem }), t("Start over"), () => this.commit(EMPTY));
    else if (this.trouble && this.scene) this.tell(this.trouble, t("Run"), () => this.host.run());
    else if (stale.length) this.tell(staleText(stale.length, this.staleNames(stale)), t("Forget"), () => this.forget());
    else this.notice.hidden = true;
  }

  staleNames(stale) {
    const nameOf = (id) => editOf(this.history.present, id).name || this.knownNames.get(originalOf(id)) || t("unnamed");
    const names = [...new Set(stale.map(nameOf))];
    return names.slice(0, 4).join(", ") + (names.length > 4 ? " ..." : "");
  }

  tell(text, action, act) {
    this.notice.hidden = false;
    this.notice.replaceChildren(
      element("span", {}, text),
      element("button", { type: "button", className: "qle-text-button", onclick: act }, action),
    );
  }

  /** The selected layers that may be changed. */
  get free() {
    return this.selected.filter((id) => !editOf(this.shown, id).locked);
  }

  /** Changes values of the selected layers that are not locked. */
  change(values, key = null) {
    if (this.free.length) this.commit(withEdits(this.history.present, this.free, values), key && `${key} ${this.free}`);
  }

  get focused() {
    return this.element.contains(document.activeElement);
  }

  focus() {
    this.canvas.element.focus({ preventScroll: true });
  }
}

function staleText(count, names) {
  if (count === 1) return t("1 edit belongs to a layer that is not in this stack: {names}. Kept, not used.", { names });
  return t("{count} edits belong to layers that are not in this stack: {names}. Kept, not used.", { count, names });
}
