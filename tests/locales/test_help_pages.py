"""Every node has a help page in every language, and all of them say the same.

web/docs/<Node>.md is the English page and web/docs/<Node>/<language>.md a translation. ComfyUI's help panel takes the
addresses of pictures from web/docs in both, and does not resolve those of links at all (docs/translating.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from PIL import Image
from translations import LANGUAGES, ROOT, Text, catalogue, nodes, translated

DOCS = ROOT / "web" / "docs"
NODES = sorted(nodes())
ENGLISH = "en"
PAGES = [(name, language) for name in NODES for language in (ENGLISH, *LANGUAGES)]
TRANSLATED = [(name, language) for name in NODES for language in LANGUAGES]

LARGEST = 60_000
"""Bytes of a picture, as benchmarks/help_pictures.py keeps them."""

HEADINGS = {
    "en": ("Inputs", "Outputs", "Example", "What can go wrong", "Tips"),
    "zh": ("输入", "输出", "示例", "可能出现的问题", "提示"),
    "zh-TW": ("輸入", "輸出", "範例", "可能發生的問題", "提示"),
    "ja": ("入力", "出力", "使用例", "うまくいかないとき", "ヒント"),
}
"""The parts of every page, in their order; a page may have others between them."""

SMALL = {"1", "2", "3"}
"""Numbers that English writes as words and other languages as digits."""

HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)]+)\)")
CODE = re.compile(r"`([^`]+)`")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![A-Za-z])")
NOTE = re.compile("\\s*[(\uff08].*$")
LISTED = re.compile("\\s*[,\uff0c\u3001]\\s*")


@dataclass(frozen=True)
class Page:
    """A help page, and what is found in it."""

    text: str

    @property
    def headings(self) -> list[tuple[str, str]]:
        return HEADING.findall(self.text)

    @property
    def codes(self) -> list[str]:
        return CODE.findall(self.text)

    @property
    def numbers(self) -> set[str]:
        return set(NUMBER.findall(CODE.sub("", LINK.sub("", PICTURE.sub("", self.text)))))

    def part(self, heading: str) -> str:
        """What stands under a heading of the second level."""
        _, _, after = self.text.partition(f"\n## {heading}\n")
        return after.partition("\n## ")[0]

    def rows(self, heading: str) -> list[str]:
        """The first cells of the tables under a heading, without the tables' own headings."""
        cells = [line.split("|")[1].strip() for line in self.part(heading).splitlines() if line.startswith("|")]
        return cells[2:]

    @property
    def shape(self) -> list[int]:
        """How many rows and points the page has under each heading."""
        parts = re.split(r"^## .*$", self.text, flags=re.MULTILINE)
        return [len(re.findall(r"^(?:\||- |\d+\. )", part, re.MULTILINE)) for part in parts]


@cache
def page(name: str, language: str) -> Page:
    path = DOCS / f"{name}.md" if language == ENGLISH else DOCS / name / f"{language}.md"
    return Page(path.read_text(encoding="utf-8"))


def known(language: str) -> dict[str, str]:
    return {} if language == ENGLISH else catalogue(language)


def shown(name: str, place: str, english: str, language: str) -> str:
    """A text of a node as the node shows it in a language."""
    return translated(Text(english, f"{name}.{place}"), known(language)) or english


def choices_of(name: str, language: str) -> Iterator[tuple[str, str]]:
    """A node's choices in English, each as it is shown in a language."""
    for path, item in nodes()[name]["inputs"].items():
        for choice in item.get("choices", []):
            yield choice, shown(name, f"{path}={choice}", choice, language)


