"""The one way to edit by words, from start to end: a layer of a stack, whose alpha survives, or a plain picture.

A layer's content is put, with a margin, on a flat key colour (frame.py, sent.py) and edited in the editor's own size.
The answer is read back (answer.py) and put in its place (paste.py). What the edit did not change keeps its bits, and
so do all other layers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..edit_request import EditRequest
from ..errors import QilError
from ..opencv import check_opencv
from ..progress import Progress, part, silent
from ..request import one_of
from ..stack import LayerStack, check_image
from . import MAX_PICTURES, Editor
from .answer import ALPHAS, Alpha, read_answer
from .frame import Frame, Seen, frame_of
from .paste import pasted
from .report import EditReport, hex_color, variant_line
from .sent import reference, shown


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
    check_opencv()
    _check(request, alpha, references)
    at = stack.index(index)
    layer = stack.pixels[at]
    frame = frame_of(editor, layer, at, alpha, behind and at > 0)
    progress(0, "preparing the layer")
    seen, notes = shown(stack, at, frame, behind, request.instruction)
    pictures = [seen.flat(), *map(reference, references)]
    edited = editor.edit(pictures, request, part(progress, 0.05, 0.85))
    variants, failed = _variants(edited.pictures, layer, seen, frame, alpha, part(progress, 0.85, 1))
    return [stack.with_layer(at, variant.layer) for variant in variants], EditReport(
        editor.label,
        f'layer {at} ("{stack.names[at]}")',
        request.instruction,
        (frame.width, frame.height),
        time.perf_counter() - started,
        hex_color(seen.backdrop[0, 0]) if seen.keyed else None,
        tuple(variant.alpha for variant in variants),
        tuple(variant.changed for variant in variants),
        (*notes, *(variant.line for variant in variants), *failed, *edited.notes),
    )


class _Variant(NamedTuple):
    """An edited layer (H, W, 4), what became of alpha, the share of it that changed, and a line for people."""

    layer: Tensor
    alpha: str
    changed: float
    line: str


def _variants(
    answers: Sequence[Tensor], layer: Tensor, seen: Seen, frame: Frame, alpha: Alpha, progress: Progress
) -> tuple[list[_Variant], list[str]]:
    """A variant of the layer (H, W, 4) an answer, and why others are left out. QilError when all are."""
    variants, failed = [], []
    for i, answer in enumerate(answers):
        share = part(progress, i / len(answers), (i + 1) / len(answers))
        try:
            change = read_answer(answer.to(layer.device), seen, frame, alpha, _named(part(share, 0, 0.8), i))
        except QilError as error:  # the other variants took long, or were paid for
            failed.append(f"Variant {i + 1} is left out: {error}")
            continue
        done, differs = pasted(layer, change, frame, _named(part(share, 0.8, 1), i))
        line = variant_line(i, change.alpha, differs, change.notes)
        variants.append(_Variant(done, change.alpha, differs, line))
    if not variants:
        raise QilError("\n".join(failed))
    progress(1.0, "done")
    return variants, failed


def _named(progress: Progress, i: int) -> Progress:
    """A Progress that says which variant it is about."""
    return lambda fraction, what: progress(fraction, f"variant {i + 1}: {what}")


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
