"""What is sent to an editor: a layer in front of a flat colour or of the layers below it, and reference pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..composite import composite, onto_color
from ..errors import QilError
from ..stack import LayerStack, check_image, content_box
from .frame import Frame, Seen
from .key_color import choose_key, neutral_backdrop
from .report import hex_color


def shown(stack: LayerStack, at: int, frame: Frame, behind: bool, instruction: str) -> tuple[Seen, list[str]]:
    """What an editor is shown of layer `at`, and notes. behind: in front of the layers below, where there are any."""
    small = frame.seen(stack.pixels[at])
    key = choose_key(small, instruction)
    if not behind or at == 0:
        notes = [f"Nothing is behind layer 0, so it was put on {hex_color(key)}."] if behind else []
        return Seen(small, key.expand_as(small[..., :3]), True), notes
    return Seen(small, _below(stack, at, frame, key), False), []


def _below(stack: LayerStack, at: int, frame: Frame, key: Tensor) -> Tensor:
    """The layers below layer `at`, (h, w, 3), in the editor's size: on the key colour where they are clear."""
    left, top, right, bottom = frame.within(stack.pixels[at])
    flat = composite(LayerStack(stack.pixels[:at, top:bottom, left:right], stack.names[:at]))
    y, x = top - frame.box.top, left - frame.box.left
    room = (x, frame.box.width - x - flat.shape[1], y, frame.box.height - y - flat.shape[0])
    planes = onto_color(flat, key)[..., :3].permute(2, 0, 1)[None]
    return frame.scaled(F.pad(planes, room, mode="replicate")[0].permute(1, 2, 0))


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
