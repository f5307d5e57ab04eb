// Placing a layer's pixels, as qil_core/transform.py and resample.py do it: exact copies where pixels fall onto pixels,
// else a bicubic kernel (Keys 1981, a = -1/2) on colours multiplied by alpha, widened where the layer shrinks.

import { boundsAfter, center, inverse } from "../geometry.js";

const PHASES = 4096; // a sample's place is rounded to so many parts of a pixel
const RADIUS = 2; // pixels that the kernel reaches
const MOST_STRETCH = 4; // what shrinks more is shrunk along its axes first
const DRAFT_RADIUS = 1; // bilinear, while a handle is dragged

function keys(x) {
  x = Math.abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

const triangle = (x) => Math.max(0, 1 - Math.abs(x));

/** Weights of the taps of one axis by phase: {weights, taps, reach}. Row p: p / PHASES right of a pixel's centre. */
function tapTable(widen, draft) {
  const [kernel, radius] = draft ? [triangle, DRAFT_RADIUS] : [keys, RADIUS];
  const reach = radius * widen;
  const taps = Math.ceil(2 * reach);
  const weights = new Float32Array((PHASES + 1) * taps);
  for (let p = 0, at = 0; p <= PHASES; p++, at += taps) {
    let sum = 0;
    for (let t = 0; t < taps; t++) sum += weights[at + t] = kernel((t + 1 - p / PHASES - reach) / widen);
    for (let t = 0; t < taps; t++) weights[at + t] /= sum;
  }
  return { weights, taps, reach };
}

/** The layer after its edit: {data, unit, left, top, width, height}; data times unit is 0..1, straight alpha. layer:
 * the same, before it; box: its content in the same pixels, whose centre is the pivot; within: [left, top, right,
 * bottom] that is kept. draft: coarser and faster, while a handle is dragged. */
export function place(layer, edit, box, within, draft = false) {
  const map = inverse(edit, center(box));
  const own = [layer.left, layer.top, layer.left + layer.width, layer.top + layer.height];
  if (map.copies && map.xx === 1 && map.yy === 1)
    return { ...layer, left: layer.left - map.x0, top: layer.top - map.y0 };
  const goal = cut(grown(goalOf(edit, box, own), edit), within);
  if (goal[0] >= goal[2] || goal[1] >= goal[3]) return empty(layer);
  return map.copies ? copied(layer, map, goal) : resampled(layer, map, edit, goal, draft);
}

const empty = (layer) => ({ ...layer, data: new Float32Array(0), unit: 1, width: 0, height: 0 });
const cut = (a, b) => [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];

/** Where the layer's own pixels go: its pivot is the centre of the content, which its pixels may not fill. */
function goalOf(edit, box, own) {
  const [px, py] = center(box);
  const half = [Math.max(px - own[0], own[2] - px), Math.max(py - own[1], own[3] - py)];
  return boundsAfter(edit, [px - half[0], py - half[1], px + half[0], py + half[1]]);
}

function grown([left, top, right, bottom], edit) {
  const soft = RADIUS * Math.SQRT2 * Math.max(1, edit.scale_x, edit.scale_y) + 1;
  return [Math.floor(left - soft), Math.floor(top - soft), Math.ceil(right + soft), Math.ceil(bottom + soft)];
}

function copied(layer, map, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const data = new layer.data.constructor(width * height * 4);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++, to += 4) {
      const X = left + x + 0.5;
      const Y = top + y + 0.5;
      const column = Math.floor(map.xx * X + map.xy * Y + map.x0) - layer.left;
      const row = Math.floor(map.yx * X + map.yy * Y + map.y0) - layer.top;
      if (column < 0 || row < 0 || column >= layer.width || row >= layer.height) continue;
      const from = (row * layer.width + column) * 4;
      for (let c = 0; c < 4; c++) data[to + c] = layer.data[from + c];
    }
  return { data, unit: layer.unit, left, top, width, height };
}

function resampled(layer, map, edit, goal, draft) {
  const [unitX, unitY] = [edit.scale_x, edit.scale_y].map((scale) =>
    draft ? 1 : Math.max(1, Math.trunc((1 / scale / MOST_STRETCH) * 2)),
  );
  const small = shrunk(premultiplied(layer), Math.ceil(layer.width / unitX), Math.ceil(layer.height / unitY));
  const [stepX, stepY] = [layer.width / small.width, layer.height / small.height];
  const across = tapTable(draft ? 1 : Math.max(1, 1 / edit.scale_x / stepX), draft);
  const down = tapTable(draft ? 1 : Math.max(1, 1 / edit.scale_y / stepY), draft);
  const seen = {
    xx: map.xx / stepX,
    xy: map.xy / stepX,
    x0: (map.x0 - layer.left) / stepX,
    yx: map.yx / stepY,
    yy: map.yy / stepY,
    y0: (map.y0 - layer.top) / stepY,
  };
  return {
    data: sampled(small, seen, across, down, goal),
    unit: 1,
    left: goal[0],
    top: goal[1],
    width: goal[2] - goal[0],
    height: goal[3] - goal[1],
  };
}

