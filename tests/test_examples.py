"""What the documentation tells people to type is what the package takes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qil_core.cli import _parser
from qil_core.example import draw_poster

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/install.md", "docs/command_line.md", "docs/batch.md", "docs/builtin.md", "docs/model.md")
PAGES += ("docs/masks.md", "docs/shapes.md", "docs/serving.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [code for kind, code in BLOCK.findall(text) if kind == language]


def commands(page: str) -> list[str]:
    """Every `qil ...` of a page that is whole: all in its blocks, and in its text those that say where results go."""
    lines = [line for code in blocks(page, "sh") for line in code.replace("\\\n", " ").splitlines()]
    words = re.findall(r"`(qil [a-z]+ [^`]* -o [^`]+)`", BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8")))
    return [line for line in [*lines, *words] if line.startswith("qil ") and "COMMAND" not in line]


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_every_command_is_one_that_qil_takes(line: str) -> None:
    _, *arguments = shlex.split(line, comments=True)
    if "--help" not in arguments:
        assert callable(_parser().parse_args(arguments).run)


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "told"),
    [("README.md", ""), ("docs/api/index.md", "\nprint(tuple(picture.shape))")],
)
def test_the_python_of_a_page_runs_as_it_stands(page: str, told: str, tmp_path: Path) -> None:
    draw_poster(150, 200).save(tmp_path / "poster.png")
    command = [sys.executable, "-c", "\n".join(blocks(page, "python")) + told]
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, check=True)
    assert (tmp_path / "poster.pptx").stat().st_size > 10_000
    assert "Recomposition: max error 0.50/255" in done.stdout
    assert not told or done.stdout.endswith("(200, 150, 4)\n")
