"""What a layer is recognised by when the graph has run again: a hash of its content, not its place in the stack."""

from __future__ import annotations

import hashlib

from ..parallel import each
from ..stack import Box, LayerStack, to_bytes

LENGTH = 8
"""Bytes of a fingerprint: among a thousand layers two differing ones share it with a chance of 1 in 10^13."""


def fingerprints(stack: LayerStack) -> list[str]:
    """A fingerprint a layer, bottom first: 16 hexadecimal digits; `.2`, `.3` where layers below are the same.

    Two layers have the same one when the canvas, the place and the 8-bit pixels of their content are equal.
    """
    found = each(range(len(stack)), lambda index: _hash(stack, index), stack.pixels.device)
    return [_numbered(one, found[:i].count(one) + 1) for i, one in enumerate(found)]


def _numbered(fingerprint: str, number: int) -> str:
    return fingerprint if number == 1 else f"{fingerprint}.{number}"


def _hash(stack: LayerStack, index: int) -> str:
    box = stack.bounds(index) or Box(0, 0, 0, 0)
    place = f"{stack.width} {stack.height} {' '.join(map(str, box))}"
    digest = hashlib.blake2b(place.encode(), digest_size=LENGTH)
    if box.width:
        content = stack.pixels[index, box.top : box.bottom, box.left : box.right]
        digest.update(to_bytes(content).cpu().contiguous().numpy().data)
    return digest.hexdigest()
