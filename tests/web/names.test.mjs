import assert from "node:assert/strict";
import { test } from "node:test";

import { joinName, rowsOf, splitName } from "../../web/editor/names.js";

const rows = (...names) =>
  rowsOf(names.map((name, i) => ({ id: String(i), name }))).map(
    (row) => "  ".repeat(row.depth) + (row.group ? `[${row.group}]` : row.name),
  );

test("names are taken apart and put together", () => {
  assert.deepEqual(splitName("girl/hair"), ["girl", "hair"]);
  assert.deepEqual(splitName("AC\\/DC/logo"), ["AC/DC", "logo"]);
  for (const levels of [["a"], ["a", "b", "c"], ["a/b", "c"], ["a\\", "b"], ["a\\/b"]])
    assert.deepEqual(splitName(joinName(levels)), levels);
});

test("the list shows the topmost layer first, and groups around their layers", () => {
  assert.deepEqual(rows("paper", "girl/dress", "girl/hair", "title"), [
    "title",
    "[girl]",
    "  hair",
    "  dress",
    "paper",
  ]);
  assert.deepEqual(rows("a/b/one", "a/two"), ["[a]", "  two", "  [b]", "    one"]);
});

test("a group that is torn apart by another layer is shown twice", () => {
  assert.deepEqual(rows("girl/dress", "dog", "girl/hair"), ["[girl]", "  hair", "dog", "[girl]", "  dress"]);
});

test("a group's row knows all layers in it, topmost first", () => {
  const [group] = rowsOf([
    { id: "0", name: "g/a" },
    { id: "1", name: "g/h/b" },
  ]);
  assert.deepEqual(group.items, ["1", "0"]);
});
