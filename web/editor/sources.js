// The pixels of layers before their edits: those of the stack, and what is left of them and what was cut out of them
// after the cuts of a state.

import { inTurn, pickText } from "./state.js";

const MOST = 60; // cuts that are remembered, so that undo and redo show them at once

/** What cuts gave, by what was cut out of what: the server's answers. */
export class Pieces {
  constructor() {
    this.held = new Map(); // key -> {rest, thing}
  }

  get = (key) => this.held.get(key);

  put(key, pieces) {
    this.held.delete(key);
    this.held.set(key, pieces);
    if (this.held.size > MOST) this.held.delete(this.held.keys().next().value);
  }

  /** Takes the cuts that the server has made, one after another, with their pixels. */
  take(cuts) {
    const keys = new Map();
    for (const { id, of, rest, thing, ...pick } of cuts) {
      const key = cutKey(keys.get(of) ?? of, pick);
      this.put(key, { rest, thing });
      keys.set(of, `${key} rest`).set(id, `${key} thing`);
    }
  }

  /** The same pieces with their layers changed, each once. */
  mapped(change) {
    const done = new Map();
    const changed = (layer) => {
      if (!done.has(layer)) done.set(layer, change(layer));
      return done.get(layer);
    };
    return {
      get: (key) => {
        const found = this.get(key);
        return found && { rest: changed(found.rest), thing: changed(found.thing) };
      },
    };
  }
}

const cutKey = (layer, pick) => `${layer} ${pickText(pick)}`;

export class Sources {
  /** layers: those of the stack. pieces: Pieces. */
  constructor(layers, pieces = new Pieces()) {
    this.stack = new Map(layers.map((layer) => [layer.id, { ...layer, key: layer.id }]));
    this.pieces = pieces;
  }

  /** The layers and things of a state by their ids: {box, at, pixels, key}; `missing` of the map are the ids of cuts
   * whose pixels are not here: their layers are shown whole. */
  of(state) {
    if (this.cut === state.cut && !this.found?.missing.length) return this.found ?? this.stack;
    const found = new Map(this.stack);
    found.missing = [];
    for (const [id, pick] of inTurn(state.cut)) {
      const layer = found.get(pick.of);
      if (!layer) continue;
      const key = cutKey(layer.key, pick);
      const pieces = this.pieces.get(key);
      if (!pieces) found.missing.push(id);
      found.set(pick.of, { ...(pieces ? pieces.rest : layer), key: pieces ? `${key} rest` : layer.key });
      found.set(id, { ...pieces?.thing, key: `${key} thing` });
    }
    [this.cut, this.found] = [state.cut, found];
    return found;
  }

  /** A layer's own name; a thing is named after the layer of the stack that it comes from. */
  name(state, id) {
    let root = id;
    while (!this.stack.has(root)) root = state.cut[root].of;
    const { name } = this.stack.get(root);
    return root === id ? name : `${name} cutout ${id.slice(1)}`;
  }
}
