"""The scenes of the other half of the help pages: arranging, restoring, editing by words, files (see help_scenes)."""

from __future__ import annotations

from typing import Any

from .help_scenes import POSTER, Graph, Scene, node, sheet, stack, taken_apart

ORDER = "background, discs = yellow circle + red circle, title = text"

TRUE_LAYERS = "background, yellow circle, red circle, white rectangle"

DEEP_BLUE = "Paint it in deep blue, with a fine golden pattern."
"""As in the workflow edit_layer_by_words."""

EDIT_FILES = {
    "transformer": "qwen_image_edit_2511_bf16.safetensors",
    "text_encoder": "qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "vae": "qwen_image_vae.safetensors",
}

FILES = (
    "diffusion_models/qwen_image_edit_2511_bf16.safetensors",
    "vae/qwen_image_vae.safetensors",
)
"""Files in ComfyUI's models folder that nodes offer, beside those of help_scenes."""

SAVED = "help/poster_00001_.psd"
"""What Export Layers writes at its first run with the prefix help/poster."""

UPLOAD = """async (saved) => {
  const [subfolder, filename] = saved.split("/");
  const file = await app.api.fetchApi(`/view?type=output&subfolder=${subfolder}&filename=${filename}`);
  const form = new FormData();
  form.append("image", await file.blob(), "poster.psd");
  await app.api.fetchApi("/upload/image", { method: "POST", body: form });
}"""
"""Brings a file of the output folder into the input folder, as the button "Upload layers" brings one from the disk."""


def edit_model(title: str = "") -> dict[str, Any]:
    """Load Edit Model, set up as in the workflow edit_layer_by_words."""
    files = {f"source__{part}": file for part, file in EDIT_FILES.items()}
    rest = {"edition": "auto", "loras": "", "memory": "auto", "attention": "default", "compile": False}
    more = {f"source__{name}": value for name, value in rest.items()}
    return node("LoadEditModel", title, source="ComfyUI files", **files, **more, source__first_block_cache=0)


def asked(instruction: str) -> dict[str, Any]:
    """What Edit Layer and Edit Image are asked; 40 steps and a guidance of 4 are the model's usual ones."""
    usual = {"variants": 1, "seed": 0, "steps": 40, "true_cfg_scale": 4.0, "negative_prompt": " "}
    return {"instruction": instruction, **usual, "picture_urls": "", "schedule": "default"}


def studio() -> dict[str, Any]:
    given = {"model": "qwen-image-edit-plus", "region": "Singapore", "key_file": "", "base_url": "", "size": "auto"}
    more = {f"source__{name}": value for name, value in given.items()}
    switches = {"source__prompt_extend": True, "source__watermark": False}
    return node("LoadEditModel", source="Model Studio", **more, **switches)


def arranged() -> Graph:
    return taken_apart() | {
        "before": sheet("apart", "Before"),
        "arranged": node("ArrangeLayers", **stack("apart"), order=ORDER),
        "after": sheet("arranged", "After"),
    }


def documented() -> Graph:
    """A stack, a LAYERS document of it, and a stack of that."""
    return taken_apart(layers=6) | {
        "before": sheet("apart", "Before"),
        "document": node("LayersToDocument", **stack("apart")),
        "again": node("DocumentToLayers", document=("document", 0), hidden="leave out"),
        "after": sheet("again", "After"),
    }


def scored() -> Graph:
    """Layers are flattened and taken apart again; what comes out is measured against those that went in."""
    return taken_apart() | {
        "true": node("ArrangeLayers", **stack("apart"), order=TRUE_LAYERS),
        "flat": node("CompositeLayers", layers=("true", 0)),
        "found": node("DecomposeToLayers", model=("model", 0), image=("flat", 0), layers=4),
        "see found": sheet("found", "Layers to judge"),
        "score": node("LayerScore", layers=("found", 0), truth=("true", 0), merges=0),
        "report": node("PreviewAny", "Report", source=("score", 0)),
    }


