// The layers of a stack in the browser, and the picture that they make under a state of edits. It knows no page: it
// works on arrays, so that it is tested against the node's own output.

import { boundsAfter, hull } from "./geometry.js";
import { addLayers, addSums, clear, copySums, toBytes } from "./pixels/compose.js";
import { recolored } from "./pixels/color.js";
import { place } from "./pixels/resample.js";
import { Sources } from "./sources.js";
import { arrange, editOf, isCopy, liveMode, originalOf } from "./state.js";

const BEYOND = 1; // widths and heights of the canvas that are kept around it (qil_core/editor/content.py)
const COLORS = ["hue", "color"];
const PLACE = ["dx", "dy", "scale_x", "scale_y", "rotation", "flip_x", "flip_y"];
const part = (edit, keys) => keys.map((key) => edit[key]).join();

export class Scene {
  /** canvas, small: [width, height] in pixels of the picture and of the previews. layers: [{id, name, box, at,
   * pixels}], bottom first; pixels: {data, width, height} or nothing for an empty layer. pieces: see Sources. */
  constructor({ canvas, small, layers, pieces, scale = small[0] / canvas[0] }) {
    [this.canvas, this.small, this.layers, this.scale] = [canvas, small, layers, scale];
    this.sources = new Sources(layers, pieces);
    this.ids = layers.map((layer) => layer.id);
    this.colored = new Map(); // id -> {key, layer}
    this.placed = new Map();
    this.merges = new Map();
    [this.sums, this.held] = [clear(...small), null];
    this.bytes = new Uint8ClampedArray(small[0] * small[1] * 4);
  }

  arrange = (state) => arrange(state, this.ids);

  /** The names of the items of a state, by id. */
  names(state, { order, merged }) {
    return Object.fromEntries(
      [...order, ...Object.values(merged).flat()].map((id) => [id, this.nameOf(state, merged, id)]),
    );
  }

  nameOf(state, merged, id) {
    const { name } = editOf(state, id);
    if (name) return name;
    if (merged[id]) return this.nameOf(state, merged, merged[id].at(-1));
    const own = this.sources.name(state, originalOf(id));
    return isCopy(id) ? `${own} copy` : own;
  }

  /** The box of an item's content before its own edit, [left, top, right, bottom] in the picture's pixels; or null. */
  boxOf(state, items, id) {
    const parts = items.merged[id];
    if (!parts) return this.sources.of(state).get(originalOf(id))?.box ?? null;
    const { layer } = this.merged(state, items, id, false);
    return layer
      ? [layer.left, layer.top, layer.left + layer.width, layer.top + layer.height].map((v) => v / this.scale)
      : null;
  }

  /** The upright box of an item after its edit, in the picture's pixels; or null for an empty one. */
  boundsOf(state, items, id) {
    const box = this.boxOf(state, items, id);
    return box && boundsAfter(editOf(state, id), box);
  }

  /** An item's pixels after its edit, on the small canvas: {data, unit, left, top, width, height}, or null. wide: also
   * of an enlarged layer what lies around the canvas. */
  layerOf(state, items, id, draft = false, wide = false) {
    const edit = editOf(state, id);
    const source = this.source(state, items, id, draft);
    if (!source.layer) return null;
    const small = this.smallEdit(edit);
    // a move by whole pixels shifts what is there: only the part of the place that is not whole needs new pixels
    const [wholeX, wholeY] = [Math.floor(small.dx), Math.floor(small.dy)];
    const large = Math.max(edit.scale_x, edit.scale_y) > 1; // its place decides which part of it is kept
    const shifted = large ? small : { ...small, dx: small.dx - wholeX, dy: small.dy - wholeY };
    const key = `${source.key}|${part(shifted, PLACE)}|${draft}|${wide}`;
    let known = this.placed.get(id);
    if (known?.key !== key) {
      const box = this.boxOf(state, items, id).map((v) => v * this.scale);
      known = { key, layer: place(source.layer, shifted, box, this.within(wide || !large), draft) };
      this.placed.set(id, known);
    }
    const [dx, dy] = shifted === small ? [0, 0] : [wholeX, wholeY];
    return { ...known.layer, left: known.layer.left + dx, top: known.layer.top + dy };
  }

