import assert from "node:assert/strict";
import { test } from "node:test";

import {
  PLAIN,
  backward,
  boundsAfter,
  corners,
  forward,
  guidesOf,
  handlePoint,
  inverse,
  repivoted,
  rotatedTo,
  scaledTo,
  snapped,
} from "../../web/editor/geometry.js";
import { View } from "../../web/editor/view.js";

const BOX = [10, 20, 50, 40]; // 40 x 20 about (30, 30)
const PIVOT = [30, 30];
const near = (a, b, message) =>
  a.forEach((v, i) => assert.ok(Math.abs(v - b[i]) < 0.02, `${message ?? ""} ${a} is not ${b}`));
const edits = [
  { ...PLAIN },
  { ...PLAIN, dx: 7, dy: -3 },
  { ...PLAIN, scale_x: 2, scale_y: 0.5, rotation: 30 },
  { ...PLAIN, rotation: -110, flip_x: true, dx: 4.5 },
  { ...PLAIN, flip_x: true, flip_y: true, scale_x: 1.5, scale_y: 1.5, rotation: 200 },
];

test("the inverse leads back to where the point came from", () => {
  for (const edit of edits) {
    const [X, Y] = forward(edit, PIVOT, [13, 37]);
    const map = inverse(edit, PIVOT);
    near([map.xx * X + map.xy * Y + map.x0, map.yx * X + map.yy * Y + map.y0], [13, 37]);
  }
});

test("a click is brought back to the layer, wherever that was put", () => {
  for (const edit of edits) near(backward(edit, PIVOT, forward(edit, PIVOT, [13, 37])), [13, 37]);
});

test("a part of a layer has another centre and stays where it is", () => {
  for (const edit of edits) {
    const moved = repivoted(edit, PIVOT, [5.5, 44]);
    for (const point of [[0, 0], [13, 37], [50, 20]]) near(forward(moved, [5.5, 44], point), forward(edit, PIVOT, point));
  }
});

test("whole moves, flips and quarter turns copy pixels, all else is resampled", () => {
  const copies = (edit) => inverse({ ...PLAIN, ...edit }, PIVOT).copies;
  assert.ok(copies({ dx: 5 }) && copies({ flip_x: true }) && copies({ rotation: 90 }) && copies({ rotation: -180 }));
  assert.ok(!copies({ dx: 0.5 }) && !copies({ rotation: 1 }) && !copies({ scale_y: 2 }));
});

test("a quarter turn has the box on its side", () => {
  near(boundsAfter({ ...PLAIN, rotation: 90 }, BOX), [20, 10, 40, 50]);
  near(corners({ ...PLAIN, rotation: 90 }, BOX)[0], [40, 10], "the left top corner goes to the right top");
});

test("scaling by a handle leaves the opposite one where it is, and the handle follows the pointer", () => {
  for (const edit of edits)
    for (const handle of [
      [1, 1],
      [-1, 0],
      [0, 1],
      [1, -1],
    ]) {
      const opposite = handle.map((v) => -v);
      const goal = handlePoint({ ...edit, scale_x: edit.scale_x * 1.5, scale_y: edit.scale_y * 1.5 }, BOX, handle);
      const next = scaledTo(edit, BOX, handle, goal, true);
      near(handlePoint(next, BOX, opposite), handlePoint(edit, BOX, opposite), "opposite");
      const kept = scaledTo(edit, BOX, handle, goal, false);
      assert.ok(Math.abs(kept.scale_x / kept.scale_y - edit.scale_x / edit.scale_y) < 0.01, "the aspect stays");
    }
});

test("a handle that is dragged exactly to a corner is there", () => {
  const goal = handlePoint({ ...PLAIN, scale_x: 2, scale_y: 2, dx: 20, dy: 10 }, BOX, [1, 1]);
  assert.deepEqual(scaledTo(PLAIN, BOX, [1, 1], goal, false), { ...PLAIN, scale_x: 2, scale_y: 2, dx: 20, dy: 10 });
});

test("a handle that is pulled across its opposite stops at the smallest scale", () => {
  const next = scaledTo(PLAIN, BOX, [1, 0], [-500, 30], true);
  assert.equal(next.scale_x, 0.01);
});

test("rotation follows the pointer about the centre, in steps of 15 degrees with Shift", () => {
  assert.equal(rotatedTo(PLAIN, BOX, [30, 10], [50, 30], false).rotation, 90);
  assert.equal(rotatedTo({ ...PLAIN, rotation: 10 }, BOX, [30, 10], [50, 30], true).rotation, 105);
  assert.equal(rotatedTo({ ...PLAIN, rotation: 170 }, BOX, [30, 10], [50, 30], false).rotation, -100);
});

test("a box snaps to the nearest edge or centre, and to nothing that is too far", () => {
  const guides = guidesOf(100, 80, [[60, 10, 90, 30]]);
  const near60 = snapped([18, 1, 58, 21], guides, 5);
  assert.deepEqual([near60.dx, near60.lines.x], [2, 60], "its right edge to the other layer's left one");
  assert.deepEqual([near60.dy, near60.lines.y], [-1, 0], "its top to the canvas's");
  assert.deepEqual(snapped([22.5, 52, 33, 58], guides, 1), { dx: 0, dy: 0, lines: { x: null, y: null } });
});

test("zooming keeps the point under the pointer", () => {
  const view = new View();
  view.fit([400, 200], [232, 232]);
  near(view.toElement([200, 100]), [116, 116], "a picture that fits is in the middle");
  const before = view.toPicture([30, 50]);
  view.zoomAt(3, [30, 50]);
  near(view.toPicture([30, 50]), before);
  assert.equal(view.fits, false);
});
