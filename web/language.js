// Puts the panel and the nodes into the language of ComfyUI's settings. ComfyUI translates most of a node by itself
// (locales/<language>/nodeDefs.json); here is what it leaves in English: the choices of a combo, and the tooltips of
// inputs inside a dynamic combo.
import { app } from "../../scripts/app.js";
import { labelOf, learn, speak, t } from "./words.js";

const LANGUAGES = ["zh", "zh-TW", "ja"];
const PACKAGE = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2));
const chosen = () => app.extensionManager.setting.get("Comfy.Locale");

async function load(language) {
  const answer = await fetch(new URL(`./locales/${language}.json`, import.meta.url));
  if (answer.ok) learn(language, await answer.json());
  else console.error(`${PACKAGE}: the translations for "${language}" cannot be read: ${answer.status}`);
}

/** Translates the tooltips of inputs that are inside of dynamic combos, in a node's definition. */
function translateInner(inputs, inner = false) {
  for (const [, options] of Object.values({ ...inputs?.required, ...inputs?.optional })) {
    if (inner && options?.tooltip) options.tooltip = t(options.tooltip);
    for (const choice of options?.options ?? []) if (choice?.inputs) translateInner(choice.inputs, true);
  }
}

/** Has the combos of a node's inputs show their choices in the user's language. What is stored and sent stays English,
 * and so does ComfyUI's own combo beside a seed. */
function labelChoices(nodeType, { name: node, input }) {
  const inputs = Object.keys({ ...input.required, ...input.optional });
  const isInput = ({ type, name }) => type === "combo" && inputs.includes(name?.split(".")[0]);
  const { addWidget } = nodeType.prototype;
  nodeType.prototype.addWidget = function (...args) {
    const widget = addWidget.apply(this, args);
    const { values, getOptionLabel } = widget.options ?? {};
    const label = (value) => (value === null || value === undefined ? "" : labelOf(node, widget.name, String(value)));
    const told =
      isInput(widget) && !getOptionLabel && Array.isArray(values) && values.some((one) => label(one) !== one);
    if (told) widget.options.getOptionLabel = label;
    return widget;
  };
}

app.registerExtension({
  name: "QwenImageLayered.Language",
  async init() {
    speak(chosen);
    if (LANGUAGES.includes(chosen())) await load(chosen());
  },
  setup() {
    for (const language of LANGUAGES) if (language !== chosen()) load(language); // in case people change to it
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.python_module !== `custom_nodes.${PACKAGE}`) return;
    translateInner(nodeData.input);
    labelChoices(nodeType, nodeData);
  },
});
