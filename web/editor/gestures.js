// What the pointer does on the picture: picking, moving, scaling, rotating, panning. Pointers are captured, so that a
// gesture goes on outside of the panel. During a gesture the state on the screen runs ahead; it becomes the present one
// at the end.

import { HANDLES, guidesOf, handlePoint, hull, rotatedTo, scaledTo, snapped } from "./geometry.js";
import { editOf, withEdit } from "./state.js";
import { HANDLE } from "./view.js";

const STILL = 3; // CSS pixels that a click may wander
const GRAB = HANDLE / 2 + 4; // CSS pixels around a handle that take hold of it
const NEAR = 2.5; // CSS pixels beside a layer that still hit it
const SNAP = 6; // CSS pixels
const CURSORS = ["nwse-resize", "ns-resize", "nesw-resize", "ew-resize"];
const MIDDLE = 1; // mouse button

export class Gestures {
  constructor(panel, canvas) {
    [this.panel, this.canvas] = [panel, canvas];
    this.lines = null;
    this.hovered = null;
    const listen = (kind, act) => canvas.element.addEventListener(kind, (event) => panel.scene && act(event));
    listen("pointerdown", (event) => this.down(event));
    listen("pointermove", (event) => this.move(event));
    listen("pointerup", (event) => this.up(event));
    listen("pointercancel", () => this.cancel());
    listen("lostpointercapture", () => this.cancel());
    listen("pointerleave", () => this.hover(null));
  }

  down(event) {
    if (this.gesture || event.button > MIDDLE) return;
    event.preventDefault(); // no drag of the page; focus is taken by hand
    event.stopPropagation();
    this.panel.focus();
    this.canvas.element.setPointerCapture(event.pointerId);
    const at = this.canvas.pointOf(event);
    this.gesture = { start: at, at, begun: false, ...this.kindOf(event, at) };
  }

  kindOf(event, at) {
    if (event.button === MIDDLE) return { step: pan };
    if (this.panel.tool.active) return this.picking(event, at);
    const handle = this.handleAt(at);
    if (handle) return { step: handle.step, ids: [this.canvas.handled()], handle: handle.place };
    const hits = this.hitsAt(at);
    const { selected } = this.panel;
    const [top] = hits;
    const held = hits.some((id) => selected.includes(id));
    if (event.shiftKey || event.ctrlKey || event.metaKey) {
      const ids = held || !top || this.fills(top) ? this.panel.free : [top];
      return { click: () => this.toggle(top), step: move, ids };
    }
    if (!top) return { click: () => this.panel.select([]), step: pan };
    if (!held && !this.fills(top)) this.panel.select([top]);
    return {
      click: () => this.pick(hits, held),
      step: move,
      ids: held || !this.fills(top) ? this.panel.free : [],
    };
  }

  /** With the pick tool a click says what the thing is, and a drag draws a box around it. */
  picking(event, at) {
    const { tool } = this.panel;
    const { toPicture } = this.canvas.view;
    return {
      step: frameBox,
      click: () => tool.click(toPicture(at), tool.taking !== event.altKey),
      drawn: () => tool.draw(...[this.gesture.start, this.gesture.at].map(toPicture)),
    };
  }

  hitsAt(at) {
    const { scene, shown, items } = this.panel;
    const { view } = this.canvas;
    return scene.at(shown, items, view.toPicture(at), NEAR / view.zoom);
  }

  /** Whether a layer covers the canvas: such a background is moved only once it has been picked by a click. */
  fills(id) {
    const { scene, shown, items } = this.panel;
    const [left, top, right, bottom] = scene.boundsOf(shown, items, id);
    return left <= 0 && top <= 0 && right >= scene.canvas[0] && bottom >= scene.canvas[1];
  }

  toggle(id) {
    const { selected } = this.panel;
    if (id) this.panel.select(selected.includes(id) ? selected.filter((one) => one !== id) : [...selected, id]);
  }

