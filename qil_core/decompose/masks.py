"""Layers of masks: any segmenter becomes a decomposer.

1. `mask_order`: masks of the picture's size, and which one lies above which.
2. From the top one down, `_cover`: soft alpha of all masks so far together, by `matting`. What the next lower layer
   adds to that is its own alpha, so that it goes on, opaque, under the soft edge of what lies on it.
3. `_extent`: where it goes on further under what covers it.
4. `_colored`: pure colours in soft edges (multi-level foreground estimation: Germer et al., 2020; PyMatting), and
   colours for what is hidden.
5. `_ground`: what no mask covers, carried on under the layers, and as dark under soft edges as it is seen there; or the
   user's clean plate, toned to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import QilError
from ..naming import BACKGROUND, THING
from ..opencv import check_opencv
from ..progress import Progress, part, silent
from ..request import Request
from ..stack import LayerStack, quantized
from . import Decomposed
from .builtin.completion import completed
from .builtin.fill import nearest, smooth_fill
from .builtin.patches import patch_fill
from .builtin.shapes import box_around, continued, grown
from .builtin.step01_look import noise_level
from .builtin.working import Floats, Mask
from .mask_order import Area, bottom_first, checked
from .matting import band_width, before, check_matting, soft_alpha, trimap

SOLID = 0.98
"""Alpha from which a pixel shows its layer alone."""

CLEAR = 0.02
"""Alpha up to which a pixel shows nothing of a layer."""

HIDDEN = 0.95
"""Cover from which what lies below cannot be told from the picture."""

GUESS = 0.1
"""Weight of a layer's continued shape against its measured alpha where all of it is covered, and less where less is."""

LIKE, UNLIKE = 8 / 255, 24 / 255
"""Difference of colours, in 0..1, up to which hardly anybody sees it, and from which everybody does."""

AROUND, AREA = (5, 5), (33, 33)
"""Pixels over which such a difference is a mean, and over which a ground is even or has texture."""

EDGE_PX = 3
"""Pixels beside a layer in which the ground's colour may still hold some of it: JPEG, sharpening, the mask."""

EVEN = 1e-4
"""Variance of a clean plate's channel, in 0..1 squared, up to which it is even: a standard deviation of 2.5/255."""

FINE_PX, COARSE_PX = 1.5, 6.0
"""Texture is what lies between these standard deviations of a blur: finer is noise, coarser is shading."""

TEXTURED = 1.0
"""Texture, in 1/255, from which a ground is filled with pieces of itself instead of smoothly. Of the grounds of
`python -m benchmarks filling`, gradients have up to 0.13, textured and photographic ones 3 to 12; noise with a standard
deviation of 5 has 0.7."""

MAX_PATCHED = 0.5
"""Share of the picture that is covered up to which it is: beyond, too little is seen (step03_ground.MAX_PATCHED)."""


class _Seen(NamedTuple):
    """A picture: its colours (H, W, 3), where it shows something (H, W), its background (H, W, 3) where a clean plate
    is given, and the half width of soft edges in pixels."""

    rgb: Floats
    there: Mask
    plate: Floats | None
    band: int

    def at(self, box: tuple[slice, slice]) -> _Seen:
        """The same of a part of the picture."""
        plate = None if self.plate is None else self.plate[box]
        return _Seen(self.rgb[box], self.there[box], plate, self.band)