def labels_of(name: str, language: str) -> dict[str, str]:
    """The labels of a node's inputs in a language, by their dotted ids."""
    inputs = nodes()[name]["inputs"]
    return {path: shown(name, f"inputs.{path}.name", item["name"], language) for path, item in inputs.items()}


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_a_page_has_the_node_s_title_and_all_parts_in_order(name: str, language: str) -> None:
    (level, title), *others = page(name, language).headings
    assert (level, title) == ("#", shown(name, "display_name", nodes()[name]["display_name"], language))
    assert [text for _, text in others if text in HEADINGS[language]] == list(HEADINGS[language])


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_a_page_has_one_small_picture_of_its_node(name: str, language: str) -> None:
    (_, source), *others = PICTURE.findall(page(name, language).text)
    assert source == f"pictures/{name}.webp"
    assert not others
    assert (DOCS / source).stat().st_size <= LARGEST
    with Image.open(DOCS / source) as picture:
        assert min(picture.size) >= 100


def test_every_picture_belongs_to_a_page() -> None:
    assert {path.stem for path in (DOCS / "pictures").iterdir()} == set(NODES)


def test_every_page_belongs_to_a_node() -> None:
    assert {path.stem for path in DOCS.glob("*.md")} == set(NODES)
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.glob("*/*.md")} == {
        f"{name}/{language}.md" for name, language in TRANSLATED
    }


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_a_page_names_every_input_by_its_label(name: str, language: str) -> None:
    """Inputs of a choice stand in the table or in the text; all others have a row. No row is of another thing."""
    labels = labels_of(name, language)
    heading = HEADINGS[language][0]
    cells = page(name, language).rows(heading)
    rows = [label for cell in cells for label in LISTED.split(_without_note(cell, labels.values()))]
    assert set(rows) <= {label for each in NODES for label in labels_of(each, language).values()}
    assert not [label for path, label in labels.items() if "." not in path and label not in rows]
    assert not [label for label in labels.values() if label not in page(name, language).part(heading)]


def _without_note(cell: str, labels: object) -> str:
    """The label of a row without what stands behind it in brackets; some labels have brackets of their own."""
    return cell if cell in list(labels) else NOTE.sub("", cell)  # type: ignore[call-overload]


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_a_page_has_a_row_for_every_output_in_order(name: str, language: str) -> None:
    outputs = enumerate(nodes()[name]["outputs"])
    labels = [shown(name, f"outputs.{index}.name", output["name"], language) for index, output in outputs]
    assert page(name, language).rows(HEADINGS[language][1]) == labels


@pytest.mark.parametrize(("name", "language"), TRANSLATED)
def test_a_translation_has_the_headings_rows_and_points_of_the_english_page(name: str, language: str) -> None:
    assert [level for level, _ in page(name, language).headings] == [level for level, _ in page(name, ENGLISH).headings]
    assert page(name, language).shape == page(name, ENGLISH).shape


@pytest.mark.parametrize(("name", "language"), TRANSLATED)
def test_a_translation_has_the_numbers_of_the_english_page(name: str, language: str) -> None:
    there, expected = page(name, language).numbers, page(name, ENGLISH).numbers
    assert expected - there == set()
    assert there - expected - SMALL == set()


@pytest.mark.parametrize(("name", "language"), TRANSLATED)
def test_a_translation_has_the_code_words_of_the_english_page(name: str, language: str) -> None:
    """Choices are called as the node shows them, those of other nodes too; all that is typed stays."""
    own, others = choices(name, language), {}
    for each in NODES:
        for english, texts in choices(each, language).items():
            others.setdefault(english, set()).update(texts)
    there = set(page(name, language).codes)
    meant = {word: own.get(word) or others.get(word, set()) | {word} for word in page(name, ENGLISH).codes}
    assert not [word for word, texts in meant.items() if not texts & there]
    assert there <= set().union(*meant.values())


def choices(name: str, language: str) -> dict[str, set[str]]:
    """The texts of a node's choices in a language; the same choice may have another one at another input."""
    found: dict[str, set[str]] = {}
    for english, text in choices_of(name, language):
        found.setdefault(english, set()).add(text)
    return found


@pytest.mark.parametrize(("name", "language"), PAGES)
def test_links_of_a_page_are_whole_addresses(name: str, language: str) -> None:
    """The help panel opens them as they stand, beside ComfyUI's own page: a relative one leads nowhere."""
    assert not [to for to in LINK.findall(page(name, language).text) if not to.startswith("https://")]
