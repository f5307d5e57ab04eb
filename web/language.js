// Puts the panel and the nodes into the language of ComfyUI's settings. ComfyUI translates most of a node by itself
// (locales/<language>/nodeDefs.json); here is what it leaves in English: the choices of a combo, the tooltips of inputs
// inside a dynamic combo, the names in empty text boxes, the words by which a node is found, and our workflows' notes.
import { app } from "../../scripts/app.js";
import { learn, speak, t, tAt } from "./words.js";

const LANGUAGES = ["zh", "zh-TW", "ja"];
const PACKAGE = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2));
const chosen = () => app.extensionManager.setting.get("Comfy.Locale");

async function load(language) {
  const answer = await fetch(new URL(`./locales/${language}.json`, import.meta.url));
  if (answer.ok) learn(language, await answer.json());
  else console.error(`${PACKAGE}: the translations for "${language}" cannot be read: ${answer.status}`);
}

/** The inputs of a node's definition with their dotted names, those inside of dynamic combos too: [name, options]. */
function* inputsOf({ required, optional }, before = "") {
  for (const [name, [, options = {}]] of Object.entries({ ...required, ...optional })) {
    yield [before + name, options];
    for (const { inputs } of options.options ?? []) if (inputs) yield* inputsOf(inputs, `${before}${name}.`);
  }
}

/** Translates in a node's definition what ComfyUI would show as it is. */
function translateDefinition(nodeData) {
  for (const [name, options] of inputsOf(nodeData.input)) {
    if (options.tooltip) options.tooltip = t(options.tooltip);
    const own = name.split(".").at(-1);
    // an empty text box shows its input's name
    if (options.multiline && !options.placeholder)
      options.placeholder = tAt(`${nodeData.name}.inputs.${name}.name`, own);
  }
  const aliases = nodeData.search_aliases ?? [];
  nodeData.search_aliases = [...new Set([...aliases, ...aliases.map((alias) => t(alias))])];
}

/** Has the combos of a node's inputs show their choices in the user's language. What is stored and sent stays English,
 * and so does ComfyUI's own combo beside a seed. */
function labelChoices(nodeType, { name: node, input }) {
  const inputs = new Set([...inputsOf(input)].map(([name]) => name));
  const { addWidget } = nodeType.prototype;
  nodeType.prototype.addWidget = function (...args) {
    const widget = addWidget.apply(this, args);
    if (widget.type !== "combo" || !inputs.has(widget.name)) return widget;
    const { values, getOptionLabel } = widget.options;
    const label = (value) => tAt(`${node}.${widget.name}=${value}`, String(value ?? ""));
    // only where there is something to translate: ComfyUI's menu has no search box for choices with labels
    if (!getOptionLabel && Array.isArray(values) && values.some((value) => label(value) !== value))
      widget.options.getOptionLabel = label;
    return widget;
  };
}

/** Translates the notes and titles of a workflow of this package, when it is opened. One whose notes people have
 * changed is their own: it stays as it is. */
function translateWorkflow({ nodes = [], groups = [] }) {
  const notes = nodes.filter(({ type, widgets_values: values }) => type === "MarkdownNote" && isText(values?.[0]));
  if (!notes.some(({ widgets_values: [text] }) => t(text) !== text)) return;
  for (const titled of [...nodes, ...groups]) if (isText(titled.title)) titled.title = t(titled.title);
  for (const note of notes) note.widgets_values[0] = t(note.widgets_values[0]);
}

const isText = (value) => typeof value === "string";

app.registerExtension({
  name: "QwenImageLayered.Language",
  async init() {
    speak(chosen);
    if (LANGUAGES.includes(chosen())) await load(chosen());
  },
  setup() {
    for (const language of LANGUAGES) if (language !== chosen()) load(language); // in case people change to it
  },
  beforeConfigureGraph: translateWorkflow,
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.python_module !== `custom_nodes.${PACKAGE}`) return;
    translateDefinition(nodeData);
    labelChoices(nodeType, nodeData);
  },
});
