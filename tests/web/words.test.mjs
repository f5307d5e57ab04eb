import assert from "node:assert/strict";
import { test } from "node:test";
import { learn, modeName, speak, t, tAt } from "../../web/words.js";

learn("ja", {
  Hide: "非表示にする",
  "{number} of {count}": "{count} 中 {number}",
  color: "カラー",
  "CompositeLayers.background=color": "単色",
  "color-dodge": "覆い焼きカラー",
});
const speaking = (language, check) => {
  speak(() => language);
  check();
  speak(() => "en");
};

test("a text is shown in the language that is spoken when it is asked for", () => {
  assert.equal(t("Hide"), "Hide");
  speaking("ja", () => assert.equal(t("Hide"), "非表示にする"));
  assert.equal(t("Hide"), "Hide");
});

test("values stand where the translation has their names", () => {
  assert.equal(t("{number} of {count}", { number: 1, count: 3 }), "1 of 3");
  speaking("ja", () => assert.equal(t("{number} of {count}", { number: 1, count: 3 }), "3 中 1"));
});

test("a value is never read as a placeholder, and an unknown placeholder stays", () => {
  assert.equal(t("“{name}” is empty.", { name: "{count}" }), "“{count}” is empty.");
  assert.equal(t("{other}", {}), "{other}");
});

test("what is not translated, and a language that is not there, are English", () => {
  speaking("ja", () => assert.equal(t("Lock"), "Lock"));
  speaking("ko", () => assert.equal(t("Hide"), "Hide"));
});

test("a place can have a translation of its own", () => {
  speaking("ja", () => {
    assert.equal(tAt("CompositeLayers.background=color", "color"), "単色");
    assert.equal(tAt("CompositeLayers.blend.mode=color", "color"), "カラー");
  });
});

test("blend modes are named without hyphens", () => {
  assert.equal(modeName("color-dodge"), "color dodge");
  speaking("ja", () => assert.equal(modeName("color-dodge"), "覆い焼きカラー"));
});
