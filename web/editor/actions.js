// What the buttons and the keys do to the selected layers.

import { joinName, rowsOf, splitName } from "./names.js";
import {
  PLAIN,
  duplicated,
  editOf,
  grouped,
  merge,
  moved,
  ungrouped,
  unmerged,
  withEdit,
  withEdits,
  withOrder,
} from "./state.js";

const present = (panel) => panel.history.present;
const inOrder = (panel) => panel.items.order.filter((id) => panel.free.includes(id));

export function nudge(panel, dx, dy) {
  const next = panel.free.reduce((state, id) => {
    const edit = editOf(state, id);
    return withEdit(state, id, { dx: edit.dx + dx, dy: edit.dy + dy });
  }, present(panel));
  if (panel.free.length) panel.commit(next, `nudge ${panel.free}`);
}

/** Hides the selected layers; shows them when all of them are hidden. */
export function toggleHidden(panel, ids = panel.free) {
  if (!ids.length) return;
  const hidden = !ids.every((id) => editOf(present(panel), id).hidden);
  panel.commit(withEdits(present(panel), ids, { hidden }));
}

export function hide(panel) {
  if (panel.free.length) panel.commit(withEdits(present(panel), panel.free, { hidden: true }));
}

export function toggleLocked(panel, ids) {
  const locked = !ids.every((id) => editOf(present(panel), id).locked);
  panel.commit(withEdits(present(panel), ids, { locked }));
}

/** Mirrors each selected layer as one sees it: of a rotated layer the angle is mirrored as well. */
export function flip(panel, axis) {
  const next = panel.free.reduce((state, id) => {
    const edit = editOf(state, id);
    return withEdit(state, id, { [axis]: !edit[axis], rotation: edit.rotation ? -edit.rotation : 0 });
  }, present(panel));
  if (panel.free.length) panel.commit(next);
}

/** Takes back what was done to the selected layers; their names, locks and places in the order stay. */
export function reset(panel) {
  const { name, locked, ...rest } = PLAIN;
  panel.change(rest);
}

export function duplicate(panel) {
  const { state, copies } = duplicated(present(panel), panel.items.order, inOrder(panel), panel.names);
  if (!copies.length) return;
  panel.commit(state);
  panel.select(copies);
}

export function mergeSelected(panel) {
  const parts = inOrder(panel);
  const { state, id } = merge(present(panel), panel.items.order, parts, panel.names[parts.at(-1)]);
  if (!id) return;
  panel.commit(state);
  panel.select([id]);
}

export function unmergeSelected(panel) {
  const [id] = panel.free;
  const parts = panel.items.merged[id];
  if (!parts) return;
  panel.commit(unmerged(present(panel), panel.items.order, id));
  panel.select(parts);
}

export const canUnmerge = (panel) => Boolean(panel.items?.merged[panel.free[0]]) && panel.free.length === 1;

export function group(panel) {
  if (panel.free.length)
    panel.commit(grouped(present(panel), panel.items.order, panel.free, freshGroup(panel), panel.names));
}

function freshGroup(panel) {
  const taken = new Set(rowsOf(panel.items.order.map((id) => ({ id, name: panel.names[id] }))).map((row) => row.key));
  for (let number = 1; ; number++) if (!taken.has(`group ${number}`)) return `group ${number}`;
}

export function ungroup(panel) {
  if (panel.free.length) panel.commit(ungrouped(present(panel), panel.free, panel.names));
}

/** Moves layers to just above another one, or to the bottom for null, and into the groups named by `parent`. depth: how
 * many groups around them they leave behind; a group that is moved as a whole stays one. */
export function reorder(panel, ids, above, parent, depth) {
  const order = moved(panel.items.order, ids, above);
  const state = ids.reduce((done, id) => {
    const levels = splitName(panel.names[id]);
    const name = joinName([...parent, ...levels.slice(Math.min(depth, levels.length - 1))]);
    return name === panel.names[id] ? done : withEdit(done, id, { name });
  }, present(panel));
  if (state !== present(panel) || String(order) !== String(panel.items.order)) panel.commit(withOrder(state, order));
}
