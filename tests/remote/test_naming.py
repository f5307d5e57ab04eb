"""Names from outside never lead out of a folder."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qil_core.remote.naming import safe_name, safe_path


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("deck_00001_.pptx", "deck_00001_.pptx"),
        ("狐 1.psd", "狐 1.psd"),
        ("../../etc/passwd", "_.._.._etc_passwd"),
        ("C:\\x.png", "C__x.png"),
        ("..", "_"),
        ("", "_"),
        (".bashrc", "_.bashrc"),
        ("con.png", "_con.png"),
        ("a\x00b\n.png", "a_b_.png"),
        ("end. ", "end"),
        ("\ud83d.png", "_.png"),
    ],
)
def test_a_name_becomes_safe_and_a_safe_one_stays(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert safe_name(safe) == safe


def test_a_long_name_keeps_its_ending() -> None:
    name = safe_name("狐" * 500 + ".psd")
    assert name.endswith(".psd")
    assert len(name.encode()) <= 255


@given(st.text(max_size=300))
def test_any_text_is_one_level(text: str) -> None:
    name = safe_name(text)
    assert PurePath(name).parts == (name,)
    assert name not in (".", "..")
    assert len(name.encode()) <= 255
    assert safe_name(name) == name


def test_a_path_is_made_safe_level_by_level() -> None:
    assert safe_path("a/../b.png") == PurePath("a", "_", "b.png")
