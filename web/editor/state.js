// The edits as data: {edits, order, merged, cut}, as qil_core/editor/state.py reads them from the widget's text. Every
// function gives a new state and leaves the old one alone, so that undo is a list of states.

import { joinName, splitName } from "./names.js";
import { MODES } from "./pixels/blend.js";
import { t } from "../words.js";

export const VERSION = 1;
export const PLAIN = {
  name: "",
  hidden: false,
  locked: false,
  opacity: 1,
  mode: "normal",
  dx: 0,
  dy: 0,
  scale_x: 1,
  scale_y: 1,
  rotation: 0,
  flip_x: false,
  flip_y: false,
  hue: 0,
  color: "",
};
const RANGES = {
  opacity: [0, 1],
  dx: [-16384, 16384],
  dy: [-16384, 16384],
  scale_x: [0.01, 100],
  scale_y: [0.01, 100],
  rotation: [-360, 360],
  hue: [-360, 360],
};
const LAYER = /^([0-9a-f]{16}(?:\.[1-9]\d{0,3})?|c[1-9]\d{0,3})(?:~([1-9]\d{0,3}))?$/;
const MERGED = /^m[1-9]\d{0,3}$/;
const CUT = /^c[1-9]\d{0,3}$/;
const MOST = 1000; // layers

export const EMPTY = Object.freeze({ edits: {}, order: [], merged: {}, cut: {} });
const ours = (id) => typeof id === "string" && (LAYER.test(id) || MERGED.test(id));
export const originalOf = (id) => LAYER.exec(id)?.[1] ?? id;
export const isCopy = (id) => Boolean(LAYER.exec(id)?.[2]);

/** The state that a widget's text holds. Throws an Error with what is wrong, in words for people. */
export function parseState(text) {
  if (!text?.trim()) return EMPTY;
  const given = JSON.parse(text);
  if (given?.version !== VERSION)
    throw new Error(
      t("The edits are of version {given}, this panel reads {read}.", { given: given?.version, read: VERSION }),
    );
  const { edits = {}, order = [], merged = {}, cut = {} } = given;
  const named = [...Object.keys(edits), ...order, ...Object.keys(merged), ...Object.values(merged).flat()];
  if (![...named, ...Object.keys(cut), ...Object.values(cut).map(({ of }) => of)].every(ours))
    throw new Error(t("The edits name layers in a way that this panel does not know."));
  return {
    edits: Object.fromEntries(Object.entries(edits).map(([id, edit]) => [id, changes(edit)])),
    order: [...new Set(order)],
    merged: Object.fromEntries(Object.entries(merged).map(([id, parts]) => [id, [...parts]])),
    cut: Object.fromEntries(Object.entries(cut).map(([id, one]) => [id, pickOf(one)])),
  };
}

const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);

/** A cut with only what is of the right type in it; the node says what is wrong with the rest. */
function pickOf({ of, box, inside, outside, grow }) {
  const pick = { of };
  if (Array.isArray(box) && box.length === 4 && box.every(Number.isFinite)) pick.box = [...box];
  for (const [key, points] of Object.entries({ inside, outside }))
    if (Array.isArray(points) && points.length) pick[key] = points.filter(isPoint).map((point) => [...point]);
  if (Number.isFinite(grow) && grow) pick.grow = grow;
  return pick;
}

/** Cuts in the order in which they are made: a thing can be cut out of an earlier one only. */
export const inTurn = (cut) => Object.entries(cut).sort(([a], [b]) => a.slice(1) - b.slice(1));

/** A cut as a text: the same for the same pick, wherever it comes from. */
export const pickText = ({ box = null, inside = [], outside = [], grow = 0 }) =>
  JSON.stringify([box, inside, outside, grow]);

export const freshCut = (state) => `c${Math.max(0, ...Object.keys(state.cut).map((id) => Number(id.slice(1)))) + 1}`;

/** What of an edit differs from doing nothing, each value of its type and in its range. */
function changes(edit) {
  const kept = {};
  for (const [key, plain] of Object.entries(PLAIN)) {
    let value = edit[key];
    if (typeof value !== typeof plain || Number.isNaN(value)) continue;
    if (RANGES[key]) value = Math.min(Math.max(value, RANGES[key][0]), RANGES[key][1]);
    if (value !== plain) kept[key] = value;
  }
  return kept;
}

/** The text of a state; empty when nothing was done. */
export function stateText({ edits, order, merged, cut }) {
  const done = Object.entries(edits).filter(([, edit]) => Object.keys(edit).length);
  const parts = { version: VERSION };
  if (done.length) parts.edits = Object.fromEntries(done);
  if (order.length) parts.order = order;
  if (Object.keys(merged).length) parts.merged = merged;
  if (Object.keys(cut).length) parts.cut = cut;
  return Object.keys(parts).length > 1 ? JSON.stringify(parts) : "";
}

export const editOf = (state, id) => ({ ...PLAIN, ...state.edits[id] });

/** The state with some values of one layer's edit changed. */
export function withEdit(state, id, values) {
  return { ...state, edits: { ...state.edits, [id]: changes({ ...editOf(state, id), ...values }) } };
}

export const withEdits = (state, ids, values) => ids.reduce((next, id) => withEdit(next, id, values), state);

/** What there is after the edits of layers with these ids, bottom first: {order, merged, stale}; the same steps as
 * qil_core/editor/items.py. */
