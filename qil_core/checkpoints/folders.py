"""Diffusers folders: what belongs into one."""

from __future__ import annotations

from pathlib import Path

PARTS = ("transformer", "text_encoder", "vae", "tokenizer")
"""The folders without which no model runs here. processor and scheduler have published defaults."""


def missing_parts(folder: Path) -> list[str]:
    """Which of PARTS a diffusers folder lacks."""
    return [name for name in PARTS if not (folder / name).is_dir()]
