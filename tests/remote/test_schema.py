"""Values are checked against what a server says that its nodes take."""

from __future__ import annotations

from typing import Any

import pytest
from fake_comfy import NODES

from qil_core.errors import QilError
from qil_core.remote.schema import brought, inputs_of, typed

WORK = inputs_of(NODES["Work"], {})


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("seed", "12", 12),
        ("seed", 12, 12),
        ("strength", "1", 1),
        ("strength", "1e-1", 0.1),
        ("fast", "True", True),
        ("fast", False, False),
        ("text", "a = b, [1]", "a = b, [1]"),
        ("mode", "hard", "hard"),
        ("how", "many", "many"),
        ("color", "#ff8800", "#ff8800"),
        ("curve", "[[0, 0], [1, 1]]", [[0, 0], [1, 1]]),
        ("curve", {"points": []}, {"points": []}),
    ],
)
def test_a_text_becomes_what_the_input_takes(name: str, given: Any, value: Any) -> None:
    read = typed(WORK[name], given, name)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("seed", "fox", 'seed must be a whole number; got "fox"'),
        ("seed", "1.5", "whole number"),
        ("seed", True, "whole number"),
        ("seed", "100", "seed must be 0 to 99"),
        ("seed", "9" * 5000, "whole number"),
        ("strength", "NaN", "must be a number"),
        ("strength", "Infinity", "must be a number"),
        ("strength", "1e999", "must be a number"),
        ("strength", "9" * 400, "must be a number"),
        ("strength", -1, "must be 0.0 to 1.0"),
        ("fast", "yes", "true or false"),
        ("fast", 1, "true or false"),
        ("text", 5, "must be a text"),
        ("mode", "loud", 'mode must be one of: soft, hard; got "loud"'),
        ("how", "few", "one of: plain, many"),
        ("color", "orange", "a colour such as #ff8800"),
        ("picture", "photo.png", "a connection, or JSON of the type IMAGE"),
        ("curve", '["1", 0]', "connections are the workflow's"),
        ("curve", "[" * 100_000, "JSON"),
    ],
)
def test_a_wrong_value_says_what_is_right(name: str, given: Any, message: str) -> None:
    with pytest.raises(QilError, match=message):
        typed(WORK[name], given, name)


def test_inputs_of_a_choice_are_there_when_it_is_chosen() -> None:
    assert "how.count" not in WORK
    assert inputs_of(NODES["Work"], {"how": "many"})["how.count"].kind == "INT"
    assert brought(NODES["Work"], {"how": "many"}, "how") == {"how.count": 3}
    assert brought(NODES["Work"], {"how": "many", "how.count": 5}, "how") == {}


def test_inputs_that_files_are_uploaded_to_are_known() -> None:
    assert inputs_of(NODES["LoadImage"], {})["image"].file
    assert inputs_of(NODES["LoadLayers"], {"source": "several PNGs"})["source.files"].file
    assert not WORK["text"].file


@pytest.mark.parametrize("info", [{}, {"input": 5}, {"input": {"required": [1]}}, {"input": {"required": {"a": None}}}])
def test_a_schema_that_makes_no_sense_has_no_inputs_to_check(info: Any) -> None:
    assert all(given.kind == "*" for given in inputs_of(info, {}).values())
