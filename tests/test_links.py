"""Every link of every Markdown file leads somewhere: to a file that is there, and to a heading that it has.

Addresses of other sites are not asked for: this needs no network. `make docs` checks the built site.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parent.parent

HELP = ROOT / "web" / "docs"

LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|(?:src|href)=\"([^\"]+)\"")
FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[^\S\n]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def markdown_files() -> list[Path]:
    """Those that git knows or would take; in a folder without git, all but hidden and built ones."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
        return sorted({ROOT / name for name in listed if name and (ROOT / name).is_file()})
    except (OSError, subprocess.CalledProcessError):
        below = (path for path in ROOT.rglob("*.md") if not {"build", ".venv"} & set(path.relative_to(ROOT).parts))
        return sorted(path for path in below if not any(part.startswith(".") for part in path.relative_to(ROOT).parts))


def without_code(text: str) -> str:
    return CODE.sub("", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors of a file's headings as GitHub makes them; the site makes the same."""
    found: set[str] = set()
    for title in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", lambda match: match[1] or "", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(next(name for i in range(100) if (name := slug if i == 0 else f"{slug}-{i}") not in found))
    return found


def broken(path: Path) -> list[str]:
    """The targets of a file's links that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    targets = (first or second for first, second in LINK.findall(without_code(text)))
    return [target for target in targets if not ELSEWHERE.match(target) and not leads_somewhere(path, unquote(target))]


def base(path: Path) -> Path:
    """The folder that a page's targets are relative to: ComfyUI reads help pages as if all lay in web/docs."""
    return HELP if path.parent.parent == HELP else path.parent


def leads_somewhere(path: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    to = (base(path) / name).resolve() if name else path
    if not to.exists():
        return False
    return not anchor or to.suffix != ".md" or anchor in anchors(to.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    assert broken(path) == []


def test_the_pages_of_the_documentation_are_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in markdown_files()}
    assert {"README.md", "docs/index.md", "docs/faq.md", "web/docs/LayerEditor.md"} <= names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](other.md)", []),
        ("[a](other.md#a-heading-with-code)", []),
        ("[a](missing.md)", ["missing.md"]),
        ("[a](other.md#no-heading)", ["other.md#no-heading"]),
        ("[a](#here)\n# Here", []),
        ("![a](gone.png)", ["gone.png"]),
        ('<img src="gone.png">', ["gone.png"]),
        ("`[a](missing.md)`\n```\n[a](missing.md)\n```\n", []),
        ("[a](https://example.org/missing.md)", []),
        ("[two](other.md#twice-1)", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "other.md").write_text("# A heading, with `code`\n## Twice\n## Twice\n")
    (tmp_path / "page.md").write_text(text)
    assert broken(tmp_path / "page.md") == expected
