"""The one door of all nodes: what comes in is checked against the node's own schema, what goes out is printable.

ComfyUI checks what is typed into widgets, but lets NaN pass; what comes over a link it does not check at all, and of a
dynamic combo it drops the options that it does not know. So every value is checked here again, before the node works:
1. `checked` walks the schema's inputs and gives the values that `execute` gets, each by the check of its type.
2. `execute` runs. An error whose text could not be logged is replaced by one whose text can (`loggable`).
3. `_leaving` makes the texts among the outputs printable.
"""

from __future__ import annotations

import functools
import math
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.color import parse_color
from ..qil_core.error_codes import told
from ..qil_core.errors import QilError
from ..qil_core.request import readable
from ..qil_core.text import MAX_LINE, MAX_LIST, MAX_PROMPT, printable, quoted
from .sockets import FileChoice, LongText, WhichLayer

METHODS = {
    "LAYERED_MODEL": "decompose",
    "EDIT_MODEL": "edit",
    "MODEL": "clone",
    "CLIP": "tokenize",
    "VAE": "encode",
    "LAYER_LOOK": "of",
}
"""A method of the objects that come over a socket, by the socket's type."""

Check = Callable[[io.Input, Any], Any]
"""Gives the value of an input as `execute` gets it, or raises QilError."""

LISTED = 20
"""Options that a message names at the most."""


class Node(io.ComfyNode):
    """A node of this package: its `execute` gets checked values and no others."""

    ACCEPT_ALL_INPUTS = True
    """ComfyUI hands over what the schema does not know too (since 0.10): options of a dynamic combo among it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Puts the door in front of `execute`. ComfyUI clones node classes: a clone has it already."""
        super().__init_subclass__(**kwargs)
        execute = vars(cls).get("execute")
        if execute is not None and not hasattr(execute.__func__, "__wrapped__"):
            cls.execute = classmethod(_behind_the_door(execute.__func__))


