// The pick tool: clicks and boxes say what is a thing of a layer, the server finds it, its mask is shown over the
// picture, and cutting out makes it a layer of its own. Nothing of it is in the edits until it is cut out.

import { askCuts, askMask } from "./api.js";
import { backward, center, repivoted } from "./geometry.js";
import { History } from "./history.js";
import { MaskPicture } from "./mask.js";
import { editOf, freshCut, isCopy, withEdit } from "./state.js";
import { t } from "../words.js";

const MOST_GROW = 64; // pixels (qil_core/editor/picks.py)
const MOST_CLICKS = 100; // of a kind
const NOTHING = Object.freeze({ of: null });
const LOOKS = ["name", "hidden", "locked"]; // of a layer, that its thing does not take over

export class PickTool {
  constructor(panel) {
    this.panel = panel;
    this.active = false;
    this.taking = false; // whether a click takes away
    this.history = new History(NOTHING);
  }

  get pick() {
    return this.history.present;
  }

  /** Whether there is something to cut out. */
  get ready() {
    return Boolean(this.mask && this.mask.pick === this.pick && !this.busy && !this.cutting);
  }

  toggle() {
    if (this.active) this.leave();
    else this.start();
  }

  start() {
    if (!this.panel.scene) return;
    Object.assign(this, { active: true, taking: false, mask: null, error: null, wanted: null });
    this.history.reset(NOTHING);
    const [only] = this.panel.selected;
    if (this.panel.selected.length === 1 && !this.whyNot(only)) this.history.reset({ of: only });
    this.panel.toolChanged();
  }

  leave() {
    if (!this.active) return;
    Object.assign(this, { active: false, mask: null, error: null, wanted: null });
    this.panel.toolChanged();
  }

  /** A new stack is there: a pick in a layer that is gone is gone. */
  opened() {
    if (this.active && this.pick.of && !this.panel.items.order.includes(this.pick.of)) this.start();
  }

  /** Why nothing can be picked in a layer; empty where it can. */
  whyNot(id) {
    const { panel } = this;
    const name = panel.names[id];
    if (panel.items.merged[id]) return t("“{name}” is a merged layer: take it apart first.", { name });
    if (isCopy(id)) return t("“{name}” is a duplicate: pick in the layer itself.", { name });
    if (editOf(panel.shown, id).locked) return t("“{name}” is locked: unlock it first.", { name });
    return panel.scene.boxOf(panel.shown, panel.items, id) ? "" : t("“{name}” is empty.", { name });
  }

  say(error) {
    this.error = error;
    this.panel.refresh();
  }

  /** A click at a point of the picture: the thing is there, or, when it takes away, is not. */
  click(point, away) {
    const of = this.pick.of ?? this.layerAt(point);
    if (!of) return;
    const place = this.inLayer(of, point);
    const [left, top, right, bottom] = this.panel.scene.boxOf(this.panel.shown, this.panel.items, of);
    const beside = place[0] < left || place[1] < top || place[0] >= right || place[1] >= bottom;
    if (beside) return this.say(t("“{name}” shows nothing there.", { name: this.panel.names[of] }));
    if (away && !this.pick.box && !this.pick.inside) return this.say(t("Click in the thing first, or draw a box."));
    const key = away ? "outside" : "inside";
    const points = this.pick[key] ?? [];
    if (points.length >= MOST_CLICKS) return this.say(t("These are too many clicks: draw a box, and begin anew."));
    this.push({ ...this.pick, of, [key]: [...points, place] });
  }

