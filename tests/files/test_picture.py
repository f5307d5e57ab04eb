"""Pictures as they come from cameras, telephones and printers: all become sRGB."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from profiles import display_p3, p3_as_srgb

from qil_core.errors import QilError
from qil_core.files import limits
from qil_core.files.loading import load
from qil_core.files.picture import load_picture
from qil_core.files.profile import conversion, srgb_profile

COLORS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


def saved(path: Path, pixels: np.ndarray, mode: str, **options: object) -> Path:
    Image.fromarray(pixels, mode).save(path, **options)
    return path


def bytes_of(path: Path) -> np.ndarray:
    return (load_picture(path) * 255).round().to(torch.uint8).numpy()


def off(read: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(read.astype(float) - wanted * 255).max())


@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_a_display_p3_photo_becomes_srgb(kind: str, tmp_path: Path) -> None:
    muted = (COLORS // 2 + 64).astype(np.uint8)  # inside sRGB, where every conversion agrees
    options = {"lossless": True} if kind == "webp" else {}
    path = saved(tmp_path / f"x.{kind}", muted, "RGB", icc_profile=display_p3(), **options)
    wanted = p3_as_srgb(muted / 255)
    assert off(bytes_of(path)[..., :3], wanted) <= 1.01
    assert np.abs(wanted * 255 - muted).max() > 10  # else this would test nothing


def test_alpha_is_no_colour_and_stays(tmp_path: Path) -> None:
    rgba = np.dstack([COLORS, np.arange(2000, dtype=np.uint8).reshape(40, 50)])
    read = bytes_of(saved(tmp_path / "x.png", rgba, "RGBA", icc_profile=display_p3()))
    assert np.array_equal(read[..., 3], rgba[..., 3])


@pytest.mark.parametrize("profile", [b"", srgb_profile()])
def test_srgb_and_what_names_no_profile_stay_to_the_last_bit(profile: bytes, tmp_path: Path) -> None:
    read = bytes_of(saved(tmp_path / "x.png", COLORS, "RGB", icc_profile=profile))
    assert np.array_equal(read[..., :3], COLORS)


def test_a_grey_picture_with_a_profile_of_colours_is_taken_as_colours(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", COLORS[..., 0], "L", icc_profile=display_p3())
    assert np.array_equal(bytes_of(path)[..., :3], np.repeat(COLORS[..., :1], 3, axis=2))  # greys are the same


@pytest.mark.parametrize("profile", [b"no profile at all", display_p3()[:200]])
def test_a_broken_profile_is_left_out_and_said(
    profile: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path / "x.tiff", COLORS, "RGB", icc_profile=profile)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(bytes_of(path)[..., :3], COLORS)
    assert f"{path}: its colour profile" in caplog.text
    assert "it was left out" in caplog.text


def test_cmyk_without_a_profile_is_ideal_inks(tmp_path: Path) -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 0, 255], [100, 0, 0, 100]]], np.uint8)
    read = bytes_of(saved(tmp_path / "x.tiff", inks, "CMYK"))[0, :, :3]
    assert read.tolist() == [[255, 255, 255], [0, 255, 255], [255, 0, 255], [0, 0, 0], [94, 155, 155]]


def test_lab_is_lab(tmp_path: Path) -> None:
    lab = np.array([[[0, 0, 0], [255, 0, 0], [137, 0, 0], [137, 208, 195]]], np.uint8)  # a and b as signed bytes
    read = bytes_of(saved(tmp_path / "x.tiff", lab, "LAB"))[0, :, :3].astype(int)
    assert np.abs(read[:3] - [[0, 0, 0], [255, 255, 255], [128, 128, 128]]).max() <= 1
    assert read[3][1] > 150  # a and b below 0: a green blue
    assert read[3][0] == 0


def test_16_bits_are_rounded_not_cut_off(tmp_path: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (30, 30, 3)).astype(np.uint16)
    wanted = np.rint(deep / 257).astype(np.uint8)
    for name in ("x.png", "x.tiff"):
        cv2.imwrite(str(tmp_path / name), deep[..., ::-1])
        assert np.array_equal(bytes_of(tmp_path / name)[..., :3], wanted)
        cv2.imwrite(str(tmp_path / name), deep[..., 0])
        assert np.array_equal(bytes_of(tmp_path / name)[..., :3], np.repeat(wanted[..., :1], 3, axis=2))
    with_alpha = np.dstack([deep[..., ::-1], deep[..., 0]])
    cv2.imwrite(str(tmp_path / "a.png"), with_alpha)
    assert np.array_equal(bytes_of(tmp_path / "a.png"), np.dstack([wanted, wanted[..., 0]]))


def test_what_16_bits_have_beyond_8_comes_through_a_profile() -> None:
    found = conversion("RGB", display_p3())
    assert found
    ramp = np.linspace(0.3, 0.6, 3000, dtype=np.float32)
    colors = np.stack([ramp, 0.9 * ramp, 0.8 * ramp], -1)[None]
    read = found(colors)
    assert np.abs(read - p3_as_srgb(colors.astype(np.float64))).max() * 255 <= 1
    assert len(np.unique(read[..., 1])) > 2000  # 8 bits have 69 steps there


def test_a_picture_that_memory_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "x.png", COLORS, "RGB")
    monkeypatch.setattr(limits, "free_ram", lambda: 100_000)
    with pytest.raises(QilError, match="megapixels, which take"):
        load_picture(path)


def test_layers_in_a_wide_gamut_become_srgb_too(tmp_path: Path) -> None:
    muted = (COLORS // 2 + 64).astype(np.uint8)
    rgba = np.dstack([muted, np.arange(2000, dtype=np.uint8).reshape(40, 50)])
    path = saved(tmp_path / "x.png", rgba, "RGBA", icc_profile=display_p3())
    layer = (load([path]).stack.pixels[0] * 255).round().numpy()
    assert off(layer[..., :3], p3_as_srgb(muted / 255)) <= 1.01
    assert np.array_equal(layer[..., 3], rgba[..., 3])
    path = saved(tmp_path / "broken.png", rgba, "RGBA", icc_profile=b"x" * 200)
    with pytest.raises(QilError, match=r"broken\.png .*its colour profile"):
        load([path])
