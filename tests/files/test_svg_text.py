"""Text in SVG files: what is written of recognised lines, and how a browser draws it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr
from qil_core.files import svg
from qil_core.files.editable import EDITABLE, Editable
from qil_core.files.format import Options
from qil_core.files.layered import PLAIN, Look
from qil_core.files.svg_elements import LABEL, SVG, tag
from qil_core.stack import Box, LayerStack, quantize
from qil_core.typography.bullets import Bullet
from qil_core.typography.layer import Recognized
from qil_core.typography.paragraphs import Block
from qil_core.typography.style import Line

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)
Element = ElementTree.Element

LINE = Line(
    "Two <new> & old", 1, 20, 30, 180, 52, 50, 30, 0.5, "sans", "latin", True, False, (20, 60, 160), 1.0, ()
)  # fmt: skip
BOX = Box(40, 10, 240, 110)
"""Where the layer of words lies, in pixels."""


def stack_of() -> LayerStack:
    """A page, and a layer of one box, which stands for the words."""
    pixels = torch.zeros(2, 160, 300, 4)
    pixels[0] = 1
    pixels[1, BOX.top : BOX.bottom, BOX.left : BOX.right, 3] = 0.5
    return LayerStack(quantize(pixels), ("page", "words"))


def drawn(path: Path, *blocks: Block, degrees: float = 0.0, rest: torch.Tensor | None = None) -> Element:
    """The group of the layer of words, with these blocks as what was read in it."""
    text = Recognized(blocks, rest, (), degrees, (BOX.width, BOX.height))
    options = Options(text=EDITABLE, found=(Editable(), Editable(text)))
    root = ElementTree.parse(svg.write(stack_of(), path / "x.svg", PLAIN, options)).getroot()
    return next(group for group in root.iter(tag("g")) if group.get("id") == "layer1")


def style_of(element: Element) -> dict[str, str]:
    return dict(part.split(":") for part in element.get("style", "").split(";"))


def test_words_are_text_over_their_hidden_pixels(tmp_path: Path) -> None:
    group = drawn(tmp_path, Block(((LINE,),), "left", 0))
    assert [child.tag.removeprefix(f"{{{SVG}}}") for child in group] == ["title", "g", "text"]
    assert (group[1].get(LABEL), group[1].get("style")) == ("words (pixels)", "display:none")
    assert "".join(group[2].itertext()) == "Two <new> & old"
    assert (group[2].get("id"), group[2].get(LABEL)) == ("layer1-text1", "Two <new> & old")


def test_a_line_stands_on_its_baseline_at_its_first_letter(tmp_path: Path) -> None:
    (line,) = drawn(tmp_path, Block(((LINE,),), "left", 0)).iter(tag("tspan"))
    assert float(line.get("y", "")) == BOX.top + 50
    assert float(line.get("x", "")) == pytest.approx(BOX.left + 20 - 0.06 * 30)


def test_a_line_has_its_fonts_size_weight_colour_and_spacing(tmp_path: Path) -> None:
    faint = replace(LINE, opacity=0.5, italic=True, bold=False)
    for line, wanted in ((LINE, {"font-weight": "bold"}), (faint, {"font-style": "italic"})):
        text = drawn(tmp_path, Block(((line,),), "left", 0)).find(tag("text"))
        assert text is not None
        style = style_of(text)
        assert style.pop("font-family") == "'Arial','Liberation Sans',Helvetica,sans-serif"
        assert style == {"font-size": "30px", "text-anchor": "start", **wanted}
        assert (text[0].get("fill"), text[0].get("letter-spacing")) == ("#143CA0", "0.5")
        assert text[0].get("fill-opacity") == (None if line is LINE else "0.5")


@pytest.mark.parametrize(("alignment", "x", "anchor"), [("center", 100, "middle"), ("right", 181.8, "end")])
def test_lines_are_held_where_they_are_aligned(tmp_path: Path, alignment: str, x: float, anchor: str) -> None:
    text = drawn(tmp_path, Block(((LINE,),), alignment, 0)).find(tag("text"))  # type: ignore[arg-type]
    assert text is not None
    assert style_of(text)["text-anchor"] == anchor
    assert float(text[0].get("x", "")) == pytest.approx(BOX.left + x)


def test_a_paragraph_is_one_text_with_a_line_each(tmp_path: Path) -> None:
    second, third = (replace(LINE, text=text, baseline=y) for text, y in (("go on", 90.0), ("Next", 130.0)))
    texts = list(drawn(tmp_path, Block(((LINE, second), (third,)), "left", 40)).iter(tag("text")))
    assert [[line.text for line in text] for text in texts] == [["Two <new> & old", "go on"], ["Next"]]
    assert [float(line.get("y", "")) for text in texts for line in text] == [60, 100, 140]
    assert float(style_of(texts[0])["line-height"]) == pytest.approx(40 / 30, abs=1e-4)


def test_east_asian_and_right_to_left_lines_say_so(tmp_path: Path) -> None:
    japanese, hebrew = (
        replace(LINE, text="新しい", script="japanese"),
        replace(LINE, text="שלום", script="right-to-left"),
    )
    texts = drawn(tmp_path, Block(((japanese,),), "left", 0), Block(((hebrew,),), "right", 0)).findall(tag("text"))
    assert style_of(texts[0])["font-family"].startswith("'Arial','Yu Gothic',")
    assert (style_of(texts[1])["direction"], style_of(texts[1])["text-anchor"]) == ("rtl", "start")


def test_a_turned_layer_turns_its_text_about_the_lines_place(tmp_path: Path) -> None:
    """A quarter turn of a layer of 200 x 100 px: what is right of the middle comes to lie below it."""
    text = drawn(tmp_path, Block(((LINE,),), "center", 0), degrees=90).find(tag("text"))
    assert text is not None
    middle = BOX.left + BOX.width / 2, BOX.top + BOX.height / 2
    x, y = float(text.get("x", "")), float(text.get("y", ""))
    assert (x, y) == pytest.approx((middle[0] - (50 - BOX.height / 2), middle[1] + (100 - BOX.width / 2)))
    assert text.get("transform") == f"rotate(90 {x:g} {y:g})"


def test_a_bullet_stands_before_its_line(tmp_path: Path) -> None:
    dot = Bullet("•", 6.0, 0.5, (236, 102, 88), 0)
    texts = drawn(tmp_path, Block(((replace(LINE, bullet=dot, bulleted=True),),), "left", 0)).findall(tag("text"))
    assert ["".join(text.itertext()) for text in texts] == ["Two <new> & old", "•"]
    assert (texts[1].get("fill"), style_of(texts[1])["font-size"], texts[1].get("y")) == ("#EC6658", "15px", "60")
    assert float(texts[1].get("x", "")) == pytest.approx(BOX.left + 6 - 0.039 * 15)


def test_a_column_runs_downwards_from_its_heads_middle(tmp_path: Path) -> None:
    column = replace(LINE, text="新聞", script="chinese", left=100.0, right=130.0, top=12.0, bottom=72.0, vertical=True)
    text = drawn(tmp_path, Block(((column,),), "left", 0)).find(tag("text"))
    assert text is not None
    assert style_of(text)["writing-mode"] == "vertical-rl"
    assert float(text[0].get("x", "")) == BOX.left + 115
    assert float(text[0].get("y", "")) == pytest.approx(BOX.top + 12 - 0.0425 * 30)


def test_what_is_left_of_a_layer_lies_below_its_text(tmp_path: Path) -> None:
    rest = torch.ones(BOX.height, BOX.width, 4)
    group = drawn(tmp_path, Block(((LINE,),), "left", 0), rest=rest)
    assert [child.tag.removeprefix(f"{{{SVG}}}") for child in group] == ["title", "g", "image", "text"]


def lettered(size: tuple[int, int] = (480, 160)) -> LayerStack:
    """A white page and a layer of blue words."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).text((40, 40), "Two new offices", fill=255, font=ImageFont.load_default(size=48))
    image = Image.new("RGBA", size, (20, 60, 160))
    image.putalpha(mask)
    page = np.ones((size[1], size[0], 4), np.float32)
    layers = np.stack([page, np.asarray(image, np.float32) / 255])
    return LayerStack.from_image(quantize(torch.from_numpy(layers)), "page\nwords")


