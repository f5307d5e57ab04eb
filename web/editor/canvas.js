// The picture, with what is selected and its handles drawn over it. Gestures are in gestures.js.

import { coarse } from "./coarse.js";
import { element } from "./dom.js";
import { drawPick } from "./pick_view.js";
import { HANDLES, corners, handlePoint } from "./geometry.js";
import { Gestures } from "./gestures.js";
import { editOf } from "./state.js";
import { HANDLE, View } from "./view.js";
import { t } from "../words.js";

const STALK = 22; // from the upper edge to the handle that rotates
const CHECKER = 8; // CSS pixels of a square behind clear places
const MAX_DENSITY = 3; // device pixels a CSS pixel that are drawn at the most
const SMALL = 0.75; // device pixels a pixel of the scene, below which half of them do while something is dragged
const WHEEL = 0.0015; // zoom a pixel of the wheel
const label = () =>
  t(
    "Layers: click picks one, a second click the one below; drag moves, arrow keys move by 1, with Shift by 10; Delete hides; P picks a thing to cut out",
  );

export class Canvas {
  constructor(panel) {
    this.panel = panel;
    this.view = new View();
    this.element = element("canvas", { className: "qle-canvas", tabIndex: 0, role: "application", ariaLabel: label() });
    // ComfyUI's undo leaves keys alone that go to an element of this type; the panel has an undo of its own
    this.element.type = "textarea";
    [this.fine, this.coarse] = [document.createElement("canvas"), document.createElement("canvas")];
    this.bitmap = this.fine; // which of them shows the state
    this.gestures = new Gestures(panel, this);
    this.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    new ResizeObserver(() => this.resized()).observe(this.element);
  }

  /** A new scene is there. */
  opened() {
    [this.fine.width, this.fine.height] = this.panel.scene.small;
    this.half = null;
    this.resized();
  }

  get size() {
    return [this.element.clientWidth, this.element.clientHeight];
  }

  resized() {
    if (this.panel.scene && this.view.fits) this.view.fit(this.panel.scene.canvas, this.size);
    this.repaint();
  }

  fit() {
    if (this.panel.scene) this.view.fit(this.panel.scene.canvas, this.size);
    this.repaint();
  }

  /** The wheel zooms the picture once one has clicked on it; before, it zooms the graph as everywhere. */
  wheel(event) {
    if (document.activeElement !== this.element) return;
    event.preventDefault();
    event.stopPropagation();
    this.view.zoomAt(Math.exp(-event.deltaY * WHEEL), this.pointOf(event));
    this.repaint();
  }

  /** A pointer's place in CSS pixels of the element, at any zoom of the graph. */
  pointOf(event) {
    const box = this.element.getBoundingClientRect();
    const [across, down] = this.size;
    return [((event.clientX - box.left) * across) / box.width, ((event.clientY - box.top) * down) / box.height];
  }

  cancel = () => this.gestures.cancel();

  /** Composites the panel's state. live: with the scene of a gesture, else with all pixels. region: what has to be
   * drawn anew, in pixels of that scene. draft: coarser resampling. */
  paint({ region, draft, live } = {}) {
    const { scene, shown, items } = this.panel;
    if (!scene) return;
    const drawn = live ?? scene;
    const box = drawn.draw(shown, items, { region, draft });
    this.bitmap = drawn === scene ? this.fine : this.coarse;
    if (box) this.put(drawn, box);
    this.repaint();
  }

  put({ bytes, small }, [left, top, right, bottom]) {
    const image = new ImageData(bytes, ...small);
    this.bitmap.getContext("2d").putImageData(image, 0, 0, left, top, right - left, bottom - top);
  }

  /** The scene to draw with while something changes: one of half the pixels where no more of them are seen. */
  liveScene() {
    const { scene } = this.panel;
    if ((this.view.zoom * this.density()) / scene.scale > SMALL) return scene;
    if (!this.half) {
      this.half = coarse(scene);
      [this.coarse.width, this.coarse.height] = this.half.small;
    }
    return this.half;
  }

  /** Device pixels a CSS pixel of the element, at any zoom of the graph. */
  density() {
    const across = this.element.clientWidth || 1;
    return Math.min(MAX_DENSITY, Math.max(1, (devicePixelRatio * this.element.getBoundingClientRect().width) / across));
  }

