// Recolouring in OKLab, as qil_core/color.py and recolor.py do it (sRGB: IEC 61966-2-1; OKLab: Ottosson 2020).

const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const stored = (v) => (v <= 0.0031308 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);
const clamp = (x) => (x < 0 ? 0 : x > 1 ? 1 : x);

/** OKLab [L, a, b] of stored sRGB values in 0..1. */
export function labOf(r, g, b) {
  const [x, y, z] = [linear(r), linear(g), linear(b)];
  const l = Math.cbrt(0.4122214708 * x + 0.5363325363 * y + 0.0514459929 * z);
  const m = Math.cbrt(0.2119034982 * x + 0.6806995451 * y + 0.1073969566 * z);
  const s = Math.cbrt(0.0883024619 * x + 0.2817188376 * y + 0.6299787005 * z);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function lightOf(L, a, b) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

const fits = (light) => light.every((v) => v >= -1e-4 && v <= 1 + 1e-4);

/** Stored sRGB [r, g, b] of an OKLab colour, its chroma lowered where it leaves the gamut (bisection, 2^-12). */
export function rgbOf(L, a, b) {
  L = clamp(L);
  let light = lightOf(L, a, b);
  if (!fits(light)) {
    let [low, high] = [0, 1];
    for (let i = 0; i < 12; i++) {
      const middle = (low + high) / 2;
      if (fits(lightOf(L, a * middle, b * middle))) low = middle;
      else high = middle;
    }
    light = lightOf(L, a * low, b * low);
  }
  return light.map((v) => clamp(stored(clamp(v))));
}

/** [r, g, b] in 0..1 of "#rrggbb"; null for another text. */
export function parseHex(text) {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text);
  return found && found.slice(1).map((pair) => parseInt(pair, 16) / 255);
}

/** Mean OKLab lightness 0..1 of a layer, weighted by alpha; 0.5 of nothing. */
export function meanLightness(layer) {
  const { data, unit } = layer;
  const lightness = byColor(unit, (r, g, b) => labOf(r, g, b)[0]);
  let [sum, weight] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    if (!data[i + 3]) continue;
    sum += lightness(data[i], data[i + 1], data[i + 2]) * data[i + 3];
    weight += data[i + 3];
  }
  return weight ? sum / weight : 0.5;
}

/** The change that an edit makes: a function of OKLab, or null. */
function changeOf(edit, layer) {
  const color = edit.color ? parseHex(edit.color) : null;
  if (color) {
    const goal = labOf(...color);
    const shift = goal[0] - meanLightness(layer);
    return ([L]) => [clamp(L + shift), goal[1], goal[2]];
  }
  if (!edit.hue) return null;
  const [cos, sin] = [Math.cos((edit.hue * Math.PI) / 180), Math.sin((edit.hue * Math.PI) / 180)];
  return ([L, a, b]) => [L, a * cos - b * sin, a * sin + b * cos];
}

/** A layer, {data, unit, ...}, recoloured; itself where the edit changes no colour. Alpha stays. */
export function recolored(layer, edit) {
  const change = changeOf(edit, layer);
  if (!change) return layer;
  const { data, unit } = layer;
  const color = byColor(unit, (r, g, b) => {
    const lab = labOf(r, g, b);
    const goal = change(lab);
    const same = Math.max(...goal.map((v, i) => Math.abs(v - lab[i]))) <= 1e-6;
    return same ? [r, g, b] : rgbOf(...goal);
  });
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 4) {
    if (!data[i + 3]) continue;
    out.set(color(data[i], data[i + 1], data[i + 2]), i);
    out[i + 3] = data[i + 3] * unit;
  }
  return { ...layer, data: out, unit: 1 };
}

/** A function of stored values as a layer has them. Of bytes each colour is computed once: pictures have far fewer
 * colours than pixels. Floats, which only merged layers have, are computed one by one. */
function byColor(unit, compute) {
  if (unit === 1) return compute;
  const known = new Map();
  let [lastKey, last] = [-1, null];
  return (r, g, b) => {
    const key = (r << 16) | (g << 8) | b;
    if (key === lastKey) return last;
    lastKey = key;
    last = known.get(key);
    if (last === undefined) known.set(key, (last = compute(r * unit, g * unit, b * unit)));
    return last;
  };
}
