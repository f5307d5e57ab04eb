import assert from "node:assert/strict";
import { test } from "node:test";

import { isShown } from "../../web/editor/api.js";
import { coarse } from "../../web/editor/coarse.js";
import { Scene } from "../../web/editor/scene.js";
import { Pieces } from "../../web/editor/sources.js";
import { EMPTY, merge, withEdit, withOrder } from "../../web/editor/state.js";

const [A, B] = ["00112233445566aa", "00112233445566bb"];
const filled = (width, height, ...color) => ({
  width,
  height,
  data: Uint8ClampedArray.from({ length: width * height * 4 }, (_, i) => color[i % 4]),
});

/** A white paper of 8 x 6 and a red square of 2 x 2 at (1, 1). */
const scene = () =>
  new Scene({
    canvas: [8, 6],
    small: [8, 6],
    layers: [
      { id: A, name: "paper", box: [0, 0, 8, 6], at: [0, 0], pixels: filled(8, 6, 255, 255, 255, 255) },
      { id: B, name: "square", box: [1, 1, 3, 3], at: [1, 1], pixels: filled(2, 2, 255, 0, 0, 255) },
    ],
  });

const drawn = (made, state, options) => {
  made.draw(state, made.arrange(state), options);
  return ([x, y]) => [...made.bytes.slice((y * 8 + x) * 4, (y * 8 + x) * 4 + 4)];
};

const [WHITE, RED, CLEAR] = [
  [255, 255, 255, 255],
  [255, 0, 0, 255],
  [0, 0, 0, 0],
];

test("layers are drawn bottom to top, moved, hidden and faded", () => {
  const made = scene();
  assert.deepEqual(drawn(made, EMPTY)([1, 1]), RED);
  const moved = drawn(made, withEdit(EMPTY, B, { dx: 3 }));
  assert.deepEqual([moved([1, 1]), moved([4, 1])], [WHITE, RED]);
  assert.deepEqual(drawn(made, withEdit(EMPTY, A, { hidden: true }))([0, 0]), CLEAR);
  assert.deepEqual(drawn(made, withEdit(EMPTY, B, { opacity: 0.5 }))([1, 1]), [255, 128, 128, 255]);
  assert.deepEqual(drawn(made, withOrder(EMPTY, [B, A]))([1, 1]), WHITE);
});

test("a region is drawn alone, and from what a gesture holds", () => {
  const made = scene();
  drawn(made, EMPTY);
  made.hold(EMPTY, made.arrange(EMPTY), [B]);
  const state = withEdit(EMPTY, B, { dx: 4 });
  const at = drawn(made, state, { region: [4, 0, 8, 6] });
  assert.deepEqual([at([5, 1]), at([1, 1])], [RED, RED], "what is outside of the region stays as it was");
  made.draw(state, made.arrange(state), { region: [0, 0, 4, 6] });
  assert.deepEqual(at([1, 1]), WHITE);
  made.release();
  assert.deepEqual(drawn(made, state)([5, 1]), RED);
});

test("a click finds what shows there, topmost first", () => {
  const made = scene();
  const find = (state, point, reach) => made.at(state, made.arrange(state), point, reach);
  assert.deepEqual(find(EMPTY, [1.5, 1.5]), [B, A]);
  assert.deepEqual(find(EMPTY, [5, 5]), [A]);
  assert.deepEqual(find(EMPTY, [3.2, 1.5], 0.5), [B, A], "a little beside it");
  assert.deepEqual(find(EMPTY, [-1, 1]), []);
  assert.deepEqual(find(withEdit(EMPTY, B, { hidden: true }), [1.5, 1.5]), [A]);
  assert.deepEqual(find(withEdit(EMPTY, B, { locked: true }), [1.5, 1.5]), [A]);
  assert.deepEqual(find(withEdit(EMPTY, B, { dx: 4 }), [5.5, 1.5]), [B, A]);
});

test("a merged layer has the box of what one sees of its parts", () => {
  const made = scene();
  const { state, id } = merge(withEdit(withEdit(EMPTY, A, { hidden: true }), B, { dx: 2 }), [A, B], [A, B], "both");
  assert.deepEqual(made.boxOf(state, made.arrange(state), id), [3, 1, 5, 3]);
  assert.deepEqual(drawn(made, withEdit(state, id, { dx: -3 }))([0, 1]), RED);
});

