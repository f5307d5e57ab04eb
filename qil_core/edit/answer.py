"""An editor's answer is read back: what it changes in the layer that was shown.

1. It is brought to the size that was sent (`_fitted`).
2. The backdrop in it is found (`_backdrop`): editors paint a key colour slightly differently.
3. A shift of tone that all colours share is the editor's own, and taken out (`changes.tone_of`).
4. Alpha is kept or solved for again (`_alpha`, with matte.cut_out).
5. What changed is found (`changes.changed`), and its colours are solved for (`colors.colors_behind`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import QilError
from ..filters import spread
from ..progress import Progress, part, silent
from ..stack import GRID, same_aspect
from .changes import changed, tone_of
from .colors import colors_behind
from .frame import Frame, Seen
from .key_color import UNEVEN, find_key
from .matte import Cut, cut_out, silhouette_overlap
from .report import hex_color

Alpha = Literal["auto", "keep", "new"]
ALPHAS = ("auto", "keep", "new")

SAME = 0.995
"""Silhouettes that overlap by so much (intersection over union) are the same one for "auto"."""

GONE = 0.01
"""A layer of which so little is left cannot have been meant."""

WORTH_A_NOTE = 2 / GRID
"""A shift of colour that is larger is named in the report: 2 steps of 255 can be seen side by side."""

EDGES = (2, 24)
"""How many pixels wide edges are taken to be, at the least and at the most, in the editor's size."""


@dataclass
class Change:
    """What an answer says of a layer, in the editor's size: new colours (h, w, 3), how far they count, new alpha."""

    colors: Tensor
    weight: Tensor
    cut: Cut
    alpha: str
    notes: list[str] = field(default_factory=list)


class _Backdrop(NamedTuple):
    """What is behind the subject in an answer, (h, w, 3), whether that is surely known, and a note."""

    colors: Tensor
    sure: bool
    note: str = ""


def read_answer(answer: Tensor, seen: Seen, frame: Frame, alpha: Alpha, progress: Progress = silent) -> Change:
    """What an editor's answer (h, w, 3) changes in the layer that it was given. Raises QilError.

    progress is called between all steps, several times a second for 3 megapixels on an idle machine.
    """
    progress(0, "reading the answer")
    answer, notes = _fitted(answer, frame)
    behind = _backdrop(answer, seen)
    old, before = seen.alpha, seen.layer[..., :3]
    if alpha == "new" and not behind.sure:
        raise QilError(
            f"{behind.note} So the layer cannot be cut out: use alpha keep, or other words, or another seed."
        )
    progress(0.05, "comparing tones")
    tone = tone_of(answer, before, old, behind.colors)
    shift = tone.at(before)
    edge = _edge(frame)
    cut, decided = Cut(old, torch.zeros_like(old)), "keep"
    if alpha != "keep" and behind.sure:
        found = cut_out(answer, before + shift, old, behind.colors, edge, part(progress, 0.1, 0.7))
        cut, decided = _decided(found, cut, alpha, notes)
    notes += _tone_note(shift, old) + [behind.note] * bool(behind.note)
    progress(0.7, "finding what changed")
    weight = torch.maximum(changed(answer - old[..., None] * shift, before, old, behind.colors), cut.moved)
    progress(0.8, "solving colours")
    colors = colors_behind(answer, cut.alpha, behind.colors, edge, part(progress, 0.8, 1))
    return Change((colors - tone.at(colors)).clamp(0, 1), weight, cut, decided, notes)


def _edge(frame: Frame) -> int:
    """How many pixels wide a layer's edges are in the editor's size: two of its own pixels."""
    least, most = EDGES
    return min(max(least, round(2 * frame.width / frame.box.width)), most)


def _decided(found: Cut, kept: Cut, alpha: Alpha, notes: list[str]) -> tuple[Cut, str]:
    """The new alpha or the old one, and which. Adds a note; raises QilError when there is nothing to cut out."""
    overlap = silhouette_overlap(found.alpha, kept.alpha)
    empty = bool(found.alpha.sum() < GONE * kept.alpha.sum())
    if empty and alpha == "new":
        raise QilError("The answer shows nothing in front of the backdrop: use alpha keep, other words or a seed.")
    notes.append("it shows nothing in front of the backdrop" if empty else f"silhouettes overlap by {overlap:.3f}")
    new = not empty and (alpha == "new" or overlap < SAME)
    return (found, "new") if new else (kept, "keep")


def _tone_note(shift: Tensor, alpha: Tensor) -> list[str]:
    """A note on a shift (h, w, 3) of all colours that can be seen."""
    most = float(shift[alpha > 0].abs().max())
    if most <= WORTH_A_NOTE:
        return []
    return [f"a shift of all its colours by up to {GRID * most:.0f}/255 is taken for the editor's, and undone"]


def _fitted(answer: Tensor, frame: Frame) -> tuple[Tensor, list[str]]:
    """The answer in the size that was sent, and notes. QilError when its aspect is another one."""
    height, width = answer.shape[:2]
    if (width, height) == (frame.width, frame.height):
        return answer, []
    if not same_aspect((width, height), (frame.width, frame.height)):
        raise QilError(
            f"The editor was given {frame.width} x {frame.height} pixels and gave back {width} x {height}: that is "
            "another aspect, so the answer cannot be put in the layer's place. Ask without a change of format."
        )
    return frame.scaled(answer), [f"answered with {width} x {height} px"]


def _backdrop(answer: Tensor, seen: Seen) -> _Backdrop:
    """A key colour is read from the answer's border. Where that is no longer flat, the backdrop is made of what the
    answer shows where the layer was clear.
    """
    if not seen.keyed:
        return _Backdrop(seen.backdrop, True)
    if not bool((seen.alpha <= 0).any()):
        return _Backdrop(seen.backdrop, False)  # an opaque picture: nothing is known of what would be behind it
    key = find_key(answer, seen.alpha)
    if key.flat:
        off = float((key.color - seen.backdrop[0, 0]).abs().max())
        note = f"key colour came back as {hex_color(key.color)}" if off > WORTH_A_NOTE else ""
        return _Backdrop(key.color.expand_as(answer), True, note)
    clear = (seen.alpha <= 0).to(answer.dtype)
    note = f"The editor changed the flat colour behind the layer: it varies by {key.unevenness:.2f} (at most {UNEVEN})."
    return _Backdrop(spread(answer * clear[..., None], clear), False, note)