  /** A click: what is on top; on what is selected already, what lies below it. */
  pick(hits, held) {
    if (!held) return this.panel.select([hits[0]]);
    const place = hits.findIndex((id) => this.panel.selected.includes(id));
    this.panel.select([hits[(place + 1) % hits.length]]);
  }

  handleAt(at) {
    const id = this.canvas.handled();
    if (!id) return null;
    const { scene, shown, items } = this.panel;
    const [edit, box] = [editOf(shown, id), scene.boxOf(shown, items, id)];
    const away = ([x, y]) => Math.max(Math.abs(x - at[0]), Math.abs(y - at[1]));
    const middle = away(this.canvas.view.toElement(handlePoint(edit, box, [0, 0])));
    const near = (point) => away(point) <= Math.min(GRAB, middle); // the middle of a small thing is for moving it
    if (near(this.canvas.rotationHandle(edit, box).round)) return { step: rotate, cursor: "grab" };
    const place = HANDLES.findIndex((handle) => near(this.canvas.view.toElement(handlePoint(edit, box, handle))));
    if (place < 0) return null;
    const turns = Math.round((edit.rotation * (edit.flip_x === edit.flip_y ? 1 : -1)) / 45);
    const direction = edit.flip_x === edit.flip_y ? place + turns : turns - place - 2;
    return { step: scale, place: HANDLES[place], cursor: CURSORS[((direction % 4) + 4) % 4] };
  }

  move(event) {
    const at = this.canvas.pointOf(event);
    if (!this.gesture) return this.pointed(at);
    event.stopPropagation();
    const { start } = this.gesture;
    if (!this.gesture.begun && Math.hypot(at[0] - start[0], at[1] - start[1]) < STILL) return;
    if (!this.gesture.begun) this.begin();
    Object.assign(this.gesture, {
      last: this.gesture.at,
      at,
      free: event.shiftKey,
      loose: event.ctrlKey || event.metaKey,
    });
    this.waiting ??= requestAnimationFrame(() => this.frame());
  }

  pointed(at) {
    if (this.panel.tool.active) {
      this.canvas.element.style.cursor = "crosshair";
      return;
    }
    const handle = this.handleAt(at);
    this.hover(handle ? null : (this.hitsAt(at)[0] ?? null));
    this.canvas.element.style.cursor = handle?.cursor ?? (this.hovered ? "move" : "default");
  }

  hover(id) {
    if (id === this.hovered) return;
    this.hovered = id;
    this.canvas.repaint();
  }

  begin() {
    const { panel, gesture } = this;
    gesture.begun = true;
    if (!gesture.ids?.length) return;
    if (!gesture.ids.every((id) => panel.selected.includes(id))) panel.select(gesture.ids);
    const { scene, shown, items } = panel;
    gesture.state = shown;
    gesture.boxes = gesture.ids.map((id) => scene.boundsOf(shown, items, id)).filter(Boolean);
    const others = items.order.filter((id) => !gesture.ids.includes(id) && !editOf(shown, id).hidden);
    gesture.guides = guidesOf(...scene.canvas, others.map((id) => scene.boundsOf(shown, items, id)).filter(Boolean));
    gesture.live = this.canvas.liveScene();
    gesture.region = this.regionOf(shown, false);
    gesture.live.hold(shown, items, gesture.ids);
    if (gesture.live !== scene) this.canvas.paint({ live: gesture.live });
  }

  /** Where the moving layers are, in pixels of the gesture's scene; null where they show nothing. */
  regionOf(state, draft) {
    const { live, ids } = this.gesture;
    const layers = ids.map((id) => live.layerOf(state, this.panel.items, id, draft)).filter((layer) => layer?.width);
    return layers.length
      ? hull(layers.map(({ left, top, width, height }) => [left, top, left + width, top + height]))
      : null;
  }

