"""Step 3, ground: what lies behind everything, and where something covers it.

1. A picture with clear parts has no background (`is_cut_out`).
2. `gradient.best_gradient`: a flat colour or a polynomial where one explains enough of the picture; `differing` says
   where something covers it (hysteresis thresholding: Canny, 1986). It may be one of two tones (`tones`). Where it is
   but a band of land, or there is none, the sky is looked for (`_sky`).
3. Else `_without_formula`: smooth areas that reach the rim; where there are none, all that does not stand out
   (`step04_saliency`).
4. `behind_land`, when regions are known: where that background is but a strip of land, the sky takes its place.
5. `completed_colors`, when layers are drawn: the background's colours under what covers it, by its formula, by patches
   (see `patches`), or smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, silent
from .areas import link_step, linked_areas, steep
from .fill import smooth_fill
from .gradient import best_gradient, gradient_of
from .patches import patch_fill
from .rim import rim_mask
from .step01_look import MIN_EVEN, evenness
from .step04_saliency import salient
from .texture import stationary_texture
from .tones import two_toned
from .working import Floats, Labels, Mask, Tolerance, Working, strongest

KINDS = ("flat", "gradient", "gradient", "gradient")
"""What a polynomial of degree 0..3 is called in the report."""

FIT = Tolerance(6, 3.5)
"""How far a pixel of the background may be from its polynomial."""

MIN_EXPLAINED = 0.15
"""Share of the picture that a polynomial must explain to be its background."""

MIN_CLEAR = 0.01
"""Share of clear pixels above which a picture is a cut-out on nothing."""

CLEAR_ALPHA = 128
"""Alpha, in 1/255, below which a pixel is clear."""

SEEN_ALPHA = 2
"""Alpha, in 1/255, above which something of a cut-out is seen."""

STRONG = Tolerance(15, 5)
"""A difference by more is strong: fainter ones count where they are connected to one."""

PER_TEXTURE = 2
"""What a background's texture adds to FIT, in its standard deviations."""

STRONG_PER_TEXTURE = 3.5
"""What it adds to STRONG: the three channels of a hundred thousand pixels hardly go as far in five places."""

SEAM = 0.6
"""What the contrast of a ground's two tones adds to FIT and STRONG along the lines between them, which are blurred."""

EVEN = 0.4
"""Factor on FIT and STRONG in an even picture: cards on a dark screen differ from it by 8 to 15."""

MIN_TEXTURE = 0.7
"""Standard deviation, in 1/255, below which a texture is rounding or noise that FIT allows for."""

MAX_SPREAD = 2
"""A texture's root mean square, in its standard deviations in a cell, at the most.

That of the strongest of three channels is 1.8 for a stationary texture; scenery, whose parts differ from each other
more than the pixels in them, has 2.2 and more.
"""

TEXTURE_RANGE = 4
"""Pixels up to so many standard deviations from the polynomial say how strong the texture is."""

MIN_STRONG_PX = 3
"""How many pixels with strong differences a piece must have: fewer are noise."""

EDGE_PX = 3
"""How far beside what covers it, in working pixels, the background shows its colours without that one's blur."""

SMALL_OPENING = 0.003
"""Share of the picture below which an opening shows part of what covers the background, rather than that."""

SMALL_OPENING_TRUST = 1e-4
"""What a pixel of a small opening counts, others counting 1: it decides only where there are no others."""

MAX_PATCHED = 0.5
"""Share of the picture up to which scenery that is hidden is put together from patches of what is seen of it.

Looked at on pictures of which 32, 58 and 74 % are hidden: water goes on in ripples, a sky is cut into two, and a garden
becomes a mosaic, where smooth colours are no worse or better.
"""

ERROR_BLUR_PX = 2
"""Standard deviation of the blur of the background's error, in working pixels: noise is not carried on."""

MIN_AREA = 0.06
"""Share of the picture that a smooth area must have to be background without a formula."""

MIN_AREAS = 0.15
"""Share of the picture that such areas must have together."""

MIN_SKY = 0.5
"""Share of the upper border along which a sky lies, and of the lower one along which land does."""

SKY_FIT = Tolerance(2, 3.5)
"""How far a pixel of a sky may be from its polynomial."""

SAME_FIT = 1.0
"""A polynomial that misses the sky's colours by so much more than the sky's own, in 1/255, goes through land too."""

STRAIGHT_PX = 2
"""How far, in working pixels, the end of a bar may be from straight."""

MAX_LAND_AT_TOP = 0.05
"""Share of the upper border from which a background that reaches it is no land."""


