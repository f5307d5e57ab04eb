// A scene of half the pixels along each side, for gestures: what is shown smaller than its pixels need not be drawn in
// full.

import { Scene } from "./scene.js";

export function coarse({ canvas, small, layers, scale, sources }) {
  return new Scene({
    canvas,
    small: small.map((side) => Math.ceil(side / 2)),
    layers: layers.map(halved),
    pieces: sources.pieces.mapped(halved),
    scale: scale / 2,
  });
}

function halved(layer) {
  if (!layer.pixels) return layer;
  const { width, height, data } = layer.pixels;
  const [left, top] = layer.at.map((place) => place >> 1);
  const [offX, offY] = [layer.at[0] - 2 * left, layer.at[1] - 2 * top];
  const [wide, high] = [(offX + width + 1) >> 1, (offY + height + 1) >> 1];
  const out = new Uint8ClampedArray(wide * high * 4);
  for (let y = 0; y < high; y++)
    for (let x = 0; x < wide; x++) mean(data, width, height, 2 * x - offX, 2 * y - offY, out, (y * wide + x) * 4);
  return { ...layer, at: [left, top], pixels: { width: wide, height: high, data: out } };
}

/** The mean of the four pixels at a place, those outside being clear; colours count by their alpha. */
function mean(data, width, height, x, y, out, to) {
  let r = 0;
  let g = 0;
  let b = 0;
  let a = 0;
  for (let v = Math.max(y, 0); v < Math.min(y + 2, height); v++)
    for (let u = Math.max(x, 0); u < Math.min(x + 2, width); u++) {
      const from = (v * width + u) * 4;
      const alpha = data[from + 3];
      r += data[from] * alpha;
      g += data[from + 1] * alpha;
      b += data[from + 2] * alpha;
      a += alpha;
    }
  if (!a) return;
  out[to] = r / a;
  out[to + 1] = g / a;
  out[to + 2] = b / a;
  out[to + 3] = a / 4;
}
