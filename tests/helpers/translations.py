"""The texts of this package that people see in ComfyUI, and what is known of them in other languages.

    web/locales/<language>.json   {English: translation}: the only files that translators write (docs/translating.md)
    tests/locales/nodes.json      the English texts of the nodes, as ComfyUI gets them from the schemas
    locales/<language>/*.json     what ComfyUI itself reads, made of the two

`python tests/helpers/translations.py` makes the last ones anew. With the address of a ComfyUI that runs this package,
such as http://127.0.0.1:8188, it makes nodes.json first; that is needed after a text of a node has changed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parents[2]
NODES = ROOT / "tests" / "locales" / "nodes.json"
LANGUAGES = ("zh", "zh-TW", "ja")
"""As ComfyUI's front end calls them (src/locales); the schemas and the panel are in English."""

CATEGORY = "layers"
"""The part of `image/layers` in the node library that ComfyUI has no word for; the other one is its own."""

NOT_OURS = {
    "NativeLayeredModel.sampler",
    "NativeLayeredModel.scheduler",
    *(f"LoadLayers.source.{name}" for name in ("file", "files")),
    *(f"{node}.source.{part}" for node in ("LoadLayeredModel", "LoadEditModel") for part in ("folder", "transformer")),
    *(f"{node}.source.{part}" for node in ("LoadLayeredModel", "LoadEditModel") for part in ("text_encoder", "vae")),
}
"""Inputs whose choices are ComfyUI's or the files of a machine."""

SYNTAX = re.compile(r"[@{}|]")
"""What vue-i18n's message compiler reads as more than text."""

LEFT_TO_THE_PANEL = {"LayerEditor.inputs.edits.tooltip"}
"""The tooltip would lie over the panel: web/layer_editor.js takes it out of the node's definition."""

Json = dict[str, Any]
_open = build_opener(ProxyHandler({})).open


class Text(NamedTuple):
    """An English text, and the place that can have a translation of its own, such as `SplitLayer.inputs.index.name`."""

    english: str
    place: str


def catalogue(language: str) -> dict[str, str]:
    """The translations into a language: by the English text, or by the place where one is not like elsewhere."""
    return dict(json.loads((ROOT / "web" / "locales" / f"{language}.json").read_text(encoding="utf-8")))


def nodes() -> Json:
    """What nodes.json holds; see `english_of`."""
    return dict(json.loads(NODES.read_text(encoding="utf-8")))


def english_of(object_info: Mapping[str, Json], package: str) -> Json:
    """The English texts of a package's nodes, out of ComfyUI's /object_info.

    By node: display_name, description, search_aliases, inputs, outputs ({name, tooltip}, by their index). Inputs are
    {name, tooltips, choices} by their dotted ids; one that several choices of a dynamic combo have may have as many
    tooltips.
    """
    ours = {name: node for name, node in object_info.items() if node["python_module"] == f"custom_nodes.{package}"}
    return {name: _node(name, ours[name]) for name in sorted(ours)}


def _node(name: str, node: Json) -> Json:
    outputs = zip(node["output_name"], node["output_tooltips"], strict=True)
    inputs: Json = {}
    for path, spec in _inputs(node["input"]):
        options = spec[1] if len(spec) > 1 else {}
        known = inputs.setdefault(path, {"name": options.get("display_name") or path.split(".")[-1], "tooltips": []})
        known["tooltips"] += [options["tooltip"]] if options["tooltip"] not in known["tooltips"] else []
        if f"{name}.{path}" not in NOT_OURS and (choices := _choices(spec)):
            known["choices"] = choices
    return {
        "display_name": node["display_name"],
        "description": node["description"],
        "search_aliases": node["search_aliases"],
        "inputs": inputs,
        "outputs": [{"name": output, "tooltip": tooltip} for output, tooltip in outputs],
    }


def _inputs(inputs: Json, before: str = "") -> Iterator[tuple[str, list[Any]]]:
    for name, spec in {**inputs.get("required", {}), **inputs.get("optional", {})}.items():
        yield before + name, spec
        for choice in (spec[1] if len(spec) > 1 else {}).get("options", []):
            if isinstance(choice, dict):
                yield from _inputs(choice["inputs"], f"{before}{name}.")


def _choices(spec: list[Any]) -> list[str]:
    options = spec[0] if isinstance(spec[0], list) else (spec[1] if len(spec) > 1 else {}).get("options", [])
    return [choice["key"] if isinstance(choice, dict) else choice for choice in options]


