"""Picking things of a picture without weights: boxes that share out its pixels, and clicks that correct masks.

1. `likeness`: the picture in superpixels, and what is alike among them.
2. `_enclosed`: a superpixel in a box belongs to the thing the more, the stronger the edges on every way from it to the
   outside of the box (geodesic distance: Bai and Sapiro, 2007). A click claims what no edge parts it from (`_near`).
3. `Picking.settled`: all things and the background compete for each superpixel. By turns, colours are learned from who
   has which superpixel, and superpixels are shared out anew: claims times colours, evened out between neighbours.
4. `Picking._stretched`: a thing reaches all sides of its box (tightness: Lempitsky et al., 2009). Where it does not,
   its claim beyond its end is raised, and 3 goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..stack import Box
from .builtin.working import Floats, Mask
from .likeness import Likeness, Point, Values
from .superpixels import CELL_PX

PARTED = 12.0
"""Sum of edges on the way to the outside, in Lab, from which a superpixel is rather inside: standard deviation."""

COLOR_POWER = 0.7
"""Exponent of colours against claims."""

ENCLOSED_AT_MOST = 0.95
"""How enclosed a superpixel counts for the background at the most, so that its claim never ends."""

GROUND_CLAIM = 0.3
"""Claim of the background, and of a box without an outside, beside 1 of a box hardly smaller than the picture."""

SMALL_BOX = 0.35
"""A box's claim grows with this power of how much smaller than the picture it is: things lie on larger things."""

LEAST_CLAIM = 0.02
"""What a box claims at the least of the superpixels in it."""

MOSTLY = 0.6
"""Share of a superpixel in a box from which the thing may have it."""

WHOLE = 0.98
"""Share of the picture from which a box has no outside that could be asked."""

NEAR_BOX = 0.1
"""Width of the surroundings of a box, in roots of its area."""

ROUNDS, STRETCHES, CLICK_ROUNDS = 5, 3, 3
"""Rounds of learning colours and sharing out; more rounds at the most while things are stretched; after a click."""

STRETCHED = 3.0
"""Factor of the claim beyond the end of a thing that does not reach its box's side."""

REACHES = 0.04
"""Distance to the side, as a share of the box's side, up to which a thing reaches it."""

REACHES_CELLS = 0.7
"""The same in widths of a superpixel, for small boxes: an end is not known better than that."""

SETTLED_ROUNDS = 3
"""Rounds after which things have ends that can be compared with their boxes."""

CLICK_PARTED = 40.0
"""Sum of edges up to which a click claims, in Lab: standard deviation."""

CLICK_REACH = 3.0
"""The same for the distance in space, in distances from the click to the border of the mask: people click into the
middle of what is wrong."""

GAIN, OTHERS_LOSS, LOSS = 5.0, 0.8, 0.98
"""What a click into a thing adds to its claim, and takes from the others'; what one beside it takes from its claim: as
shares of these claims."""

UNKNOWN = 0.4
"""How enclosed all of a box is that covers the picture, where nothing else is known."""

TOUCHED = 0.05
"""How far a click must reach for a given mask to change."""

SURE = 0.9
"""Claim of a given mask on what it holds."""


class Picker:
    """Picks things of one picture, float32 (H, W, 3) in [0, 1]: made once, for any number of boxes and clicks.

    Nothing is random: the same boxes and clicks give the same masks.
    """

    def __init__(self, rgb: Floats) -> None:
        """Raises QilError without OpenCV or PyMatting (which brings SciPy)."""
        self._like = Likeness(rgb)

    def boxes(self, boxes: Sequence[Box]) -> Picking:
        """A thing for each box (left, top, right, bottom, pixels of the picture): all compete for its pixels."""
        height, width = self._like.shape
        inside = np.stack([self._like.share(box) for box in boxes], 1)
        allowed = np.column_stack([np.ones(len(inside)), inside > MOSTLY])
        sizes = [max(1e-9, box.width * box.height / (height * width)) for box in boxes]
        whole = self._like.parts.area @ inside > WHOLE * self._like.parts.area.sum()
        strengths = np.where(whole, GROUND_CLAIM, np.power(sizes, -SMALL_BOX))
        enclosed = _enclosed(self._like, boxes, inside, whole)
        claims = np.maximum(enclosed, LEAST_CLAIM) * strengths
        ground = GROUND_CLAIM * np.sqrt(np.prod(1 - ENCLOSED_AT_MOST * enclosed * allowed[:, 1:], axis=1))
        claims = np.column_stack([ground, claims]) * allowed
        small = tuple(self._like.scaled(box) for box in boxes)
        shares = _evened(self._like, claims, allowed)
        return Picking(self._like, claims, allowed, shares, small).settled(ROUNDS, STRETCHES)

    def mask(self, mask: Mask) -> Picking:
        """One thing, as a mask (H, W) has it; clicks change it around themselves alone. An empty mask: clicks begin."""
        inside = np.where(self._like.of_mask(mask) > 0.5, SURE, 1 - SURE)
        claims = np.column_stack([1 - inside, inside])
        return Picking(self._like, claims, np.ones_like(claims), claims, given=mask)


