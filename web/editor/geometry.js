// Where a layer lies after its edit. The numbers and their order are those of qil_core/transform.py: a layer is
// flipped, scaled, rotated about the centre of its content, then moved; x runs right, y runs down, angles run
// clockwise.

export const PLAIN = { dx: 0, dy: 0, scale_x: 1, scale_y: 1, rotation: 0, flip_x: false, flip_y: false };

/** Cosine and sine of degrees, exact at quarter turns. */
export function turn(degrees) {
  const quarter = (((degrees / 90) % 4) + 4) % 4;
  if (Number.isInteger(quarter))
    return [
      [1, 0],
      [0, 1],
      [-1, 0],
      [0, -1],
    ][quarter];
  const angle = (degrees * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}

export const center = ([left, top, right, bottom]) => [(left + right) / 2, (top + bottom) / 2];

/** The point of the canvas where a point of the layer goes. edit: numbers in the same pixels as the point. */
export function forward(edit, [px, py], [x, y]) {
  const [cos, sin] = turn(edit.rotation);
  const across = (x - px) * edit.scale_x * (edit.flip_x ? -1 : 1);
  const down = (y - py) * edit.scale_y * (edit.flip_y ? -1 : 1);
  return [px + edit.dx + cos * across - sin * down, py + edit.dy + sin * across + cos * down];
}

/** The point of the layer that `forward` brings to a point of the canvas. */
export function backward(edit, [px, py], [x, y]) {
  const [cos, sin] = turn(edit.rotation);
  const [u, v] = [x - px - edit.dx, y - py - edit.dy];
  return [
    px + ((cos * u + sin * v) / edit.scale_x) * (edit.flip_x ? -1 : 1),
    py + ((cos * v - sin * u) / edit.scale_y) * (edit.flip_y ? -1 : 1),
  ];
}

/** The edit with another pivot that brings every point to the same place: a part of a layer has a centre of its own. */
export function repivoted(edit, from, to) {
  const [x, y] = forward(edit, from, to);
  return { ...edit, dx: rounded(x - to[0], 3), dy: rounded(y - to[1], 3) };
}

/** Source point of a result point: x = xx X + xy Y + x0, y = yx X + yy Y + y0; exact copies are marked `copies`. */
export function inverse(edit, [px, py]) {
  const [cos, sin] = turn(edit.rotation);
  const sx = (edit.flip_x ? -1 : 1) / edit.scale_x;
  const sy = (edit.flip_y ? -1 : 1) / edit.scale_y;
  const [xx, xy, yx, yy] = [cos * sx, sin * sx, -sin * sy, cos * sy];
  const [goalX, goalY] = [px + edit.dx, py + edit.dy];
  let x0 = px - xx * goalX - xy * goalY;
  let y0 = py - yx * goalX - yy * goalY;
  const straight = isUnit(xx, xy) && isUnit(yx, yy);
  if (straight && Number.isInteger(edit.dx) && Number.isInteger(edit.dy))
    [x0, y0] = [Math.floor(x0 + 0.5), Math.floor(y0 + 0.5)]; // a quarter turn about half a pixel would blur
  const copies = straight && Number.isInteger(x0) && Number.isInteger(y0);
  return { xx, xy, yx, yy, x0, y0, copies };
}

const isUnit = (a, b) => (Math.abs(a) === 1 && b === 0) || (a === 0 && Math.abs(b) === 1);

/** The four corners of a box [left, top, right, bottom] after an edit, clockwise from its own left top one. */
export function corners(edit, box) {
  const [left, top, right, bottom] = box;
  const points = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return points.map((point) => forward(edit, center(box), point));
}

/** The upright box around points. */
export function boundsOf(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

export const boundsAfter = (edit, box) => boundsOf(corners(edit, box));

export const hull = (boxes) =>
  boundsOf(
    boxes.flatMap(([l, t, r, b]) => [
      [l, t],
      [r, b],
    ]),
  );

/** Places of the handles after an edit: u and v are -1, 0, 1 across and down the layer's own box. */
export const HANDLES = [
  [-1, -1],
  [0, -1],
  [1, -1],
  [1, 0],
  [1, 1],
  [0, 1],
  [-1, 1],
  [-1, 0],
];

export function handlePoint(edit, box, [u, v]) {
  const [px, py] = center(box);
  return forward(edit, [px, py], [px + (u * (box[2] - box[0])) / 2, py + (v * (box[3] - box[1])) / 2]);
}

const MIN_SCALE = 0.01;
const MAX_SCALE = 100;
const bounded = (value, low, high) => Math.min(Math.max(value, low), high);
const rounded = (value, digits) => Number(value.toFixed(digits));

/** The edit after a handle was dragged to a point: what is opposite of it stays where it is. free: without aspect.
 * A handle that is pulled across its opposite stops there at the smallest scale; flips have buttons. */
export function scaledTo(edit, box, [u, v], point, free) {
  const anchor = handlePoint(edit, box, [-u, -v]);
  const [cos, sin] = turn(edit.rotation);
  const [x, y] = [point[0] - anchor[0], point[1] - anchor[1]];
  const [across, down] = [cos * x + sin * y, cos * y - sin * x];
  const [width, height] = [box[2] - box[0], box[3] - box[1]];
  let scaleX = u ? (across * u * (edit.flip_x ? -1 : 1)) / width : edit.scale_x;
  let scaleY = v ? (down * v * (edit.flip_y ? -1 : 1)) / height : edit.scale_y;
  if (!free && u && v) {
    // the point's place along the diagonal of the box as it is now, so that both sides grow alike
    const [w, h] = [width * edit.scale_x, height * edit.scale_y];
    const share = (scaleX * width * w + scaleY * height * h) / (w * w + h * h);
    [scaleX, scaleY] = [edit.scale_x * share, edit.scale_y * share];
  } else if (!free && u) scaleY = edit.scale_y * (scaleX / edit.scale_x);
  else if (!free && v) scaleX = edit.scale_x * (scaleY / edit.scale_y);
  const next = {
    ...edit,
    scale_x: rounded(bounded(scaleX, MIN_SCALE, MAX_SCALE), 4),
    scale_y: rounded(bounded(scaleY, MIN_SCALE, MAX_SCALE), 4),
  };
  const moved = handlePoint(next, box, [-u, -v]);
  return { ...next, dx: rounded(next.dx + anchor[0] - moved[0], 2), dy: rounded(next.dy + anchor[1] - moved[1], 2) };
}

const SNAP_ANGLE = 15; // degrees, with Shift

/** The edit after its rotation handle was dragged from one point to another about the layer's centre. */
export function rotatedTo(edit, box, from, to, snapped) {
  const [cx, cy] = forward(edit, center(box), center(box));
  const angle = (point) => (Math.atan2(point[1] - cy, point[0] - cx) * 180) / Math.PI;
  let rotation = edit.rotation + angle(to) - angle(from);
  if (snapped) rotation = Math.round(rotation / SNAP_ANGLE) * SNAP_ANGLE;
  rotation = ((rotation % 360) + 360) % 360;
  return { ...edit, rotation: rounded(rotation > 180 ? rotation - 360 : rotation, 1) };
}

/** The shift that brings a box's edges or centre onto a guide where one is near, and the guides that it meets.
 * guides: {x: numbers, y: numbers}; reach: how near, in the same pixels. */
export function snapped(box, guides, reach) {
  const [cx, cy] = center(box);
  const x = nearest([box[0], cx, box[2]], guides.x, reach);
  const y = nearest([box[1], cy, box[3]], guides.y, reach);
  return { dx: x.shift, dy: y.shift, lines: { x: x.line, y: y.line } };
}

function nearest(edges, lines, reach) {
  let best = { shift: 0, line: null, distance: reach };
  for (const line of lines)
    for (const edge of edges)
      if (Math.abs(line - edge) < best.distance) best = { shift: line - edge, line, distance: Math.abs(line - edge) };
  return best;
}

/** Guides of a canvas and of boxes on it: their edges and centres. */
export function guidesOf(width, height, boxes) {
  const all = [[0, 0, width, height], ...boxes];
  return {
    x: all.flatMap((box) => [box[0], center(box)[0], box[2]]),
    y: all.flatMap((box) => [box[1], center(box)[1], box[3]]),
  };
}
