"""The `qil` command, the sheet and the report, as a person meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation

from qil_core import ocr
from qil_core.cli import main
from qil_core.composite import composite
from qil_core.decompose import Decomposed, Decomposer, Request
from qil_core.decompose.recursive import split
from qil_core.decompose.run import decompose
from qil_core.errors import QilError
from qil_core.exact import recomposition
from qil_core.files import archive, folder, loading
from qil_core.files.picture import load_picture
from qil_core.progress import Progress
from qil_core.sheet import contact_sheet
from qil_core.stack import LayerStack, quantize

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A red disc and a blue square on cream."""
    y, x = np.mgrid[0:120, 0:160] + 0.5
    pixels = np.full((120, 160, 3), (245, 235, 210), np.uint8)
    pixels[(x - 50) ** 2 + (y - 60) ** 2 < 900] = (220, 40, 40)
    pixels[(abs(x - 115) < 25) & (abs(y - 60) < 25)] = (40, 60, 200)
    path = tmp_path / "shapes.png"
    Image.fromarray(pixels).save(path)
    return path


def test_decompose_writes_layers_deck_sheet_and_report(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["decompose", str(picture), "-o", str(out), "--layers", "3", "--format", "png,pptx,zip"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["layers"] == 3
    assert report["after"]["max_error"] <= 1
    stack = folder.read(out / "layers").stack
    assert recomposition(stack, load_picture(picture)).max_error <= 1
    assert {path.name for path in out.iterdir()} == {
        "layers", "shapes.zip", "shapes.pptx", "contact_sheet.png", "report.json",
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert "max error" in printed
    assert str(out / "shapes.pptx") in printed


@pytest.mark.parametrize("what", ["text", "shapes"])
def test_what_is_editable_needs_a_format_that_holds_it(
    what: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["decompose", str(picture), "-o", str(tmp_path / "out"), "--format", "png", f"--{what}", "editable"]
    assert main(arguments) == 1
    assert (
        f"{what} editable was given, but no format that holds {what}: use one of pptx, svg, too"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_what_became_editable_is_counted_after_the_files(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["decompose", str(picture), "-o", str(out), "--format", "svg,pptx,png", "--shapes", "editable"]
    assert main(arguments) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == "  editable       3 shapes in 3 layers"
    assert json.loads((out / "report.json").read_text())["editable"] == ["3 shapes in 3 layers"]


def test_editable_text_without_its_extra_says_what_to_install(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qil_core.typography.layer.reader", lambda: None)
    monkeypatch.setattr("qil_core.typography.layer.missing", lambda: "rapidocr")
    assert main(["decompose", str(picture), "-o", str(tmp_path / "out"), "--text", "editable"]) == 1
    assert "Editable text needs the extra `text`, and rapidocr is missing" in capsys.readouterr().err


@pytest.mark.skipif(bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}")
def test_the_words_of_a_picture_become_a_text_box_of_its_deck(tmp_path: Path) -> None:
    image = Image.new("RGB", (480, 240), (240, 235, 220))
    ImageDraw.Draw(image).text((40, 80), "Summer Sale", fill=(20, 30, 120), font=ImageFont.load_default(size=56))
    image.save(tmp_path / "sale.png")
    out = tmp_path / "out"
    assert (
        main(["decompose", str(tmp_path / "sale.png"), "-o", str(out), "--format", "pptx", "--text", "editable"]) == 0
    )
    shapes = Presentation(str(out / "sale.pptx")).slides[0].shapes
    assert [shape.text_frame.text for shape in shapes if shape.has_text_frame] == ["Summer Sale"]


def test_decompose_counts_the_layers_itself_where_it_is_asked_to(picture: Path, tmp_path: Path) -> None:
    assert main(["decompose", str(picture), "-o", str(tmp_path / "o"), "--layers", "auto", "--format", "zip"]) == 0
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["layers"] == 3
    assert "Automatic: 3 layers stand out." in report["notes"]
    assert not any("fewer separate things" in note for note in report["notes"])


@pytest.mark.slow
def test_decompose_runs_the_model_of_a_folder(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("diffusers")
    import tiny_model

    folder = tiny_model.build(tmp_path / "tiny")
    asked = ["--model", str(folder), "--layers", "2", "--steps", "1", "--prompt", "shapes", "--format", "zip"]
    asked += ["--device", "cpu"]
    assert main(["decompose", str(picture), "-o", str(tmp_path / "o"), *asked]) == 0
    assert "Qwen-Image-Layered: 2 layers of 160 x 120 px" in capsys.readouterr().out
    assert json.loads((tmp_path / "o" / "report.json").read_text())["after"]["max_error"] <= 1


def test_a_device_that_is_not_there_is_one_line_and_names_those_that_are(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("diffusers")
    asked = ["--model", str(tmp_path), "--device", "nosuch:1"]
    assert main(["decompose", str(picture), "-o", str(tmp_path / "o"), *asked]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('qil: The device "nosuch:1" cannot be used here')
    assert line.endswith("cpu. [QIL-MEMORY]")


def test_composite_puts_the_picture_back(picture: Path, tmp_path: Path) -> None:
    assert main(["decompose", str(picture), "-o", str(tmp_path / "o"), "--layers", "3", "--format", "zip"]) == 0
    back = tmp_path / "back.png"
    assert main(["composite", str(tmp_path / "o" / "shapes.zip"), "-o", str(back)]) == 0
    difference = np.abs(np.array(Image.open(back).convert("RGBA")).astype(int) - (load_picture(picture) * 255).numpy())
    assert difference.max() <= 1


def test_composite_takes_modes_linear_light_and_a_background(tmp_path: Path) -> None:
    stack = LayerStack.from_image(quantize(torch.tensor([[[[0, 0, 0, 1.0]]], [[[1, 1, 1, 0.5]]]])))
    folder.write(stack, tmp_path / "l")
    main(["composite", str(tmp_path / "l"), "-o", str(tmp_path / "a.png"), "--linear"])
    assert Image.open(tmp_path / "a.png").getpixel((0, 0))[0] == 188
    main(["composite", str(tmp_path / "l"), "-o", str(tmp_path / "b.png"), "--modes", "normal,multiply"])
    assert Image.open(tmp_path / "b.png").getpixel((0, 0))[0] == 0


def test_info_lists_the_layers_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = torch.zeros(2, 10, 20, 4)
    pixels[0, ..., 3] = 1
    pixels[1, 2:4, 5:9, 3] = 1
    folder.write(LayerStack.from_image(pixels, "sky\nbird"), tmp_path / "l")
    assert main(["info", str(tmp_path / "l")]) == 0
    assert "4 x 2 at 5,2" in capsys.readouterr().out
    assert main(["info"]) == 0
    assert "built-in (no weights)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decompose", "{dir}/none.png", "-o", "{dir}/o"], "There is no file"),
        (["decompose", "{dir}/text.png", "-o", "{dir}/o"], "cannot be read as a picture"),
        (["decompose", "{picture}", "-o", "{dir}/o", "--layers", "1"], "Layers must be 2 to 10"),
        (["decompose", "{picture}", "-o", "{dir}/o", "--format", "gif"], "Unknown format"),
        (["composite", "{dir}/nothing", "-o", "{dir}/x.png"], "nothing"),
        (["composite", "{dir}/text.png", "-o", "{dir}/x.png"], "text.png"),
    ],
)
def test_mistakes_are_one_line_on_stderr_and_leave_no_file(
    arguments: list[str], says: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    assert main([a.format(dir=tmp_path, picture=picture) for a in arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("qil: ")
    assert says in error
    assert {path.name for path in tmp_path.iterdir()} == {"text.png", "shapes.png"}


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["info", "{file}"], ["info"]], ids=str)
@pytest.mark.skipif(os.name == "nt", reason="NOT CHECKED: Windows has no broken pipes")
def test_a_reader_that_goes_away_ends_a_command_without_a_traceback(
    arguments: list[str], unbuffered: str, tmp_path: Path
) -> None:
    """`qil info F | head -0`: what is printed has nowhere to go."""
    path = archive.write(LayerStack.from_image(torch.ones(100, 2, 2, 4)), tmp_path / "x.zip")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "qil_core", *(each.format(file=path) for each in arguments)]
    with os.fdopen(writer, "wb") as pipe:
        way = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, cwd=ROOT, env=way)
    assert (done.returncode, done.stderr.decode()) == (141, "")


def test_a_pipe_to_another_program_that_breaks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(options: object) -> None:
        raise BrokenPipeError("a server went away")

    monkeypatch.setattr("qil_core.cli.layers._info", breaks)
    with pytest.raises(BrokenPipeError, match="a server went away"):
        main(["info"])


def test_a_picture_turned_by_exif_is_read_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert load_picture(tmp_path / "turned.jpg").shape == (20, 10, 4)


class Halves:
    """A decomposer with a known answer: everything, and the left half on top of it."""

    label = "Halves"

    def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
        left = picture.clone()
        left[:, picture.shape[1] // 2 :] = 0
        progress(1.0, "halves")
        return Decomposed(LayerStack(torch.stack([picture, left]), ("whole", "left")), ("Cut in half.",))


def test_the_report_says_what_was_done_and_how_exact_it_is() -> None:
    picture = torch.rand(20, 30, 3)
    decomposer: Decomposer = Halves()
    stack, report = decompose(decomposer, picture, Request(2))
    assert stack.pixels.shape == (2, 20, 30, 4)
    assert report.after.max_error <= 0.51
    assert "Halves: 2 layers of 30 x 20 px" in str(report)
    assert "Cut in half." in str(report)
    assert report.as_dict()["after"] == report.after.as_dict()


def test_progress_only_moves_forward_and_an_exception_in_it_stops_the_work() -> None:
    seen: list[float] = []
    decompose(Halves(), torch.rand(8, 8, 4), Request(2), lambda fraction, what: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1

    class Stop(BaseException):
        pass

    def stop(fraction: float, what: str) -> None:
        raise Stop

    with pytest.raises(Stop):
        decompose(Halves(), torch.rand(8, 8, 4), Request(2), stop)


def premultiplied(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], -1)


def test_splitting_a_layer_moves_the_composite_by_at_most_one_level(random_stack: LayerStack) -> None:
    for index in range(len(random_stack)):
        result, _ = split(Halves(), random_stack, index, Request(2))
        assert len(result) == 5
        before, after = premultiplied(composite(random_stack)), premultiplied(composite(result))
        assert (before - after).abs().max() <= 1 / 255
        assert torch.equal(result.pixels[:index], random_stack.pixels[:index])
        assert torch.equal(result.pixels[index + 2 :], random_stack.pixels[index + 1 :])


def test_sub_layers_are_named_as_a_group_and_stay_in_the_layers_box() -> None:
    pixels = torch.zeros(2, 30, 40, 4)
    pixels[0] = 1
    pixels[1, 10:20, 5:25] = 1
    stack = LayerStack.from_image(pixels, "sky\ngirl")
    result, _ = split(Halves(), stack, -1, Request(2))
    assert result.names == ("sky", "girl/whole", "girl/left")
    assert result.bounds(1) == (5, 10, 25, 20)
    assert result.bounds(2) == (5, 10, 15, 20)


def test_an_empty_layer_cannot_be_split() -> None:
    stack = LayerStack.from_image(torch.zeros(1, 5, 5, 4), "ghost")
    with pytest.raises(QilError, match=r'"ghost"\) is empty'):
        split(Halves(), stack, 0, Request(2))


def test_the_contact_sheet_shows_each_layer_on_a_checkerboard() -> None:
    pixels = torch.zeros(2, 320, 320, 4)
    pixels[0] = torch.tensor([1.0, 0, 0, 1])
    sheet = contact_sheet(LayerStack.from_image(pixels, "red\n空"))
    assert sheet.getpixel((16 + 100, 16 + 100)) == (255, 0, 0)
    clear = {sheet.getpixel((16 + 320 + 16 + x, 16 + 4)) for x in range(0, 32, 8)}
    assert clear == {(199, 199, 199), (235, 235, 235)}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_the_contact_sheet_takes_any_shape(size: tuple[int, int]) -> None:
    sheet = contact_sheet(LayerStack.from_image(torch.ones(3, *size, 4)))
    assert max(sheet.size) < 4000


@pytest.mark.parametrize(("kind", "suffix"), [("psd", ".psd"), ("ora", ".ora"), ("zip", ".zip")])
def test_every_layered_file_composites_back_to_the_picture(
    picture: Path, tmp_path: Path, kind: str, suffix: str
) -> None:
    out = tmp_path / "out"
    assert main(["decompose", str(picture), "-o", str(out), "--layers", "3", "--format", kind]) == 0
    assert main(["composite", str(out / f"{picture.stem}{suffix}"), "-o", str(tmp_path / "flat.png")]) == 0
    flat, want = (np.array(Image.open(path).convert("RGB")).astype(int) for path in (tmp_path / "flat.png", picture))
    assert np.abs(flat - want).max() <= 1


def test_score_prints_a_table_or_numbers(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    main(["decompose", str(picture), "-o", str(out), "--layers", "3", "--format", "zip,psd"])
    files = [str(out / f"{picture.stem}{suffix}") for suffix in (".psd", ".zip")]
    capsys.readouterr()
    assert main(["score", *files]) == 0
    assert "0  0.0000          1.0000" in capsys.readouterr().out
    assert main(["score", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["levels"][5] == {"rgb_l1": 0, "alpha_iou": 1}


def test_score_takes_folders_of_pngs_without_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("true", "predicted"):
        folder = tmp_path / name
        folder.mkdir()
        Image.new("RGBA", (8, 8), (255, 255, 255, 255)).save(folder / "9.png")
        Image.new("RGBA", (8, 8), (0, 0, 255, 128)).save(folder / "10.png")
    assert main(["score", str(tmp_path / "predicted"), str(tmp_path / "true"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["levels"][0] == {"rgb_l1": 0, "alpha_iou": 1}
    assert main(["info", str(tmp_path / "true")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["9", "10"]


# --- several pictures


def test_a_bad_picture_among_several_is_named_and_the_others_are_done(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_text("not a picture")
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    asked = [str(tmp_path / "bad.png"), str(picture), str(tmp_path / "none.png"), str(other)]
    assert main(["decompose", *asked, "-o", str(tmp_path / "o"), "--layers", "2", "--format", "zip"]) == 1
    assert {path.name for path in (tmp_path / "o").iterdir()} == {"shapes", "other"}
    assert (tmp_path / "o" / "other" / "other.zip").exists()
    printed = capsys.readouterr()
    assert printed.out.count("2 layers of 160 x 120 px") == 2
    first, second, summary = printed.err.splitlines()
    assert first.startswith(f"qil: {tmp_path / 'bad.png'}: ")
    assert first.count("cannot be read as a picture") == 1
    assert second.startswith(f"qil: {tmp_path / 'none.png'}: There is no file")
    assert summary == f"qil: 2 of 4 pictures failed: {tmp_path / 'bad.png'}, {tmp_path / 'none.png'}. [QIL-BATCH]"


def test_pictures_that_would_share_a_folder_are_refused_before_the_work(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twins = [str(picture), str(tmp_path / "elsewhere" / "Shapes.jpg")]
    assert main(["decompose", *twins, "-o", str(tmp_path / "o")]) == 1
    assert '2 pictures are named "shapes"' in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_file_name_that_is_no_text_is_printed_as_its_escape(picture: Path, tmp_path: Path, encoding: str) -> None:
    odd = tmp_path / os.fsdecode(b"odd \xff\xe4\xb8\xad.png")
    odd.write_bytes(picture.read_bytes())
    command = [sys.executable, "-m", "qil_core", "decompose", odd, tmp_path / "none \udcfe.png"]
    done = subprocess.run(
        [*command, "-o", tmp_path / "o", "--layers", "2", "--format", "zip,pptx,psd"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"},
        capture_output=True,
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"odd \\udcff" in done.stdout
    assert b"1 of 2 pictures failed: " in done.stderr
    assert b"none \\udcfe.png" in done.stderr
    assert len(list((tmp_path / "o" / odd.stem).iterdir())) == 5


def test_masks_from_files_become_layers_named_by_their_files(picture: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymatting", reason="PyMatting is missing, so --masks was not tested")
    size = Image.open(picture).size
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, box in (("left.png", (10, 10, 40, 40)), ("right.png", (60, 10, 90, 40))):
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask.save(folder / name)
    out = tmp_path / "out"
    assert main(["decompose", str(picture), "-o", str(out), "--masks", str(folder / "*.png"), "--format", "zip"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["layers"] == 3
    assert report["after"]["max_error"] <= 1
    assert loading.load([out / f"{picture.stem}.zip"]).stack.names == ("background", "left", "right")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--masks", "nowhere/*.png"], "There is no picture in nowhere"),
        (["--boxes", "1,2,3"], "expected 4 numbers each, such as '120,40,380,300"),
        (["--inside", "a,b"], "expected 2 numbers each"),
        (["--inside", "9000,1"], "--inside: the point 9000, 1 is not in the picture"),
        (["--masks", "m", "--decomposer", "builtin"], "leave out --model, --decomposer and --set"),
    ],
)
def test_masks_that_are_not_there_or_not_wanted_are_refused(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert main(["decompose", str(picture), "-o", str(tmp_path), *more]) == 1
    assert says in capsys.readouterr().err