export function arrange(state, stack) {
  const layers = withThings(state.cut, stack);
  const known = new Set(layers);
  const merged = {};
  const taken = new Set();
  const isThere = (id) => (MERGED.test(id) ? id in merged : known.has(originalOf(id)));
  const names = Object.keys(state.merged).sort((a, b) => a.slice(1) - b.slice(1));
  for (const name of names) {
    const parts = state.merged[name];
    if (!parts.every((part) => isThere(part) && !taken.has(part))) continue;
    merged[name] = parts;
    parts.forEach((part) => taken.add(part));
  }
  const order = state.order.filter((id) => !taken.has(id) && isThere(id));
  layers.forEach((layer, i) => {
    if (order.includes(layer) || taken.has(layer)) return;
    const below = layers.slice(0, i).findLast((one) => order.includes(one));
    order.splice(below ? order.indexOf(below) + 1 : 0, 0, layer);
  });
  for (const name of Object.keys(merged)) if (!taken.has(name) && !order.includes(name)) order.push(name);
  const cuts = Object.entries(state.cut).flatMap(([id, { of }]) => [id, of]);
  const named = [...Object.keys(state.edits), ...state.order, ...names, ...Object.values(state.merged).flat(), ...cuts];
  return { order, merged, stale: [...new Set(named.filter((id) => !isThere(id)))] };
}

/** Layers and the things that are cut out of them, each just above the rest. */
function withThings(cut, layers) {
  const found = [...layers];
  for (const [id, { of }] of inTurn(cut)) if (found.includes(of)) found.splice(found.indexOf(of) + 1, 0, id);
  return found;
}

/** The state without what it says of layers that are gone. */
export function withoutStale(state, stale) {
  const gone = new Set(stale);
  const kept = (entries) => Object.fromEntries(Object.entries(entries).filter(([id]) => !gone.has(id)));
  const order = state.order.filter((id) => !gone.has(id));
  return { edits: kept(state.edits), order, merged: kept(state.merged), cut: kept(state.cut) };
}

/** The layers in another order, bottom first. */
export const withOrder = (state, order) => ({ ...state, order: order.slice(0, MOST) });

/** Some layers taken out of an order and put in again so that they stand just above another one; at the bottom for
 * null. */
export function moved(order, ids, above) {
  const moving = order.filter((id) => ids.includes(id));
  const rest = order.filter((id) => !ids.includes(id));
  let at = above === null ? 0 : order.indexOf(above);
  while (above !== null && at >= 0 && ids.includes(order[at])) at -= 1;
  const place = above === null ? 0 : rest.indexOf(order[at]) + 1;
  return [...rest.slice(0, place), ...moving, ...rest.slice(place)];
}

/** The state with copies of layers, each above its own; and the ids of the copies. names: id -> name. */
export function duplicated(state, order, ids, names) {
  let next = state;
  let changed = order;
  const copies = [];
  for (const id of ids) {
    if (MERGED.test(id)) continue; // a merged layer has no pixels of its own to be copied
    const copy = freshCopy(next, changed, originalOf(id));
    next = withEdit(next, copy, { ...editOf(next, id), name: `${names[id]} copy` });
    changed = changed.toSpliced(changed.indexOf(id) + 1, 0, copy);
    copies.push(copy);
  }
  return { state: withOrder(next, changed), copies };
}

function freshCopy(state, order, layer) {
  const parts = Object.values(state.merged).flat();
  for (let number = 2; ; number++) {
    const id = `${layer}~${number}`;
    if (!order.includes(id) && !state.edits[id] && !parts.includes(id)) return id;
  }
}

/** The state with layers merged into one, at the place of the topmost of them; and its id. */
export function merge(state, order, ids, name) {
  const parts = order.filter((id) => ids.includes(id));
  if (parts.length < 2) return { state, id: null };
  const id = `m${Math.max(0, ...Object.keys(state.merged).map((known) => Number(known.slice(1)))) + 1}`;
  const place = order.indexOf(parts.at(-1));
  const changed = order.toSpliced(place + 1, 0, id).filter((one) => !parts.includes(one));
  const next = withEdit({ ...state, merged: { ...state.merged, [id]: parts } }, id, { name });
  return { state: withOrder(next, changed), id };
}

/** The state with a merged layer taken apart again; what was done to the merged layer is gone. */
export function unmerged(state, order, id) {
  const parts = state.merged[id];
  const { [id]: _, ...merged } = state.merged;
  const { [id]: __, ...edits } = state.edits;
  return withOrder(
    { ...state, merged, edits },
    order.flatMap((one) => (one === id ? parts : [one])),
  );
}

/** The state with layers put into one group, side by side below the topmost of them. names: id -> name. */
export function grouped(state, order, ids, group, names) {
  const moving = order.filter((id) => ids.includes(id));
  const next = moving.reduce(
    (done, id) => withEdit(done, id, { name: joinName([group, ...splitName(names[id])]) }),
    state,
  );
  return withOrder(next, moved(order, moving, moving.at(-1)));
}

/** The state with layers taken out of their outermost group. */
export function ungrouped(state, ids, names) {
  return ids.reduce((done, id) => {
    const levels = splitName(names[id]);
    return levels.length > 1 ? withEdit(done, id, { name: joinName(levels.slice(1)) }) : done;
  }, state);
}

/** The state with a group's name changed in all of its layers. depth: how many groups are around it. */
export function renamedGroup(state, ids, depth, name, names) {
  return ids.reduce((done, id) => {
    const levels = splitName(names[id]);
    return withEdit(done, id, { name: joinName(levels.with(depth, name)) });
  }, state);
}

export const liveMode = (mode) => MODES.includes(mode);
