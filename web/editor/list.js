// The stack as a list, topmost layer first: thumbnail, name, eye, lock, groups that fold.

import { reorder, toggleHidden, toggleLocked } from "./actions.js";
import { button, element, icon, relabel } from "./dom.js";
import { joinName, rowsOf, splitName } from "./names.js";
import { PLAIN, editOf, renamedGroup, withEdit } from "./state.js";
import { modeName, t } from "../words.js";

const THUMB = 36; // CSS pixels
const INDENT = 14; // CSS pixels a group
const STILL = 4; // CSS pixels that a click may wander
const DOUBLE = 400; // milliseconds between the two presses of a double click

export class LayerList {
  constructor(panel) {
    this.panel = panel;
    this.thumbs = new Map();
    this.rows = element("div", { className: "qle-rows", role: "listbox", ariaLabel: t("Layers, topmost first") });
    this.line = element("div", { className: "qle-line", hidden: true });
    this.element = element("div", { className: "qle-list" }, this.rows, this.line);
    this.rows.addEventListener("pointerdown", (event) => this.down(event));
    // the wheel scrolls the list once one has clicked into the panel; before, it zooms the graph as everywhere
    this.rows.addEventListener("wheel", (event) => panel.focused && event.stopPropagation());
  }

  /** A new scene is there: thumbnails are drawn anew. */
  opened() {
    this.thumbs.clear();
  }

  refresh() {
    const { scene, items, names } = this.panel;
    this.element.hidden = !scene;
    if (!scene || this.renaming) return;
    this.shown = rowsOf(items.order.map((id) => ({ id, name: names[id] })));
    const open = this.shown.filter((row) => !this.folded(row));
    this.rows.replaceChildren(...open.map((row) => (row.items ? this.groupRow(row) : this.layerRow(row))));
  }

  folded(row) {
    const around =
      row.path ??
      splitName(row.key)
        .slice(0, -1)
        .map((_, i, levels) => joinName(levels.slice(0, i + 1)));
    return around.some((key) => this.panel.folded.has(key));
  }

  layerRow({ item, depth, name }) {
    const { panel } = this;
    const edit = editOf(panel.shown, item);
    const row = element("div", {
      className: "qle-row",
      role: "option",
      data: { item },
      ariaSelected: panel.selected.includes(item),
    });
    row.classList.toggle("qle-hidden", edit.hidden);
    row.style.paddingLeft = `${6 + depth * INDENT}px`;
    const text = element(
      "div",
      { className: "qle-text" },
      element("span", { className: "qle-name", title: name }, name),
    );
    if (detail(edit)) text.append(element("span", { className: "qle-detail" }, detail(edit)));
    row.append(this.thumb(item), text, this.lock([item], edit.locked), this.eye([item], edit.hidden));
    return row;
  }

  groupRow({ group, depth, key, items }) {
    const { panel } = this;
    const folded = panel.folded.has(key);
    const chosen = items.every((id) => panel.selected.includes(id));
    const row = element("div", {
      className: "qle-row qle-group",
      role: "option",
      data: { group: key },
      ariaSelected: chosen,
    });
    row.style.paddingLeft = `${6 + depth * INDENT}px`;
    const fold = button(
      folded ? "folded" : "open",
      folded ? t("Unfold the group") : t("Fold the group"),
      () => this.fold(key),
      "qle-icon",
    );
    const hidden = items.every((id) => editOf(panel.shown, id).hidden);
    row.classList.toggle("qle-hidden", hidden);
    const locked = items.every((id) => editOf(panel.shown, id).locked);
    const text = element(
      "div",
      { className: "qle-text" },
      element("span", { className: "qle-name", title: group }, group),
    );
    row.append(
      fold,
      element("span", { className: "qle-folder" }, icon("group")),
      text,
      this.lock(items, locked),
      this.eye(items, hidden),
    );
    return row;
  }

  fold(key) {
    const { folded } = this.panel;
    if (!folded.delete(key)) folded.add(key);
    this.refresh();
  }

  eye(ids, hidden) {
    const made = button("eye", t("Hide"), () => toggleHidden(this.panel, ids), "qle-icon qle-eye");
    if (hidden) relabel(made, "eyeOff", t("Show"));
    return made;
  }

  lock(ids, locked) {
    const made = button("unlock", t("Lock"), () => toggleLocked(this.panel, ids), "qle-icon qle-lock");
    if (locked) relabel(made, "lock", t("Unlock"));
    made.classList.toggle("qle-on", locked);
    return made;
  }

  /** The layer's own pixels on a checkerboard, drawn once. */
  thumb(item) {
    const { scene, shown, items } = this.panel;
    const edit = editOf(shown, item);
    const key = `${item} ${scene.keyOf(shown, items, item)} ${edit.hue} ${edit.color}`;
    if (!this.thumbs.has(key)) {
      const layer = scene.source(shown, items, item, false).layer;
      const made = element("canvas", { className: "qle-thumb", width: 2 * THUMB, height: 2 * THUMB });
      if (layer) drawThumb(made, layer);
      this.thumbs.set(key, made);
    }
    return this.thumbs.get(key);
  }

  down(event) {
    const row = event.target.closest(".qle-row");
    if (!row || event.button || event.target.closest("button, input")) return;
    event.preventDefault();
    this.panel.focus();
    const ids = this.idsOf(row);
    const depth = splitName(row.dataset.group ?? this.panel.names[row.dataset.item]).length - 1;
    const drag = {
      start: event.clientY,
      ids,
      depth,
      twice: this.isSecond(row, event),
      keep: ids.every((id) => this.panel.selected.includes(id)),
    };
    if (!drag.keep || event.shiftKey || event.ctrlKey || event.metaKey) this.click(ids, event);
    this.follow(row, event, drag);
  }

