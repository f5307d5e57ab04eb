"""The rendered photograph with words on it, as the workflows open it: like a magazine's cover.

python docs/pictures/cover.py photograph.png workflows/pictures/layers_photograph.jpg
"""

from __future__ import annotations

import sys

from PIL import Image, ImageDraw, ImageFont

SCALE = 4
"""Words are drawn so many times larger and averaged, for smooth edges."""

LINES = ((232, 132, "Slow mornings", (26, 58, 66)), (338, 41, "coffee, fruit and a good book", (202, 84, 60)))
"""Middle of the line and height of the letters in pixels, words, colour."""


def main(photograph: str, path: str) -> None:
    with Image.open(photograph) as opened:
        cover = opened.convert("RGB")
    for y, height, words, color in LINES:
        mask = Image.new("L", (cover.width * SCALE, cover.height * SCALE), 0)
        font = ImageFont.load_default(size=height * SCALE)
        ImageDraw.Draw(mask).text((mask.width / 2, y * SCALE), words, fill=255, font=font, anchor="mm")
        cover.paste(color, mask=mask.resize(cover.size, Image.Resampling.BOX))
    cover.save(path, quality=92, subsampling=0, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
