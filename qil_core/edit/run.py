"""The one way to edit by words: a layer of a stack, whose alpha survives, or a plain picture.

A layer's content is put, with a margin, on a flat key colour and edited in the editor's own size. What the edit did not
change keeps its bits; the rest is solved for (see matte.py), enlarged and put in its place. All other layers keep
their bits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..composite import composite, onto_color
from ..edit_request import EditRequest
from ..errors import QilError
from ..filters import spread
from ..progress import Progress, part, silent
from ..request import one_of
from ..stack import GRID, LayerStack, bands, check_image, content_box, quantize, same_aspect
from . import MAX_PICTURES, Editor
from .frame import Frame, Seen, frame_of
from .key_color import UNEVEN, choose_key, find_key, neutral_backdrop
from .matte import Cut, changed, colors_behind, cut_out, silhouette_overlap, tone_of

Alpha = Literal["auto", "keep", "new"]
ALPHAS = ("auto", "keep", "new")

SAME = 0.995
"""Silhouettes that overlap by so much (intersection over union) are the same one for "auto"."""

GONE = 0.01
"""A layer of which so little is left cannot have been meant."""


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


@dataclass
class Change:
    """What an answer says of a layer, in the editor's size: new colours (h, w, 3), how far they count, new alpha."""

    colors: Tensor
    weight: Tensor
    cut: Cut
    alpha: str
    notes: list[str] = field(default_factory=list)


def edit_layer(
    editor: Editor,
    stack: LayerStack,
    index: int,
    request: EditRequest,
    alpha: Alpha = "auto",
    references: Sequence[Tensor] = (),
    behind: bool = False,
    progress: Progress = silent,
) -> tuple[list[LayerStack], EditReport]:
    """A stack a variant, in which layer `index` is edited, on the 8-bit grid; every other layer keeps its bits.

    alpha: "keep" leaves the layer's shape as it is; "new" cuts it out again where its silhouette is another one;
    "auto" does this only if silhouettes differ, and the report says so. Parts that one sees through keep their alpha
    where the silhouette stays: in front of one colour nobody can tell clear from pale.
    What the edit did not change keeps colours and alpha bit for bit. Noise and shifts of tone by up to 10/255 of
    everything, as editors make them by themselves, are no change.
    references: up to two pictures, "image 2" and "image 3" in the instruction, (H, W, 3 or 4) in [0, 1]; those with
    alpha are cropped to their content and put on white (light ones on grey or black).
    behind: the editor sees the layer on the layers below it, not on a key colour.
    Raises QilError: an empty layer, a wrong value, an answer of another shape, no flat background to cut out from.
    """
    started = time.perf_counter()
    _check(request, alpha, references)
    at = stack.index(index)
    layer = stack.pixels[at]
    frame = frame_of(editor, layer, at, alpha, behind and at > 0)
    progress(0, "preparing the layer")
    seen, notes = _seen(stack, at, frame, behind, request.instruction)
    pictures = [seen.flat(), *map(reference, references)]
    edited = editor.edit(pictures, request, part(progress, 0.05, 0.85))
    variants, failed = _variants(edited.pictures, layer, seen, frame, alpha, part(progress, 0.85, 1))
    return [stack.with_layer(at, variant.layer) for variant in variants], EditReport(
        editor.label,
        f'layer {at} ("{stack.names[at]}")',
        request.instruction,
        (frame.width, frame.height),
        time.perf_counter() - started,
        _hex(seen.backdrop[0, 0]) if seen.keyed else None,
        tuple(variant.alpha for variant in variants),
        tuple(variant.changed for variant in variants),
        (*notes, *(variant.told for variant in variants), *failed, *edited.notes),
    )


class _Variant(NamedTuple):
    """An edited layer (H, W, 4), what became of alpha, the share of it that changed, and a line for people."""

    layer: Tensor
    alpha: str
    changed: float
    told: str


def _variants(
    answers: Sequence[Tensor], layer: Tensor, seen: Seen, frame: Frame, alpha: Alpha, progress: Progress
) -> tuple[list[_Variant], list[str]]:
    """A variant of the layer (H, W, 4) an answer, and why others are left out. QilError when all are."""
    variants, failed = [], []
    for i, answer in enumerate(answers):
        progress(i / len(answers), f"solving alpha of variant {i + 1}")
        try:
            change = read_answer(answer.to(layer.device), seen, frame, alpha)
        except QilError as error:  # the other variants took long, or were paid for
            failed.append(f"Variant {i + 1} is left out: {error}")
            continue
        done, share = _pasted(layer, change, frame)
        variants.append(_Variant(done, change.alpha, share, _told(i, change, share)))
    if not variants:
        raise QilError("\n".join(failed))
    progress(1.0, "done")
    return variants, failed


