// Reads the PNGs that the node writes: 8 bits a channel, RGB or RGBA, not interlaced (PNG specification, 3rd edition).
// A canvas would not do: it multiplies colours by alpha in 8 bits, so that soft pixels come back changed.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = { 2: 3, 6: 4 }; // by colour type
const MAX_SIDE = 4096; // pixels; previews have 1024

/** {width, height, data: straight RGBA bytes} of a PNG's bytes (an ArrayBuffer). Throws on anything else. */
export async function readPng(buffer) {
  const bytes = new Uint8Array(buffer);
  if (SIGNATURE.some((value, i) => bytes[i] !== value)) throw new Error("not a PNG");
  const { header, packed } = chunks(new DataView(buffer), bytes);
  const { width, height, channels } = header;
  const rows = await unpacked(packed, height * (width * channels + 1));
  return { width, height, data: pixels(rows, width, height, channels) };
}

function chunks(view, bytes) {
  let header = null;
  const packed = [];
  for (let at = SIGNATURE.length; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IHDR") header = headerOf(view, at + 8);
    if (kind === "IDAT") packed.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  if (!header || !packed.length) throw new Error("a PNG without pixels");
  return { header, packed };
}

function headerOf(view, at) {
  const [width, height] = [view.getUint32(at), view.getUint32(at + 4)];
  const [depth, kind, , , interlaced] = [0, 1, 2, 3, 4].map((i) => view.getUint8(at + 8 + i));
  const channels = CHANNELS[kind];
  if (depth !== 8 || !channels || interlaced) throw new Error("a PNG of another kind");
  if (!width || !height || Math.max(width, height) > MAX_SIDE) throw new Error(`a PNG of ${width} x ${height} pixels`);
  return { width, height, channels };
}

async function unpacked(parts, length) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const found = new Uint8Array(length);
  const reader = stream.getReader();
  for (let at = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return at === length ? found : Promise.reject(new Error("a PNG with missing rows"));
    if (at + value.length > length) throw new Error("a PNG with too many rows");
    found.set(value, at);
    at += value.length;
  }
}

function pixels(rows, width, height, channels) {
  const stride = width * channels;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const line = rows.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    unfilter(rows[y * (stride + 1)], line, above, channels);
    for (let x = 0, to = y * width * 4; x < width; x++, to += 4)
      for (let c = 0; c < channels; c++) data[to + c] = line[x * channels + c];
    above = line;
  }
  return data;
}

/** Undoes a row's filter in place (section 9.2). */
function unfilter(kind, line, above, step) {
  if (kind === 2) for (let i = 0; i < line.length; i++) line[i] += above[i];
  if (kind === 1) for (let i = step; i < line.length; i++) line[i] += line[i - step];
  if (kind === 3) for (let i = 0; i < line.length; i++) line[i] += ((i < step ? 0 : line[i - step]) + above[i]) >> 1;
  if (kind === 4)
    for (let i = 0; i < line.length; i++)
      line[i] += paeth(i < step ? 0 : line[i - step], above[i], i < step ? 0 : above[i - step]);
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}