  /** The part of the plane that is kept: the canvas, or also what is around it. */
  within(wide = true) {
    const [width, height] = this.small.map((side) => Math.round(side * (wide ? BEYOND : 0)));
    return [-width, -height, this.small[0] + width, this.small[1] + height];
  }

  /** An edit in pixels of the small canvas. Where that is smaller than the picture, moves go by its whole pixels. */
  smallEdit(edit) {
    if (this.scale === 1) return edit;
    return { ...edit, dx: Math.round(edit.dx * this.scale), dy: Math.round(edit.dy * this.scale) };
  }

  /** An item's pixels before it is placed, recoloured: {key, layer}. */
  source(state, items, id, draft) {
    const base = items.merged[id] ? this.merged(state, items, id, draft) : this.original(state, originalOf(id));
    const edit = editOf(state, id);
    if (!base.layer || !(edit.hue || edit.color)) return base;
    const key = `${base.key}|${part(edit, COLORS)}`;
    let known = this.colored.get(id);
    if (known?.key !== key) {
      known = { key, layer: recolored(base.layer, edit) };
      this.colored.set(id, known);
    }
    return known;
  }

  /** A text that is the same as long as an item's pixels before its own edit are. */
  keyOf(state, items, id) {
    return items.merged[id] ? id : this.original(state, originalOf(id)).key;
  }

  original(state, id) {
    const found = this.sources.of(state).get(id);
    if (!found?.pixels) return { key: id, layer: null };
    const { data, width, height } = found.pixels;
    return { key: found.key, layer: { data, unit: 1 / 255, left: found.at[0], top: found.at[1], width, height } };
  }

  /** What one sees of a merged item's parts, as one layer. */
  merged(state, items, id, draft) {
    const parts = items.merged[id];
    const key = `${draft} ${JSON.stringify(parts.map((one) => this.signature(state, items, one)))}`;
    let known = this.merges.get(id);
    if (known?.key !== key) {
      known = { key, layer: this.flattened(state, items, parts, draft) };
      this.merges.set(id, known);
    }
    return known;
  }

  flattened(state, items, parts, draft) {
    const layers = this.drawn(state, items, parts, draft, true);
    if (!layers.length) return null;
    const box = cut(
      hull(layers.map((one) => [one.left, one.top, one.left + one.width, one.top + one.height])),
      this.within(),
    );
    const sums = clear(Math.max(0, box[2] - box[0]), Math.max(0, box[3] - box[1]));
    addLayers(
      sums,
      layers.map((one) => ({ ...one, left: one.left - box[0], top: one.top - box[1] })),
      [0, 0, sums.width, sums.height],
    );
    const data = new Float32Array(sums.data.length);
    for (let i = 0; i < data.length; i += 4) {
      for (let c = 0; c < 3; c++) data[i + c] = sums.data[i + c] / Math.max(sums.data[i + 3], 1e-9);
      data[i + 3] = sums.data[i + 3];
    }
    return trimmed({ data, unit: 1, left: box[0], top: box[1], width: sums.width, height: sums.height });
  }

  /** All that a merged item's pixels depend on. */
  signature(state, items, id) {
    const parts = items.merged[id]?.map((one) => this.signature(state, items, one));
    return [id, state.edits[id], parts ?? this.sources.of(state).get(originalOf(id))?.key];
  }

  /** The visible ones of some items, ready to be added: with opacity and mode. */
  drawn(state, items, ids, draft, wide = false) {
    const layers = [];
    for (const id of ids) {
      const edit = editOf(state, id);
      const layer = edit.hidden ? null : this.layerOf(state, items, id, draft, wide);
      if (layer?.width)
        layers.push({ ...layer, opacity: edit.opacity, mode: liveMode(edit.mode) ? edit.mode : "normal" });
    }
    return layers;
  }

