"""What the inputs of a node take, read from a server's /object_info, and values checked against it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import QilError
from ..text import quoted

DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
"""A choice that brings inputs of its own, named "choice.input"."""

COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}(?:[0-9a-fA-F]{2})?")
ANNOTATED = re.compile(r".+ \[(input|output|temp)\]")
"""How ComfyUI writes a file that lies in one of its folders."""

MAX_CHOICES = 20
"""Choices that an error lists."""


@dataclass(frozen=True)
class Input:
    """What one input takes.

    kind: ComfyUI's name of the type, COMBO for any choice. options: its limits. choices: of a COMBO or a dynamic one;
    None for one that is filled at run time. file: whether its value names a file in the server's input folder.
    """

    kind: str
    options: Mapping[str, Any]
    choices: tuple[Any, ...] | None
    file: bool


def inputs_of(info: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Input]:
    """The inputs that a node has with these values: what a dynamic choice brings depends on what is chosen."""
    return dict(_walk(_mapping(info.get("input")), "", values, False))


def _walk(
    section: Mapping[str, Any], prefix: str, values: Mapping[str, Any], file: bool
) -> Iterator[tuple[str, Input]]:
    for group in ("required", "optional"):
        for name, spec in _mapping(section.get(group)).items():
            found = _input(spec, file)
            yield prefix + name, found
            if found.kind == DYNAMIC:
                yield from _chosen(found, prefix + name, values)


def _chosen(parent: Input, path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Input]]:
    chosen = values.get(path, parent.choices[0] if parent.choices else None)
    for option in dicts(parent.options.get("options")):
        if option.get("key") == chosen:  # `accept`: endings of files that our own Load Layers uploads
            yield from _walk(_mapping(option.get("inputs")), f"{path}.", values, bool(parent.options.get("accept")))


def _input(spec: Any, file: bool) -> Input:
    """spec: ["INT", {"min": 0}], [["a", "b"], {}] or ["COMBO", {"options": ["a", "b"]}]."""
    kind, options = (
        (spec[0], _mapping(spec[1] if len(spec) > 1 else {})) if isinstance(spec, list) and spec else ("*", {})
    )
    uploads = any(value is True for name, value in options.items() if name.endswith("_upload"))
    listed = kind if isinstance(kind, list) else options.get("options")
    choices = tuple(listed) if isinstance(listed, list) else None
    if kind == DYNAMIC and choices is not None:
        choices = tuple(choice.get("key") for choice in choices if isinstance(choice, dict))
    name = "COMBO" if isinstance(kind, list) else str(kind)
    return Input(name, options, choices, uploads or (file and name in ("COMBO", "STRING")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def brought(info: Mapping[str, Any], values: Mapping[str, Any], choice: str) -> dict[str, Any]:
    """Defaults of the inputs that a dynamic choice brings and that values lack, as the editor sets them."""
    found = {}
    for name, given in inputs_of(info, values).items():
        default = given.options.get("default", given.choices[0] if given.choices else None)
        if name.startswith(f"{choice}.") and name not in values and default is not None:
            found[name] = default
    return found


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list of JSON; none in anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def typed(given: Input, value: Any, name: str) -> Any:
    """A value as the server takes it. value: a text, or what JSON holds. name: for errors. Raises QilError."""
    if given.choices is not None:
        return _choice(given, value, name)
    read = READERS.get(given.kind, _json)
    return read(given, value, name)


def is_on_server(given: Input, text: str) -> bool:
    """Whether a file's name may be meant for the server: it lists it, or the name says in which folder it is."""
    return given.choices is None or text in given.choices or bool(ANNOTATED.fullmatch(text))


def _choice(given: Input, value: Any, name: str) -> Any:
    choices = given.choices or ()
    if given.options.get("multiselect") and given.kind == "COMBO":
        return [_one_of(choices, each, name) for each in _list(value, name)]
    return _one_of(choices, value, name)


def _one_of(choices: tuple[Any, ...], value: Any, name: str) -> Any:
    for choice in choices:
        if choice == value or (isinstance(value, str) and str(choice) == value):
            return choice
    listed = ", ".join(str(choice) for choice in choices[:MAX_CHOICES]) or "nothing"
    more = f" and {len(choices) - MAX_CHOICES} more" if len(choices) > MAX_CHOICES else ""
    raise _wrong(name, value, f"one of: {listed}{more}")


def _list(value: Any, name: str) -> list[Any]:
    found = _parsed(value) if isinstance(value, str) else value
    if not isinstance(found, list):
        raise _wrong(name, value, "a JSON list of choices")
    return found


def _whole(given: Input, value: Any, name: str) -> int:
    number = _parsed(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise _wrong(name, value, "a whole number")
    return int(_within(given, number, name))


def _number(given: Input, value: Any, name: str) -> float:
    number = _parsed(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not _is_finite(number):
        raise _wrong(name, value, "a number")
    return _within(given, number, name)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can hold
        return False


def _within(given: Input, number: float, name: str) -> float:
    low, high = _limit(given, "min", -math.inf), _limit(given, "max", math.inf)
    if not low <= number <= high:
        raise _wrong(name, number, f"{low} to {high}")
    return number


def _limit(given: Input, key: str, default: float) -> float:
    limit = given.options.get(key)
    return limit if isinstance(limit, (int, float)) else default


def _switch(given: Input, value: Any, name: str) -> bool:
    switches = {"true": True, "false": False}
    found = switches.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise _wrong(name, value, "true or false")
    return found


def _text(given: Input, value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value


def _color(given: Input, value: Any, name: str) -> str:
    if not isinstance(value, str) or not COLOR.fullmatch(value):
        raise _wrong(name, value, "a colour such as #ff8800")
    return value


def _json(given: Input, value: Any, name: str) -> Any:
    """For types that this module does not know: JSON, but for what the server would take as a link."""
    found = _parsed(value) if isinstance(value, str) else value
    if found is INVALID:
        raise _wrong(name, value, f"a connection, or JSON of the type {given.kind}")
    if is_link(found):
        raise _wrong(name, value, "a value: [id, number] is a connection, and connections are the workflow's")
    return found


def is_link(value: Any) -> bool:
    """Whether ComfyUI takes a value as a connection: the id of a node and the number of one of its outputs."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


INVALID = object()


def _parsed(text: str) -> Any:
    """What a text of JSON says; INVALID for another one. NaN and infinity, which JSON lacks, are invalid too."""
    try:
        return json.loads(text, parse_constant=lambda _: INVALID)
    except (ValueError, RecursionError):
        return INVALID


def _wrong(name: str, value: Any, expected: str) -> QilError:
    return QilError(f"{name} must be {expected}; got {quoted(value if isinstance(value, str) else json.dumps(value))}.")


READERS: Mapping[str, Callable[[Input, Any, str], Any]] = {
    "INT": _whole,
    "FLOAT": _number,
    "BOOLEAN": _switch,
    "STRING": _text,
    "COLOR": _color,
    "COMBO": _text,
}