@dataclass(frozen=True)
class Background:
    """model: float32 (h, w, 3) in 0..255. front: where something covers it. kind: for the report.

    roughness: standard deviation of its texture, in 1/255. is_two_toned: whether the model is a pattern (see `tones`).
    """

    model: Floats
    front: Mask
    kind: str
    roughness: float = 0.0
    is_two_toned: bool = False

    @property
    def has_formula(self) -> bool:
        """Whether its colours are known everywhere, also under what covers it."""
        return self.kind in KINDS

    def roughened(self, work: Working) -> Working:
        """The working copy with this background's texture, and the ringing before it, counted as noise."""
        return replace(work, noise=max(work.noise, self.roughness, float(np.max(work.local_noise))))


def find_background(work: Working, progress: Progress = silent) -> Background:
    """The background of a working copy; a picture with clear parts has none ("transparent")."""
    if is_cut_out(work):
        return Background(work.rgba[..., :3] * 0, work.rgba[..., 3] > SEEN_ALPHA, "transparent")
    rgb = np.ascontiguousarray(work.rgba[..., :3])
    found = _with_formula(rgb, work, EVEN, 0.0, progress) if work.is_even else _smooth_ground(rgb, work, progress)
    progress(1, "finding what covers the background")
    return found or _without_formula(work, progress)


def _smooth_ground(rgb: Floats, work: Working, progress: Progress) -> Background | None:
    """The ground of a picture that is not even: a polynomial, two tones of it, a sky, or one with a texture.

    Where most neighbours have the same colour there is no texture, though hills before a sky may look like one, and a
    sky is known by its gradient. That of a painted picture is not.
    """
    smooth = _with_formula(rgb, work, 1.0, 0.0, progress)
    if smooth is not None and smooth.is_two_toned:
        return smooth
    if evenness(work.rgba) > MIN_EVEN:
        return _sky(work, smooth) or smooth
    texture = stationary_texture(rgb)
    return (_with_formula(rgb, work, 1.0, texture, progress) if texture > MIN_TEXTURE else None) or smooth


def _with_formula(rgb: Floats, work: Working, exact: float, texture: float, progress: Progress) -> Background | None:
    """A polynomial and this texture as background; None where they explain too little, or something else than texture.

    exact: factor on the tolerances. texture: its standard deviation in cells of a small copy, in 1/255.
    """
    model, degree, share = best_gradient(rgb, exact * FIT.at(work.noise) + PER_TEXTURE * texture, progress)
    if share < MIN_EXPLAINED:
        return None
    difference = strongest(rgb - model)
    roughness = _roughness(difference, texture)
    if roughness > MAX_SPREAD * texture:
        return None
    around_letters = exact if work.ringing is None else 1  # JPEG leaves a pale rim around them
    faint = around_letters * FIT.around(work.local_noise) + PER_TEXTURE * roughness
    strong = exact * STRONG.around(work.local_noise) + STRONG_PER_TEXTURE * roughness
    front = differing(difference, faint, strong)
    tones = two_toned(rgb, model, front, faint)
    if tones is not None:
        model, blurred = tones.model, tones.seams * np.float32(SEAM * tones.contrast)
        front = differing(strongest(rgb - model), faint + blurred, strong + blurred)
    return Background(model, front, KINDS[degree], roughness, tones is not None)


def _roughness(difference: Floats, texture: float) -> float:
    """Root mean square of the differences (h, w) that a texture explains, in 1/255; 0 where there is none."""
    near = difference[difference < TEXTURE_RANGE * texture]
    return float(np.sqrt(np.square(near).mean())) if len(near) else 0.0


def salient_background(work: Working, progress: Progress = silent, things: Mask | None = None) -> Background:
    """All that neither stands out nor is among the things (h, w): for a picture whose colours run into each other."""
    rgb = np.ascontiguousarray(work.rgba[..., :3])
    front = salient(rgb, progress)
    return Background(np.zeros_like(rgb), front if things is None else front | things, "inpainted")


def behind_land(background: Background, regions: Labels) -> tuple[Background, Labels]:
    """The background and the regions (h, w) before it, of which 0 is the sky where it was land.

    Land lies along the lower border only; the region along the upper one lies behind it, if it is the larger of the
    two: the bar on top of a page is not.
    """
    area = np.bincount(regions.ravel())
    at_top = np.bincount(regions[0], minlength=len(area)) / regions.shape[1]
    sky = int(at_top.argmax())
    is_land = at_top[0] < MAX_LAND_AT_TOP and float((regions[-1] == 0).mean()) > MIN_SKY
    if not (is_land and at_top[sky] > MIN_SKY and area[sky] > area[0]):
        return background, regions
    swapped = np.where(regions == 0, sky, np.where(regions == sky, 0, regions)).astype(np.int32)
    return Background(np.zeros_like(background.model), swapped > 0, "inpainted"), swapped


def is_cut_out(work: Working) -> bool:
    """Whether the picture is a cut-out on nothing."""
    return float((work.rgba[..., 3] < CLEAR_ALPHA).mean()) > MIN_CLEAR