@dataclass(frozen=True, eq=False)
class Masks:
    """A decomposer for one picture whose things are known by masks.

    masks: float32 (h, w) in [0, 1] each, of any size in the picture's aspect, 1 where the thing is. Where a mask lies
    between, as those of background removal do in hair, it is soft itself. names: as many, or none: then
    things are named by what they show.
    is_ordered: the masks are given bottom first; else their order is found. background: float32 (H, W, 3 or 4) in
    [0, 1], a clean plate of the same picture, or None: then what is hidden is filled. band: half width of the soft edge
    that is looked for, in pixels of the picture; None takes it from the picture's size.
    """

    masks: Sequence[Floats]
    names: Sequence[str] = ()
    is_ordered: bool = False
    background: Tensor | None = None
    band: int | None = None

    label = "Masks"
    uses_seed = False

    def decompose(self, picture: Tensor, request: Request, progress: Progress = silent) -> Decomposed:
        """The background and a layer a mask, of a picture (H, W, 4) float32, bottom first. Of the request nothing is
        used. Raises QilError for masks, names or a background that do not fit.
        """
        check_opencv()
        check_matting()
        rgb, shown = picture[..., :3].cpu().numpy(), picture[..., 3].cpu().numpy()
        masks, names, notes = checked(self.masks, self.names, rgb.shape[:2])
        rgb, masks = _continued_into_clear(rgb, shown, masks)
        if not self.is_ordered:
            order = bottom_first(rgb, [mask.inside for mask in masks], part(progress, 0, 0.1))
            masks, names = [masks[i] for i in order], [names[i] for i in order]
        band = self.band or band_width(*rgb.shape[:2])
        seen = _Seen(rgb, shown > CLEAR, self._plate(rgb, masks, band), band)
        out = torch.zeros(len(masks) + 1, *picture.shape)
        layers = out.numpy()
        cover, union = np.zeros(rgb.shape[:2], np.float32), np.zeros(rgb.shape[:2], bool)
        for done, i in enumerate(reversed(range(len(masks)))):
            progress(0.1 + 0.7 * done / len(masks), f"cutting out {names[i]}")
            cover = _cut_out(seen, masks[i], union, cover, layers[i + 1])
            union |= masks[i].inside
        layers[1:, ..., 3] *= shown
        progress(0.8, "completing the background")
        layers[0, ..., :3] = _ground(seen, cover, union)
        layers[0, ..., 3] = _ground_alpha(shown, seen.there, cover, union)
        given = names if self.names else [""] * len(names)
        kinds = (BACKGROUND, *[THING] * len(names))
        return Decomposed(LayerStack(quantized(out), (BACKGROUND, *given)), tuple(notes), kinds=kinds)

    def _plate(self, rgb: Floats, areas: Sequence[Area], band: int) -> Floats | None:
        """The background (H, W, 3) where one is given, in the tone of what no mask comes near."""
        if self.background is None:
            return None
        plate = self.background[..., :3].cpu().numpy()
        if plate.shape != rgb.shape:
            sizes = f"{plate.shape[1]} x {plate.shape[0]} and the picture {rgb.shape[1]} x {rgb.shape[0]}"
            raise QilError(f"The background is {sizes} pixels: use a clean plate of the same size.")
        covered = np.logical_or.reduce([area.inside | area.soft for area in areas])
        return _toned(plate, rgb, ~grown(covered, band))


def _continued_into_clear(rgb: Floats, shown: Floats, areas: list[Area]) -> tuple[Floats, list[Area]]:
    """A picture (H, W, 3) and areas in which clear places are like the nearest place that shows something.

    An outline of the picture's own alpha is no edge of a mask: its softness is known already. So the pixels of such an
    outline, which are not solid and beside solid ones, are like these too.
    """
    solid = shown >= SOLID
    known = solid | (~grown(solid, EDGE_PX) & (shown > CLEAR))
    if known.all() or not known.any():
        return rgb, areas
    place, _ = nearest(known)
    return rgb.reshape(-1, 3)[place], [Area(area.inside.ravel()[place], area.soft & known) for area in areas]


def _ground(seen: _Seen, cover: Floats, union: Mask) -> Floats:
    """Colours (H, W, 3) of the ground."""
    free = ~((cover > CLEAR) | union)
    if seen.plate is not None:
        return _toned(seen.plate, seen.rgb, _sure(free))
    return filled(seen.rgb, free, cover)