  /** A box drawn from one point of the picture to another: a new pick. */
  draw(from, to) {
    const of = this.pick.of ?? this.layerAt([(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]);
    if (!of) return;
    const { panel } = this;
    const corners = [from, [to[0], from[1]], to, [from[0], to[1]]].map((point) => this.inLayer(of, point));
    const [width, height] = panel.scene.canvas;
    const [xs, ys] = [0, 1].map((i) => corners.map((point) => point[i]));
    const bounded = (value, most) => Math.min(Math.max(Math.round(value), 0), most);
    const box = [
      bounded(Math.min(...xs), width),
      bounded(Math.min(...ys), height),
      bounded(Math.max(...xs), width),
      bounded(Math.max(...ys), height),
    ];
    if (box[0] >= box[2] || box[1] >= box[3])
      return this.say(t("The box lies beside the layer: draw it over the thing."));
    this.push({ of, box });
  }

  /** The topmost layer at a point in which one can pick; says why there is none. */
  layerAt(point) {
    const { scene, shown, items } = this.panel;
    const [top] = scene.at(shown, items, point);
    const why = top ? this.whyNot(top) : t("There is no layer there.");
    if (why) this.say(why);
    return why ? null : top;
  }

  /** A point of the picture in pixels of the layer's canvas before its edit. */
  inLayer(id, point) {
    const { scene, shown, items } = this.panel;
    const pivot = center(scene.boxOf(shown, items, id));
    return backward(editOf(shown, id), pivot, point).map((v) => Math.round(v * 10) / 10);
  }

  grow(step) {
    const grow = Math.min(Math.max((this.pick.grow ?? 0) + step, -MOST_GROW), MOST_GROW);
    if (this.mask && grow !== (this.pick.grow ?? 0)) this.push({ ...this.pick, grow });
  }

  push(pick) {
    this.history.push(pick);
    this.look();
  }

  undo() {
    if (this.history.undo()) this.look();
  }

  redo() {
    if (this.history.redo()) this.look();
  }

  /** Asks for the mask of the pick. One request is on its way at a time; when it is back the newest pick is asked for. */
  async look() {
    const { panel } = this;
    this.error = null;
    const { pick } = this;
    if (!pick.box && !pick.inside) this.mask = null;
    else if (this.busy) this.wanted = pick;
    else {
      this.busy = true;
      panel.refresh();
      await this.ask(pick);
      this.busy = false;
      const next = this.wanted;
      this.wanted = null;
      if (this.active && next && next === this.pick) return this.look();
    }
    panel.canvas.repaint();
    panel.refresh();
  }

  async ask(pick) {
    const { panel } = this;
    try {
      const { id, cut } = this.asCut(pick);
      const found = await askMask(cut, id, panel.host.fetchApi);
      if (!this.active || pick !== this.pick) return;
      this.mask = found && new MaskPicture(found, pick);
      if (!found) this.error = t("Nothing is left of the pick: click in the thing.");
    } catch (error) {
      if (this.active && pick === this.pick) this.fail(error);
    }
  }

  fail(error) {
    this.mask = null;
    this.error = error.message;
    this.gone = Boolean(error.gone);
  }

  /** The cuts of the state, with the pick as a new one. */
  asCut(pick) {
    const state = this.panel.history.present;
    const id = freshCut(state);
    return { id, cut: { ...state.cut, [id]: pick } };
  }

  /** Makes the thing a layer of its own, just above the rest, and selects it. */
  async cutOut() {
    if (!this.ready) return;
    const { panel, pick } = this;
    const before = panel.history.present;
    const { id, cut } = this.asCut(pick);
    this.cutting = true;
    panel.refresh();
    try {
      const cuts = await askCuts(cut, panel.host.fetchApi);
      if (!this.active || before !== panel.history.present) return; // something else was done meanwhile
      panel.pieces.take(cuts);
      panel.commit(this.cutState(before, id, pick, cut));
      this.leave();
      panel.select([id]);
    } catch (error) {
      this.fail(error);
    } finally {
      this.cutting = false;
      panel.refresh();
      panel.canvas.repaint();
    }
  }

  /** The state after a cut: the thing has the edit of its layer, and both stay where they are though their centres are
   * others. */
  cutState(before, id, pick, cut) {
    const { scene } = this.panel;
    const edit = editOf(before, pick.of);
    const plain = { ...edit, ...Object.fromEntries(LOOKS.map((key) => [key, key === "name" ? "" : false])) };
    const after = { ...before, cut };
    const items = scene.arrange(after);
    const pivot = center(scene.boxOf(before, scene.arrange(before), pick.of));
    const kept = (one, values) => {
      const box = scene.boxOf(after, items, one);
      return box ? repivoted(values, pivot, center(box)) : values;
    };
    return withEdit(withEdit(after, pick.of, kept(pick.of, edit)), id, kept(id, plain));
  }

  /** What is to be done, or went wrong. */
  get text() {
    if (this.error) return this.error;
    if (this.cutting) return t("Cutting out ...");
    if (this.mask) return t("Click what is missing, Alt-click what is too much.");
    if (this.busy) return t("Looking ...");
    return t("Click the thing. A drag draws a box around it, Alt-click takes away.");
  }
}
