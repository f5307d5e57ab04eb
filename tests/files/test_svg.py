"""SVG files: what is in them, and how a browser and librsvg draw them."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from layer_files import BOXES, layers
from PIL import Image
from torch import Tensor

from qil_core.composite import onto_color
from qil_core.errors import QilError
from qil_core.files import svg
from qil_core.files.format import Options
from qil_core.files.layered import PLAIN, Content, Layered, Look
from qil_core.files.svg_elements import INKSCAPE, LABEL, SVG, XLINK
from qil_core.stack import Box, LayerStack, to_bytes

G, IMAGE, TITLE = (f"{{{SVG}}}{name}" for name in ("g", "image", "title"))
MODE, HREF = f"{{{INKSCAPE}}}groupmode", f"{{{XLINK}}}href"
NAMES = ("背景", "girl/hair 👗", "girl/nothing", "a & <b>", "line")


def written(path: Path, stack: LayerStack, look: Look = PLAIN, dpi: float | None = None) -> ElementTree.Element:
    return ElementTree.parse(svg.write(stack, path / "x.svg", look, Options(dpi))).getroot()


def picture(group: ElementTree.Element) -> tuple[Box, np.ndarray]:
    (image,) = group.findall(IMAGE)
    left, top, width, height = (int(image.get(key, "")) for key in ("x", "y", "width", "height"))
    data = image.get(HREF, "").removeprefix("data:image/png;base64,")
    return Box(left, top, left + width, top + height), np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_layers_are_named_groups_that_inkscape_takes_for_layers(tmp_path: Path) -> None:
    root = written(tmp_path, layers(BOXES, names=NAMES))
    assert [(g.get(LABEL), g.get(MODE)) for g in root] == [(name, "layer") for name in ("背景", "girl", *NAMES[3:])]
    assert [g.get(LABEL) for g in root[1].findall(G)] == ["hair 👗", "nothing"]
    assert [g.findtext(TITLE) for g in root] == ["背景", "girl", *NAMES[3:]]
    ids = [element.get("id") for element in root.iter(G)]
    assert len(set(ids)) == len(ids) == 6


def test_every_picture_holds_its_layers_pixels_in_their_place(tmp_path: Path) -> None:
    stack = layers(BOXES, names=NAMES)
    groups = [group for group in written(tmp_path, stack).iter(G) if group.get("id", "").startswith("layer")]
    for group, box, layer in zip(groups, BOXES, stack.pixels, strict=True):
        if box is None:
            assert group.find(IMAGE) is None
            continue
        place, pixels = picture(group)
        assert place == box
        assert np.array_equal(pixels, to_bytes(layer[box.top : box.bottom, box.left : box.right]).numpy())


def test_modes_opacities_and_hidden_layers_are_styles(tmp_path: Path) -> None:
    look = Look(("normal", "multiply", "normal"), (1, 0.5, 1), (True, True, False))
    root = written(tmp_path, layers([Box(0, 0, 9, 9)] * 3), look)
    assert [g.get("style") for g in root] == [None, "opacity:0.5;mix-blend-mode:multiply", "display:none"]


def test_the_size_in_inches_follows_the_dpi_and_pixels_stay_pixels(tmp_path: Path) -> None:
    root = written(tmp_path, layers(BOXES), dpi=80)
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("0.5in", "0.375in", "0 0 40 30")


def test_what_lies_beyond_the_canvas_is_kept(tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 40, 30)])
    whole = torch.ones(30, 60, 4)
    whole[:, :40] = stack.pixels[0]
    ((group),) = written(tmp_path, stack, Look(whole=(Content(whole, 0, 0),)))
    assert picture(group)[0] == Box(0, 0, 60, 30)


def test_a_mode_that_svg_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QilError, match='SVG has no blend mode "linear-burn"'):
        written(tmp_path, layers([Box(0, 0, 9, 9)]), Look(("linear-burn",)))


def by_chromium(path: Path, out: Path, width: int, height: int) -> None:
    page = path.with_suffix(".html")
    page.write_text(f'<body style="margin:0;background:#fff"><img src="{path.name}" style="display:block">')
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb"]
    size = [f"--window-size={width},{height}", f"--screenshot={out}"]
    subprocess.run(["chromium", *flags, *size, page.as_uri()], check=True, capture_output=True, timeout=100)


def by_librsvg(path: Path, out: Path, width: int, height: int) -> None:
    subprocess.run(["rsvg-convert", "-b", "white", "-o", str(out), str(path)], check=True, timeout=100)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"NOT CHECKED: {program} is not on PATH")


def drawing() -> Layered:
    """Soft noise in groups under blend modes and opacity, and a hidden layer."""
    stack = layers([Box(0, 0, 300, 200), Box(20, 30, 200, 150), Box(80, 10, 280, 190), Box(0, 0, 50, 50)], (300, 200))
    pixels = stack.pixels.clone()
    pixels[0, ..., 3] = 1
    look = Look(("normal", "multiply", "screen", "normal"), (1, 0.8, 0.6, 1), (True, True, True, False))
    return Layered(LayerStack(pixels, ("ground", "g/low", "g/high", "hidden")), look)


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [pytest.param(by_chromium, marks=needs("chromium")), pytest.param(by_librsvg, marks=needs("rsvg-convert"))],
)
def test_other_programs_show_the_same_picture(draw: Callable[[Path, Path, int, int], None], tmp_path: Path) -> None:
    """At most 4/255 off: they round to 8 bits, premultiplied, at every layer."""
    document = drawing()
    path = svg.write(document.stack, tmp_path / "x.svg", document.look)
    draw(path, tmp_path / "seen.png", 300, 200)
    seen = torch.from_numpy(np.array(Image.open(tmp_path / "seen.png").convert("RGB")))[:200, :300].float() / 255
    wanted: Tensor = onto_color(document.composite(), torch.ones(3))[..., :3]
    off = (seen - wanted).abs() * 255
    print(f"{draw.__name__}: {float(off.mean()):.2f} on average, {float(off.max()):.1f} at most")
    assert float(off.max()) <= 4
