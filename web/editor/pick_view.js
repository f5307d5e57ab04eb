// What the pick tool shows over the picture: the layer that is picked in, the mask, the clicks, the box being drawn.

import { center, forward } from "./geometry.js";
import { strokeDashed } from "./mask.js";
import { editOf } from "./state.js";

const DOT = 5; // CSS pixels of a click's radius
const [ADDED, TAKEN] = ["#16a34a", "#dc2626"];

export function drawPick(canvas, context) {
  const { tool } = canvas.panel;
  const { pick, mask } = tool;
  if (pick.of) {
    const place = placeOf(canvas, pick.of);
    if (mask) mask.draw(context, matrixOf(place));
    for (const point of pick.inside ?? []) dot(context, place(point), ADDED, true);
    for (const point of pick.outside ?? []) dot(context, place(point), TAKEN, false);
    if (pick.box && !mask) frame(context, ...cornersOf(pick.box).map(place));
  }
  const drawn = canvas.gestures.gesture?.frame;
  if (drawn) frame(context, ...cornersOf(drawn));
}

const cornersOf = ([left, top, right, bottom]) => [
  [left, top],
  [right, top],
  [right, bottom],
  [left, bottom],
];

/** From pixels of a layer's canvas before its edit to those of the element. */
function placeOf({ panel: { scene, shown, items }, view }, id) {
  const [edit, pivot] = [editOf(shown, id), center(scene.boxOf(shown, items, id))];
  return (point) => view.toElement(forward(edit, pivot, point));
}

/** The same as a matrix. */
function matrixOf(place) {
  const [origin, across, down] = [
    [0, 0],
    [1, 0],
    [0, 1],
  ].map(place);
  const [e, f] = origin;
  return new DOMMatrix([across[0] - e, across[1] - f, down[0] - e, down[1] - f, e, f]);
}

function frame(context, ...corners) {
  const path = new Path2D(`M${corners.map((corner) => corner.join(" ")).join("L")}Z`);
  strokeDashed(context, path);
}

/** A click: a green plus where it adds, a red minus where it takes away. */
function dot(context, [x, y], color, adds) {
  context.beginPath();
  context.arc(x, y, DOT, 0, 2 * Math.PI);
  context.fillStyle = color;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = "#fff";
  context.stroke();
  context.beginPath();
  context.moveTo(x - DOT / 2, y);
  context.lineTo(x + DOT / 2, y);
  if (adds) {
    context.moveTo(x, y - DOT / 2);
    context.lineTo(x, y + DOT / 2);
  }
  context.stroke();
}
