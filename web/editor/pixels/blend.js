// Blend modes on colours in 0..1, the same formulas as qil_core/blend.py: b is the backdrop, s the source.

const clamp = (x) => (x < 0 ? 0 : x > 1 ? 1 : x);
const multiply = (b, s) => b * s;
const screen = (b, s) => b + s - b * s;
const hardLight = (b, s) => (s <= 0.5 ? multiply(b, 2 * s) : screen(b, 2 * s - 1));

function softLight(b, s) {
  if (s <= 0.5) return b - (1 - 2 * s) * b * (1 - b);
  const lift = b <= 0.25 ? ((16 * b - 12) * b + 4) * b : Math.sqrt(b);
  return b + (2 * s - 1) * (lift - b);
}

function vividLight(b, s) {
  if (s <= 0.5) return s > 0 ? 1 - Math.min((1 - b) / (2 * s), 1) : 0;
  return s < 1 ? Math.min(b / (2 - 2 * s), 1) : 1;
}

/** Modes that work channel by channel. */
export const SEPARABLE = {
  multiply,
  screen,
  overlay: (b, s) => hardLight(s, b),
  darken: Math.min,
  lighten: Math.max,
  "color-dodge": (b, s) => (b <= 0 ? 0 : s < 1 ? Math.min(b / (1 - s), 1) : 1),
  "color-burn": (b, s) => (b >= 1 ? 1 : s > 0 ? 1 - Math.min((1 - b) / s, 1) : 0),
  "hard-light": hardLight,
  "soft-light": softLight,
  difference: (b, s) => Math.abs(b - s),
  exclusion: (b, s) => b + s - 2 * b * s,
  "linear-dodge": (b, s) => Math.min(b + s, 1),
  "linear-burn": (b, s) => Math.max(b + s - 1, 0),
  "vivid-light": vividLight,
  "pin-light": (b, s) => (s <= 0.5 ? Math.min(b, 2 * s) : Math.max(b, 2 * s - 1)),
  "linear-light": (b, s) => clamp(b + 2 * s - 1),
  subtract: (b, s) => Math.max(b - s, 0),
  divide: (b, s) => (b <= 0 ? 0 : s > 0 ? Math.min(b / s, 1) : 1),
  "grain-extract": (b, s) => clamp(b - s + 0.5),
  "grain-merge": (b, s) => clamp(b + s - 0.5),
};

const TINY = 1e-7;
const lum = (c) => 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2];
const sat = (c) => Math.max(c[0], c[1], c[2]) - Math.min(c[0], c[1], c[2]);

function setLum(c, light, out) {
  const shift = light - lum(c);
  for (let i = 0; i < 3; i++) out[i] = c[i] + shift;
  const level = lum(out);
  const low = Math.min(out[0], out[1], out[2]);
  const high = Math.max(out[0], out[1], out[2]);
  if (low < 0) for (let i = 0; i < 3; i++) out[i] = level + ((out[i] - level) * level) / Math.max(level - low, TINY);
  if (high > 1)
    for (let i = 0; i < 3; i++) out[i] = level + ((out[i] - level) * (1 - level)) / Math.max(high - level, TINY);
  for (let i = 0; i < 3; i++) out[i] = clamp(out[i]);
}

const spread = [0, 0, 0];
function setSat(c, wanted) {
  const low = Math.min(c[0], c[1], c[2]);
  const scale = wanted / Math.max(sat(c), TINY);
  for (let i = 0; i < 3; i++) spread[i] = (c[i] - low) * scale;
  return spread;
}

/** Modes of the colour as a whole: (b, s, out), each [red, green, blue]. */
export const TOGETHER = {
  hue: (b, s, out) => setLum(setSat(s, sat(b)), lum(b), out),
  saturation: (b, s, out) => setLum(setSat(b, sat(s)), lum(b), out),
  color: (b, s, out) => setLum(s, lum(b), out),
  luminosity: (b, s, out) => setLum(b, lum(s), out),
};

/** The modes that the panel offers, in the order of image editors. hard-mix is not among them: it jumps between black
 * and white, so a difference in the last bit of a preview would show. */
export const MODES = ["normal", ...Object.keys(SEPARABLE), ...Object.keys(TOGETHER)];