  /** Draws a state into `bytes`, straight RGBA of the small canvas, and gives the region that was drawn. region: [left,
   * top, right, bottom], all of it when it is left out. What a gesture holds is not computed again (`hold`). */
  draw(state, items, { region = [0, 0, ...this.small], draft = false } = {}) {
    const box = cut(
      region.map((v, i) => (i < 2 ? Math.floor(v) : Math.ceil(v))),
      [0, 0, ...this.small],
    );
    if (box[0] >= box[2] || box[1] >= box[3]) return null;
    const { from, to, below, above } = this.held ?? { from: 0, to: items.order.length, below: null, above: null };
    if (below) copySums(below, this.sums, box);
    else wipe(this.sums, box);
    addLayers(this.sums, this.drawn(state, items, items.order.slice(from, to), draft), box);
    if (above) addSums(this.sums, above, box);
    toBytes(this.sums, this.bytes, box);
    return box;
  }

  /** Keeps what lies below and above some items, for as long as only they change. Layers above that blend with what is
   * below them cannot be kept as one. */
  hold(state, items, ids) {
    const places = ids.map((id) => items.order.indexOf(id));
    const [from, last] = [Math.min(...places), Math.max(...places) + 1];
    const over = this.drawn(state, items, items.order.slice(last), false);
    const plain = over.every((layer) => layer.mode === "normal");
    this.held = {
      from,
      to: plain ? last : items.order.length,
      below: this.summed(this.drawn(state, items, items.order.slice(0, from), false)),
      above: plain ? this.summed(over) : null,
    };
  }

  summed(layers) {
    const sums = clear(...this.small);
    addLayers(sums, layers, [0, 0, ...this.small]);
    return sums;
  }

  release() {
    this.held = null;
  }

  /** Items that show at a point of the picture or within a reach of it, in its pixels, topmost first: thin letters
   * would be hard to hit otherwise. */
  at(state, items, [x, y], reach = 0) {
    const steps = reach ? [0, -1, 1] : [0];
    const points = steps.flatMap((u) =>
      steps.map((v) => [(x + u * reach) * this.scale, (y + v * reach) * this.scale].map(Math.floor)),
    );
    return [...items.order].reverse().filter((id) => {
      const edit = editOf(state, id);
      const layer = edit.hidden || edit.locked ? null : this.layerOf(state, items, id);
      return layer?.width && points.some((point) => shows(layer, point));
    });
  }
}

const LEAST = 0.1; // alpha that counts as something

function shows(layer, [x, y]) {
  const [u, v] = [x - layer.left, y - layer.top];
  const inside = u >= 0 && v >= 0 && u < layer.width && v < layer.height;
  return inside && layer.data[(v * layer.width + u) * 4 + 3] * layer.unit >= LEAST;
}

const cut = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];

function wipe(sums, [left, top, right, bottom]) {
  for (let y = top; y < bottom; y++) sums.data.fill(0, (y * sums.width + left) * 4, (y * sums.width + right) * 4);
}

/** The layer without its clear edges; null when it is all clear. */
function trimmed(layer) {
  let [left, top, right, bottom] = [layer.width, layer.height, 0, 0];
  for (let y = 0; y < layer.height; y++)
    for (let x = 0; x < layer.width; x++) {
      if (layer.data[(y * layer.width + x) * 4 + 3] <= 0) continue;
      [left, right, top, bottom] = [
        Math.min(left, x),
        Math.max(right, x + 1),
        Math.min(top, y),
        Math.max(bottom, y + 1),
      ];
    }
  if (left >= right) return null;
  const [width, height] = [right - left, bottom - top];
  const data = new Float32Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * layer.width + left) * 4;
    data.set(layer.data.subarray(from, from + width * 4), y * width * 4);
  }
  return { ...layer, data, left: layer.left + left, top: layer.top + top, width, height };
}