def differing(difference: Floats, faint: Floats, strong: Floats) -> Mask:
    """Where a picture differs (h, w) from its background: faint differences count where they touch strong ones.

    faint, strong: (h, w), or one number, in 1/255.
    """
    import cv2

    count, labels = cv2.connectedComponents((difference > faint).astype(np.uint8), connectivity=8)
    kept = np.bincount(labels[difference > strong], minlength=count) >= MIN_STRONG_PX
    kept[0] = False
    return np.asarray(kept[labels])


def completed_colors(rgb: Floats, background: Background, covered: Mask) -> Floats:
    """Colours (h, w, 3) of the whole background, carried under what covers it.

    A formula's model plus its error; a texture, or scenery of which more is seen than hidden, by patches of what is
    seen; other scenery smoothly. Small pieces before a formula that no layer took are not carried on.
    """
    import cv2

    crumbs = _small_pieces(background.front & ~covered) if background.has_formula else np.zeros_like(covered)
    known = _trust(_eroded(~(covered | crumbs)))
    if _has_patches(background, covered):
        return patch_fill(rgb, known == 1)
    weights = np.maximum(known, SMALL_OPENING_TRUST * _eroded(~covered)).astype(np.float32)
    error = smooth_fill(rgb - background.model, weights)
    return np.asarray(np.clip(background.model + cv2.GaussianBlur(error, (0, 0), ERROR_BLUR_PX), 0, 255))


def _has_patches(background: Background, covered: Mask) -> bool:
    """Whether patches of what is seen (h, w) look better than smooth colours under what covers it."""
    textured = background.kind == "inpainted" or background.roughness > 0
    return bool(textured and covered.any() and covered.mean() < MAX_PATCHED)


def _eroded(mask: Mask) -> Mask:
    """A mask (h, w) without what is within EDGE_PX rows and columns of its edge."""
    import cv2

    square = np.ones((2 * EDGE_PX + 1, 2 * EDGE_PX + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), square) > 0)


def _trust(visible: Mask) -> Floats:
    """Weights (h, w): 1 where background shows, little in small openings, which may be part of what covers it."""
    return np.where(_small_pieces(visible), SMALL_OPENING_TRUST, visible).astype(np.float32)


def _small_pieces(mask: Mask) -> Mask:
    """The pieces (h, w) of a mask that are smaller than SMALL_OPENING."""
    import cv2

    _, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(mask & (np.bincount(pieces.ravel()) < SMALL_OPENING * mask.size)[pieces])


def _without_formula(work: Working, progress: Progress) -> Background:
    """Smooth areas that reach the rim as background; without such areas, what is not salient."""
    areas, wide = _smooth_areas(work)
    calm = np.isin(areas, wide)
    if calm.mean() > MIN_AREAS:
        return Background(np.zeros_like(work.rgba[..., :3]), ~calm, "inpainted")
    return salient_background(work, progress)


def _smooth_areas(work: Working, parts: Mask | None = None) -> tuple[Labels, Labels]:
    """The smooth areas (h, w), 1.., and the numbers of those that are large and reach the rim.

    parts: (h, w), a mask across whose edge no area goes.
    """
    areas = linked_areas(work.rgba, link_step(work.noise), parts)
    size = np.bincount(areas.ravel())
    reaching = np.unique(areas[rim_mask(*areas.shape)])
    return areas, reaching[size[reaching] > MIN_AREA * areas.size]


def _sky(work: Working, smooth: Background | None) -> Background | None:
    """The area along the upper border before which all else lies, where it is one of the wide ones and a gradient.

    A bar on top of a page ends straight. smooth: a polynomial that stays if it shows that area as well.
    """
    areas, wide = _smooth_areas(work, steep(work.rgba, link_step(work.noise)))
    along_top = np.bincount(areas[0])
    top, rgb = int(along_top.argmax()), np.ascontiguousarray(work.rgba[..., :3])
    if top not in wide or along_top[top] < MIN_SKY * areas.shape[1] or _ends_straight(areas == top):
        return None
    found = gradient_of(rgb, areas == top, SKY_FIT.at(work.noise))
    if found is None:
        return None
    if (
        smooth is not None
        and _misses(rgb, smooth.model, areas == top) < _misses(rgb, found[0], areas == top) + SAME_FIT
    ):
        return None
    front = differing(strongest(rgb - found[0]), FIT.around(work.local_noise), STRONG.around(work.local_noise))
    return Background(found[0], front, KINDS[found[1]])


def _misses(rgb: Floats, model: Floats, area: Mask) -> float:
    """By how much, in 1/255, a model misses the colours of an area (h, w), on average."""
    return float(strongest(rgb - model)[area].mean())


def _ends_straight(sky: Mask) -> bool:
    """Whether an area (h, w) along the upper border ends at one height for the most part."""
    depth = np.where(sky.all(0), len(sky), (~sky).argmax(0))[sky[0]]
    return bool((np.abs(depth - np.bincount(depth).argmax()) <= STRAIGHT_PX).mean() > MIN_SKY)