def _ground_alpha(shown: Floats, there: Mask, cover: Floats, union: Mask) -> Floats:
    """Alpha (H, W) of the ground: all of a picture without clear parts; of a cut-out what it shows, and under what
    covers it as far as its shape goes on. A piece that is covered as a whole leaves nothing below it."""
    if there.all():
        return np.ones_like(shown)
    whole = _extent((shown > 0.5) & ~union, union, there)
    return shown * np.where(cover >= HIDDEN, whole, 1)


def _cut_out(picture: _Seen, area: Area, union: Mask, cover: Floats, out: Floats) -> Floats:
    """Write the layer (H, W, 4) of a mask and give the cover (H, W) with it. union, cover: of all that lies above."""
    box = box_around(area.inside | area.soft, 4 * picture.band)
    layer, above, mask, near = out[box], cover[box], area.inside[box], picture.at(box)
    whole = _cover(near, mask, area.soft[box], union[box], above)
    seen = 1 - above
    guess = GUESS * above**2  # where little is seen of the layer, what is seen is noise, and its shape says more
    own = (seen * (whole - above) + guess * _extent(mask, union[box], near.there)) / (seen**2 + guess)
    layer[..., 3] = np.where(own > CLEAR, np.clip(own, 0, 1), 0)
    layer[..., :3] = _colored(near.rgb, whole, layer[..., 3], above)
    cover = cover.copy()
    cover[box] = whole
    return cover


def _cover(picture: _Seen, mask: Mask, soft: Mask, union: Mask, above: Floats) -> Floats:
    """Soft alpha (h, w) of a mask and all that lies above it, whose cover is known."""
    known = np.where(soft & ~union, np.float32(0.5), trimap(picture.rgb, mask | union, picture.band))
    near = grown(mask | soft, picture.band + 1)
    known = np.where(near, known, (above > 0.5).astype(np.float32))
    solved = soft_alpha(picture.rgb, known)
    if picture.plate is not None:
        solved = before(picture.plate, picture.rgb, known, solved)
    return np.where(near, np.maximum(solved, above), above)


def _extent(mask: Mask, union: Mask, there: Mask) -> Floats:
    """Where a layer goes on under what covers it, (h, w) in 0..1, with smooth edges.

    there: where the picture shows something. Pieces of a cut-out that do not touch the layer hide nothing of it.
    """
    import cv2

    visible = mask & ~union & there
    hides = union & there
    if not there.all():
        _, pieces = cv2.connectedComponents(there.astype(np.uint8))
        hides &= np.isin(pieces, np.unique(pieces[visible]))
    whole = continued(visible, hides) | (mask & there)
    return np.asarray(cv2.GaussianBlur(whole.astype(np.float32), (3, 3), 0))


def _colored(rgb: Floats, whole: Floats, alpha: Floats, above: Floats) -> Floats:
    """Colours (h, w, 3) of a layer: its own where it is solid and seen, pure ones in soft edges, others carried on."""
    from pymatting import estimate_foreground_ml

    pure = rgb
    if min(rgb.shape[:2]) > 1:  # of a line of pixels PyMatting makes no levels
        pure = estimate_foreground_ml(rgb.astype(np.float64), whole.astype(np.float64)).astype(np.float32)
    free = above <= CLEAR
    solid = free & (alpha >= SOLID)
    colors = np.where(solid[..., None], rgb, pure)
    hidden = (alpha > 0) & ~free
    if not hidden.any() or not solid.any():
        return np.clip(colors, 0, 1)
    noise = noise_level(np.dstack([rgb, np.ones_like(alpha)]) * 255)
    under = completed(rgb * 255, solid.astype(np.float32), hidden, noise) / 255
    return np.clip(np.where(hidden[..., None], under, colors), 0, 1)


