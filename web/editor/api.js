// The previews that the node wrote: fetched from ComfyUI's temp folder and read into arrays.

import { readPng } from "./pixels/png.js";

const MOST_LAYERS = 1000;
const MAX_SIDE = 1024; // pixels of a preview
const address = ({ filename, subfolder, type }) => `/view?${new URLSearchParams({ filename, subfolder, type })}`;
const isPair = (value, low, high) =>
  Array.isArray(value) && value.length === 2 && value.every((v) => Number.isInteger(v) && v >= low && v <= high);
const isBox = (value) =>
  Array.isArray(value) &&
  value.length === 4 &&
  value.every(Number.isInteger) &&
  value[0] < value[2] &&
  value[1] < value[3];

/** Whether what a run reported, or a workflow file has kept of it, can be shown. */
export function isShown(data) {
  if (!isPair(data?.canvas, 1, 1e6) || !isPair(data?.small, 1, MAX_SIDE)) return false;
  if (!Array.isArray(data.layers) || !data.layers.length || data.layers.length > MOST_LAYERS) return false;
  return data.layers.every(({ id, name, box, at, picture }) => {
    const plain = typeof id === "string" && typeof name === "string";
    return plain && (!picture || (isBox(box) && isPair(at, 0, MAX_SIDE) && typeof picture.filename === "string"));
  });
}

/** The data with `pixels` for every layer, and for the original. fetchApi: ComfyUI's. Throws when a preview is gone. */
export async function withPixels(data, fetchApi) {
  const read = async (picture) => {
    if (!picture) return null;
    const answer = await fetchApi(address(picture));
    if (!answer.ok) throw new Error(`${picture.filename} is not in ComfyUI's temp folder any more`);
    return readPng(await answer.arrayBuffer());
  };
  const layers = await Promise.all(data.layers.map(async (layer) => ({ ...layer, pixels: await read(layer.picture) })));
  return { ...data, layers, original: await read(data.original) };
}