test("a large picture is edited in its own pixels and shown in fewer", () => {
  const made = new Scene({
    canvas: [16, 12],
    small: [8, 6],
    layers: [{ id: A, name: "a", box: [2, 2, 6, 6], at: [1, 1], pixels: filled(2, 2, 255, 0, 0, 255) }],
  });
  assert.deepEqual(drawn(made, withEdit(EMPTY, A, { dx: 8 }))([5, 1]), RED);
  assert.deepEqual(made.boundsOf(withEdit(EMPTY, A, { dx: 8 }), made.arrange(EMPTY), A), [10, 2, 14, 6]);
});

test("what a workflow file keeps of a run is looked at before it is shown", () => {
  const good = {
    canvas: [8, 6],
    small: [8, 6],
    layers: [{ id: A, name: "a", box: [0, 0, 1, 1], at: [0, 0], picture: { filename: "x.png" } }],
  };
  assert.ok(isShown(good));
  for (const bad of [
    null,
    {},
    { ...good, canvas: [1e9, 1] },
    { ...good, small: [4096, 1] },
    { ...good, layers: [] },
    { ...good, cuts: 7 },
    { ...good, cuts: [{ id: "c1", of: A, rest: {} }] },
    { ...good, cuts: [{ id: "c1", of: A, rest: {}, thing: { picture: { filename: 7 } } }] },
    { ...good, layers: [{ id: 7, name: "a" }] },
    { ...good, layers: [{ ...good.layers[0], box: [1, 1, 1, 1] }] },
  ])
    assert.ok(!isShown(bad));
});

test("a cut shows the rest and the thing, and without their pixels the layer as it was", () => {
  const pieces = new Pieces();
  const made = new Scene({ ...scene(), layers: scene().layers, canvas: [8, 6], small: [8, 6], pieces });
  const state = withEdit({ ...EMPTY, cut: { c1: { of: A, inside: [[6, 1]] } } }, "c1", { dx: -6 });
  assert.deepEqual(drawn(made, state)([0, 0]), WHITE, "nothing is known of the cut");
  assert.deepEqual(made.sources.of(state).missing, ["c1"]);
  const thing = { box: [6, 0, 8, 2], at: [6, 0], pixels: filled(2, 2, 0, 0, 255, 255) };
  const rest = { box: [0, 0, 8, 6], at: [0, 0], pixels: filled(8, 6, 200, 200, 200, 255) };
  pieces.take([{ id: "c1", of: A, inside: [[6, 1]], rest, thing }]);
  const at = drawn(made, state);
  assert.deepEqual([at([0, 0]), at([6, 0])], [[0, 0, 255, 255], [200, 200, 200, 255]]);
  assert.equal(made.names(state, made.arrange(state)).c1, "paper cutout 1");
  assert.deepEqual(drawn(made, EMPTY)([6, 0]), WHITE, "undone");
  const half = coarse(made);
  half.draw(state, half.arrange(state));
  assert.deepEqual([...half.bytes.slice(0, 4)], [64, 0, 191, 255], "a quarter of it is the square");
});

test("half the pixels show the same picture, for as long as something is dragged", () => {
  const half = coarse(scene());
  assert.deepEqual([half.small, half.scale], [[4, 3], 0.5]);
  const at = ([x, y]) => [...half.bytes.slice((y * 4 + x) * 4, (y * 4 + x) * 4 + 4)];
  half.draw(EMPTY, half.arrange(EMPTY));
  assert.deepEqual(at([0, 0]), [255, 191, 191, 255], "a quarter of it is red");
  assert.deepEqual(at([3, 2]), WHITE);
  const state = withEdit(EMPTY, B, { dx: 1, dy: 1 });
  half.draw(withEdit(state, B, { dx: 3, dy: 1 }), half.arrange(state));
  assert.deepEqual(at([0, 0]), WHITE);
});

test("what lies above is held as one where it is normal, and layer by layer where it blends", () => {
  const made = scene();
  for (const mode of ["normal", "multiply"]) {
    const before = withEdit(EMPTY, B, { mode, opacity: 0.6 });
    const after = withEdit(before, A, { hue: 40, opacity: 0.8 });
    const whole = drawn(made, after)([1, 1]);
    made.hold(before, made.arrange(before), [A]);
    assert.equal(made.held.above === null, mode !== "normal");
    assert.deepEqual(drawn(made, after)([1, 1]), whole);
    made.release();
  }
});