  /** One step of the gesture, at most one a frame. */
  frame() {
    this.waiting = null;
    const { gesture, panel } = this;
    if (!gesture?.begun) return;
    if (gesture.step === pan || gesture.step === frameBox) return gesture.step(this);
    if (!gesture.ids?.length) return;
    const draft = gesture.step !== move;
    const next = gesture.step(this);
    const region = this.regionOf(next, draft);
    const changed = [region, gesture.region].filter(Boolean);
    gesture.region = region;
    gesture.next = next;
    panel.show(next, { region: changed.length ? hull(changed) : [0, 0, 0, 0], draft, live: gesture.live });
    panel.bar.refreshNumbers();
  }

  up(event) {
    const { gesture } = this;
    if (!gesture) return;
    event.stopPropagation();
    if (this.waiting) {
      cancelAnimationFrame(this.waiting);
      this.frame();
    }
    if (gesture.begun && gesture.drawn) gesture.drawn();
    this.end();
    if (!gesture.begun) return gesture.click?.();
    if (gesture.drawn) return this.canvas.repaint();
    if (gesture.next && gesture.next !== gesture.state) this.panel.commit(gesture.next);
    else if (gesture.live) this.panel.show(this.panel.history.present);
  }

  end() {
    this.gesture.live?.release();
    this.gesture = null;
    this.waiting = null;
    this.lines = null;
  }

  /** Takes back a gesture that has not ended; whether there was one. */
  cancel() {
    if (!this.gesture) return false;
    this.end();
    this.panel.show(this.panel.history.present);
    return true;
  }
}

/** The box that is being drawn, in pixels of the element. */
function frameBox({ gesture, canvas }) {
  gesture.frame = [...gesture.start, ...gesture.at];
  canvas.repaint();
}

function pan({ gesture, canvas }) {
  const last = gesture.drawn ?? gesture.start;
  canvas.view.pan(gesture.at[0] - last[0], gesture.at[1] - last[1]);
  gesture.drawn = gesture.at;
  canvas.repaint();
}

/** Moves by whole pixels; onto edges and centres that are near, unless Control is held; along one axis with Shift. */
function move(gestures) {
  const { gesture, canvas } = gestures;
  const zoom = canvas.view.zoom;
  let [dx, dy] = [0, 1].map((i) => Math.round((gesture.at[i] - gesture.start[i]) / zoom));
  if (gesture.free && Math.abs(dx) >= Math.abs(dy)) dy = 0;
  else if (gesture.free) dx = 0;
  gestures.lines = null;
  if (!gesture.loose && gesture.boxes.length) {
    const [left, top, right, bottom] = hull(gesture.boxes);
    const snap = snapped([left + dx, top + dy, right + dx, bottom + dy], gesture.guides, SNAP / zoom);
    if (!(gesture.free && dx === 0)) dx = Math.round(dx + snap.dx);
    if (!(gesture.free && dy === 0)) dy = Math.round(dy + snap.dy);
    gestures.lines = snap.lines;
  }
  return gesture.ids.reduce((state, id) => {
    const edit = editOf(gesture.state, id);
    return withEdit(state, id, { dx: edit.dx + dx, dy: edit.dy + dy });
  }, gesture.state);
}

const subject = ({ panel, gesture }) => {
  const [id] = gesture.ids;
  return { id, edit: editOf(gesture.state, id), box: panel.scene.boxOf(gesture.state, panel.items, id) };
};

function scale(gestures) {
  const { gesture, canvas } = gestures;
  const { id, edit, box } = subject(gestures);
  return withEdit(
    gesture.state,
    id,
    scaledTo(edit, box, gesture.handle, canvas.view.toPicture(gesture.at), gesture.free),
  );
}

function rotate(gestures) {
  const { gesture, canvas } = gestures;
  const { id, edit, box } = subject(gestures);
  const [from, to] = [gesture.start, gesture.at].map(canvas.view.toPicture);
  return withEdit(gesture.state, id, rotatedTo(edit, box, from, to, gesture.free));
}
