// node --test tests/web
import assert from "node:assert/strict";
import { test } from "node:test";

import { History } from "../../web/editor/history.js";
import * as state from "../../web/editor/state.js";

const [A, B, C] = ["00112233445566aa", "00112233445566bb", "00112233445566cc"];
const text = (value) => JSON.stringify({ version: 1, ...value });
const names = { [A]: "paper", [B]: "girl/hair", [C]: "girl/dress" };

test("an empty text holds no edits, and no edits are an empty text", () => {
  assert.equal(state.stateText(state.parseState("")), "");
  assert.equal(state.stateText(state.withEdit(state.EMPTY, A, { dx: 0 })), "");
});

test("a text that is read and written is the same", () => {
  const given = text({ edits: { [A]: { name: "图层", hidden: true, dx: 5 } }, order: [B, A], merged: { m1: [A, C] } });
  assert.equal(state.stateText(state.parseState(given)), given);
});

test("numbers are clamped, and values of a wrong type are left out", () => {
  const { edits } = state.parseState(
    text({ edits: { [A]: { dx: 1e9, opacity: -1, scale_x: 0, hidden: 1, name: 7 } } }),
  );
  assert.deepEqual(edits[A], { opacity: 0, dx: 16384, scale_x: 0.01 });
});

test("other versions and other ids are refused", () => {
  assert.throws(() => state.parseState('{"version": 2}'), /version 2/);
  assert.throws(() => state.parseState(text({ order: ["layer 1"] })), /name layers/);
  assert.throws(() => state.parseState("{"));
  assert.throws(() => state.parseState("null"), /version/);
});

test("an edit changes its own layer alone, and the state before stays", () => {
  const before = state.withEdit(state.EMPTY, A, { dx: 1 });
  const after = state.withEdit(before, B, { dy: 2 });
  assert.deepEqual(before.edits, { [A]: { dx: 1 } });
  assert.deepEqual(after.edits, { [A]: { dx: 1 }, [B]: { dy: 2 } });
});

test("layers are moved above others and to the bottom", () => {
  assert.deepEqual(state.moved([A, B, C], [A], C), [B, C, A]);
  assert.deepEqual(state.moved([A, B, C], [C], A), [A, C, B]);
  assert.deepEqual(state.moved([A, B, C], [B, C], null), [B, C, A]);
  assert.deepEqual(state.moved([A, B, C], [A, C], C), [B, A, C], "its own place");
});

test("a duplicate stands above its layer, with its edit and a name of its own", () => {
  const given = state.withEdit(state.EMPTY, A, { dx: 4 });
  const { state: next, copies } = state.duplicated(given, [A, B], [A], names);
  assert.deepEqual(copies, [`${A}~2`]);
  assert.deepEqual(next.order, [A, `${A}~2`, B]);
  assert.deepEqual(next.edits[`${A}~2`], { name: "paper copy", dx: 4 });
  assert.deepEqual(state.duplicated(next, next.order, [A], names).copies, [`${A}~3`]);
});

test("layers are merged at the place of the topmost, and taken apart again", () => {
  const { state: next, id } = state.merge(state.EMPTY, [A, B, C], [A, C], "both");
  assert.equal(id, "m1");
  assert.deepEqual(state.arrange(next, [A, B, C]).order, [B, "m1"]);
  assert.deepEqual(state.unmerged(next, [B, "m1"], "m1"), { edits: {}, order: [B, A, C], merged: {}, cut: {} });
  assert.equal(state.merge(state.EMPTY, [A], [A], "one").id, null);
});

test("a merge inside a merge is there, and one whose part is gone is stale", () => {
  const given = state.parseState(text({ merged: { m1: [A, B], m2: ["m1", C] } }));
  assert.deepEqual(state.arrange(given, [A, B, C]).order, ["m2"]);
  const items = state.arrange(given, [A, C]);
  assert.deepEqual(
    [items.order, items.stale],
    [
      [A, C],
      ["m1", "m2", B],
    ],
  );
});

test("what is stale can be forgotten, and the rest stays", () => {
  const given = state.parseState(text({ edits: { [A]: { dx: 1 }, [B]: { dx: 2 } }, order: [B, A] }));
  const { stale } = state.arrange(given, [A]);
  assert.deepEqual(state.withoutStale(given, stale), { edits: { [A]: { dx: 1 } }, order: [A], merged: {}, cut: {} });
});

test("groups are made of names, side by side", () => {
  const next = state.grouped(state.EMPTY, [A, B, C], [A, C], "group 1", names);
  assert.equal(next.edits[A].name, "group 1/paper");
  assert.equal(next.edits[C].name, "group 1/girl/dress");
  assert.deepEqual(next.order, [B, A, C]);
  assert.equal(state.ungrouped(state.EMPTY, [B, A], names).edits[B].name, "hair");
  assert.equal(state.renamedGroup(state.EMPTY, [B, C], 0, "woman", names).edits[C].name, "woman/dress");
});

test("cuts are read and written, and things lie just above what is left", () => {
  const cut = { c1: { of: A, inside: [[4, 5.5]] }, c2: { of: "c1", box: [1, 2, 3, 4], grow: -2 } };
  const given = text({ edits: { c1: { dx: 3 } }, cut });
  assert.equal(state.stateText(state.parseState(given)), given);
  const read = state.parseState(given);
  assert.deepEqual(state.arrange(read, [A, B]).order, [A, "c1", "c2", B]);
  assert.deepEqual(state.arrange(read, [B]).stale, ["c1", A, "c2"]);
  assert.equal(state.freshCut(read), "c3");
  const twice = { ...state.EMPTY, cut: { c1: { of: A }, c2: { of: A } } };
  assert.deepEqual(state.arrange(twice, [A]).order, [A, "c2", "c1"]);
  assert.throws(() => state.parseState(text({ cut: { c1: { of: "paper" } } })), /name layers/);
});

test("undo and redo go back and forth, and steps of one gesture are one", () => {
  const history = new History("a");
  history.push("b");
  history.push("c", "opacity");
  history.push("d", "opacity");
  assert.equal(history.undo() && history.present, "b");
  assert.equal(history.undo() && history.present, "a");
  assert.equal(history.undo(), false);
  assert.equal(history.redo() && history.present, "b");
  history.push("e");
  assert.equal(history.redo(), false);
});

test("twenty edited layers take less than 16 KB", () => {
  const edit = {
    name: "background/a layer with a long name",
    opacity: 0.55,
    mode: "multiply",
    dx: 123.5,
    dy: -77.25,
    scale_x: 1.2345,
    scale_y: 1.2345,
    rotation: 15.5,
    hue: 120,
  };
  const ids = Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(16, "0"));
  const full = state.withOrder(state.withEdits(state.EMPTY, ids, edit), ids);
  assert.ok(new TextEncoder().encode(state.stateText(full)).length < 16384);
});
