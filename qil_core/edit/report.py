"""What an edit did, for people and for JSON."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..stack import GRID


@dataclass(frozen=True)
class EditReport:
    """What was done. size: width and height of the edited part in the editor's eyes; key: the colour behind it.

    alphas, changed: for every variant "keep" or "new", and the share of the layer, 0..1, whose colours or alpha are no
    longer what they were.
    """

    label: str
    what: str
    instruction: str
    size: tuple[int, int]
    seconds: float
    key: str | None = None
    alphas: tuple[str, ...] = ()
    changed: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """A few lines for people."""
        width, height = self.size
        behind = f" on {self.key}" if self.key else ""
        return "\n".join(
            [f"{self.label}: {self.what} edited at {width} x {height} px{behind} in {self.seconds:.1f} s", *self.notes]
        )

    def as_dict(self) -> dict[str, object]:
        """The same as plain numbers and texts, for JSON."""
        return {
            "editor": self.label,
            "what": self.what,
            "instruction": self.instruction,
            "width": self.size[0],
            "height": self.size[1],
            "seconds": round(self.seconds, 3),
            "key": self.key,
            "alphas": list(self.alphas),
            "changed": [round(share, 6) for share in self.changed],
            "notes": list(self.notes),
        }


def hex_color(color: Tensor) -> str:
    """A colour (3,) in [0, 1] as #rrggbb."""
    red, green, blue = (round(float(value) * GRID) for value in color)
    return f"#{red:02x}{green:02x}{blue:02x}"


def variant_line(i: int, alpha: str, changed: float, notes: list[str]) -> str:
    """One line on variant i, counted from 0."""
    became = {"keep": "the layer's alpha was kept", "new": "it was cut out again"}[alpha]
    share = f"{100 * changed:.1f} % of the layer changed" if changed else "nothing changed: the layer keeps its bits"
    return f"Variant {i + 1}: {became}; " + "; ".join([share, *notes])