@needs_reader
def test_words_that_are_read_become_text_and_hidden_ones_stay_pictures(tmp_path: Path) -> None:
    for visible, count in ((True, 1), (False, 0)):
        path = svg.write(lettered(), tmp_path / "x.svg", Look(visible=(True, visible)), Options(text=EDITABLE))
        texts = list(ElementTree.parse(path).getroot().iter(tag("text")))
        assert ["".join(text.itertext()) for text in texts] == ["Two new offices"] * count


@needs_reader
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="NOT CHECKED: chromium is not on PATH, so no text was drawn")
def test_a_browser_draws_the_words_where_they_were(tmp_path: Path) -> None:
    """The box of the ink, to 0.15 of the letters' size: another font has other sides."""
    path = svg.write(lettered(), tmp_path / "x.svg", PLAIN, Options(text=EDITABLE))
    page = path.with_suffix(".html")
    page.write_text(f'<body style="margin:0;background:#fff"><img src="{path.name}" style="display:block">')
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=480,160"]
    command = ["chromium", *flags, f"--screenshot={tmp_path / 'seen.png'}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    seen = np.asarray(Image.open(tmp_path / "seen.png").convert("L"))[:160, :480] < 128
    wanted = lettered().pixels[1, ..., 3].numpy() > 0.5
    for axis in (0, 1):
        ends = [np.flatnonzero(mask.any(axis))[[0, -1]] for mask in (seen, wanted)]
        assert ends[0] == pytest.approx(ends[1], abs=0.15 * 48)
