// A download button for every file that a node of this package reports. ComfyUI itself shows only pictures.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { after } from "./show/after.js";
import { t } from "./words.js";

const PACKAGE = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-2));
const KEPT = "files"; // the node property that brings the buttons back when the graph is loaded again

const isOurs = ({ python_module, output_node }) => output_node && python_module === `custom_nodes.${PACKAGE}`;
const address = ({ filename, subfolder, type }) => `/view?${new URLSearchParams({ filename, subfolder, type })}`;

const named = ({ filename, type }) => ({ file: filename, folder: type });

function warn(detail) {
  app.extensionManager.toast.add({ severity: "warn", summary: t("Cannot download"), detail, life: 8000 });
}

async function download(file) {
  const found = await api.fetchApi(address(file), { method: "HEAD" });
  if (!found.ok)
    return warn(t("{file} is not in ComfyUI's {folder} folder. Change filename_prefix and run again.", named(file)));
  const link = document.createElement("a");
  link.href = api.apiURL(address(file));
  link.download = file.filename;
  document.body.append(link);
  link.click();
  link.remove();
}

function addButton(node, file) {
  const button = node.addWidget("button", t("Download {file}", named(file)), null, () => download(file), {
    serialize: false,
  });
  button.serialize = false; // keeps it out of widgets_values
  button.offersFile = true;
}

function showButtons(node, files) {
  for (const old of (node.widgets ?? []).filter((widget) => widget.offersFile)) node.removeWidget(old);
  for (const file of files) addButton(node, file);
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

app.registerExtension({
  name: "QwenImageLayered.Downloads",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!isOurs(nodeData)) return;
    after(nodeType, "onExecuted", (node, output) => {
      if (!output?.files?.length) return;
      node.properties[KEPT] = output.files;
      showButtons(node, output.files);
    });
    after(nodeType, "onConfigure", (node) => {
      if (node.properties?.[KEPT]?.length) showButtons(node, node.properties[KEPT]);
    });
  },
});
