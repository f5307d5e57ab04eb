"""Layers out of ComfyUI as files and back into it: on a real server, checked by value."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen
from uuid import uuid4

import numpy as np
import pytest
from comfy_client import Client, Graph, Refused
from comfy_graphs import flat, node, saving, stack_of
from comfy_pictures import clear_black, read, slides
from comfy_server import Server
from PIL import Image
from pptx import Presentation
from psd_tools import PSDImage

from qil_core.files.registry import FORMATS

NAMES = "all\n背景\ngirl/hair 👗\ngirl/dress\neither\\/or"
MODES = "normal\nnormal\nmultiply\nnormal\nscreen"


def exported(kind: str, **more: Any) -> Graph:
    """Node "export" writes the five frames of node "stack"."""
    inputs = {"filename_prefix": "test/files", "format": kind, "names": NAMES, "modes": MODES}
    dpi = {"format__dpi": 300.0} if kind in ("PSD", "OpenRaster", "PowerPoint") else {}
    return stack_of("example.png") | {"export": node("ExportLayers", layers=["stack", 0], **inputs, **dpi, **more)}


def put(server: Server, data: bytes, name: str) -> str:
    """Put a file into the input folder."""
    (server.base / "input" / name).write_bytes(data)
    return name


def loaded(file: str, hidden: str = "leave out") -> Graph:
    return {
        "load": node("LoadLayers", source="file", source__file=file, hidden=hidden),
        "names": node("PreviewAny", source=["load", 1]),
        "modes": node("PreviewAny", source=["load", 2]),
        "width": node("PreviewAny", source=["load", 3]),
    }


def text(client: Client, graph: Graph, *keys: str) -> tuple[Any, list[str]]:
    run = client.succeed(graph)
    return run, [run.output(key)["text"][0] for key in keys]


@pytest.mark.parametrize(("kind", "suffix"), [("PSD", ".psd"), ("OpenRaster", ".ora"), ("ZIP", ".zip")])
def test_what_is_exported_is_loaded_again_exactly(client: Client, server: Server, kind: str, suffix: str) -> None:
    run = client.succeed(saving(exported(kind), before=["stack", 0]))
    (file,) = run.output("export")["files"]
    assert file["filename"].endswith(f"_{suffix}")
    before = client.pictures(run, "before")
    name = put(server, client.view(file), f"again{suffix}")
    run, (names, modes, width) = text(client, saving(loaded(name), after=["load", 0]), "names", "modes", "width")
    assert np.array_equal(clear_black(client.pictures(run, "after")), clear_black(before))
    assert (names, modes, width) == (NAMES, MODES, "480")


def test_what_layers_cannot_show_is_skipped_and_named_in_the_notes(client: Client, server: Server) -> None:
    """An OpenRaster file with a text layer, as some programs write it."""
    picture = io.BytesIO()
    Image.new("RGBA", (8, 8), (10, 20, 30, 255)).save(picture, "PNG")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        xml = '<image w="8" h="8"><stack><text name="title"/><layer name="ground" src="a"/></stack></image>'
        for name, data in {"stack.xml": xml.encode(), "a": picture.getvalue()}.items():
            out.writestr(name, data)
    graph = loaded(put(server, buffer.getvalue(), "text.ora"))
    assert '"title" is a text, not a layer of pixels' in client.run(graph).error
    graph["load"]["inputs"]["unsupported"] = "skip and say so"
    graph["notes"] = node("PreviewAny", source=["load", 5])
    _, (names, notes) = text(client, graph, "names", "notes")
    assert (names, notes) == ("ground", '"title" is a text, not a layer of pixels: left out')


def test_a_psd_has_the_dpi_and_groups_that_were_asked_for(client: Client) -> None:
    (file,) = client.succeed(exported("PSD")).output("export")["files"]
    document = PSDImage.open(io.BytesIO(client.view(file)))
    assert [layer.name for layer in document] == ["all", "背景", "girl", "either/or"]
    assert document.image_resources.get_data(1005).horizontal == 300 << 16


def test_png_files_lie_in_a_folder_of_their_own(client: Client, server: Server) -> None:
    run = client.succeed(exported("PNG files") | {"path": node("PreviewAny", source=["export", 0])})
    folder = Path(run.output("path")["text"][0])
    assert folder.is_relative_to(server.base / "output" / "test")
    assert sorted(p.suffix for p in folder.iterdir()) == [".json"] + [".png"] * 5
    assert "files" not in run.output("export") or not run.output("export")["files"]


def test_the_preview_is_the_composite(client: Client) -> None:
    graph = exported("PSD")
    modes = {"blend": "each layer", "blend.modes": MODES}
    graph["flat"] = node("CompositeLayers", layers=["stack", 0], **flat() | modes)
    run = client.succeed(saving(graph, image=["flat", 2]))
    assert np.array_equal(client.picture(run.output("export")["images"][0]), client.pictures(run, "image")[0])


def test_several_pngs_make_a_stack_named_after_them(client: Client, server: Server) -> None:
    graph: Graph = {
        "load": node("LoadLayers", source="several PNGs", source__files="example.png\nsecond.png", hidden="leave out"),
        "names": node("PreviewAny", source=["load", 1]),
    }
    run, (names,) = text(client, saving(graph, layers=["load", 0]), "names")
    assert names == "example\nsecond"
    layers = client.pictures(run, "layers")
    assert np.array_equal(layers[1][..., :3], read(server.base / "input" / "second.png"))


def test_an_uploaded_psd_is_found_at_once(client: Client, server: Server) -> None:
    (file,) = client.succeed(exported("PSD")).output("export")["files"]
    boundary, data = uuid4().hex, client.view(file)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="fresh.psd"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urlopen(Request(f"{server.url}/upload/image", body, kind), timeout=30) as answer:
        assert b"fresh.psd" in answer.read()
    _, (names,) = text(client, loaded("fresh.psd"), "names")
    assert names == NAMES
    options = client.get_json("/object_info/LoadLayers")["LoadLayers"]["input"]["required"]["source"][1]["options"]
    assert "fresh.psd" in options[0]["inputs"]["required"]["file"][1]["options"]


def test_a_changed_file_is_read_again(client: Client, server: Server) -> None:
    for color in ((255, 0, 0), (0, 0, 255)):
        Image.new("RGB", (3, 2), color).save(server.base / "input" / "change.png")
        run = client.succeed(saving(loaded("change.png"), layer=["load", 0]))
        assert client.pictures(run, "layer")[0, 0, 0].tolist() == [*color, 255]


def test_a_changed_file_in_a_folder_is_read_again(client: Client, server: Server) -> None:
    folder = server.base / "input" / "folder of pngs"
    folder.mkdir()
    for color in ((255, 0, 0), (0, 0, 255)):
        for name in ("1 below.png", "10 above.png", "2 between.png"):
            Image.new("RGB", (3, 2), color if name.startswith("2") else 0).save(folder / name)
        run, (names,) = text(client, saving(loaded("folder of pngs"), layer=["load", 0]), "names")
        assert names == "below\nbetween\nabove"
        assert client.pictures(run, "layer")[1, 0, 0].tolist() == [*color, 255]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "none.psd", "../base/server.log"])
def test_a_file_elsewhere_is_refused_before_the_run(client: Client, name: str) -> None:
    with pytest.raises(Refused, match="upload"):
        client.run(loaded(name))


def test_a_broken_file_says_what_is_wrong_with_it(client: Client, server: Server) -> None:
    put(server, b"8BPS" + bytes(40), "broken.psd")
    run = client.run(loaded("broken.psd"))
    assert run.end == "execution_error"
    assert "broken.psd: it has version 0" in run.error


def test_a_zip_that_points_out_of_itself_writes_nothing(client: Client, server: Server) -> None:
    with zipfile.ZipFile(server.base / "input" / "evil.zip", "w") as archive:
        archive.writestr("../../evil.png", b"x")
    run = client.run(loaded("evil.zip"))
    assert "out of the archive" in run.error
    assert not list(server.base.parent.rglob("evil.png"))


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("../../escaped", "leaves ComfyUI's output folder"),
        (".", "names a hidden file"),
        ("test/.escaped", "names a hidden file"),
        ("", "holds no file name"),
    ],
)
@pytest.mark.parametrize("kind", ["PSD", "PNG files", "deck"])
def test_a_prefix_that_names_no_file_of_the_output_folder_is_refused_before_the_run(
    client: Client, server: Server, kind: str, prefix: str, message: str
) -> None:
    deck = node("ExportPPTX", layers=["stack", 0], filename_prefix="", dpi=96.0)
    graph = stack_of("example.png") | {"export": deck} if kind == "deck" else exported(kind)
    graph["export"]["inputs"]["filename_prefix"] = prefix
    with pytest.raises(Refused, match=message):
        client.run(graph)
    assert not list(server.base.parent.rglob("*escaped*"))


def test_layers_are_offered_in_every_format_there_is(client: Client) -> None:
    options = client.get_json("/object_info/ExportLayers")["ExportLayers"]["input"]["required"]["format"][1]["options"]
    assert [option["key"] for option in options] == [format.name for format in FORMATS.values()]
    bounds = {option["key"]: option["inputs"].get("required", {}).get("dpi") for option in options}
    usual = {key: (dpi[1]["default"], dpi[1]["min"], dpi[1]["max"]) for key, dpi in bounds.items() if dpi}
    assert usual == {format.name: tuple(format.dpi) for format in FORMATS.values() if format.dpi}


def test_layers_become_a_deck_of_one_slide(client: Client) -> None:
    graph = exported("PowerPoint")
    graph["export"]["inputs"]["modes"] = ""
    (file,) = client.succeed(graph).output("export")["files"]
    (slide,) = slides(client.view(file))
    assert slide.names == ["all", "背景", "girl/hair 👗", "girl/dress", "either/or"]


def test_a_mode_that_the_format_lacks_is_named(client: Client) -> None:
    graph = exported("OpenRaster")
    graph["export"]["inputs"]["modes"] = "normal\nnormal\nnormal\nnormal\nvivid-light"
    assert 'OpenRaster has no blend mode "vivid-light"' in client.run(graph).error


# --- ComfyUI's own document


def test_a_stack_becomes_a_document_and_comes_back_exactly(client: Client) -> None:
    graph = stack_of("example.png") | {
        "to": node("LayersToDocument", layers=["stack", 0], names=NAMES, modes=MODES),
        "from": node("DocumentToLayers", document=["to", 0], hidden="keep"),
        "names": node("PreviewAny", source=["from", 1]),
        "modes": node("PreviewAny", source=["from", 2]),
    }
    run, (names, modes) = text(client, saving(graph, before=["stack", 0], after=["from", 0]), "names", "modes")
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    assert np.array_equal(clear_black(before), clear_black(after))
    assert (names, modes) == (NAMES, MODES)


def test_comfyuis_own_layers_come_in_where_comfyui_has_them(client: Client) -> None:
    known = client.get_json("/object_info")
    if "AddLayer" not in known:
        pytest.skip("this ComfyUI has no LAYERS document (it came after 0.29)")
    graph: Graph = {
        "picture": node("LoadImage", image="example.png"),
        "add": node("AddLayer", image=["picture", 0], name="disc", x=7, y=5, rotation=180.0),
        "from": node("DocumentToLayers", document=["add", 0], hidden="keep"),
    }
    run = client.succeed(saving(graph, layers=["from", 0]))
    (layer,) = client.pictures(run, "layers")
    assert layer.shape == (325, 487, 4)


# --- PowerPoint


def test_a_build_up_deck_has_a_slide_for_every_layer_notes_and_the_hidden_original(client: Client) -> None:
    inputs = {"filename_prefix": "test/build", "dpi": 96.0, "slides": "build-up", "names": NAMES, "notes": "measured"}
    graph = stack_of("example.png") | {
        "deck": node("ExportPPTX", layers=["stack", 0], original=["picture", 0], **inputs),
        "report": node("PreviewAny", source=["deck", 1]),
    }
    run, (report,) = text(client, graph, "report")
    data = client.view(run.output("deck")["files"][0])
    found = Presentation(io.BytesIO(data)).slides
    assert [len(slide.names) for slide in slides(data)] == [2, 3, 4, 5, 6]
    assert "5 slides" in report
    for slide in found:
        first = slide.shapes[0]
        assert (first.name, first._element.nvPicPr.cNvPr.get("hidden")) == ("original", "1")
        assert slide.notes_slide.notes_text_frame.text.startswith("measured\n")


def test_the_download_of_a_name_in_any_script_works(client: Client) -> None:
    graph = exported("PSD")
    graph["export"]["inputs"]["filename_prefix"] = "test/图层"
    (file,) = client.succeed(graph).output("export")["files"]
    assert quote(file["filename"]).startswith("%E5%9B%BE")
    assert client.view(file)[:4] == b"8BPS"
