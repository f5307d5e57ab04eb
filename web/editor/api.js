// The previews that the node wrote: fetched from ComfyUI's temp folder and read into arrays.

import { readPng } from "./pixels/png.js";
import { t } from "../words.js";

const MOST_LAYERS = 1000;
const GONE = 410; // the status of an answer that says: run the workflow first
const MAX_SIDE = 1024; // pixels of a preview
const address = ({ filename, subfolder, type }) => `/view?${new URLSearchParams({ filename, subfolder, type })}`;
const isPair = (value, low, high) =>
  Array.isArray(value) && value.length === 2 && value.every((v) => Number.isInteger(v) && v >= low && v <= high);
const MOST_CUTS = 100;
const isPicture = ({ box, at, picture }) =>
  !picture || (isBox(box) && isPair(at, 0, MAX_SIDE) && typeof picture.filename === "string");
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
  if (!areCuts(data.cuts ?? [])) return false;
  return data.layers.every(
    (layer) => typeof layer.id === "string" && typeof layer.name === "string" && isPicture(layer),
  );
}

const areCuts = (cuts) =>
  Array.isArray(cuts) &&
  cuts.length <= MOST_CUTS &&
  cuts.every(({ id, of, rest, thing }) => typeof id === "string" && typeof of === "string" && rest && thing) &&
  cuts.every(({ rest, thing }) => isPicture(rest) && isPicture(thing));

/** The data with `pixels` for every layer, and for the original. fetchApi: ComfyUI's. Throws when a preview is gone. */
export async function withPixels(data, fetchApi) {
  const layers = await Promise.all(data.layers.map((layer) => withOwnPixels(layer, fetchApi)));
  const cuts = await cutsWithPixels(data.cuts ?? [], fetchApi);
  return { ...data, layers, cuts, original: await read(data.original, fetchApi) };
}

async function read(picture, fetchApi) {
  if (!picture) return null;
  const answer = await fetchApi(address(picture));
  if (!answer.ok) throw new Error(t("{file} is not in ComfyUI's temp folder any more", { file: picture.filename }));
  return readPng(await answer.arrayBuffer());
}

const withOwnPixels = async (layer, fetchApi) => ({ ...layer, pixels: await read(layer.picture, fetchApi) });

const cutsWithPixels = (cuts, fetchApi) =>
  Promise.all(
    cuts.map(async (cut) => ({
      ...cut,
      rest: await withOwnPixels(cut.rest, fetchApi),
      thing: await withOwnPixels(cut.thing, fetchApi),
    })),
  );

/** What the server answers to a request. Throws an Error with its words; `gone` where the workflow has to run first. */
async function ask(route, body, fetchApi) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetchApi(`/qil/layer_editor/${route}`, { method: "POST", headers, body: JSON.stringify(body) });
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  throw Object.assign(new Error(found.error ?? t("The server answers {status}", answer)), {
    gone: answer.status === GONE,
  });
}

/** The mask of cut `name` of the cuts: {box, bytes} in pixels of the layer's canvas, a byte a pixel, or null. */
export async function askMask(cut, name, fetchApi) {
  const { box, png } = await ask("pick", { cut, name }, fetchApi);
  if (!box) return null;
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const drawn = new OffscreenCanvas(image.width, image.height).getContext("2d");
  drawn.drawImage(image, 0, 0);
  const { data } = drawn.getImageData(0, 0, image.width, image.height);
  return { box, bytes: Uint8Array.from({ length: image.width * image.height }, (_, i) => data[4 * i]) };
}

/** The layers that cuts make, with their pixels. */
export async function askCuts(cut, fetchApi) {
  const { cuts } = await ask("cut", { cut }, fetchApi);
  if (!areCuts(cuts)) throw new Error(t("The server's answer cannot be read"));
  return cutsWithPixels(cuts, fetchApi);
}
