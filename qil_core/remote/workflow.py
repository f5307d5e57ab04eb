"""A workflow file: its form, its nodes by id or title, and where values go.

ComfyUI has two forms. The API form, which servers run, maps a node's id to its class and inputs. The UI form, which
the editor saves, lists nodes with their places on the screen and their widgets' values without names; only the editor,
or a server with an extension for it, can turn it into the API form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import QilError
from ..text import quoted
from .schema import dicts

Graph = dict[str, dict[str, Any]]
"""The API form: node id -> class_type and inputs."""

Convert = Callable[[Mapping[str, Any]], Any]
"""Gives the API form of a UI form; None where no server can."""

MAX_BYTES = 64_000_000
"""Of a workflow file; the largest shared ones have a few MB."""

MAX_LISTED = 40
"""Nodes that an error lists."""

SEEDS = ("seed", "noise_seed")
"""Names under which ComfyUI's nodes take a seed."""


class Slot(NamedTuple):
    """An input of a node."""

    node: str
    input: str


class Workflow:
    """A graph in API form and what it is called by."""

    def __init__(self, graph: Graph, path: Path, ui: Mapping[str, Any] | None = None) -> None:
        """ui: the UI form that the graph was made of, where it was."""
        self.graph, self.path = graph, path
        self._packages = dict(_packages(ui)) if ui else {}

    def digest(self) -> str:
        """SHA-256 of what the graph computes: classes and inputs, without titles."""
        return digest_of(self.graph)

    def classes(self) -> dict[str, str]:
        """The class of each node by its id."""
        return {key: node["class_type"] for key, node in self.graph.items()}

    def package(self, class_type: str) -> str:
        """The package that a class came from when the workflow was saved; empty where the file does not say it."""
        return self._packages.get(class_type, "")

    def title(self, node: str) -> str:
        """What the editor shows above a node; the class of one without a title."""
        meta = self.graph[node].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return str(title or self.graph[node]["class_type"])

    def label(self, node: str) -> str:
        """A node as an error names it."""
        return f"{node} ({self.title(node)})"

    def slot(self, text: str) -> Slot:
        """The input that "6.text" or "Your picture.image" names. Raises QilError: no such node, or several.

        Titles and inputs may have dots in them: the longest beginning that is an id or a title is the node. An id
        goes before a title.
        """
        for head, tail in _splits(text):
            if head in self.graph:
                return Slot(head, tail)
            if nodes := [node for node in self.graph if self.title(node) == head]:
                return Slot(self._one(head, nodes), tail)
        if "." not in text:
            raise QilError(f"{quoted(text)} names no input. Write NODE.INPUT, such as 6.text or Your picture.image.")
        raise QilError(f"{quoted(text)} names no node of {self.path.name}. It has: {self._nodes()}.")

    def seeds(self, graph: Graph) -> dict[str, int]:
        """The seeds of a graph that was made of this workflow, by "id.input"."""
        inputs = ((f"{key}.{name}", node["inputs"].get(name)) for key, node in graph.items() for name in SEEDS)
        return {slot: value for slot, value in inputs if isinstance(value, int)}

    def _one(self, title: str, nodes: list[str]) -> str:
        if len(nodes) > 1:
            raise QilError(f"{len(nodes)} nodes are titled {quoted(title)}: use an id instead: {', '.join(nodes)}.")
        return nodes[0]

    def _nodes(self) -> str:
        labels = [self.label(node) for node in self.graph]
        more = len(labels) - MAX_LISTED
        return ", ".join(labels[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def digest_of(graph: Graph) -> str:
    """SHA-256 of a graph's classes and inputs."""
    plain = {key: [node["class_type"], node["inputs"]] for key, node in graph.items()}
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_workflow(path: Path, convert: Convert) -> Workflow:
    """Read a file in either form. Raises QilError: no workflow, or a UI form that no server converts."""
    data = _read(path)
    if not _is_ui(data):
        return Workflow(_checked(data, path), path)
    converted = convert(data)
    if converted is None:
        raise QilError(_how_to_export(path))
    return Workflow(_checked(converted, path), path, data)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise QilError(f"{path} is larger than {MAX_BYTES / 1e6:g} MB: that is no workflow.")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise QilError(f"The workflow {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise QilError(f"{path} is no JSON ({error}). Give a workflow that was exported from ComfyUI.") from None
    if not isinstance(data, dict):
        raise QilError(f"{path} holds no workflow: JSON of one has braces around it.")
    return data


def _is_ui(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("nodes"), list)


def _how_to_export(path: Path) -> str:
    twin = path.parent / "api" / f"{path.stem.lower().replace(' ', '_')}.json"
    known = f" {twin} is there already: use that one." if twin.is_file() else ""
    return (
        f"{path} is in the form that ComfyUI's editor saves, and servers run the API form. Open it in ComfyUI and "
        f"choose Workflow > Export (API).{known}"
    )


def _checked(data: Any, path: Path) -> Graph:
    """A graph whose nodes have a class and inputs. Raises QilError."""
    if not isinstance(data, dict) or not data:
        raise QilError(f"{path} holds no nodes.")
    for key, node in data.items():
        sound = isinstance(node, dict) and isinstance(node.get("class_type"), str)
        if not sound or not isinstance(node.setdefault("inputs", {}), dict):
            raise QilError(
                f"{path} is no workflow in API form: {quoted(key)} is no node with a class_type and inputs. "
                "Export it again with ComfyUI's Workflow > Export (API)."
            )
    check_sendable(data, str(path))
    return data


def check_sendable(value: Any, name: str) -> None:
    """Raises QilError for what JSON in UTF-8 cannot hold: halves of surrogate pairs, NaN and infinity.

    The first would end the thread in which ComfyUI does its prompts, as soon as it logs them.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        raise QilError(f"{name} holds what cannot be sent as JSON: {error}.") from None


def _splits(text: str) -> Iterator[tuple[str, str]]:
    """The text before and after each of its dots, the longest beginning first."""
    at = len(text)
    while (at := text.rfind(".", 0, at)) > 0:
        if tail := text[at + 1 :]:
            yield text[:at], tail


def _packages(ui: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Class and package of the nodes of a UI form, of those in its subgraphs too, where they were noted."""
    definitions = ui.get("definitions")
    subgraphs = dicts(definitions.get("subgraphs")) if isinstance(definitions, dict) else []
    for node in (node for part in (ui, *subgraphs) for node in dicts(part.get("nodes"))):
        properties = node.get("properties")
        if isinstance(properties, dict) and (name := properties.get("cnr_id") or properties.get("aux_id")):
            yield str(node.get("type")), str(name)
