// Names of layers: "girl/hair" is hair in the group girl. The rules are those of qil_core/files/names.py: a "/" that
// belongs to a name is written "\/", and of backslashes in front of a "/" each pair stands for one.

/** "a/b" as its levels. */
export function splitName(name) {
  const levels = [""];
  let done = 0;
  for (const found of name.matchAll(/(\\*)\//g)) {
    const run = found[1].length;
    levels[levels.length - 1] += name.slice(done, found.index) + "\\".repeat(run >> 1) + (run % 2 ? "/" : "");
    done = found.index + found[0].length;
    if (run % 2 === 0) levels.push("");
  }
  levels[levels.length - 1] += name.slice(done);
  return levels.map((level) => level.trim()).filter(Boolean);
}

/** The name that splitName() takes apart into these levels. */
export function joinName(levels) {
  const escaped = levels.map((level) => level.replace(/(\\*)\//g, (_, run) => `${run}${run}\\/`));
  const closed = escaped.slice(0, -1).map((level) => level + "\\".repeat(/\\*$/.exec(level)[0].length));
  return [...closed, escaped.at(-1)].join("/");
}

/** The rows of a list, topmost layer first: {group, depth, key, items} and {item, depth, name, path}. items: [{id,
 * name}], bottom first. Layers that follow each other in one group share its row. */
export function rowsOf(items) {
  const rows = [];
  const open = []; // the group rows around the layer at hand
  for (const { id, name } of [...items].reverse()) {
    const levels = splitName(name);
    const own = levels.pop() ?? name;
    const shared = levels.findIndex((level, i) => open[i]?.group !== level);
    open.length = Math.min(open.length, shared < 0 ? levels.length : shared);
    for (const group of levels.slice(open.length)) {
      const row = { group, depth: open.length, key: joinName([...open.map((outer) => outer.group), group]), items: [] };
      rows.push(row);
      open.push(row);
    }
    open.forEach((row) => row.items.push(id));
    rows.push({ item: id, depth: levels.length, name: own, path: open.map((row) => row.key) });
  }
  return rows;
}