  /** Whether a press is the second one of a double click: rows are made anew in between, so no event says it. */
  isSecond({ dataset }, event) {
    const key = dataset.item ?? dataset.group;
    const second = this.last?.key === key && event.timeStamp - this.last.time < DOUBLE;
    this.last = { key: second ? null : key, time: event.timeStamp };
    return second;
  }

  idsOf(row) {
    if (row.dataset.item) return [row.dataset.item];
    return this.shown.find((one) => one.key === row.dataset.group && one.items)?.items ?? [];
  }

  click(ids, event) {
    const { panel } = this;
    const known = panel.selected;
    if (event.ctrlKey || event.metaKey) {
      const all = ids.every((id) => known.includes(id));
      return panel.select(all ? known.filter((id) => !ids.includes(id)) : [...new Set([...known, ...ids])]);
    }
    if (!event.shiftKey || !known.length) return panel.select(ids);
    const { order } = panel.items;
    const places = [...known, ...ids].map((id) => order.indexOf(id));
    panel.select(order.slice(Math.min(...places), Math.max(...places) + 1));
  }

  /** Follows the pointer until it is let go of: a drag puts the selected layers elsewhere. */
  follow(row, event, drag) {
    this.rows.setPointerCapture(event.pointerId);
    const move = (moved) => {
      if (!drag.begun && Math.abs(moved.clientY - drag.start) < STILL) return;
      drag.begun = true;
      drag.goal = this.goalAt(moved.clientY);
      this.showLine(drag.goal);
    };
    const end = (ended) => {
      this.rows.removeEventListener("pointermove", move);
      for (const kind of ["pointerup", "pointercancel"]) this.rows.removeEventListener(kind, end);
      this.line.hidden = true;
      if (ended.type === "pointercancel") return;
      if (drag.begun && drag.goal) this.drop(drag.goal, drag.depth);
      else if (drag.twice) this.rename(row.dataset);
      else if (drag.keep && !event.shiftKey && !event.ctrlKey && !event.metaKey) this.panel.select(drag.ids);
    };
    this.rows.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel"]) this.rows.addEventListener(kind, end);
  }

  /** The gap between rows nearest to a height of the page: {row, below}, the row under the gap or the last one above
   * it. */
  goalAt(y) {
    const rows = [...this.rows.children];
    const next = rows.find((row) => {
      const box = row.getBoundingClientRect();
      return y < (box.top + box.bottom) / 2;
    });
    return next ? { row: next, below: false } : { row: rows.at(-1), below: true };
  }

  showLine({ row, below }) {
    this.line.hidden = false;
    this.line.style.top = `${row.offsetTop - this.rows.scrollTop + (below ? row.offsetHeight : 0)}px`;
  }

  /** Puts the selected layers into a gap: just above the layer of the row under it, and into the group of that row. */
  drop({ row, below }, depth) {
    const parent = below ? [] : splitName(row.dataset.group ?? this.panel.names[row.dataset.item]).slice(0, -1);
    const above = below ? null : this.idsOf(row)[0]; // the topmost layer of a group's row comes first
    reorder(this.panel, this.panel.free, above, parent, depth);
  }

  /** A double click on a name writes it anew; on a group, the group's name in all of its layers. */
  rename({ item, group }) {
    const row = [...this.rows.children].find(({ dataset }) => (item ? dataset.item === item : dataset.group === group));
    const label = row?.querySelector(".qle-name");
    if (!label) return;
    const input = element("input", {
      className: "qle-input",
      value: label.textContent,
      maxLength: 200,
      spellcheck: false,
    });
    this.renaming = true;
    label.replaceWith(input);
    input.select();
    input.focus();
    let done = false;
    const finish = (keep) => {
      if (done) return;
      done = true;
      this.renaming = false;
      const name = input.value.trim();
      if (keep && name && name !== label.textContent) this.renamed(row, name);
      else this.refresh();
      this.panel.focus();
    };
    input.addEventListener("blur", () => finish(true));
    input.addEventListener("keydown", (pressed) => {
      if (pressed.isComposing) return; // Enter ends the choice of a Chinese or Japanese word first
      if (pressed.key === "Enter" || pressed.key === "Escape") finish(pressed.key === "Enter");
    });
  }

  renamed(row, name) {
    const { panel } = this;
    const [ids, state] = [this.idsOf(row), panel.history.present];
    if (row.dataset.group) {
      const depth = splitName(row.dataset.group).length - 1;
      return panel.commit(renamedGroup(state, ids, depth, name, panel.names));
    }
    const levels = splitName(panel.names[ids[0]]).slice(0, -1);
    panel.commit(withEdit(state, ids[0], { name: joinName([...levels, name]) }));
  }
}

/** What is unusual about a layer, in a few words. */
function detail(edit) {
  const words = [];
  if (edit.opacity !== PLAIN.opacity) words.push(`${Math.round(edit.opacity * 100)} %`);
  if (edit.mode !== PLAIN.mode) words.push(modeName(edit.mode));
  return words.join(" · ");
}

function drawThumb(canvas, { data, unit, width, height }) {
  const bytes = unit === 1 ? Uint8ClampedArray.from(data, (v) => v * 255) : data;
  const full = Object.assign(document.createElement("canvas"), { width, height });
  full.getContext("2d").putImageData(new ImageData(bytes, width, height), 0, 0);
  const context = canvas.getContext("2d");
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [w, h] = [width * scale, height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(full, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
}
