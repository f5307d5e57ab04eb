// The panel of the node Layer Editor: one DOM widget, whose value is the text of the edits. The parts are in editor/.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { addStyles } from "./editor/dom.js";
import { Panel } from "./editor/panel.js";
import { after } from "./show/after.js";

const NODE = "LayerEditor";
const WIDGET = "QIL_LAYER_EDITOR"; // the type that the node's input asks for
const KEPT = "layer_editor"; // the run's output, and the node property that fills the panel of a loaded graph
const MIN_HEIGHT = 440; // CSS pixels
const SIZE = [860, 760]; // of a new node

/** ComfyUI notes changes of a graph when the mouse or a key is let go of; the panel keeps its keys to itself. */
function noteChange(node) {
  node.graph?.setDirtyCanvas?.(true, false);
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
  (tracker?.captureCanvasState ?? tracker?.checkState)?.call(tracker);
}

function panelWidget(node, name) {
  const panel = new Panel({
    fetchApi: (route, options) => api.fetchApi(route, options),
    changed: () => noteChange(node),
    run: () => app.queuePrompt(0, 1),
  });
  const widget = node.addDOMWidget(name, WIDGET, panel.element, {
    getValue: () => panel.text,
    setValue: (text) => panel.setText(typeof text === "string" ? text : ""),
    getMinHeight: () => MIN_HEIGHT,
    hideOnZoom: false,
  });
  widget.panel = panel;
  return { widget, minWidth: SIZE[0], minHeight: SIZE[1] };
}

const panelOf = (node) => node.widgets?.find((widget) => widget.panel)?.panel;

app.registerExtension({
  name: "QwenImageLayered.LayerEditor",
  getCustomWidgets() {
    for (const name of ["panel", "pick"]) addStyles(new URL(`./editor/${name}.css`, import.meta.url).href);
    return { [WIDGET]: (node, name) => panelWidget(node, name) };
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== NODE) return;
    delete nodeData.input?.optional?.edits?.[1]?.tooltip; // it would lie over the panel; the help page has it
    after(nodeType, "onExecuted", (node, output) => {
      const stacks = output?.[KEPT];
      if (!stacks?.length) return;
      node.properties[KEPT] = stacks;
      panelOf(node)?.load(stacks);
      noteChange(node); // or an undo would empty the panel
    });
    after(nodeType, "onConfigure", (node) => {
      if (node.properties?.[KEPT]) panelOf(node)?.load(node.properties[KEPT]);
    });
  },
});
