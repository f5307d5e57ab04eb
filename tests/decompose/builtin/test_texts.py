"""Lines that nobody reads: found by their letters' shape alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qil_core.composite import visible_weights
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.files.picture import load_picture

POSTER = Path(__file__).parents[3] / "workflows" / "pictures" / "layers_poster.jpg"
RED = (240, 93, 94)
SECOND_LINE = np.s_[945:1000, 180:720]


@pytest.mark.usefixtures("nobody_reads")
def test_a_line_close_below_larger_letters_of_another_ink_is_whole() -> None:
    picture = load_picture(POSTER)
    ink = np.abs(picture[SECOND_LINE][..., :3].numpy() * 255 - RED).max(-1) < 60
    assert ink.sum() > 2000
    stack, _ = decompose(Builtin(), picture, Request(layers=8))
    seen = visible_weights(stack.pixels[..., 3]).numpy()[(slice(None), *SECOND_LINE)]
    assert seen[:, ink].mean(1).max() > 0.9
