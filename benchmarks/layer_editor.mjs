// See layer_editor.py.
import { coarse } from "../web/editor/coarse.js";
import { Scene } from "../web/editor/scene.js";
import { EMPTY, withEdit } from "../web/editor/state.js";

const [LAYERS, CANVAS, SIDE, FRAMES] = [8, 2048, 1024, 40];
const id = (i) => (0x1000000000000000n + BigInt(i)).toString(16);

function layer(i) {
  const data = new Uint8ClampedArray(SIDE * SIDE * 4);
  for (let y = 0, to = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++, to += 4) data.set([x / 4, y / 4, i * 30, i ? 40 + ((x + y + i) % 200) : 255], to);
  return {
    id: id(i),
    name: `layer ${i}`,
    box: [0, 0, CANVAS, CANVAS],
    at: [0, 0],
    pixels: { width: SIDE, height: SIDE, data },
  };
}

function frames(scene, number, held, edit) {
  const items = scene.arrange(EMPTY);
  if (held) scene.hold(EMPTY, items, [id(number)]);
  const times = [];
  for (let i = 1; i <= FRAMES; i++) {
    const start = performance.now();
    const state = withEdit(EMPTY, id(number), edit(i));
    scene.draw(state, scene.arrange(state), { draft: true });
    times.push(performance.now() - start);
  }
  scene.release();
  times.sort((a, b) => a - b);
  return times;
}

const row = (what, times) =>
  console.log(
    `${what.padEnd(46)} median ${times[FRAMES >> 1].toFixed(1).padStart(6)} ms, worst ${times.at(-1).toFixed(1).padStart(6)} ms`,
  );
const fine = new Scene({
  canvas: [CANVAS, CANVAS],
  small: [SIDE, SIDE],
  layers: Array.from({ length: LAYERS }, (_, i) => layer(i)),
});
const half = coarse(fine);
const move = (i) => ({ dx: i * 4, dy: i * 2 });
const rotate = (i) => ({ rotation: i });

for (const [name, number] of [
  ["topmost", LAYERS - 1],
  ["middle", LAYERS >> 1],
  ["lowest", 0],
]) {
  const all = frames(fine, number, false, move);
  const held = frames(fine, number, true, move);
  const seen = frames(half, number, true, move);
  row(`${name} layer moved, everything drawn anew`, all);
  row(`${name} layer moved, the rest held`, held);
  row(`${name} layer moved, the rest held, half the pixels`, seen);
  console.log(
    `  ${(all[FRAMES >> 1] / held[FRAMES >> 1]).toFixed(1)} and ${(all[FRAMES >> 1] / seen[FRAMES >> 1]).toFixed(1)} times as fast`,
  );
}
row("middle layer rotated, the rest held", frames(fine, 4, true, rotate));
row("middle layer rotated, the rest held, half the pixels", frames(half, 4, true, rotate));
