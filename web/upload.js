// An upload button for Load Layers. ComfyUI's own upload widgets take pictures, audio, video and 3D models only.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { t } from "./words.js";

let kinds = []; // endings such as ".psd": the node's definition says which files are read
const widget = (node, name) => node.widgets?.find((found) => found.name === name);

function warn(detail) {
  app.extensionManager.toast.add({ severity: "warn", summary: t("Cannot upload"), detail, life: 8000 });
}

async function upload(file) {
  const body = new FormData();
  body.append("image", file); // the route's name; it takes any file
  const answer = await api.fetchApi("/upload/image", { method: "POST", body });
  if (answer.status !== 200) throw new Error(`${file.name}: ${answer.status} ${answer.statusText}`);
  const { name, subfolder } = await answer.json();
  return subfolder ? `${subfolder}/${name}` : name;
}

function set(node, name, value) {
  const found = widget(node, name);
  if (!found) return;
  const options = found.options?.values;
  if (Array.isArray(options) && !options.includes(value)) options.push(value);
  found.value = value;
  found.callback?.(value);
}

// One file is a file; several are PNGs, in the order of their names, which is how exported layers are numbered.
function choose(node, names) {
  const several = names.length > 1;
  set(node, "source", several ? "several PNGs" : "file");
  set(node, several ? "source.files" : "source.file", several ? names.join("\n") : names[0]);
  node.setDirtyCanvas?.(true, true);
}

async function take(node, files) {
  const mixed = files.length > 1 && [...files].some((file) => !file.name.toLowerCase().endsWith(".png"));
  if (mixed) return warn(t("Give one file ({kinds}), or several PNG files.", { kinds: kinds.join(", ") }));
  const order = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });
  const names = [];
  try {
    for (const file of [...files].sort(order)) names.push(await upload(file));
  } catch (error) {
    return warn(error.message);
  }
  if (names.length) choose(node, names);
}

function pick(node) {
  const input = Object.assign(document.createElement("input"), {
    type: "file",
    accept: kinds.join(","),
    multiple: true,
  });
  input.onchange = () => take(node, input.files);
  input.click();
}

app.registerExtension({
  name: "QwenImageLayered.Upload",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== "LoadLayers") return;
    kinds = nodeData.input.required.source[1].accept;
    const created = nodeType.prototype.onNodeCreated;
    nodeType.prototype.onNodeCreated = function (...args) {
      const result = created?.apply(this, args);
      const button = this.addWidget("button", t("Upload layers"), null, () => pick(this), { serialize: false });
      button.serialize = false; // keeps it out of widgets_values
      this.onDragOver = (event) => Boolean(event?.dataTransfer?.types?.includes?.("Files"));
      this.onDragDrop = (event) => {
        const files = [...(event?.dataTransfer?.files ?? [])];
        const ours = files.filter((file) => kinds.some((kind) => file.name.toLowerCase().endsWith(kind)));
        if (ours.length) take(this, ours);
        return ours.length > 0;
      };
      return result;
    };
  },
});
