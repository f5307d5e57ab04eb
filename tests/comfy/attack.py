"""Run by test_comfy_attack.py in ComfyUI's Python, inside one process: every input of every node gets what is wrong.

The cases are made from the nodes' schemas, so that a new node is attacked by itself. Each is a prompt that goes through
ComfyUI's own validation and executor, once with the value typed in and once with it coming over a link. Prints, as
JSON, how often each outcome came, and the cases that ended in another way than they may:
refused in validation, a QilError whose text is printable and says what is wrong, or success, each soon.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

REPO = Path(__file__).resolve().parents[2]
PACKAGE = str(REPO).replace(".", "_x_")
"""How ComfyUI calls the module of a folder."""
NOBODY = "http://127.0.0.1:9"
parser = argparse.ArgumentParser()
parser.add_argument("checkout")
parser.add_argument("nodes", nargs="*", help="only these")
arguments = parser.parse_args()
base = tempfile.TemporaryDirectory()
sys.path.insert(0, arguments.checkout)
sys.argv = [sys.argv[0], "--cpu", "--base-directory", base.name]
os.environ |= dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), NOBODY)
os.environ |= {"HF_HUB_OFFLINE": "1", "DASHSCOPE_API_KEY": "sk-0123456789abcdef0123456789abcdef"}
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import app.logger  # noqa: E402

app.logger.setup_logger(
    file_outputs=[("ERROR", os.path.join(base.name, "log"))]
)  # the wrapper that a lone surrogate kills
import execution  # noqa: E402
import torch  # noqa: E402
from attack_values import SIDE, TYPED, right_values, stack, wrong_links, wrong_values  # noqa: E402
from comfy_api.latest import io  # noqa: E402
from PIL import Image  # noqa: E402

import nodes  # noqa: E402

execution.format_value = lambda value: None  # inputs of failed nodes as text: slower than everything else together

PATIENCE = 30.0
"""Seconds that a case may take, on a busy machine too. Work that nothing bounds takes minutes."""

HELPFUL = (
    *("expect", "must", "give", "use ", "write", "choose", "link", "restore", "needs", "try again", "upload"),
    *("at most", "the node before", "is empty"),
)
"""One of these is in a message that does not name the input: it says what was expected, or what to do."""


class Case(NamedTuple):
    """One input of a node in one setting of its dynamic combos, and what is wrong with it; `...` leaves it out."""

    node: str
    setting: dict[str, Any]
    at: str
    what: str
    value: Any
    linked: bool

    def prompt(self) -> dict[str, Any]:
        value = link("wrong", self.value) if self.linked else self.value
        inputs = {key: each for key, each in {**self.setting, self.at: value}.items() if each is not ...}
        return prompt(self.node, inputs)

    def __str__(self) -> str:
        return f"{self.node}.{self.at} {'linked' if self.linked else 'typed'} {self.what}"


class Give(io.ComfyNode):
    """Any value at all, on a socket that fits everywhere."""

    values: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema("Give", inputs=[io.String.Input("key")], outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, key: str) -> io.NodeOutput:
        return io.NodeOutput(cls.values[key])


def link(key: str, value: Any) -> list[Any]:
    """A link to a node that gives the value."""
    Give.values[key] = value
    return [f"give {key}", 0]


def prompt(node: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """A graph of one of our nodes, with what its links need and somebody who wants its output."""
    graph = {f"give {key}": {"class_type": "Give", "inputs": {"key": key}} for key in Give.values}
    graph["node"] = {"class_type": node, "inputs": inputs}
    if not nodes.NODE_CLASS_MAPPINGS[node].OUTPUT_NODE:
        graph["see"] = {"class_type": "PreviewAny", "inputs": {"source": ["node", 0]}}
    return graph


class Schemas:
    """Inputs of nodes, in every setting of their dynamic combos, with values that are right."""

    def __init__(self, right: dict[str, Any]) -> None:
        self.right = right

    def good(self, item: Any) -> Any:
        if isinstance(item, io.Combo.Input):
            return item.options[0]
        if isinstance(item, io.MultiType.Input):
            return self.good(item.input_override)
        if isinstance(item, io.WidgetInput) and item.io_type not in self.right:
            return TYPED.get(item.id, item.default)
        key = item.id if item.id in self.right else item.io_type
        return link(key, self.right[key])

    def settings(self, inputs: list[Any]) -> Iterator[dict[str, Any]]:
        """All inputs, optional ones too: once with all first options, and once for every other option."""
        combos = [item for item in inputs if isinstance(item, io.DynamicCombo.Input)]
        plain = {item.id: self.good(item) for item in inputs if item not in combos}
        first = {key: value for item in combos for key, value in self.chosen(item, item.options[0]).items()}
        yield {**plain, **first}
        for item in combos:
            yield from ({**plain, **first, **self.chosen(item, option)} for option in item.options[1:])

    def chosen(self, item: Any, option: Any) -> dict[str, Any]:
        return {item.id: option.key, **{f"{item.id}.{each.id}": self.good(each) for each in option.inputs}}

    def cases(self, node: str, inputs: list[Any]) -> Iterator[Case]:
        """Each input alone goes wrong; what a setting shares with one before is not attacked again."""
        seen: set[str] = set()
        for setting in self.settings(inputs):
            fresh = [(name, item) for name, item in every_input(inputs, setting) if name not in seen]
            seen |= {name for name, _ in fresh}
            for name, item in fresh:
                yield Case(node, setting, name, "missing", ..., False)
                yield from (Case(node, setting, name, what, value, False) for what, value in wrong_values(item))
                yield from (Case(node, setting, name, what, value, True) for what, value in wrong_links(item))


def every_input(inputs: list[Any], setting: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names, dotted where they are nested, and schemas of the inputs that are there in a setting."""
    for item in inputs:
        yield item.id, item
        for option in item.options if isinstance(item, io.DynamicCombo.Input) else ():
            if option.key == setting[item.id]:
                yield from ((f"{item.id}.{each.id}", each) for each in option.inputs)


