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

/** The same, where a place such as "CompositeLayers.background=color" can have a translation of its own. */
export function tAt(place, english) {
  return tables[language()]?.[place] ?? t(english);
}

/** The name of a blend mode, such as "color-dodge". */
export const modeName = (mode) => t(mode).replace("-", " ");
