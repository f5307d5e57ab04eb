"""The text of the edits: it comes from anybody, and it says the same after it was read and written again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qil_core.blend import BLEND_MODES
from qil_core.decompose.likeness import Point
from qil_core.editor.picks import Cut, Pick
from qil_core.editor.state import Edit, Edits, edits_text, parse_edits
from qil_core.errors import QilError
from qil_core.stack import Box

A, B, C = "00112233445566aa", "00112233445566bb", "00112233445566cc"

flags = st.booleans()
edits_of_a_layer = st.builds(
    Edit,
    name=st.sampled_from(["", "girl/hair", "图层", "a b"]),
    hidden=flags,
    locked=flags,
    opacity=st.floats(0, 1),
    mode=st.sampled_from(sorted(BLEND_MODES)),
    dx=st.floats(-16384, 16384),
    scale_x=st.floats(0.01, 100),
    rotation=st.floats(-360, 360),
    flip_x=flags,
    hue=st.floats(-360, 360),
)
all_edits = st.builds(
    Edits,
    st.dictionaries(st.sampled_from([A, B, C, f"{A}~2", f"{B}.2", "m1"]), edits_of_a_layer),
    st.permutations([A, B, f"{A}~2", "m1"]).map(tuple),
    st.sampled_from([{}, {"m1": (A, B)}, {"m1": (A, C), "m2": ("m1", B)}]),
    st.sampled_from(
        [
            {},
            {"c1": Cut(A, Pick(inside=(Point(4, 5.5),)))},
            {"c1": Cut(A, Pick(Box(1, 2, 30, 40), (), (Point(3, 4),), -7)), "c2": Cut("c1", Pick(Box(0, 0, 9, 9)))},
        ]
    ),
)


def one(**edit: Any) -> str:
    return json.dumps({"version": 1, "edits": {A: edit}})


@given(all_edits)
def test_edits_that_are_written_and_read_again_are_the_same(edits: Edits) -> None:
    again = parse_edits(edits_text(edits))
    assert again.order == edits.order
    assert again.merged == edits.merged
    assert again.cut == edits.cut
    assert all(again.of(layer) == edit for layer, edit in edits.by_layer.items())


def cut(**more: Any) -> str:
    return json.dumps({"version": 1, "cut": {"c1": {"of": A, "inside": [[1, 2]], **more}}})


def test_numbers_of_a_cut_are_clamped() -> None:
    read = parse_edits(cut(inside=[[-5, 10**400]], box=[-3.4, 0.6, 1e9, 7], grow=1e9)).cut["c1"].pick
    assert read == Pick(Box(0, 1, 65536, 7), (Point(0, 65536),), (), 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"version": 1, "cut": []}', "in cut, expected an object"),
        ('{"version": 1, "cut": {"m1": {}}}', "names such as c1"),
        (
            json.dumps({"version": 1, "cut": {f"c{i + 1}": {"of": A, "box": [0, 0, 1, 1]} for i in range(101)}}),
            "100 cuts",
        ),
        (cut(of=None), "the fingerprint of a layer, got None"),
        (cut(of=f"{A}~2"), "no duplicate and no merged one"),
        (cut(of="m1"), "no duplicate and no merged one"),
        (cut(inside=[]), "in cut c1, expected a box or a click in the thing"),
        (cut(inside=[[1]]), "points such as"),
        (cut(inside=[[1, "2"]]), "inside of cut c1, expected a number"),
        (cut(inside=[[1, float("inf")]]), "Infinity is no number"),
        (cut(outside=[[1, 2]] * 101), "at most 100 points"),
        (cut(box=[5, 5, 5, 9]), "a box with something in it"),
        (cut(box=[5, 5, 9]), "a list of left, top, right and bottom"),
        (cut(grow="1"), "grow of cut c1, expected a number"),
        (cut(pixels="AAAA"), 'got "pixels"'),
    ],
)
def test_cuts_that_cannot_be_read_are_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(QilError, match=said):
        parse_edits(text)


def test_no_text_holds_no_edits() -> None:
    assert parse_edits("") == parse_edits("  \n") == Edits()
    assert edits_text(Edits()) == ""


def test_numbers_out_of_range_are_clamped() -> None:
    edit = parse_edits(one(opacity=7, dx=-1e9, scale_x=0, scale_y=10**400, rotation=-999)).of(A)
    assert (edit.opacity, edit.dx, edit.scale_x, edit.scale_y, edit.rotation) == (1, -16384, 0.01, 100, -360)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "expected an object"),
        ("{}", "version, expected 1"),
        ('{"version": 2}', "later version"),
        ('{"version": true}', "version, expected 1"),
        ('{"version": 1, "else": 0}', 'got "else"'),
        ('{"version": 1, "edits": []}', "expected an object"),
        ('{"version": 1, "edits": {"x": {}}}', "the fingerprint of a layer"),
        (one(dx="1"), f'dx of {A}, expected a number, got "1"'),
        (one(dx=True), "expected a number"),
        (one(dx=None), "expected a number"),
        (f'{{"version": 1, "edits": {{"{A}": {{"dx": NaN}}}}}}', "NaN is no number"),
        (f'{{"version": 1, "edits": {{"{A}": {{"dx": 1e999}}}}}}', "a finite number"),
        (one(hidden=1), "expected true or false"),
        (one(mode="glow"), 'Unknown blend mode "glow"'),
        (one(color="reddish"), "is not a colour"),
        (one(color="#ff0000", hue=10), "a hue or a color"),
        (one(shadow=1), 'got "shadow"'),
        (json.dumps({"version": 1, "order": [A, A]}), "every layer once"),
        ('{"version": 1, "order": "all"}', "a list"),
        (json.dumps({"version": 1, "order": [f"{A}~{i}" for i in range(1, 102)]}), "at most 100 duplicates, got 101"),
        (json.dumps({"version": 1, "merged": {"m1": [A]}}), "two layers or more"),
        (json.dumps({"version": 1, "merged": {C: [A, B]}}), "names such as m1"),
        (json.dumps({"version": 1, "order": [f"{i:016x}" for i in range(1001)]}), "at most 1000 layers"),
        (" " * 200_001, "at most 200000"),
        ("\ud800", "half of a character"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(QilError) as caught:
        parse_edits(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_modes_are_taken_as_people_write_them() -> None:
    assert parse_edits(one(mode="Color Dodge")).of(A).mode == "color-dodge"


def test_names_are_one_line_and_cut() -> None:
    assert parse_edits(one(name=" a\n b ")).of(A).name == "a b"
    assert len(parse_edits(one(name="x" * 5000)).of(A).name) == 256


def test_half_a_character_in_a_name_is_written_out() -> None:
    assert parse_edits(one(name="girl \ud83d")).of(A).name == "girl \\ud83d"


def test_twenty_edited_layers_take_less_than_16_kilobytes() -> None:
    edit = Edit(
        "background/a layer with a long name", False, True, 0.55, "multiply", 123.5, -77.25, 1.2345, 1.2345, 15.5
    )
    layers = [f"{i:016x}" for i in range(20)]
    text = edits_text(Edits(dict.fromkeys(layers, edit), tuple(layers)))
    assert len(text.encode()) < 16_384