@dataclass(frozen=True, eq=False)
class Picking:
    """Things 0..k-1 of a picture, and how sure they are of each of its n superpixels.

    claims: (n, 1 + k), of the background and of each thing, colours apart. allowed: (n, 1 + k), 1 where they may have
    a superpixel. boxes: of the things, in pixels of the superpixels' picture; none of a given mask. shares: (n, 1 + k),
    the result so far, 1 in sum. given: a mask (H, W) that clicks correct.
    """

    like: Likeness
    claims: Values
    allowed: Values
    shares: Values
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    given: Mask | None = None

    def masks(self) -> list[Mask]:
        """A mask (H, W) for each thing; none share a pixel."""
        if self.given is not None:
            return [self.given]
        return [self._owner == i for i in range(1, self.shares.shape[1])]

    def clicked(self, thing: int, point: Point, is_inside: bool) -> Picking:
        """The same after a click into a thing, or into what of its mask does not belong to it.

        A given mask only grows by a click into the thing, and only shrinks by the other.
        """
        part = self.like.part_at(point)
        near = self._near(thing, point, part, is_inside)
        claims, allowed, shares = self.claims.copy(), self.allowed.copy(), self.shares.copy()
        own, others = thing + 1, np.arange(claims.shape[1]) != thing + 1
        if is_inside:
            if not allowed[part, own]:  # outside of the box
                beyond = (allowed[:, own] == 0) & (near > TOUCHED)
                allowed[beyond, own] = 1
                claims[beyond, own] = (near * claims.max(1))[beyond]
            claims[:, own] *= 1 + GAIN * near
            claims[:, others] *= 1 - OTHERS_LOSS * near[:, None]
            allowed[part] = claims[part] = ~others
            shares += near[:, None] * (~others - shares)
        else:
            claims[:, own] *= 1 - LOSS * near
            if not allowed[part, others].any():  # an earlier click was into the thing just here
                allowed[part, others] = claims[part, others] = 1
            allowed[part, own] = 0
            heirs = claims[:, others] / np.maximum(claims[:, others].sum(1, keepdims=True), 1e-12)
            shares[:, others] += (near * shares[:, own])[:, None] * heirs
            shares[:, own] *= 1 - near
        after = replace(self, claims=claims, allowed=allowed, shares=shares).settled(CLICK_ROUNDS)
        if self.given is None:
            return after
        changed = (self.like.full(near) > TOUCHED) & ((after._owner == thing + 1) == is_inside)
        return replace(after, given=np.where(changed, is_inside, self.given))

    @cached_property
    def _owner(self) -> NDArray[np.uint8]:
        """Who has the largest share of each pixel: (H, W), 0 the background, 1.. the things."""
        best, owner = self.like.full(self.shares[:, 0]), np.zeros(self.like.shape, np.uint8)
        for i in range(1, self.shares.shape[1]):
            share = self.like.full(self.shares[:, i])
            owner[share > best] = i
            np.maximum(best, share, out=best)
        return owner

    def _near(self, thing: int, point: Point, part: int, is_inside: bool) -> Values:
        """How far a click at a point of a superpixel, its part, reaches: (n,) in 0..1, 1 at the click."""
        import cv2

        like = self.like
        mask = self._owner == thing + 1 if self.given is None else self.given
        wrong = np.pad(mask != is_inside, 1)
        deep = cv2.distanceTransform(wrong.astype(np.uint8), cv2.DIST_L2, 5)
        row, column = min(int(point.y), mask.shape[0] - 1), min(int(point.x), mask.shape[1] - 1)
        reach = CLICK_REACH * max(1.0, float(deep[row + 1, column + 1]) * like.scale[0])
        away = np.linalg.norm(like.parts.place - like.parts.place[part], axis=1)
        edges = like.parted(part, 4 * CLICK_PARTED) / CLICK_PARTED
        return np.exp(-0.5 * (edges**2 + (np.maximum(away - CELL_PX, 0) / reach) ** 2))

    def settled(self, rounds: int, stretches: int = 0) -> Picking:
        """Colours learned and superpixels shared out by turns."""
        claims, shares = self.claims.copy(), self.shares
        for done in range(1, rounds + stretches + 1):
            goal = claims * self.like.density(shares**2) ** COLOR_POWER
            shares = _evened(self.like, goal, self.allowed)
            if done >= SETTLED_ROUNDS and not self._stretched(claims, shares) and done >= rounds:
                break
        return replace(self, claims=claims, shares=shares)

    def _stretched(self, claims: Values, shares: Values) -> bool:
        """Raise claims beyond the ends of things that do not reach a side of their box; whether there were any."""
        owner, ends, any_short = shares.argmax(1), self.like.parts.box, False
        for i, box in enumerate(self.boxes, 1):
            own = ends[owner == i]
            middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
            reached = [*own[:, :2].min(0), *own[:, 2:].max(0)] if len(own) else middle * 2
            for side in range(4):
                length = box[2 + side % 2] - box[side % 2]
                if abs(box[side] - reached[side]) > max(REACHES * length, REACHES_CELLS * CELL_PX):
                    beyond = ends[:, side] < reached[side] if side < 2 else ends[:, side] > reached[side]
                    claims[beyond, i] *= STRETCHED
                    any_short = True
        return any_short