def edit_image(
    editor: Editor,
    picture: Tensor,
    request: EditRequest,
    references: Sequence[Tensor] = (),
    progress: Progress = silent,
    alpha: Alpha = "keep",
) -> tuple[list[Tensor], EditReport]:
    """Edited pictures of a picture (H, W, 3 or 4) in [0, 1], one a variant, of its size and channels.

    What the edit did not change keeps its bits here too. alpha, references: as for `edit_layer`. Raises QilError.
    """
    picture = check_image(picture[None])[0]
    opaque = torch.ones_like(picture[..., :1])
    layer = picture if picture.shape[2] == 4 else torch.cat([picture, opaque], -1)
    stack = LayerStack(layer[None], ("picture",))
    stacks, report = edit_layer(editor, stack, 0, request, alpha, references, progress=progress)
    what = f"picture of {stack.width} x {stack.height} px"
    return [done.pixels[0, ..., : picture.shape[2]] for done in stacks], replace(report, what=what)


def _check(request: EditRequest, alpha: str, references: Sequence[Tensor]) -> None:
    request.check()
    one_of("Alpha", alpha, ALPHAS)
    given = len(references) + len(request.picture_urls)
    if given > MAX_PICTURES - 1:
        raise QilError(f"{given} reference pictures were given: an edit takes {MAX_PICTURES - 1} at most.")


def reference(picture: Tensor) -> Tensor:
    """A further picture for an editor, (H, W, 3), of one (H, W, 3 or 4): cropped to its content, on white or grey."""
    picture = check_image(picture[None])[0]
    if picture.shape[2] == 3:
        return picture
    box = content_box(picture[..., 3])
    if box is None:
        raise QilError("A reference picture is empty: its alpha is 0 everywhere. Give another one, or none.")
    content = picture[box.top : box.bottom, box.left : box.right]
    return onto_color(content, neutral_backdrop(content))[..., :3]


def _seen(stack: LayerStack, at: int, frame: Frame, behind: bool, instruction: str) -> tuple[Seen, list[str]]:
    """What is sent of a stack, and notes."""
    small = frame.seen(stack.pixels[at])
    key = choose_key(small, instruction)
    if not behind or at == 0:
        notes = [f"Nothing is behind layer 0, so it was put on {_hex(key)}."] if behind else []
        return Seen(small, key.expand_as(small[..., :3]), True), notes
    left, top, right, bottom = frame.within(stack.pixels[at])
    below = composite(LayerStack(stack.pixels[:at, top:bottom, left:right], stack.names[:at]))
    y, x = top - frame.box.top, left - frame.box.left
    room = (x, frame.box.width - x - below.shape[1], y, frame.box.height - y - below.shape[0])
    below = onto_color(below, key)[..., :3].permute(2, 0, 1)[None]
    whole = F.pad(below, room, mode="replicate")[0].permute(1, 2, 0)
    return Seen(small, frame.scaled(whole), False), []


def read_answer(answer: Tensor, seen: Seen, frame: Frame, alpha: Alpha) -> Change:
    """What an editor's answer (h, w, 3) changes in the layer that it was given. Raises QilError."""
    answer, notes = _fitted(answer, frame)
    backdrop, flat, told = _backdrop(answer, seen)
    old, before = seen.alpha, seen.layer[..., :3]
    if alpha == "new" and not flat:
        raise QilError(f"{told} So the layer cannot be cut out: use alpha keep, or other words, or another seed.")
    tone = tone_of(answer, before, old, backdrop)
    edge = min(max(2, round(2 * frame.width / frame.box.width)), 24)
    cut, decided = Cut(old, torch.zeros_like(old)), "keep"
    if alpha != "keep" and flat:
        found = cut_out(answer, before + tone.at(before), old, backdrop, edge)
        overlap = silhouette_overlap(found.alpha, old)
        empty = bool(found.alpha.sum() < GONE * old.sum())
        if empty and alpha == "new":
            raise QilError("The answer shows nothing in front of the backdrop: use alpha keep, other words or a seed.")
        notes.append("it shows nothing in front of the backdrop" if empty else f"silhouettes overlap by {overlap:.3f}")
        decided = "new" if not empty and (alpha == "new" or overlap < SAME) else "keep"
        cut = found if decided == "new" else cut
    shift = float(tone.at(before)[old > 0].abs().max())
    if shift > 2 / GRID:
        notes.append(
            f"a shift of all its colours by up to {GRID * shift:.0f}/255 is taken for the editor's, and undone"
        )
    notes += [told] if told else []
    rest = answer - old[..., None] * tone.at(before)
    weight = torch.maximum(changed(rest, before, old, backdrop), cut.moved)
    colors = colors_behind(answer, cut.alpha, backdrop, edge)
    return Change((colors - tone.at(colors)).clamp(0, 1), weight, cut, decided, notes)


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