function premultiplied({ data, unit, width, height }) {
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] * unit;
    if (!alpha) continue;
    for (let c = 0; c < 3; c++) out[i + c] = data[i + c] * unit * alpha;
    out[i + 3] = alpha;
  }
  return { data: out, width, height };
}

function sampled(source, map, across, down, [left, top, right, bottom]) {
  const [width, height] = [right - left, bottom - top];
  const out = new Float32Array(width * height * 4);
  const pixel = new Float64Array(4);
  for (let y = 0, to = 0; y < height; y++) {
    const Y = top + y + 0.5;
    const lineX = map.xy * Y + map.x0;
    const lineY = map.yy * Y + map.y0;
    for (let x = 0; x < width; x++, to += 4) {
      const X = left + x + 0.5;
      const atX = map.xx * X + lineX;
      const atY = map.yx * X + lineY;
      if (
        atX <= -across.reach ||
        atX >= source.width + across.reach ||
        atY <= -down.reach ||
        atY >= source.height + down.reach
      )
        continue;
      gather(source, across, down, atX, atY, pixel);
      straight(pixel, out, to);
    }
  }
  return out;
}

function gather({ data, width, height }, across, down, x, y, pixel) {
  const startX = x - 0.5 - across.reach;
  const startY = y - 0.5 - down.reach;
  const firstX = Math.floor(startX);
  const firstY = Math.floor(startY);
  const rowX = Math.round((startX - firstX) * PHASES) * across.taps;
  const rowY = Math.round((startY - firstY) * PHASES) * down.taps;
  let r = 0;
  let g = 0;
  let b = 0;
  let a = 0;
  for (let v = 0; v < down.taps; v++) {
    const row = firstY + 1 + v;
    if (row < 0 || row >= height) continue;
    const weightY = down.weights[rowY + v];
    for (let u = 0; u < across.taps; u++) {
      const column = firstX + 1 + u;
      if (column < 0 || column >= width) continue;
      const weight = across.weights[rowX + u] * weightY;
      const from = (row * width + column) * 4;
      r += weight * data[from];
      g += weight * data[from + 1];
      b += weight * data[from + 2];
      a += weight * data[from + 3];
    }
  }
  pixel[0] = r;
  pixel[1] = g;
  pixel[2] = b;
  pixel[3] = a;
}

const clamp = (v) => (v < 0 ? 0 : v > 1 ? 1 : v);

function straight(pixel, out, at) {
  const alpha = Math.max(pixel[3], 1e-9);
  for (let c = 0; c < 3; c++) out[at + c] = clamp(pixel[c] / alpha);
  out[at + 3] = clamp(pixel[3]);
}

/** Premultiplied pixels at a smaller size, every pixel counting (torch's antialiased bicubic), then to 0..1 again. */
function shrunk(picture, width, height) {
  if (width === picture.width && height === picture.height) return picture;
  const narrow = shrunkAcross(picture, width);
  const turned = transposed(shrunkAcross(transposed(narrow), height));
  const pixel = [0, 0, 0, 0];
  for (let i = 0; i < turned.data.length; i += 4) {
    for (let c = 0; c < 4; c++) pixel[c] = turned.data[i + c];
    straight(pixel, turned.data, i);
    for (let c = 0; c < 3; c++) turned.data[i + c] *= turned.data[i + 3];
  }
  return turned;
}

function shrunkAcross({ data, width, height }, goal) {
  const step = width / goal;
  const out = new Float32Array(goal * height * 4);
  for (let x = 0; x < goal; x++) {
    const middle = (x + 0.5) * step;
    const first = Math.max(0, Math.trunc(middle - RADIUS * step + 0.5));
    const last = Math.min(width, Math.trunc(middle + RADIUS * step + 0.5));
    const weights = Array.from({ length: last - first }, (_, i) => keys((first + i + 0.5 - middle) / step));
    const sum = weights.reduce((a, b) => a + b, 0);
    for (let y = 0; y < height; y++)
      for (let i = 0; i < weights.length; i++)
        for (let c = 0; c < 4; c++)
          out[(y * goal + x) * 4 + c] += (weights[i] / sum) * data[(y * width + first + i) * 4 + c];
  }
  return { data: out, width: goal, height };
}

function transposed({ data, width, height }) {
  const out = new Float32Array(data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 4; c++) out[(x * height + y) * 4 + c] = data[(y * width + x) * 4 + c];
  return { data: out, width: height, height: width };
}