def saved() -> Graph:
    """Writes the Photoshop file that Load Layers reads afterwards; "load" and "sheet" only hold their places."""
    return taken_apart() | {
        "load": node("ExportLayers", **stack("apart"), format="PSD", filename_prefix="help/poster"),
        "sheet": sheet("apart"),
    }


def load_saved(page: Any) -> None:
    """The file comes into the input folder, and Load Layers reads it."""
    from comfy_browser import run

    page.evaluate(UPLOAD, SAVED)
    source = {"source": "file", "source__file": "poster.psd"}
    graph = {
        "load": node("LoadLayers", **source, hidden="leave out", unsupported="refuse"),
        "sheet": sheet("load"),
    }
    page.evaluate("graph => app.loadApiJson(graph, 'help')", graph)
    page.wait_for_timeout(500)
    run(page)


def native() -> Graph:
    files = {
        "model": node("UNETLoader", unet_name="qwen_image_layered_bf16.safetensors", weight_dtype="default"),
        "clip": node("CLIPLoader", clip_name="qwen_2.5_vl_7b_fp8_scaled.safetensors", type="qwen_image"),
        "vae": node("VAELoader", vae_name="qwen_image_layered_vae.safetensors"),
    }
    texts = {"prompt": "", "negative_prompt": " ", "resolution": "640"}
    sampling = {"steps": 20, "cfg": 2.5, "sampler": "euler", "scheduler": "simple", "shift": 0.0}
    links = {name: (name, 0) for name in files}
    return files | {"native": node("NativeLayeredModel", **links, **texts, **sampling, makes="all layers")}


def restored() -> Graph:
    """The picture is taken apart at half its size, and its layers are brought to the whole one."""
    half = node("ImageScale", image=("picture", 0), upscale_method="lanczos", width=450, height=600, crop="disabled")
    apart = taken_apart()
    apart["apart"]["inputs"]["image"] = ["half", 0]
    restore = node("RestoreLayers", **stack("apart"), original=("picture", 0), restores="alpha and colours")
    return apart | {
        "half": half,
        "restored": restore,
        "report": node("PreviewAny", "Report", source=("restored", 3)),
    }


SCENES: dict[str, Scene] = {
    "ArrangeLayers": Scene(arranged(), (("before", 520, 790), ("arranged", 470, 0), ("after", 400, 690))),
    "DocumentToLayers": Scene(documented(), (("again", 330, 0), ("after", 520, 790))),
    "EditImage": Scene(
        {
            "picture": node("LoadImage", image=POSTER),
            "model": edit_model(),
            "edit": node("EditImage", edit_model=("model", 0), image=("picture", 0), **asked("make it winter")),
        },
        (("picture", 300, 420), ("model", 420, 0), ("edit", 420, 0)),
        runs=False,
    ),
    "EditLayer": Scene(
        taken_apart()
        | {
            "model": edit_model(),
            "edit": node(
                "EditLayer",
                edit_model=("model", 0),
                **stack("apart"),
                index="red circle",
                alpha="auto",
                behind=False,
                **asked(DEEP_BLUE),
            ),
        },
        (("apart", 330, 0), ("model", 420, 0), ("edit", 420, 0)),
        runs=False,
    ),
    "LayersToDocument": Scene(documented(), (("before", 520, 790), ("document", 260, 0), ("again", 260, 0))),
    "LayerScore": Scene(scored(), (("see found", 520, 620), ("score", 280, 0), ("report", 460, 330))),
    "LoadEditModel": Scene(
        {"files": edit_model(), "studio": studio()}, (("files", 460, 0), ("studio", 420, 0)), runs=False
    ),
    "LoadLayers": Scene(saved(), (("load", 360, 0), ("sheet", 520, 790)), then=load_saved),
    "NativeLayeredModel": Scene(
        native(), (("model", 320, 0), ("clip", 320, 0), ("vae", 320, 0), ("native", 400, 0)), runs=False
    ),
    "RestoreLayers": Scene(restored(), (("restored", 560, 700), ("report", 440, 260))),
}