def _backdrop(answer: Tensor, seen: Seen) -> tuple[Tensor, bool, str]:
    """What is behind the subject in an answer, (h, w, 3), whether that is surely known, and a note.

    A key colour is read from the answer's border. Where that is no longer flat, the backdrop is made of what the
    answer shows where the layer was clear.
    """
    if not seen.keyed:
        return seen.backdrop, True, ""
    if not bool((seen.alpha <= 0).any()):
        return seen.backdrop, False, ""  # an opaque picture: nothing is known of what would be behind it
    key = find_key(answer, seen.alpha)
    if key.flat:
        off = float((key.color - seen.backdrop[0, 0]).abs().max())
        told = f"key colour came back as {_hex(key.color)}" if off > 2 / GRID else ""
        return key.color.expand_as(answer), True, told
    clear = (seen.alpha <= 0).to(answer.dtype)
    note = f"The editor changed the flat colour behind the layer: it varies by {key.unevenness:.2f} (at most {UNEVEN})."
    return spread(answer * clear[..., None], clear), False, note


def _pasted(layer: Tensor, change: Change, frame: Frame) -> tuple[Tensor, float]:
    """The layer (H, W, 4) with a change in it, and the share of its pixels that are no longer the same."""
    done = layer.clone()
    if not bool((change.weight > 0).any()):
        return done, 0.0
    left, top, right, bottom = frame.within(layer)
    part_ = done[top:bottom, left:right]
    colors = frame.back(change.colors, layer, "bicubic")
    masks = torch.stack([change.weight, change.cut.moved, change.cut.alpha], -1)
    masks = frame.back(masks, layer, "bilinear")
    for rows in bands(part_):
        part_[rows] = _blended(part_[rows], colors[rows], *masks[rows].unbind(-1))
    differs = (done != layer).any(-1)
    seen = torch.maximum(done, layer)[..., 3] > 0
    return done, float((differs & seen).sum() / seen.sum())


def _blended(old: Tensor, colors: Tensor, weight: Tensor, moved: Tensor, alpha: Tensor) -> Tensor:
    """Pixels (h, w, 4) with new colours by weight and new alpha where moved; where neither counts, the old bits."""
    was = old[..., 3]
    now = torch.lerp(was, alpha, moved)
    kept, taken = (1 - weight) * was, weight * now
    mixed = old[..., :3] * kept[..., None] + colors * taken[..., None]
    mixed = mixed / (kept + taken).clamp(min=1e-6)[..., None]
    new = quantize(torch.cat([mixed, now[..., None]], -1).clamp(0, 1))
    new[..., 3] = torch.where(moved > 0, new[..., 3], was)
    counts = (weight > 0.005)[..., None]
    seen = (kept + taken > 0)[..., None].expand_as(counts)
    new[..., :3] = torch.where(seen, new[..., :3], old[..., :3])
    return torch.where(counts, new, old)


def _told(i: int, change: Change, share: float) -> str:
    """One line on a variant."""
    alpha = {"keep": "the layer's alpha was kept", "new": "it was cut out again"}[change.alpha]
    what = f"{100 * share:.1f} % of the layer changed" if share else "nothing changed: the layer keeps its bits"
    return f"Variant {i + 1}: {alpha}; " + "; ".join([what, *change.notes])


def _hex(color: Tensor) -> str:
    red, green, blue = (round(float(value) * GRID) for value in color)
    return f"#{red:02x}{green:02x}{blue:02x}"
