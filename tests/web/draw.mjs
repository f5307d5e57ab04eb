// Draws states of edits with the panel's own code: node draw.mjs FOLDER, for test_same_pixels.py.
// FOLDER/scene.json: {canvas, small, layers: [{id, name, box, at, file}]}; states.json: a list of texts.
// Writes N.bin for every state: straight RGBA bytes of the small canvas.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { readPng } from "../../web/editor/pixels/png.js";
import { Scene } from "../../web/editor/scene.js";
import { parseState } from "../../web/editor/state.js";

const folder = process.argv[2];
const json = async (name) => JSON.parse(await readFile(join(folder, name), "utf8"));
const given = await json("scene.json");
for (const layer of given.layers) {
  if (!layer.file) continue;
  const bytes = await readFile(join(folder, layer.file));
  layer.pixels = await readPng(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
const scene = new Scene(given);
for (const [i, text] of (await json("states.json")).entries()) {
  const state = parseState(text);
  scene.draw(state, scene.arrange(state));
  await writeFile(join(folder, `${i}.bin`), scene.bytes);
}
