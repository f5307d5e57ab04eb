"""The table of formats: what is in it is what the command, the node and the loader know."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from pptx import Presentation

from qil_core.cli import main
from qil_core.errors import QilError
from qil_core.files import loading, pptx
from qil_core.files.format import NONE, Dpi, Format, Options
from qil_core.files.layered import PLAIN, Layered, Look
from qil_core.files.registry import FORMATS
from qil_core.progress import Progress, silent
from qil_core.stack import LayerStack

ROOT = Path(__file__).resolve().parents[2]
EVERY = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


@pytest.fixture
def stack() -> LayerStack:
    return LayerStack.from_image(torch.ones(2, 3, 4, 4), "below\nabove")


def test_these_are_the_formats_and_what_a_stack_becomes(stack: LayerStack) -> None:
    endings = {key: format.suffix(stack) for key, format in FORMATS.items()}
    assert endings == {"psd": ".psd", "ora": ".ora", "zip": ".zip", "png": "", "pptx": ".pptx", "svg": ".svg"}
    assert loading.suffixes() == (".psd", ".psb", ".ora", ".zip", ".png")
    assert loading.kinds() == "PSD, PSB, ORA, ZIP or PNG"


def test_the_names_that_saved_workflows_hold_stay() -> None:
    assert [format.name for format in FORMATS.values()] == [
        "PSD",
        "OpenRaster",
        "ZIP",
        "PNG files",
        "PowerPoint",
        "SVG",
    ]


@EVERY
def test_every_writer_is_called_alike_and_gives_its_path(format: Format, stack: LayerStack, tmp_path: Path) -> None:
    steps: list[float] = []
    progress: Progress = lambda fraction, what: steps.append(fraction)  # noqa: E731
    path = tmp_path / f"x{format.suffix(stack)}"
    assert format.write(stack, path, Look(visible=(True, True)), NONE, progress) == path
    assert path.exists()
    assert steps == [0, 0.5]


@EVERY
def test_two_writes_of_the_same_stack_give_the_same_bytes(
    format: Format, stack: LayerStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year later, too: so that a file that did not change is not uploaded, or committed, again."""
    kept: list[dict[str, bytes]] = []
    for year in (0, 1):
        monkeypatch.setattr(time, "time", lambda year=year: 1_800_000_000 + year * 31_536_000)
        path = format.write(stack, tmp_path / str(year) / f"x{format.suffix(stack)}", options=LAVISH[format.key])
        files = path.rglob("*") if path.is_dir() else [path]
        kept.append({file.name: file.read_bytes() for file in files})
    assert kept[0] == kept[1]


GIVEN = Options(dpi=100, notes=("a note",), originals=(torch.zeros(3, 4, 3),), build_up=True)
LAVISH = {"psd": Options(100), "ora": Options(100), "zip": NONE, "png": NONE, "pptx": GIVEN, "svg": Options(100)}
TAKES = {"psd": ["dpi"], "ora": ["dpi"], "zip": [], "png": [], "pptx": GIVEN.given(), "svg": ["dpi"]}


@EVERY
@pytest.mark.parametrize("name", GIVEN.given())
def test_an_option_that_a_format_does_not_take_is_refused(
    format: Format, name: str, stack: LayerStack, tmp_path: Path
) -> None:
    options = Options(**{name: getattr(GIVEN, name)})
    if name in TAKES[format.key]:
        assert format.write(stack, tmp_path / "x", PLAIN, options).exists()
    else:
        with pytest.raises(QilError, match=f"{format.name} does not take {name}, it takes (dpi|no option)"):
            format.write(stack, tmp_path / "x", PLAIN, options)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dpi", [9, 301, float("nan")])
def test_a_dpi_out_of_a_formats_range_is_refused(dpi: float) -> None:
    with pytest.raises(QilError, match=f"{dpi:g} dpi was given, expected 10 to 300"):
        Dpi(96, 10, 300).of(Options(dpi))
    assert Dpi(96, 10, 300).of(NONE) == 96


def test_powerpoint_has_no_blend_modes_and_nothing_to_read(stack: LayerStack, tmp_path: Path) -> None:
    with pytest.raises(QilError, match=r'PowerPoint has no blend mode "multiply" .layer "above"'):
        pptx.write(stack, tmp_path / "x.pptx", Look(("normal", "multiply")))
    with pytest.raises(QilError, match="cannot be read out of PowerPoint files"):
        FORMATS["pptx"].read(tmp_path / "x.pptx")


def test_a_deck_shows_what_one_sees_and_keeps_the_rest_hidden(stack: LayerStack, tmp_path: Path) -> None:
    path = pptx.write(stack, tmp_path / "x.pptx", Look(opacities=(0.2, 1), visible=(True, False)))
    picture, hidden = Presentation(str(path)).slides[0].shapes
    assert [shape._element.nvPicPr.cNvPr.get("hidden") for shape in (picture, hidden)] == [None, "1"]
    assert picture.name == "below"
    assert Image.open(io.BytesIO(picture.image.blob)).getpixel((0, 0)) == (255, 255, 255, 51)


class Numbers:
    """A format that somebody adds: a text file of numbers."""

    @staticmethod
    def write(stack: LayerStack, path: Path, look: Look, options: Options, progress: Progress = silent) -> Path:
        path.write_text(f"numbers {len(stack)}")
        return path

    @staticmethod
    def read(path: Path, hidden: bool, unsupported: str) -> Layered:
        count = int(path.read_text().split()[1])
        return Layered(LayerStack.from_image(torch.zeros(count, 1, 1, 4)), PLAIN.of(count))

    FORMAT = Format("num", "Numbers", (".num",), write, read, lambda path, head: head == b"numbers ")


def test_a_new_line_in_the_table_is_a_format_everywhere(
    stack: LayerStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(FORMATS, "num", Numbers.FORMAT)
    path = Numbers.FORMAT.write(stack, tmp_path / "x")
    assert len(loading.load([path]).stack) == 2
    assert loading.kinds() == "PSD, PSB, ORA, ZIP, NUM or PNG"
    assert main(["info", str(path)]) == 0
    assert main(["info"]) == 0
    assert "num" in capsys.readouterr().out.splitlines()[-1]


def test_the_table_is_light_to_import() -> None:
    heavy = ("pptx", "psd_tools", "lxml", "cv2", "scipy")
    code = f"import sys, qil_core.files.registry; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
