"""Shapes in PowerPoint and SVG files: true ones over their hidden pixels, and drawn as the composite is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE
from torch import Tensor

from qil_core.cli import main
from qil_core.composite import composite, onto_color
from qil_core.errors import QilError
from qil_core.files import pptx, svg, svg_elements
from qil_core.files.editable import EDITABLE
from qil_core.files.format import Options
from qil_core.files.layered import PLAIN, Look
from qil_core.files.registry import FORMATS
from qil_core.files.shape_fills import Fill, Shadow
from qil_core.files.shape_outlines import Ellipse, Freeform, Rounded
from qil_core.files.shape_painting import Shape, Stroke, painted
from qil_core.stack import LayerStack, quantize

WIDTH, HEIGHT, PIXEL = 160, 120, 9525
NAMES = ("ground", "card", "art/disc", "art/star", "noise", "rule")
SHAPES = Options(shapes=EDITABLE)


def drawing() -> LayerStack:
    angles = np.arange(10) * np.pi / 5
    reach = 20 * np.where(np.arange(10) % 2, 0.7, 1)
    star = Freeform((np.stack([110 + reach * np.cos(angles), 80 + reach * np.sin(angles)], -1),))
    shapes = [
        Shape(Rounded(80, 60, 160, 120), Fill((0.9, 0.95, 1.0), 1.0, (0.5, 0.6, 0.9), (0, 0), (0, 120))),
        Shape(Rounded(45, 40, 60, 40, 8), Fill((0.2, 0.6, 0.3), 1.0), Shadow((0, 0, 0), 0.5, 3, 1, 3)),
        Shape(Ellipse(110, 35, 40, 40), Fill((0.9, 0.2, 0.2), 0.6)),
        Shape(star, Fill((0.8, 0.7, 0.1), 1.0)),
    ]
    layers = [_straight(shape) for shape in shapes]
    noise = torch.zeros(HEIGHT, WIDTH, 4)
    noise[75:110, 15:60] = torch.rand(35, 45, 4, generator=torch.Generator().manual_seed(0))
    rule = _straight(Shape(Rounded(80, 114, 120, 2), Fill((0.1, 0.1, 0.1), 1.0)))
    return LayerStack(quantize(torch.stack([*layers, noise, rule])), NAMES)


def _straight(shape: Shape) -> Tensor:
    picture = painted([shape], HEIGHT, WIDTH)
    colors = picture[..., :3] / np.maximum(picture[..., 3:], 1e-6)
    return torch.from_numpy(np.concatenate([colors, picture[..., 3:]], -1)).clamp(0, 1)


def wanted() -> Tensor:
    return onto_color(composite(drawing()), torch.ones(3))[..., :3]


def test_powerpoint_holds_true_shapes_over_the_hidden_pixels(tmp_path: Path) -> None:
    report = pptx.write_deck([drawing()], tmp_path / "deck.pptx", SHAPES)
    assert report.shapes == (("ground", "card", "art/disc", "art/star", "rule"),)
    assert "as shapes: ground, card" in str(report)
    top = list(Presentation(str(tmp_path / "deck.pptx")).slides[0].shapes)
    assert [shape.name for shape in top] == [
        "ground (pixels)", "ground", "card (pixels)", "card", "art", "noise", "rule (pixels)", "rule",
    ]  # fmt: skip
    hidden = [shape._element.nvPicPr.cNvPr.get("hidden") for shape in (top[0], top[2], top[5], top[6])]
    assert hidden == ["1", "1", None, "1"]
    ground, card, rule = top[1], top[3], top[7]
    assert ground.auto_shape_type == MSO_SHAPE.RECTANGLE
    assert (ground.left, ground.top, ground.width, ground.height) == (0, 0, WIDTH * PIXEL, HEIGHT * PIXEL)
    assert card.auto_shape_type == MSO_SHAPE.ROUNDED_RECTANGLE
    assert card.adjustments[0] == pytest.approx(8 / 40, abs=0.02)
    assert "outerShdw" in card._element.xml
    assert "gradFill" in ground._element.xml
    assert rule.line.width == 2 * PIXEL
    disc = next(shape for shape in top[4].shapes if shape.name == "disc")
    star = next(shape for shape in top[4].shapes if shape.name == "star")
    assert disc.auto_shape_type == MSO_SHAPE.OVAL
    assert '<a:alpha val="60000"/>' in disc._element.xml
    assert "custGeom" in star._element.xml


def test_hidden_layers_stay_hidden_pictures(tmp_path: Path) -> None:
    stack = drawing().select([1])
    report = pptx.write_deck([stack], tmp_path / "x.pptx", SHAPES, looks=[Look(visible=(False,)).of(1)])
    (shape,) = Presentation(str(report.path)).slides[0].shapes
    assert report.shapes == ((),)
    assert shape._element.nvPicPr.cNvPr.get("hidden") == "1"


def test_pictures_are_the_default(tmp_path: Path) -> None:
    assert pptx.write_deck([drawing()], tmp_path / "x.pptx").shapes == ((),)


def test_svg_holds_true_shapes_over_the_hidden_pixels(tmp_path: Path) -> None:
    root = ElementTree.parse(svg.write(drawing(), tmp_path / "x.svg", PLAIN, SHAPES)).getroot()
    groups = {group.get("id"): group for group in root.iter(f"{{{svg_elements.SVG}}}g")}
    kinds = [[child.tag.rpartition("}")[2] for child in groups[f"layer{i}"]] for i in range(6)]
    assert kinds == [
        ["title", "g", "linearGradient", "rect"],
        ["title", "g", "filter", "rect", "rect"],
        ["title", "g", "ellipse"],
        ["title", "g", "path"],
        ["title", "image"],
        ["title", "g", "rect"],
    ]
    assert groups["layer0-pixels"].get("style") == "display:none"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("key", ["pptx", "svg"])
def test_an_unknown_choice_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(QilError, match='Shapes as "maybe" was asked for: use pictures or editable'):
        FORMATS[key].write(drawing(), tmp_path / "x", options=Options(shapes="maybe"))


def test_formats_without_shapes_refuse_them(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="does not take shapes"):
        FORMATS["psd"].write(drawing(), tmp_path / "x.psd", options=SHAPES)


def test_the_command_writes_shapes_where_it_is_asked_to(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(tmp_path / "flat.png")
    for shapes in ("pictures", "editable"):
        output = tmp_path / shapes
        asked = ["--format", "svg,pptx,png", "--layers", "2", "--shapes", shapes]
        assert main(["decompose", str(tmp_path / "flat.png"), "-o", str(output), *asked]) == 0
        root = ElementTree.parse(output / "flat.svg").getroot()
        assert len(root.findall(f".//{{{svg_elements.SVG}}}rect")) == (shapes == "editable")
        slide = Presentation(str(output / "flat.pptx")).slides[0]
        assert len(slide.shapes) == (2 if shapes == "editable" else 1)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="NOT CHECKED: soffice is not on PATH, so no slide was drawn")
def test_libreoffice_draws_shapes_as_the_composite(tmp_path: Path) -> None:
    """At most 2/255 off in the mean. Its gradients have steps and its shadows another blur, so single pixels differ."""
    pptx.write_deck([drawing()], tmp_path / "deck.pptx", SHAPES)
    size = {key: {"type": "long", "value": str(v)} for key, v in (("PixelWidth", WIDTH), ("PixelHeight", HEIGHT))}
    command = ["soffice", f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to"]
    command += [f"png:impress_png_Export:{json.dumps(size)}", "--outdir", str(tmp_path), str(tmp_path / "deck.pptx")]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    assert _error(tmp_path / "deck.png") <= 2 / 255


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("rsvg-convert"), reason="NOT CHECKED: rsvg-convert is not on PATH")
def test_librsvg_draws_shapes_as_the_composite(tmp_path: Path) -> None:
    svg.write(drawing(), tmp_path / "x.svg", PLAIN, SHAPES)
    size = ["-w", str(WIDTH), "-h", str(HEIGHT), "--background-color", "white"]
    subprocess.run(["rsvg-convert", *size, "-o", str(tmp_path / "x.png"), str(tmp_path / "x.svg")], check=True)
    assert _error(tmp_path / "x.png") <= 1 / 255


def _error(path: Path) -> float:
    seen = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).float() / 255
    error = float((seen - wanted()).abs().mean())
    print(f"mean error {error * 255:.2f}/255")
    return error


def test_what_is_left_beside_the_shapes_of_a_layer_is_described_by_the_layers_name(tmp_path: Path) -> None:
    card = _straight(Shape(Rounded(80, 60, 120, 90), Fill((0.2, 0.6, 0.3), 1.0)))
    card[40:60, 50:80, :3] = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0))
    pptx.write(LayerStack(quantize(card[None]), ("menu card",)), tmp_path / "a.pptx", PLAIN, SHAPES)
    (group,) = [shape for shape in Presentation(str(tmp_path / "a.pptx")).slides[0].shapes if shape.name == "menu card"]
    rest = group.shapes[-1]
    assert (rest.name, rest._element.nvPicPr.cNvPr.get("descr")) == ("rest", "menu card")


def test_a_line_around_a_shape_is_the_shapes_own_in_powerpoint_and_svg(tmp_path: Path) -> None:
    card = Shape(Rounded(80, 60, 120, 90, 12), Fill((0.2, 0.6, 0.3), 1.0), stroke=Stroke((0.1, 0.1, 0.4), 6))
    stack = LayerStack(quantize(_straight(card)[None]), ("card",))
    pptx.write(stack, tmp_path / "a.pptx", PLAIN, SHAPES)
    (shape,) = [one for one in Presentation(str(tmp_path / "a.pptx")).slides[0].shapes if one.name == "card"]
    assert (shape.width / PIXEL, shape.height / PIXEL) == pytest.approx((114, 84), abs=0.2)  # the line's middle
    assert shape.adjustments[0] == pytest.approx(9 / 84, abs=0.005)
    assert shape.line.width / PIXEL == pytest.approx(6, abs=0.1)
    assert str(shape.line.color.rgb) == "1A1A66"
    svg.write(stack, tmp_path / "a.svg", PLAIN, SHAPES)
    (element,) = ElementTree.parse(tmp_path / "a.svg").iter("{http://www.w3.org/2000/svg}rect")
    assert element.get("stroke") == "#1A1A66"
    assert [float(element.get(name, 0)) for name in ("stroke-width", "width", "rx")] == pytest.approx(
        [6, 114, 9], abs=0.2
    )
