"""README in other languages says what the English one says: the same parts, commands, tables, figures and links."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
LANGUAGES = sorted(path.name.split(".")[1] for path in ROOT.glob("README.*.md"))

FENCED = re.compile(r"^```\w*\n.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
TARGET = re.compile(r"\]\(([^)]+)\)")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
MEANT = {"docs/errors.{language}.md": "docs/errors.md"}
"""Pages that a README names in its own language where there is one."""

COUNTED = re.compile(r"(?<!\d)[1-9] (?=つ|枚|行|ビットも|コア)")
"""Japanese counts in digits what English counts in words ("two commands"); these are no figures."""


def translated(language: str) -> str:
    text = (ROOT / f"README.{language}.md").read_text(encoding="utf-8")
    for own, english in MEANT.items():
        text = text.replace(own.format(language=language), english)
    return text


def body(text: str) -> str:
    """Without the line with the languages, which differs by design."""
    return "\n".join(line for line in text.splitlines() if " · " not in line)


def prose(text: str) -> str:
    """The sentences alone: no blocks of code, links' targets or tables."""
    plain = TARGET.sub("]", FENCED.sub("", body(text)))
    return COUNTED.sub("", "\n".join(line for line in plain.splitlines() if not line.startswith("|")))


def rows(text: str) -> list[list[list[str]]]:
    """The numbers of every cell of every row of the tables."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[NUMBER.findall(cell) for cell in line.strip("|").split("|")] for line in lines]


def test_there_are_chinese_and_japanese_ones() -> None:
    assert {"zh", "ja"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_headings_are_as_many_and_as_deep(language: str) -> None:
    depths = [re.findall(r"^(#+) ", FENCED.sub("", text), re.MULTILINE) for text in (ENGLISH, translated(language))]
    assert depths[0] == depths[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_blocks_of_code_are_the_same(language: str) -> None:
    assert FENCED.findall(translated(language)) == FENCED.findall(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_type_or_look_for_is_the_same(language: str) -> None:
    found, wanted = (Counter(CODE.findall(FENCED.sub("", text))) for text in (translated(language), ENGLISH))
    assert found == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_links_lead_to_the_same_pages(language: str) -> None:
    found, wanted = (Counter(TARGET.findall(body(text))) for text in (translated(language), ENGLISH))
    assert found == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tables_have_the_same_rows_and_figures(language: str) -> None:
    assert rows(translated(language)) == rows(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentences_have_the_same_figures(language: str) -> None:
    found, wanted = (Counter(NUMBER.findall(prose(text))) for text in (translated(language), ENGLISH))
    assert found == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_leads_to_all_others(language: str) -> None:
    others = {"README.md", *(f"README.{code}.md" for code in LANGUAGES)} - {f"README.{language}.md"}
    first = next(line for line in translated(language).splitlines() if " · " in line)
    assert set(TARGET.findall(first)) == others
    assert f"README.{language}.md" in ENGLISH
