// Putting layers together (W3C "Compositing and Blending Level 1", section 5), as qil_core/composite.py does it: on
// stored sRGB values, bottom to top, sums multiplied by alpha. A region of the canvas at a time, so that a drag costs
// little.

import { SEPARABLE, TOGETHER } from "./blend.js";

const TINY = 1e-9;

/** Sums of a canvas with nothing on it: red, green, blue times alpha, and alpha, four floats a pixel. */
export const clear = (width, height) => ({ width, height, data: new Float32Array(width * height * 4) });

/** Adds layers to sums inside a region [left, top, right, bottom]. layers: [{data, unit, left, top, width, height,
 * opacity, mode}], bottom first. */
export function addLayers(sums, layers, region) {
  for (const layer of layers) addLayer(sums, layer, region);
}

function addLayer(sums, layer, region) {
  const left = Math.max(region[0], layer.left, 0);
  const top = Math.max(region[1], layer.top, 0);
  const right = Math.min(region[2], layer.left + layer.width, sums.width);
  const bottom = Math.min(region[3], layer.top + layer.height, sums.height);
  if (left >= right || top >= bottom || !layer.opacity) return;
  const add = layer.mode === "normal" ? over : SEPARABLE[layer.mode] ? separable : together;
  for (let y = top; y < bottom; y++) {
    const to = (y * sums.width + left) * 4;
    const from = ((y - layer.top) * layer.width + left - layer.left) * 4;
    add(sums.data, to, layer, from, (right - left) * 4);
  }
}

function over(sums, to, { data, unit, opacity }, from, length) {
  const fade = unit * opacity;
  for (const end = to + length; to < end; to += 4, from += 4) {
    const alpha = data[from + 3] * fade;
    if (alpha === 0) continue;
    const [keep, weight] = [1 - alpha, alpha * unit];
    sums[to] = sums[to] * keep + data[from] * weight;
    sums[to + 1] = sums[to + 1] * keep + data[from + 1] * weight;
    sums[to + 2] = sums[to + 2] * keep + data[from + 2] * weight;
    sums[to + 3] = sums[to + 3] * keep + alpha;
  }
}

const backdropOf = (sum, below) => Math.min(Math.max(sum / Math.max(below, TINY), 0), 1);

function separable(sums, to, { data, unit, opacity, mode }, from, length) {
  const blend = SEPARABLE[mode];
  const fade = unit * opacity;
  for (const end = to + length; to < end; to += 4, from += 4) {
    const alpha = data[from + 3] * fade;
    if (alpha === 0) continue;
    const below = sums[to + 3];
    for (let c = 0; c < 3; c++) {
      const color = data[from + c] * unit;
      const mixed = blend(backdropOf(sums[to + c], below), color);
      sums[to + c] = sums[to + c] * (1 - alpha) + alpha * (color + (mixed - color) * below);
    }
    sums[to + 3] = alpha + below * (1 - alpha);
  }
}

function together(sums, to, { data, unit, opacity, mode }, from, length) {
  const blend = TOGETHER[mode];
  const fade = unit * opacity;
  const [backdrop, color, mixed] = [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ];
  for (const end = to + length; to < end; to += 4, from += 4) {
    const alpha = data[from + 3] * fade;
    if (alpha === 0) continue;
    const below = sums[to + 3];
    for (let c = 0; c < 3; c++) {
      color[c] = data[from + c] * unit;
      backdrop[c] = backdropOf(sums[to + c], below);
    }
    blend(backdrop, color, mixed);
    for (let c = 0; c < 3; c++)
      sums[to + c] = sums[to + c] * (1 - alpha) + alpha * (color[c] + (mixed[c] - color[c]) * below);
    sums[to + 3] = alpha + below * (1 - alpha);
  }
}

/** Adds sums that were made of nothing but normal layers: "over" is associative. */
export function addSums(sums, above, [left, top, right, bottom]) {
  const { data, width } = sums;
  const other = above.data;
  for (let y = top; y < bottom; y++)
    for (let i = (y * width + left) * 4, end = (y * width + right) * 4; i < end; i += 4) {
      const alpha = other[i + 3];
      if (alpha === 0) continue;
      const keep = 1 - alpha;
      data[i] = data[i] * keep + other[i];
      data[i + 1] = data[i + 1] * keep + other[i + 1];
      data[i + 2] = data[i + 2] * keep + other[i + 2];
      data[i + 3] = data[i + 3] * keep + alpha;
    }
}

/** Copies a region of sums into others of the same size. */
export function copySums(from, to, [left, top, right, bottom]) {
  for (let y = top; y < bottom; y++) {
    const [start, end] = [(y * from.width + left) * 4, (y * from.width + right) * 4];
    to.data.set(from.data.subarray(start, end), start);
  }
}

/** Writes a region of sums as straight RGBA bytes. bytes: of the whole canvas. */
export function toBytes(sums, bytes, [left, top, right, bottom]) {
  const { data, width } = sums;
  for (let y = top; y < bottom; y++)
    for (let i = (y * width + left) * 4, end = (y * width + right) * 4; i < end; i += 4) {
      const alpha = data[i + 3];
      const scale = 255 / Math.max(alpha, TINY);
      bytes[i] = data[i] * scale; // a clamped array rounds to nearest
      bytes[i + 1] = data[i + 1] * scale;
      bytes[i + 2] = data[i + 2] * scale;
      bytes[i + 3] = alpha * 255;
    }
}
