// Zoom and pan: between points of the picture and points of the element that shows it, both in CSS pixels of the
// element.

export const HANDLE = 9; // CSS pixels of a handle's side
const MARGIN = 16; // around a picture that fits
const MIN_ZOOM = 0.02;
const MAX_ZOOM = 32;

export class View {
  constructor() {
    this.zoom = 1;
    [this.x, this.y] = [0, 0]; // where the picture's left top corner is
    this.fits = true; // until people zoom or pan: then a change of size leaves the view alone
  }

  /** Shows all of a picture in the middle of an element. */
  fit([width, height], [across, down]) {
    const room = [Math.max(1, across - 2 * MARGIN), Math.max(1, down - 2 * MARGIN)];
    this.zoom = Math.min(Math.max(Math.min(room[0] / width, room[1] / height), MIN_ZOOM), 8);
    [this.x, this.y] = [(across - width * this.zoom) / 2, (down - height * this.zoom) / 2];
    this.fits = true;
  }

  toElement = ([x, y]) => [x * this.zoom + this.x, y * this.zoom + this.y];

  toPicture = ([x, y]) => [(x - this.x) / this.zoom, (y - this.y) / this.zoom];

  /** Zooms by a factor; the point of the element stays over the same point of the picture. */
  zoomAt(factor, [x, y]) {
    const zoom = Math.min(Math.max(this.zoom * factor, MIN_ZOOM), MAX_ZOOM);
    const change = zoom / this.zoom;
    [this.x, this.y, this.zoom] = [x - (x - this.x) * change, y - (y - this.y) * change, zoom];
    this.fits = false;
  }

  pan(dx, dy) {
    [this.x, this.y] = [this.x + dx, this.y + dy];
    this.fits = false;
  }
}