class Outcome(NamedTuple):
    """success, refused (in validation) or error; the text that the user reads, and the type of the error."""

    kind: str
    text: str = ""
    type: str = ""


class Attack:
    """ComfyUI's executor, which keeps nothing from one prompt to the next, and the errors that it may report."""

    def __init__(self, clear: set[str], printable: Any) -> None:
        server = SimpleNamespace(client_id=None, last_node_id=None, send_sync=lambda *_: None)
        no_cache = {"cache_type": execution.CacheType.NONE, "cache_args": {"lru": 0, "ram": 0, "ram_inactive": 0}}
        self.executor = execution.PromptExecutor(server, **no_cache)
        self.clear, self.printable = clear, printable

    def run(self, graph: dict[str, Any]) -> Outcome:
        valid, error, ends, errors = asyncio.run(execution.validate_prompt("id", graph, None))
        if not valid:
            details = [one["details"] for each in errors.values() for one in each["errors"]]
            return Outcome("refused", "\n".join(details) or str(error))
        self.executor.execute(graph, "id", {}, ends)
        if self.executor.success:
            return Outcome("success")
        (data,) = (data for event, data in self.executor.status_messages if event == "execution_error")
        return Outcome("error", data["exception_message"].strip(), data["exception_type"])

    def strike(self, case: Case) -> tuple[Outcome, str]:
        """The outcome of a case, and what is wrong about it; "" when nothing is."""
        start = time.monotonic()
        try:
            found = self.run(case.prompt())
        except BaseException:
            return Outcome("died", traceback.format_exc()[-2000:]), "ComfyUI's executor died"
        seconds = time.monotonic() - start
        return found, f"it took {seconds:.0f} s" if seconds > PATIENCE else self.fault(case, found)

    def fault(self, case: Case, found: Outcome) -> str:
        if found.kind != "error":
            return ""
        if found.type not in self.clear:
            return f"{found.type} in place of a QilError"
        if found.text != self.printable(found.text):
            return "the message is not printable"
        words = (case.at.rpartition(".")[2], *HELPFUL)
        return "" if any(word in found.text.lower() for word in words) else "the message does not help"


def load() -> dict[str, type]:
    """Our nodes by their ids, as ComfyUI loads them."""
    asyncio.run(nodes.load_custom_node(str(REPO)))
    asyncio.run(nodes.load_custom_node(os.path.join(arguments.checkout, "comfy_extras", "nodes_preview_any.py")))
    nodes.NODE_CLASS_MAPPINGS |= {"Give": Give}
    found = {key: kind for key, kind in nodes.NODE_CLASS_MAPPINGS.items() if kind.__module__.startswith(PACKAGE)}
    return {key: kind for key, kind in found.items() if key in (arguments.nodes or found)}


def ours(name: str) -> Any:
    """A module of the package as ComfyUI loaded it."""
    return importlib.import_module(f"{PACKAGE}.qil_core.{name}")


def names_of(error: type) -> Iterator[str]:
    yield f"{error.__module__}.{error.__qualname__}"
    for kind in error.__subclasses__():
        yield from names_of(kind)


def put_files() -> None:
    """A picture and a file of layers for what loads them."""
    folder = Path(base.name, "input")
    folder.mkdir(exist_ok=True)
    Image.new("RGBA", (SIDE, SIDE), "red").save(folder / "layer.png")
    layers = ours("stack").LayerStack.from_image(stack())
    ours("files.archive").write(layers, folder / "layers.zip")


def main() -> None:
    kinds = load()
    put_files()
    layers = ours("stack").LayerStack.from_image(stack())
    document = ours("files.document").to_document(layers, ours("files.layered").Look().of(len(layers)))
    look = ours("files.layered").Look(visible=(True, True, False))
    schemas = Schemas(right_values(ours("decompose.builtin").Builtin(), document, look))
    attack = Attack(set(names_of(ours("errors").QilError)), ours("text").printable)
    healthy: dict[str, Outcome] = {}
    counts: Counter[str] = Counter()
    faults: list[str] = []
    for node, kind in kinds.items():
        inputs = kind.define_schema().inputs
        healthy |= {f"{node} {i}": attack.run(prompt(node, each)) for i, each in enumerate(schemas.settings(inputs))}
        for case in schemas.cases(node, inputs):
            found, wrong = attack.strike(case)
            counts[found.kind] += 1
            faults += [f"{case}: {wrong}; {found.text[:1500]!a}"] if wrong else []
    seen = {"healthy": healthy, "counts": counts, "faults": faults, "nodes": list(kinds)}
    print("SEEN " + json.dumps(seen))


with torch.inference_mode(), base:
    main()
