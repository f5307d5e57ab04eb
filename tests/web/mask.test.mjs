import assert from "node:assert/strict";
import { test } from "node:test";

import { outlineOf } from "../../web/editor/mask.js";

const mask = (...rows) => ({ bytes: rows.flatMap((row) => [...row].map(Number)), width: rows[0].length, height: rows.length });
const outline = (...rows) => {
  const { bytes, width, height } = mask(...rows);
  return outlineOf(bytes, width, height);
};

test("the outline of a square is four lines, closed", () => {
  assert.equal(outline("11", "11"), "M0 0L2 0L2 2L0 2L0 0Z");
});

test("a hole and a second piece have outlines of their own", () => {
  const found = outline("1110", "1010", "1111");
  assert.equal(found.match(/M/g).length, 2);
  assert.equal(outline("101").match(/M/g).length, 2);
  assert.equal(outline("000"), "");
});

test("every edge between inside and outside is in the outline once", () => {
  const rows = ["0110", "1001", "1111", "0101"];
  const length = outline(...rows)
    .split("Z")
    .filter(Boolean)
    .flatMap((loop) => {
      const points = loop.slice(1).split("L").map((point) => point.split(" ").map(Number));
      return points.slice(1).map(([x, y], i) => Math.abs(x - points[i][0]) + Math.abs(y - points[i][1]));
    })
    .reduce((sum, side) => sum + side, 0);
  const at = (x, y) => rows[y]?.[x] === "1";
  let edges = 0;
  for (let y = -1; y < 5; y++) for (let x = -1; x < 5; x++) edges += (at(x, y) !== at(x + 1, y)) + (at(x, y) !== at(x, y + 1));
  assert.equal(length, edges);
});
