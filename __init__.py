"""Qwen-Image-Layered for ComfyUI: pictures taken apart into RGBA layers, edited, composited and exported."""

from comfy_api.latest import ComfyExtension, io

from .nodes.compose import CompositeLayers, PreviewLayers
from .nodes.decompose import DecomposeToLayers, SplitLayer
from .nodes.document import DocumentToLayers, LayersToDocument
from .nodes.edit import ArrangeLayers, RecolorLayer, TransformLayer
from .nodes.edit_words import EditImage, EditLayer
from .nodes.export import ExportLayers, ExportPPTX
from .nodes.files import LoadLayers
from .nodes.layer_editor import LayerEditor
from .nodes.load import LoadLayeredModel
from .nodes.load_edit import LoadEditModel
from .nodes.masks import MasksToLayers
from .nodes.measure import LayerScore
from .nodes.native import NativeLayeredModel
from .nodes.pictures import put_examples
from .nodes.restore import RestoreLayers

WEB_DIRECTORY = "./web"


class LayeredExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            LoadLayeredModel,
            NativeLayeredModel,
            DecomposeToLayers,
            SplitLayer,
            MasksToLayers,
            RestoreLayers,
            TransformLayer,
            RecolorLayer,
            ArrangeLayers,
            LoadEditModel,
            EditLayer,
            EditImage,
            LayerEditor,
            CompositeLayers,
            PreviewLayers,
            LayerScore,
            ExportPPTX,
            ExportLayers,
            LoadLayers,
            LayersToDocument,
            DocumentToLayers,
        ]


async def comfy_entrypoint() -> LayeredExtension:
    put_examples()
    return LayeredExtension()
