// What Preview Layers, Restore Layers and Edit Layer show on themselves. The parts are in show/.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { addStyles, element } from "./editor/dom.js";
import { after } from "./show/after.js";
import { comparison } from "./show/compare.js";
import { sheetOf } from "./show/sheet.js";

const VIEWS = { layer_sheet: { draw: sheetOf, height: 300 }, comparison: { draw: comparison, height: 260 } };
const SHOWN_BY = { PreviewLayers: "layer_sheet", RestoreLayers: "comparison", EditLayer: "comparison" };
const MIN_WIDTH = 340; // CSS pixels

const url = (file) => api.apiURL(`/view?${new URLSearchParams(file)}`);

/** The node's own view; it is made when there is something to show for the first time. */
function viewOf(node, kind) {
  if (node.layerView) return node.layerView;
  const view = element("div", { className: "qls" });
  view.addEventListener("wheel", (event) => view.scrollHeight > view.clientHeight && event.stopPropagation());
  const widget = node.addDOMWidget(kind, `QIL_${kind}`.toUpperCase(), view, {
    serialize: false,
    getMinHeight: () => VIEWS[kind].height,
    hideOnZoom: false,
  });
  widget.serialize = false; // keeps it out of widgets_values
  node.layerView = view;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width, MIN_WIDTH), Math.max(node.size[1], height)]);
  return view;
}

function show(node, kind, data) {
  viewOf(node, kind).replaceChildren(VIEWS[kind].draw(data, url));
  node.graph?.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "QwenImageLayered.Show",
  setup: () => addStyles(new URL("./show/show.css", import.meta.url).href),
  beforeRegisterNodeDef(nodeType, nodeData) {
    const kind = SHOWN_BY[nodeData.name];
    if (!kind) return;
    after(nodeType, "onExecuted", (node, output) => {
      const [data] = output?.[kind] ?? [];
      if (!data) return;
      node.properties[kind] = data;
      show(node, kind, data);
    });
    after(nodeType, "onConfigure", (node) => {
      if (node.properties?.[kind]) show(node, kind, node.properties[kind]);
    });
  },
});
