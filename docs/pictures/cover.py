"""The rendered photograph with words on it, as the workflows open it: like a magazine's cover.

python docs/pictures/cover.py photograph.png workflows/pictures/layers_photograph.jpg
python docs/pictures/cover.py photograph.png workflows/pictures/layers_photograph.jpg docs/pictures/things

With a folder as third argument it also writes title.png there, white where the words are: a mask beside those of the
things, which `still_life.py photograph.png --things` renders. README.md's moving picture is made from them
(benchmarks/apart.py), and so are its layers by

qil decompose workflows/pictures/layers_photograph.jpg --masks "docs/pictures/things/*.png" -o out
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFont

SCALE = 4
"""Words are drawn so many times larger and averaged, for smooth edges."""


class Line(NamedTuple):
    """A line of words: y is its middle, height that of its letters, both in pixels."""

    y: int
    height: int
    words: str
    color: tuple[int, int, int]


LINES = (
    Line(232, 132, "Slow mornings", (26, 58, 66)),
    Line(338, 41, "coffee, fruit and a good book", (202, 84, 60)),
)


def main(photograph: str, path: str, masks: str = "") -> None:
    with Image.open(photograph) as opened:
        cover = opened.convert("RGB")
    title = Image.new("L", cover.size, 0)
    for line in LINES:
        mask = drawn(line, cover.size)
        cover.paste(line.color, mask=mask)
        title = ImageChops.lighter(title, mask)
    if masks:
        title.save(Path(masks, "title.png"), optimize=True)
    cover.save(path, quality=92, subsampling=0, optimize=True)


def drawn(line: Line, size: tuple[int, int]) -> Image.Image:
    """How much of each pixel the words cover, on a page of this size."""
    mask = Image.new("L", (size[0] * SCALE, size[1] * SCALE), 0)
    font = ImageFont.load_default(size=line.height * SCALE)
    ImageDraw.Draw(mask).text((mask.width / 2, line.y * SCALE), line.words, fill=255, font=font, anchor="mm")
    return mask.resize(size, Image.Resampling.BOX)


if __name__ == "__main__":
    main(*sys.argv[1:])