def _evened(like: Likeness, goal: Values, allowed: Values) -> Values:
    """Shares (n, 1 + k), 1 in sum, that are near the goal and much the same for neighbours that are alike."""
    shares = like.evened(goal / (goal.sum(1, keepdims=True) + 1e-30))
    shares = np.clip(shares, 0, 1) * allowed
    return np.asarray(shares / (shares.sum(1, keepdims=True) + 1e-12))


def _enclosed(like: Likeness, boxes: Sequence[Box], inside: Values, whole: Mask) -> Values:
    """How surely edges part a superpixel from the outside of each box: (n, boxes) in 0..1.

    whole: (boxes,), which have no outside.
    """
    enclosed = np.zeros_like(inside)
    others: list[int] = np.flatnonzero(~whole).tolist()
    for i in others:
        way = like.parted(np.flatnonzero(inside[:, i] < 0.5), 6 * PARTED)
        enclosed[:, i] = 1 - np.exp(-0.5 * (way / PARTED) ** 2)
    for i in np.flatnonzero(whole).tolist():
        enclosed[:, i] = _unlike_surroundings(like, [boxes[k] for k in others], (enclosed * inside)[:, others])
    return enclosed


def _unlike_surroundings(like: Likeness, boxes: Sequence[Box], taken: Values) -> Values:
    """For a box without an outside: how rare a superpixel's colour is around all other boxes, (n,) in 0..1."""
    if not boxes:
        return np.full(len(like.parts), UNKNOWN)
    around = np.zeros(len(like.parts))
    for i, box in enumerate(boxes):
        margin = NEAR_BOX * (box.width * box.height) ** 0.5
        wide = Box(*(edge + sign * margin for edge, sign in zip(box, (-1, -1, 1, 1), strict=True)))
        near = (like.share(wide) > 0.5) * (1 - taken[:, i])
        around += near / max(float(near @ like.parts.area), 1e-6)
    found, all_over = like.density(np.column_stack([around, np.ones_like(around)])).T
    return np.asarray(all_over / (found + all_over + 1e-12))
