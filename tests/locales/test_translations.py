"""The translations fit the texts of the nodes and of the panel. What must be done then is in docs/translating.md."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import chain

import pytest
from translations import (
    LANGUAGES,
    ROOT,
    as_text,
    catalogue,
    comfy_files,
    node_texts,
    nodes,
    panel_texts,
    translated,
    workflow_texts,
)

TEXTS = [*node_texts(nodes()), *panel_texts(), *workflow_texts()]
KEPT = re.compile(r"\{\w+\}|models/\w+|\w+\.safetensors|[A-Z]+_[A-Z_]+|girl/\S|\d+/255|--text|layers\.json")
"""What a translation must hold as it is: placeholders, and what people copy."""

SAME = {
    *("640", "1024", "sRGB", "LAYERS"),
    *("euler", "heun", "flash", "_native_cudnn", "_flash_3", "sage", "xformers"),
    *("PSD", "OpenRaster", "ZIP", "SVG", "PowerPoint", "openraster", "ora", "zip", "pptx", "svg"),
    *("Qwen-Image-Edit", "Qwen-Image-Edit-2509", "Qwen-Image-Edit-2511", "sam3"),
    *("photoshop", "krita", "gimp", "inkscape"),
}
"""Names of things, which are the same in every language and have no translation."""

ENCODINGS = {"zh": "gb2312", "zh-TW": "big5", "ja": "cp932"}
"""Each holds the characters of one way of writing: a simplified one in a traditional text cannot be encoded."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_nodes_and_the_panel_is_translated(language: str) -> None:
    known = catalogue(language)
    missing = {text.english for text in TEXTS if translated(text, known) is None}
    assert not sorted(missing - SAME)


def test_every_name_that_is_not_translated_is_there() -> None:
    assert {text.english for text in TEXTS} >= SAME


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_is_of_a_text_that_there_is(language: str) -> None:
    """An English text that was changed leaves its old translation behind; it must go."""
    there = set(chain.from_iterable(TEXTS))
    assert not [key for key in catalogue(language) if key not in there]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_the_english_text_itself(language: str) -> None:
    assert not [key for key, text in catalogue(language).items() if key == text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_what_people_copy_are_left_as_they_are(language: str) -> None:
    known = catalogue(language)
    wrong = {
        text.english: found
        for text in TEXTS
        if (found := translated(text, known) or "")
        and Counter(KEPT.findall(found)) != Counter(KEPT.findall(text.english))
    }
    assert not wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_notes_keep_what_is_bold_or_in_italics(language: str) -> None:
    known = catalogue(language)
    for note in {text.english for text in workflow_texts() if text.english.startswith("# ")}:
        for marked in (r"\*\*[^*]+\*\*", r"(?<!\*)\*[^*\s][^*]*\*(?!\*)", r"^(?:-|#|\d\.) ", r"\n\n"):
            assert len(re.findall(marked, note, re.M)) == len(re.findall(marked, known[note], re.M)), note[:40]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_is_written_in_the_characters_of_its_language(language: str) -> None:
    for text in catalogue(language).values():
        text.encode(ENCODINGS[language])
        assert text == text.strip()


def test_a_changed_text_is_found_as_missing() -> None:
    english = nodes()
    english["SplitLayer"]["inputs"]["seed"]["tooltips"] = ["Another seed."]
    missing = [
        text for text in node_texts(english) if text.english not in SAME and not translated(text, catalogue("ja"))
    ]
    assert missing == [("Another seed.", "SplitLayer.inputs.seed.tooltip")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_comfyui_reads_is_made_of_the_catalogue(language: str) -> None:
    """If not: python tests/helpers/translations.py"""
    for name, data in comfy_files(nodes(), catalogue(language)).items():
        assert (ROOT / "locales" / language / name).read_text(encoding="utf-8") == as_text(data)


def test_a_place_can_have_a_translation_of_its_own() -> None:
    definitions = json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text(encoding="utf-8"))
    assert definitions["DecomposeToLayers"]["inputs"]["layers"]["name"] == "图层数"
    assert definitions["SplitLayer"]["inputs"]["layers"]["name"] == "图层"


def test_an_input_inside_a_dynamic_combo_has_its_name_under_one_key() -> None:
    inputs = json.loads((ROOT / "locales" / "ja" / "nodeDefs.json").read_text(encoding="utf-8"))["DecomposeToLayers"][
        "inputs"
    ]
    assert inputs["count_max_layers"]["name"] == "最大レイヤー数"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_tooltip_has_syntax_in_it_for_older_front_ends_compile_them(language: str) -> None:
    definitions = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    items = [item for node in definitions.values() for kind in ("inputs", "outputs") for item in node[kind].values()]
    assert not [item["tooltip"] for item in items if re.search(r"[@{}|]", item.get("tooltip", ""))]
    assert "tooltip" not in definitions["MasksToLayers"]["inputs"]["positive_coords"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_tooltip_lies_over_the_panel(language: str) -> None:
    definitions = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert definitions["LayerEditor"]["inputs"]["edits"].keys() == {"name"}


def test_comfyuis_message_compiler_finds_no_syntax_in_names_and_descriptions() -> None:
    english = {
        "N": {"display_name": "a@b", "description": "a | {b}", "search_aliases": [], "inputs": {}, "outputs": []}
    }
    files = comfy_files(english, {"a@b": "甲@乙", "a | {b}": "甲 | {乙}", "layers": "图层"})
    assert files["nodeDefs.json"]["N"]["display_name"] == "甲{'@'}乙"
    assert files["nodeDefs.json"]["N"]["description"] == "甲 {'|'} {'{'}乙{'}'}"
    assert files["main.json"] == {"nodeCategories": {"layers": "图层"}}


def test_no_text_of_the_panel_is_put_together_before_it_is_translated() -> None:
    """t() takes a literal; panel_texts() raises ValueError otherwise."""
    assert len(list(panel_texts())) > 80