def _behind_the_door(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    @functools.wraps(execute)
    def run(cls: type[Node], **inputs: Any) -> io.NodeOutput:
        with loggable(), _coded():
            return _leaving(execute(cls, **checked(cls.define_schema(), inputs)))

    return run


@contextmanager
def _coded() -> Iterator[None]:
    """A QilError that comes out of here has its code behind its message."""
    try:
        yield
    except QilError as error:
        error.args = (told(error),)
        raise


@contextmanager
def loggable() -> Iterator[None]:
    """Whatever is raised inside has a traceback that ComfyUI's log can take: a lone surrogate would end its worker."""
    try:
        yield
        return
    except Exception as error:
        try:
            "".join(traceback.format_exception(error)).encode()
        except UnicodeEncodeError:
            message = f"{type(error).__name__}: {error}"
        else:
            raise
    raise QilError(message)  # outside of the except blocks, so that it carries no unprintable context along


def refusal(check: Callable[[Any], object], value: Any) -> bool | str:
    """For validate_inputs: True, or what `check` says against the value. None, a link, has no value yet."""
    try:
        if value is not None:
            check(value)
    except QilError as error:
        return told(error)
    return True


def checked(schema: io.Schema, inputs: dict[str, Any]) -> dict[str, Any]:
    """The values that a schema knows, each of its type and in its range. Raises QilError that names the input.

    What is optional and not given, or None, is left out. Inputs that the schema does not know are left out too.
    """
    check = _check_list if schema.is_input_list else _check
    return _checked(schema.inputs, inputs, check)


def check_typed(schema: io.Schema, inputs: dict[str, Any]) -> None:
    """For validate_inputs, which ComfyUI trusts with all the inputs that it takes: QilError for a value that was typed
    and is wrong. What is linked is None, at any depth, and is checked when it arrives.
    """
    _checked(schema.inputs, inputs, _check_if_typed)


def _check_if_typed(item: io.Input, value: Any) -> Any:
    if isinstance(item, io.DynamicCombo.Input):
        return _dynamic(item, value, _check_if_typed)
    return None if value is None else _check(item, value)


def _checked(known: list[io.Input], given: dict[str, Any], check: Check) -> dict[str, Any]:
    wanted = [item for item in known if not (item.optional and given.get(item.id) is None)]
    return {item.id: check(item, given.get(item.id)) for item in wanted}


def _check_list(item: io.Input, values: Any) -> list[Any]:
    """Nodes that take lists get one for every input. An optional one may hold None for a missing value."""
    if not isinstance(values, list) or not values:
        raise QilError(f"{item.id}: nothing arrived. Link it to an output that gives something.")
    return [None if value is None and item.optional else _check(item, value) for value in values]


def _check(item: io.Input, value: Any) -> Any:
    if value is None and not isinstance(item, io.DynamicCombo.Input):
        raise QilError(f"{item.id}: nothing arrived. Link it to an output that gives something, or write a value.")
    for kind, check in CHECKS:
        if isinstance(item, kind):
            return check(item, value)
    method = METHODS.get(item.io_type)
    if method and not callable(getattr(value, method, None)):
        raise _unfit(item, f"a {item.io_type} as its loader gives it", value)
    return value


def _dynamic(item: io.DynamicCombo.Input, value: Any, check: Check = _check) -> dict[str, Any]:
    """The choice as ComfyUI nests it: {id: key, and an entry for each of the option's own inputs}."""
    key = value.get(item.id) if isinstance(value, dict) else value
    found = [option for option in item.options if option.key == key]
    if not found:
        keys = ", ".join(option.key for option in item.options)
        given = "an option" if key is None else _shown(key)  # ComfyUI before 0.10 drops what it does not know
        raise QilError(
            f'"{item.id}" is set to {given} that this version does not have: choose another one in the node ({keys}).'
        )
    return {item.id: key, **_checked(found[0].inputs, value if isinstance(value, dict) else {}, check)}


def _combo(item: io.Combo.Input, value: Any) -> Any:
    if not isinstance(value, str | int) or value not in item.options:
        options = [str(option) for option in item.options]
        more = f" and {len(options) - LISTED} more" if len(options) > LISTED else ""
        raise _unfit(item, f"one of {', '.join(options[:LISTED])}{more}", value)
    return value


def _file(item: FileChoice, value: Any) -> str:
    """Whether it is there is checked where it is opened."""
    if not isinstance(value, str):
        raise _unfit(item, "a file", value)
    readable(item.id, value, MAX_LINE)
    return value


def _text(item: io.String.Input, value: Any) -> str:
    if not isinstance(value, str):
        raise _unfit(item, "a text", value)
    grows = item.force_input or isinstance(item, LongText)
    readable(item.id, value, MAX_LIST if grows else MAX_PROMPT if item.multiline else MAX_LINE)
    return value


def _which(item: WhichLayer, value: Any) -> int | str:
    """An index or a name; whether there is such a layer is checked where the stack is known."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        raise _unfit(item, "a layer's name or index", value)
    readable(item.id, value, MAX_LINE)
    return value


def _color(item: io.Color.Input, value: Any) -> str:
    if not isinstance(value, str):
        raise _unfit(item, "a colour such as #ff8800", value)
    try:
        parse_color(value)
    except QilError as error:
        raise QilError(f"{item.id}: {error}") from None
    return value


def _boolean(item: io.Boolean.Input, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _unfit(item, "true or false", value)
    return value


def _integer(item: io.Int.Input, value: Any) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise _unfit(item, "a whole number", value)
    return int(_in_range(item, value))


def _number(item: io.Float.Input, value: Any) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise _unfit(item, "a number", value)
    return float(_in_range(item, value))


def _in_range(item: Any, value: Any) -> Any:
    low, high = item.min, item.max
    if (low is not None and value < low) or (high is not None and value > high):
        raise _unfit(item, f"{low} to {high}", value)
    return value


def _image(item: io.Image.Input, value: Any) -> torch.Tensor:
    """Its channels, type and range are checked where it is used (`stack.check_image`)."""
    return _tensor(item, "pictures of the shape (batch, height, width, channels)", 4, value)


def _mask(item: io.Mask.Input, value: Any) -> torch.Tensor:
    mask = _tensor(item, "a mask of the shape (batch, height, width)", 3, value)
    if not mask.is_floating_point():
        raise QilError(f"{item.id}: expected float values from 0 to 1, got {mask.dtype}.")
    if not mask.isfinite().all():
        raise QilError(f"{item.id}: expected values from 0 to 1, these hold NaN (not-a-number) or infinity.")
    return mask


def _tensor(item: io.Input, expected: str, rank: int, value: Any) -> torch.Tensor:
    """A tensor with so many dimensions, none of them empty, whose values lie in memory one by one."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
        raise _unfit(item, expected, value)
    if value.ndim != rank or 0 in value.shape:
        raise QilError(f"{item.id}: expected {expected}, none of them 0, got {tuple(value.shape)}.")
    return value


def only(batch: torch.Tensor, name: str) -> torch.Tensor:
    """The picture of a batch that an input takes one of. Raises QilError."""
    if len(batch) != 1:
        raise QilError(f"{name} holds {len(batch)} pictures, expected 1: take one with Get Image from Batch.")
    return batch[0]


CHECKS: tuple[tuple[type[io.Input], Callable[[Any, Any], Any]], ...] = (
    (io.DynamicCombo.Input, _dynamic),
    (FileChoice, _file),
    (WhichLayer, _which),
    (io.Combo.Input, _combo),
    (io.String.Input, _text),
    (io.Color.Input, _color),
    (io.Boolean.Input, _boolean),
    (io.Int.Input, _integer),
    (io.Float.Input, _number),
    (io.Image.Input, _image),
    (io.Mask.Input, _mask),
)
"""The check of each type of input. Others, such as LAYERS, are checked by the node that takes them."""


def _unfit(item: io.Input, expected: str, value: Any) -> QilError:
    return QilError(f"{item.id}: expected {expected}, got {_shown(value)}.")


def _shown(value: Any) -> str:
    """A value as a message shows it: short, and a text in quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool | int | float) or value is None:
        return f"{value!s:.40}"
    return f"a value of the type {type(value).__name__}"


def _leaving(output: io.NodeOutput) -> io.NodeOutput:
    """The output with printable texts: names of layers come from anybody's files."""
    output.args = tuple(_printable(value) for value in output.args)
    return output


def _printable(value: Any) -> Any:
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return printable(value) if isinstance(value, str) else value
