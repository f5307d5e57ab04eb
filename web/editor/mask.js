// A mask over the picture: a tint, and an outline of black and white dashes that shows on every picture.

const TINT = [59, 130, 246, 100]; // red, green, blue, alpha

export class MaskPicture {
  /** box: [left, top, right, bottom] in pixels of the layer's canvas. bytes: a byte a pixel of it. pick: what it shows. */
  constructor({ box, bytes }, pick) {
    [this.box, this.pick] = [box, pick];
    const [width, height] = [box[2] - box[0], box[3] - box[1]];
    this.tint = Object.assign(document.createElement("canvas"), { width, height });
    const image = new ImageData(width, height);
    bytes.forEach((inside, i) => inside && image.data.set(TINT, 4 * i));
    this.tint.getContext("2d").putImageData(image, 0, 0);
    this.outline = new Path2D(outlineOf(bytes, width, height));
  }

  /** matrix: from pixels of the layer's canvas to those of the element. */
  draw(context, matrix) {
    const own = matrix.translate(this.box[0], this.box[1]);
    context.save();
    context.transform(own.a, own.b, own.c, own.d, own.e, own.f);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.tint, 0, 0);
    context.restore();
    const line = new Path2D();
    line.addPath(this.outline, own);
    strokeDashed(context, line);
  }
}

/** A line of white and black dashes. */
export function strokeDashed(context, path) {
  context.save();
  context.lineWidth = 1.5;
  context.strokeStyle = "#fff";
  context.stroke(path);
  context.strokeStyle = "#000";
  context.setLineDash([4, 4]);
  context.stroke(path);
  context.restore();
}

/** The outline of a mask as an SVG path: along the edges of its pixels, each closed, so that dashes run around it. */
export function outlineOf(bytes, width, height) {
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && bytes[y * width + x] > 0;
  const next = new Map(); // from a corner to those that an edge leads to, the inside on the right
  const row = width + 1;
  const add = (x, y, u, v) => {
    const from = y * row + x;
    if (!next.has(from)) next.set(from, []);
    next.get(from).push(v * row + u);
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (!at(x, y)) continue;
      if (!at(x, y - 1)) add(x, y, x + 1, y);
      if (!at(x + 1, y)) add(x + 1, y, x + 1, y + 1);
      if (!at(x, y + 1)) add(x + 1, y + 1, x, y + 1);
      if (!at(x - 1, y)) add(x, y + 1, x, y);
    }
  let path = "";
  for (const start of next.keys()) while (next.get(start).length) path += loop(next, start, row);
  return path;
}

function loop(next, start, row) {
  const corners = [start];
  let [here, step] = [start, 0];
  do {
    const there = next.get(here).pop();
    if (there - here === step) corners.pop(); // straight on
    step = there - here;
    corners.push(there);
    here = there;
  } while (here !== start);
  return `M${corners.map((corner) => `${corner % row} ${Math.floor(corner / row)}`).join("L")}Z`;
}
