// The keys of the panel. What it uses does not reach ComfyUI, where Delete would remove the node and Ctrl-Z undo the
// graph.

import { duplicate, group, hide, mergeSelected, nudge } from "./actions.js";

const FAR = 10; // pixels, with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WITH_CONTROL = {
  z: (panel, event) => (event.shiftKey ? panel.redo() : panel.undo()),
  y: (panel) => panel.redo(),
  a: (panel) => panel.select([...panel.items.order]),
  d: duplicate,
  e: mergeSelected,
  g: group,
};
const PICKING = {
  Escape: (panel) => panel.canvas.cancel() || panel.tool.leave(),
  Enter: (panel) => panel.tool.cutOut(),
  "+": (panel) => panel.tool.grow(1),
  "-": (panel) => panel.tool.grow(-1),
  p: (panel) => panel.tool.leave(),
  0: (panel) => panel.canvas.fit(),
};
const PICKING_WITH_CONTROL = {
  z: (panel, event) => (event.shiftKey ? panel.tool.redo() : panel.tool.undo()),
  y: (panel) => panel.tool.redo(),
};
const ALONE = {
  Delete: hide,
  Backspace: hide,
  Escape: (panel) => panel.canvas.cancel() || panel.select([]),
  p: (panel) => panel.tool.start(),
  0: (panel) => panel.canvas.fit(),
};

/** Does what a key stands for, and keeps it from ComfyUI. */
export function handleKey(panel, event) {
  if (event.target.matches("input, select") || !panel.scene) return event.stopPropagation();
  if (panel.tool.active && event.target.matches("button") && event.key === "Enter") return event.stopPropagation();
  const act = panel.tool.active ? pickingOf(event) : actionOf(event);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act(panel, event);
}

function pickingOf(event) {
  if (event.altKey) return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return PICKING_WITH_CONTROL[key] ?? (() => {});
  return PICKING[event.key] ?? PICKING[key] ?? (["Delete", "Backspace"].includes(event.key) ? () => {} : null);
}

function actionOf(event) {
  if (event.altKey) return null;
  if (event.ctrlKey || event.metaKey) return WITH_CONTROL[event.key.toLowerCase()];
  const arrow = ARROWS[event.key];
  const step = event.shiftKey ? FAR : 1;
  return arrow ? (panel) => nudge(panel, arrow[0] * step, arrow[1] * step) : ALONE[event.key];
}
