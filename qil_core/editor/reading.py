"""Reading values of a text that anybody may have written: types are checked, numbers clamped, errors say where."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..errors import QilError
from ..text import MAX_STACK, printable, quoted

MAX_NAME = 256
"""Characters of a layer's new name: more are cut off."""


def read_json(text: str) -> Any:
    """What a JSON text holds, without NaN and infinity."""

    def no_number(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(text, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise QilError(
            f"The edits are no JSON text ({error}). Empty the field to start anew, or paste the text again."
        ) from None


def flag(where: str, value: Any) -> bool:
    """True or false."""
    return value if isinstance(value, bool) else refuse(where, "true or false", value)


def number(low: float, high: float) -> Callable[[str, Any], float]:
    """Reads a number and clamps it to low..high. A whole number of any length is clamped as well."""

    def read(where: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(where, "a number", value)
        if isinstance(value, float) and not math.isfinite(value):  # 1e999 is infinity to Python's reader
            refuse(where, "a finite number", value)
        return float(min(max(value, low), high))

    return read


def short_text(where: str, value: Any) -> str:
    """A printable text of one line."""
    if not isinstance(value, str):
        refuse(where, "a text", value)
    return " ".join(printable(value[:MAX_NAME]).split())


def mapping(where: str, value: Any) -> dict[str, Any]:
    """An object of a bounded number of entries."""
    if not isinstance(value, dict):
        refuse(where, "an object", value)
    if len(value) > MAX_STACK:
        refuse(where, f"at most {MAX_STACK} entries", f"{len(value)} entries")
    return value


def check_keys(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuses a key that is not known: it may be of a later version."""
    for key in given:
        if key not in known:
            refuse(where, f"one of {', '.join(known)}", key)


def refuse(where: str, expected: str, value: Any) -> NoReturn:
    """Raises QilError that says where, what was expected and what was given."""
    shown = quoted(value) if isinstance(value, str) else f"{value!s:.40}"
    raise QilError(f"The edits of the layer editor cannot be read: in {where}, expected {expected}, got {shown}.")