def filled(rgb: Floats, free: Mask, cover: Floats | None = None) -> Floats:
    """The ground (H, W, 3): the colours of what is free of layers (H, W) stay, and the others look like them.

    What is free but near a layer is not looked at, since it may hold some of it. Of an even ground it does not stay
    either: there everybody sees such a trace, while in texture they see that it was exchanged. cover: alpha (H, W) of
    the layers together, where it is known: then textures show what is seen of them through soft edges.
    """
    known = _sure(free)
    if free.all():
        return rgb
    if not known.any():
        return np.full_like(rgb, rgb.reshape(-1, 3).mean(0))
    colors, trust = rgb * 255, known.astype(np.float32)
    if _texture(smooth_fill(colors, trust))[known].mean() > TEXTURED and known.mean() > 1 - MAX_PATCHED:
        ground = np.where(free[..., None], rgb, patch_fill(colors, known) / 255)
        return ground if cover is None else _as_seen(ground, rgb, np.where(free, 0, cover).astype(np.float32))
    noise = noise_level(np.dstack([rgb, np.ones_like(trust)]) * 255)
    return np.asarray(np.clip(completed(colors, trust, ~known, noise) / 255, 0, 1), np.float32)


def _as_seen(ground: Floats, rgb: Floats, cover: Floats) -> Floats:
    """A filled ground (H, W, 3) that is darker or brighter under soft edges where the picture shows that it is.

    There the picture holds some of the ground: the estimate that parts it from the layer counts as far as the ground is
    seen, and if it differs plainly from the filling, as in the shadow that a thing casts at its foot. A small
    difference is an error of the soft edge, and would stay behind as an outline. Where the ground is even nearby, so
    would a large one.
    """
    import cv2
    from pymatting import estimate_foreground_ml

    if min(cover.shape) == 1 or not cover.any():  # of a line of pixels PyMatting makes no levels
        return ground
    _, below = estimate_foreground_ml(rgb.astype(np.float64), cover.astype(np.float64), return_background=True)
    shown = 1 - cover
    differs = cv2.blur(np.abs(below - ground).max(-1) * shown, AROUND) / np.maximum(cv2.blur(shown, AROUND), 1 - HIDDEN)
    rough = cv2.blur(_texture(ground * 255), AREA)
    share = shown * np.clip((differs - LIKE) / (UNLIKE - LIKE), 0, 1) * np.clip(rough / TEXTURED - 1, 0, 1)
    share = np.where(cover > 0, share, 0)[..., None]
    return np.asarray(np.clip(ground + share * (below - ground), 0, 1), np.float32)


def _sure(free: Mask) -> Mask:
    """What is free of layers (H, W) and not near one."""
    return ~grown(~free, EDGE_PX)


def _texture(colors: Floats) -> Floats:
    """How much texture colours (h, w, 3) in 0..255 have, (h, w) in 1/255: a band of their frequencies."""
    import cv2

    fine, coarse = (cv2.GaussianBlur(colors, (0, 0), pixels) for pixels in (FINE_PX, COARSE_PX))
    return np.asarray(np.abs(fine - coarse).mean(-1), np.float32)


def _toned(plate: Floats, rgb: Floats, known: Mask) -> Floats:
    """A clean plate (H, W, 3) with the picture's own colours where these are known, and its tone elsewhere.

    A gain and an offset for each channel, by least squares; what is off then beside what is hidden goes on smoothly
    under it.
    """
    if not known.any():
        return plate
    fitted = np.dstack([_gained(plate[..., i], rgb[..., i], known) for i in range(3)])
    error = smooth_fill(rgb - fitted, known.astype(np.float32))
    return np.clip(np.where(known[..., None], rgb, fitted + error), 0, 1)


def _gained(plate: Floats, goal: Floats, known: Mask) -> Floats:
    """A channel (H, W) of the plate with the gain and the offset that bring it nearest to the goal where it is known.

    An even plate says nothing of a gain.
    """
    own, wanted = plate[known], goal[known]
    variance = float(own.var())
    gain = float(np.cov(own, wanted, bias=True)[0, 1]) / variance if variance > EVEN else 1.0
    return np.asarray(gain * (plate - own.mean()) + wanted.mean(), np.float32)
