import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { readPng } from "../../web/editor/pixels/png.js";

function chunk(kind, data) {
  const bytes = Buffer.alloc(12 + data.length); // the checksum is not looked at
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(kind, 4, "latin1");
  data.copy(bytes, 8);
  return bytes;
}

function png(width, height, rows, { depth = 8, color = 6, interlaced = 0 } = {}) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, color, 0, 0, interlaced], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const bytes = Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(Buffer.from(rows))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
}

test("every filter of a row is undone", async () => {
  const rows = [
    0, 10, 20, 30, 40, 1, 2, 3, 4, 1, 5, 5, 5, 5, 1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 2, 2, 2, 3, 9, 9, 9, 9, 1, 1, 1, 1, 4,
    7, 7, 7, 7, 3, 3, 3, 3,
  ];
  const { width, height, data } = await readPng(png(2, 5, rows));
  assert.deepEqual([width, height], [2, 5]);
  assert.deepEqual(
    [...data],
    [
      10, 20, 30, 40, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 8, 8, 8, 8, 12, 12, 12, 12, 11, 11, 11, 11, 19,
      19, 19, 19, 22, 22, 22, 22,
    ],
  );
});

test("colours under clear pixels are kept, and RGB is opaque", async () => {
  assert.deepEqual([...(await readPng(png(1, 1, [0, 200, 100, 50, 0]))).data], [200, 100, 50, 0]);
  assert.deepEqual([...(await readPng(png(1, 1, [0, 200, 100, 50], { color: 2 }))).data], [200, 100, 50, 255]);
});

test("what is no such PNG is refused", async () => {
  await assert.rejects(readPng(new ArrayBuffer(50)), /not a PNG/);
  await assert.rejects(readPng(png(1, 1, [0, 0, 0], { depth: 16 })), /another kind/);
  await assert.rejects(readPng(png(1, 1, [0, 1, 2, 3, 4], { interlaced: 1 })), /another kind/);
  await assert.rejects(readPng(png(100000, 1, [0])), /100000 x 1/);
  await assert.rejects(readPng(png(2, 2, [0, 1, 2, 3])), /missing rows/);
  await assert.rejects(readPng(png(1, 1, Array(500).fill(0))), /too many rows/);
});
