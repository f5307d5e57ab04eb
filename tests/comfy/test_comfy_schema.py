"""What ComfyUI knows about the package once it is loaded."""

from __future__ import annotations

import io
import re
import subprocess
import textwrap
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from comfy_client import Client
from comfy_graphs import NODES, TITLES
from comfy_server import PACK, Server
from finder import REPO, Checkout
from PIL import Image

HEAVY = ("cv2", "pptx", "psd_tools", "diffusers", "accelerate", "lxml")


@pytest.fixture(scope="module")
def schemas(client: Client) -> dict[str, Any]:
    return {key: value for key, value in client.get_json("/object_info").items() if _is_ours(value)}


def _is_ours(schema: dict[str, Any]) -> bool:
    return bool(schema["python_module"] == f"custom_nodes.{PACK}")


def every_input(inputs: dict[str, dict[str, list[Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and options of all inputs, those inside dynamic combos too."""
    for group in (inputs.get("required", {}), inputs.get("optional", {})):
        for name, (_, *rest) in group.items():
            options = rest[0] if rest else {}
            yield name, options
            for choice in options.get("options", []):
                if isinstance(choice, dict):
                    yield from every_input(choice["inputs"])


def test_exactly_these_nodes_are_there(schemas: dict[str, Any]) -> None:
    assert set(schemas) == NODES


@pytest.mark.parametrize("name", sorted(NODES))
def test_every_input_and_output_of_a_node_has_a_tooltip(schemas: dict[str, Any], name: str) -> None:
    schema = schemas[name]
    assert not [key for key, options in every_input(schema["input"]) if not options.get("tooltip")]
    assert len(schema["output_tooltips"]) == len(schema["output"])
    assert all(schema["output_tooltips"])


RENAMED = {"MasksToLayers": "layersfrommasks"}
"""Nodes that are called otherwise than their ids, which stand in workflows."""


@pytest.mark.parametrize("name", sorted(NODES))
def test_a_node_can_be_found_and_says_what_it_does(schemas: dict[str, Any], name: str) -> None:
    schema = schemas[name]
    assert schema["search_aliases"]
    assert schema["description"].endswith(".")
    assert schema["category"] == "image/layers"
    assert schema["display_name"].replace(" ", "").lower() == RENAMED.get(name, name.lower())


@pytest.mark.parametrize("name", sorted(NODES))
def test_the_help_page_of_a_node_names_every_input_and_output(
    schemas: dict[str, Any], client: Client, name: str
) -> None:
    page = client.get(f"/extensions/{PACK}/docs/{name}.md").decode()
    assert page.startswith(f"# {schemas[name]['display_name']}\n")
    words = [key for key, _ in every_input(schemas[name]["input"])] + schemas[name]["output_name"]
    assert not [word for word in words if word not in page]


def test_the_front_end_code_is_offered(client: Client) -> None:
    assert f"/extensions/{PACK}/layers.js" in client.get_json("/extensions")


def test_the_workflows_are_offered_as_templates_with_small_thumbnails(client: Client) -> None:
    assert sorted(client.get_json("/workflow_templates")[PACK]) == TITLES
    for title in TITLES:
        thumbnail = client.get(f"/api/workflow_templates/{PACK}/{quote(title)}.jpg")
        assert len(thumbnail) <= 60 * 1024
        assert Image.open(io.BytesIO(thumbnail)).format == "JPEG"


def test_the_server_starts_without_a_complaint_about_the_package(server: Server) -> None:
    log = server.log.read_text(errors="replace").split("Starting server")[0].splitlines()
    about_us = [line for line in log if PACK in line or str(REPO) in line]
    assert about_us, "the import time of the package"
    assert not [line for line in about_us if re.search("fail|error|cannot|warn", line, re.IGNORECASE)]


def test_loading_the_package_imports_no_heavy_library(checkout: Checkout) -> None:
    """Compared with ComfyUI's own modules, which are loaded first."""
    code = textwrap.dedent(f"""
        import sys, asyncio, importlib.util
        import comfy.options
        comfy.options.enable_args_parsing()
        import comfy.model_management, comfy.utils, folder_paths
        from comfy_api.latest import io, ui
        before = set(sys.modules)
        where = {{"submodule_search_locations": [{str(REPO)!r}]}}
        spec = importlib.util.spec_from_file_location("an-odd name", {str(REPO / "__init__.py")!r}, **where)
        package = sys.modules["an-odd name"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(package)
        nodes = asyncio.run(asyncio.run(package.comfy_entrypoint()).get_node_list())
        new = {{name.split(".")[0] for name in set(sys.modules) - before}}
        print(len(nodes), *sorted(new & set({HEAVY})))
    """)
    command = [str(checkout.python), "-c", code, "--cpu"]
    done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
    assert done.stdout.split() == [str(len(NODES))], done.stderr[-2000:]


@pytest.mark.parametrize(
    ("typed", "node"),
    [
        ("remove background", "DecomposeToLayers"),
        ("separate objects", "DecomposeToLayers"),
        ("segment", "DecomposeToLayers"),
        ("transparent", "DecomposeToLayers"),
        ("hide layer", "ArrangeLayers"),
        ("delete layer", "ArrangeLayers"),
        ("rename layer", "ArrangeLayers"),
        ("merge", "CompositeLayers"),
        ("flatten", "CompositeLayers"),
        ("change color", "RecolorLayer"),
        ("edit text", "EditLayer"),
    ],
)
def test_a_node_is_found_by_what_people_want_to_do(client: Client, typed: str, node: str) -> None:
    assert typed in client.get_json(f"/object_info/{node}")[node]["search_aliases"]
