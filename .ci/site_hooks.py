"""What the site does with our Markdown pages, which are read on the repository's own pages too.

* A link that leaves docs/, such as `../qil_core/restore.py`, leads to that file in the repository. What is not there is
  a warning, which `mkdocs build --strict` takes for an error.
* A page of docs/ that mkdocs.yml's nav does not name stands under "More", so that a new page is never lost.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.site")

OUTWARD = re.compile(r"(?<=\]\()((?:\.\./)+)([^)#\s]+)(#[^)\s]*)?(?=\))")
"""The target of a Markdown link that begins with `../`."""


def on_config(config: Any) -> Any:
    """Put the pages that nav does not name at its end."""
    docs = Path(config["docs_dir"])
    named = set(_pages(config["nav"]))
    more = sorted({path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - named)
    if more:
        config["nav"].append({"More": more})
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead links that leave docs/ to the repository."""
    docs = Path(config["docs_dir"])
    folder, root = (docs / page.file.src_uri).parent, Path(config["config_file_path"]).parent

    def led(match: re.Match[str]) -> str:
        target = (folder / (match[1] + match[2])).resolve()
        if target.is_relative_to(docs.resolve()):
            return match[0]
        if not target.exists():
            log.warning(f"{page.file.src_uri} links to {match[0]}, which is not in the repository")
        kind = "tree" if target.is_dir() else "blob"
        return f"{config['repo_url']}/{kind}/main/{target.relative_to(root.resolve()).as_posix()}{match[3] or ''}"

    return OUTWARD.sub(led, markdown)


def _pages(nav: Any) -> list[str]:
    """Every page that a nav names, however deep."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in _pages(part)]
