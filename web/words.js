// The words on the panel and the nodes in the user's language. The English text in the code is the key of its
// translation in locales/<language>.json, so that a text nobody has translated yet is shown in English.

const tables = {}; // language -> {English: translation}
let language = () => "en";

/** From now on texts are in the language that a function says, such as "zh-TW". */
export function speak(chosen) {
  language = chosen;
}

/** Takes the translations of a language. */
export function learn(name, translations) {
  tables[name] = translations;
}

/** A text, written in English, in the user's language; {name} in it is replaced by values.name. */
export function t(english, values = {}) {
  const text = tables[language()]?.[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** What a choice of a node's input is called: its translation for that input alone, such as that of
 * "CompositeLayers.background=color", or else the one for every place. */
export function labelOf(node, input, choice) {
  const own = `${node}.${input}=${choice}`;
  return tables[language()]?.[own] ?? t(choice);
}

/** The name of a blend mode, such as "color-dodge". */
export const modeName = (mode) => t(mode).replace("-", " ");
