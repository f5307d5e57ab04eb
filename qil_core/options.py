"""Settings of decomposers and editors as plain data: nodes make inputs of them, the command line reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import QilError

Value = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One setting.

    default: also says the type: bool, int, float or str. choices: the texts that are allowed; () allows any. files:
    the kind of weights, such as "vae", of which one must be chosen. low, high, step: of a number. optional: it came
    later, so saved graphs may lack it.
    """

    name: str
    default: Value
    tooltip: str
    choices: tuple[str, ...] = ()
    files: str = ""
    low: float = 0
    high: float = 1
    step: float = 1
    multiline: bool = False
    optional: bool = False
    advanced: bool = False

    def read(self, text: str) -> Value:
        """The value that a text gives. Raises QilError: not of the option's type, not among its choices, too far."""
        if self.choices and text not in self.choices:
            raise QilError(f'{self.name} must be one of {", ".join(self.choices)}; got "{text}".')
        if isinstance(self.default, bool):
            return self._switch(text)
        return text if isinstance(self.default, str) else self._number(text)

    def _switch(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise QilError(f'{self.name} must be true or false; got "{text}".')
        return text.lower() == "true"

    def _number(self, text: str) -> Value:
        try:
            value = float(text) if isinstance(self.default, float) else int(text)
        except ValueError:
            raise QilError(f'{self.name} must be a number; got "{text}".') from None
        if not self.low <= value <= self.high:
            raise QilError(f"{self.name} must be {self.low:g} to {self.high:g}; got {text}.")
        return value


def read_all(options: Sequence[Option], given: Sequence[str]) -> dict[str, Value]:
    """Values of all options: the defaults, and what texts such as "memory=auto" say. Raises QilError."""
    known: Mapping[str, Option] = {option.name: option for option in options}
    values = {option.name: option.default for option in options}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            names = ", ".join(known) or "none"
            raise QilError(f'"{text}" sets nothing that is known: write NAME=VALUE, with one of these names: {names}.')
        values[name] = known[name].read(value)
    return values