def node_texts(english: Json) -> Iterator[Text]:
    """Every text of the nodes, the same one as often as it occurs."""
    for name, node in english.items():
        yield Text(node["display_name"], f"{name}.display_name")
        yield Text(node["description"], f"{name}.description")
        yield from (Text(alias, f"{name}.search_aliases") for alias in node["search_aliases"])
        for path, item in node["inputs"].items():
            yield Text(item["name"], f"{name}.inputs.{path}.name")
            yield from (Text(tooltip, f"{name}.inputs.{path}.tooltip") for tooltip in item["tooltips"])
            yield from (Text(choice, f"{name}.{path}={choice}") for choice in item.get("choices", []))
        for index, output in enumerate(node["outputs"]):
            yield Text(output["name"], f"{name}.outputs.{index}.name")
            yield Text(output["tooltip"], f"{name}.outputs.{index}.tooltip")
    yield Text(CATEGORY, f"nodeCategories.{CATEGORY}")


def workflow_texts() -> Iterator[Text]:
    """Titles and notes of the workflows that the package brings along."""
    for path in sorted((ROOT / "workflows").glob("*.json")):
        workflow = json.loads(path.read_text(encoding="utf-8"))
        for titled in [*workflow["nodes"], *workflow.get("groups", [])]:
            yield from [Text(titled["title"], path.name)] if titled.get("title") else []
        notes = (node for node in workflow["nodes"] if node["type"] == "MarkdownNote")
        yield from (Text(note["widgets_values"][0], path.name) for note in notes)


CALL = re.compile(r"(?<![\w.])t\(\s*")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def panel_texts() -> Iterator[Text]:
    """Every text in the front end's code. ValueError for a text that only running tells.

    words.js and language.js ask for the nodes' texts alone, which `node_texts` has.
    """
    for path in sorted((ROOT / "web").rglob("*.js")):
        code = (
            "" if path.parent == ROOT / "web" and path.name in ("words.js", "language.js") else path.read_text("utf-8")
        )
        for call in CALL.finditer(code):
            literal = LITERAL.match(code, call.end())
            if not literal:
                raise ValueError(f"{path.name}: t() takes a text in double quotes; got {code[call.end() :][:40]!r}")
            yield Text(json.loads(literal[0]), path.name)


def translated(text: Text, known: Mapping[str, str]) -> str | None:
    """The translation of a text at its place; None where there is none."""
    return known.get(text.place, known.get(text.english))


def comfy_files(english: Json, known: Mapping[str, str]) -> dict[str, Json]:
    """What ComfyUI reads for a language: by file name, nodeDefs.json and main.json. Texts without translation are left
    out: ComfyUI shows the schema's.
    """
    definitions = {name: _definition(name, node, known) for name, node in english.items()}
    category = translated(Text(CATEGORY, f"nodeCategories.{CATEGORY}"), known)
    return {"nodeDefs.json": definitions, "main.json": {"nodeCategories": _without_none({CATEGORY: category})}}


def _definition(name: str, node: Json, known: Mapping[str, str]) -> Json:
    def of(english: str, place: str) -> str | None:
        return translated(Text(english, f"{name}.{place}"), known)

    def named(item: Json, place: str, tooltips: list[str]) -> Json:
        tooltip = of(tooltips[0], f"{place}.tooltip") if _is_one_plain_text(tooltips) else None
        tooltip = None if f"{name}.{place}.tooltip" in LEFT_TO_THE_PANEL else tooltip
        return _without_none({"name": _compiled(of(item["name"], f"{place}.name")), "tooltip": tooltip})

    return _without_none(
        {
            "display_name": _compiled(of(node["display_name"], "display_name")),
            "description": _compiled(of(node["description"], "description")),
            "inputs": {
                path.replace(".", "_"): named(item, f"inputs.{path}", item["tooltips"])
                for path, item in node["inputs"].items()
            },
            "outputs": {
                str(index): named(output, f"outputs.{index}", [output["tooltip"]])
                for index, output in enumerate(node["outputs"])
            },
        }
    )


def _is_one_plain_text(tooltips: list[str]) -> bool:
    """ComfyUI has one tooltip a name, and older front ends compile it. web/language.js has all the others."""
    return len(tooltips) == 1 and not SYNTAX.search(tooltips[0])


def _compiled(text: str | None) -> str | None:
    """A text that vue-i18n's message compiler gives back as it is; names and descriptions go through it."""
    return text and SYNTAX.sub(r"{'\g<0>'}", text)


def _without_none(items: Mapping[str, Any]) -> Json:
    return {key: value for key, value in items.items() if value is not None}


def as_text(data: Json) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def main(address: str = "") -> None:
    """Writes what ComfyUI reads; nodes.json first where an address is given."""
    if address:
        with _open(f"{address}/object_info", timeout=60) as answer:
            found = json.load(answer)
        package = found["DecomposeToLayers"]["python_module"].removeprefix("custom_nodes.")
        NODES.write_text(as_text(english_of(found, package)), encoding="utf-8")
    for language in LANGUAGES:
        for name, data in comfy_files(nodes(), catalogue(language)).items():
            path = ROOT / "locales" / language / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(as_text(data), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