  repaint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawAll();
    });
  }

  drawAll() {
    const [across, down] = this.size;
    if (!across || !down) return;
    const density = this.density();
    const [width, height] = [Math.round(across * density), Math.round(down * density)];
    if (this.element.width !== width) this.element.width = width;
    if (this.element.height !== height) this.element.height = height;
    const context = this.element.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, across, down);
    if (this.panel.scene) this.drawScene(context);
  }

  drawScene(context) {
    const { scene, comparing, original } = this.panel;
    const [x, y] = this.view.toElement([0, 0]);
    const [width, height] = scene.canvas.map((side) => side * this.view.zoom);
    context.fillStyle = checkers(context);
    context.fillRect(x, y, width, height);
    context.imageSmoothingEnabled = this.view.zoom / scene.scale < 3; // single pixels show when one is near
    context.imageSmoothingQuality = "high";
    context.drawImage(comparing && original ? this.originalBitmap() : this.bitmap, x, y, width, height);
    context.strokeStyle = "rgba(128, 128, 128, 0.6)";
    context.lineWidth = 1;
    context.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
    if (this.panel.tool.active) drawPick(this, context);
    else if (!comparing) this.drawSelection(context);
  }

  originalBitmap() {
    const { original } = this.panel;
    if (this.originalOf !== original) {
      this.originalCanvas = Object.assign(document.createElement("canvas"), {
        width: original.width,
        height: original.height,
      });
      this.originalCanvas
        .getContext("2d")
        .putImageData(new ImageData(original.data, original.width, original.height), 0, 0);
      this.originalOf = original;
    }
    return this.originalCanvas;
  }

  drawSelection(context) {
    const { scene, shown, items, selected } = this.panel;
    const color = getComputedStyle(this.element).getPropertyValue("--qle-accent") || "#3b82f6";
    const { hovered, lines } = this.gestures;
    if (hovered && !selected.includes(hovered)) this.outline(context, hovered, color, [3, 3]);
    for (const id of selected) this.outline(context, id, color, editOf(shown, id).locked ? [2, 3] : []);
    this.drawGuides(context, lines);
    const only = this.handled();
    if (only) this.drawHandles(context, editOf(shown, only), scene.boxOf(shown, items, only), color);
  }

  /** The one layer that has handles. */
  handled() {
    const { scene, shown, items, selected } = this.panel;
    const [id] = selected;
    const fits = selected.length === 1 && !editOf(shown, id).locked && !editOf(shown, id).hidden;
    return fits && scene.boxOf(shown, items, id) ? id : null;
  }

  outline(context, id, color, dashes) {
    const { scene, shown, items } = this.panel;
    const box = scene.boxOf(shown, items, id);
    if (!box) return;
    const points = corners(editOf(shown, id), box).map(this.view.toElement);
    context.beginPath();
    points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...point));
    context.closePath();
    for (const [style, width] of [
      ["rgba(255, 255, 255, 0.75)", 3],
      [color, 1.5],
    ]) {
      context.setLineDash(width > 2 ? [] : dashes);
      [context.strokeStyle, context.lineWidth] = [style, width];
      context.stroke();
    }
    context.setLineDash([]);
  }

  drawGuides(context, lines) {
    if (!lines) return;
    const [width, height] = this.size;
    context.strokeStyle = "#e0359b";
    context.lineWidth = 1;
    context.beginPath();
    if (lines.x !== null) {
      const [x] = this.view.toElement([lines.x, 0]);
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    if (lines.y !== null) {
      const [, y] = this.view.toElement([0, lines.y]);
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
  }

  drawHandles(context, edit, box, color) {
    const { stalk, round } = this.rotationHandle(edit, box);
    context.strokeStyle = color;
    context.fillStyle = "#fff";
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(...stalk);
    context.lineTo(...round);
    context.stroke();
    context.beginPath();
    context.arc(...round, HANDLE / 2 + 0.5, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
    for (const [x, y] of HANDLES.map((handle) => this.view.toElement(handlePoint(edit, box, handle)))) {
      context.fillRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
      context.strokeRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE);
    }
  }

  /** The handle that rotates and the foot of its stalk, on the edge that the eye takes for the upper one. */
  rotationHandle(edit, box) {
    const side = edit.flip_y ? 1 : -1;
    const stalk = this.view.toElement(handlePoint(edit, box, [0, side]));
    const foot = this.view.toElement(handlePoint(edit, box, [0, -side]));
    const length = Math.hypot(stalk[0] - foot[0], stalk[1] - foot[1]) || 1;
    return { stalk, round: stalk.map((v, i) => v + ((v - foot[i]) / length) * STALK) };
  }
}

function checkers(context) {
  const tile = Object.assign(document.createElement("canvas"), { width: 2 * CHECKER, height: 2 * CHECKER });
  const draw = tile.getContext("2d");
  draw.fillStyle = "#fdfdfd";
  draw.fillRect(0, 0, 2 * CHECKER, 2 * CHECKER);
  draw.fillStyle = "#d9d9d9";
  draw.fillRect(0, 0, CHECKER, CHECKER);
  draw.fillRect(CHECKER, CHECKER, CHECKER, CHECKER);
  return context.createPattern(tile, "repeat");
}
