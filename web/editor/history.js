// Undo and redo: the states before and after the present one.

const MOST = 200; // steps back

export class History {
  constructor(present) {
    this.reset(present);
  }

  reset(present) {
    this.present = present;
    this.past = [];
    this.future = [];
  }

  /** Makes a state the present one. Steps of one key, such as an opacity that is dragged, are one step back. */
  push(state, key = null) {
    if (!(key && key === this.key)) this.past = [...this.past, this.present].slice(-MOST);
    this.key = key;
    this.present = state;
    this.future = [];
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.present);
    this.present = this.past.pop();
    this.key = null;
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.present);
    this.present = this.future.pop();
    this.key = null;
    return true;
  }
}
