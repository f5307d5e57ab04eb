"""Layers of masks: whole, exact, in order, and clean below."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.judging import moved_error
from benchmarks.scenes import draw
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.mask_order import MAX_MASKS, bottom_first
from qil_core.decompose.masks import Masks
from qil_core.decompose.matting import Floats, soft_alpha, trimap
from qil_core.decompose.run import Report, decompose
from qil_core.errors import QilError
from qil_core.stack import LayerStack

pytest.importorskip("pymatting", reason="PyMatting is missing, so nothing of layers from masks was tested")

WIDTH, HEIGHT = 200, 160
PAPER, RED, BLUE = (0.9, 0.9, 0.8), (0.8, 0.1, 0.1), (0.1, 0.2, 0.8)


def disc(x: float, y: float, radius: float) -> Floats:
    """Coverage (h, w) of a disc with an edge of a pixel."""
    row, column = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    return np.clip(radius + 0.5 - np.hypot(column - x, row - y), 0, 1).astype(np.float32)


def painted(*things: tuple[tuple[float, float, float], Floats]) -> torch.Tensor:
    """A picture (h, w, 3): things of one colour each, the lowest first, on paper."""
    return over(np.full((HEIGHT, WIDTH, 3), PAPER, np.float32), *things)


def over(ground: Floats, *things: tuple[tuple[float, float, float], Floats]) -> torch.Tensor:
    """A picture (h, w, 3): things of one colour each, the lowest first, on a ground."""
    for color, alpha in things:
        ground = ground + alpha[..., None] * (np.array(color, np.float32) - ground)
    return torch.from_numpy(ground)


def hard(alpha: Floats) -> Floats:
    return (alpha > 0.5).astype(np.float32)


def taken(picture: torch.Tensor, decomposer: Masks) -> tuple[LayerStack, Report]:
    return decompose(decomposer, picture, Request())


LOWER, UPPER = disc(80, 80, 40), disc(120, 80, 40)
TWO = painted((RED, LOWER), (BLUE, UPPER))
SEEN = [hard(LOWER) * (1 - hard(UPPER)), hard(UPPER)]


def test_an_empty_mask_of_any_size_is_called_empty() -> None:
    with pytest.raises(QilError, match="All masks are empty"):
        taken(TWO, Masks([np.zeros((64, 64), np.float32)]))


def test_a_clean_plate_makes_soft_edges_more_exact() -> None:
    true = draw("shadows", "textured", 0, 320)
    plate = true.pixels[0, ..., :3]
    alpha = true.pixels[1, ..., 3].numpy()
    picture = plate * (1 - true.pixels[1, ..., 3:]) + true.pixels[1, ..., :3] * true.pixels[1, ..., 3:]
    without, beside = (
        taken(picture, Masks([hard(alpha)], background=given))[0].pixels[1, ..., 3].numpy() for given in (None, plate)
    )
    edge = (alpha > 0.02) & (alpha < 0.98)
    assert np.abs(beside - alpha)[edge].mean() < 0.8 * np.abs(without - alpha)[edge].mean()


def test_every_mask_is_a_layer_and_the_layers_are_the_picture() -> None:
    stack, report = taken(TWO, Masks(SEEN, ("red", "blue")))
    assert stack.names == ("background", "red", "blue")
    assert report.after.max_error <= 1
    assert report.label == "Masks"


def test_edges_are_soft_again_and_their_colours_pure() -> None:
    stack, _ = taken(TWO, Masks(SEEN, is_ordered=True))
    assert np.abs(stack.pixels[2, ..., 3].numpy() - UPPER).mean() < 0.2 * np.abs(SEEN[1] - UPPER).mean()
    edge = (stack.pixels[2, ..., 3] > 0.2) & (stack.pixels[2, ..., 3] < 0.8)
    assert edge.any()
    assert (stack.pixels[2][edge][:, :3] - torch.tensor(BLUE)).abs().max() < 0.04


def test_what_lies_below_goes_on_under_the_edge_and_the_ground_is_whole() -> None:
    stack, _ = taken(TWO, Masks(SEEN, is_ordered=True))
    touching = (LOWER > 0.99) & (UPPER > 0.05) & (UPPER < 0.95)
    assert (stack.pixels[1][torch.from_numpy(touching)][:, 3] > 0.99).all()
    assert (stack.pixels[0, ..., :3] - torch.tensor(PAPER)).abs().max() < 0.02


@pytest.mark.parametrize("swapped", [False, True])
def test_the_order_is_found_whatever_order_the_masks_come_in(swapped: bool) -> None:
    masks, names = (SEEN[::-1], ("blue", "red")) if swapped else (SEEN, ("red", "blue"))
    assert taken(TWO, Masks(masks, names))[0].names == ("background", "red", "blue")


def test_a_mask_inside_another_lies_above_it() -> None:
    plate, dot = disc(100, 80, 60), disc(100, 80, 20)
    stack, _ = taken(painted((RED, plate), (BLUE, dot)), Masks([hard(dot), hard(plate)], ("dot", "plate")))
    assert stack.names == ("background", "plate", "dot")
    assert (stack.pixels[1, 80, 100] - torch.tensor([*RED, 1.0])).abs().max() < 0.02


def test_of_two_masks_that_overlap_the_one_whose_edge_is_there_lies_above() -> None:
    picture = TWO.numpy()
    assert bottom_first(picture, [LOWER > 0.5, UPPER > 0.5]) == [0, 1]
    assert bottom_first(picture, [UPPER > 0.5, LOWER > 0.5]) == [1, 0]


def test_a_mask_of_another_size_is_made_to_fit_and_of_another_aspect_refused() -> None:
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(SEEN[1])[None], 2)[0].numpy()
    stack, _ = taken(TWO, Masks([small]))
    assert np.abs(stack.pixels[1, ..., 3].numpy() - UPPER).mean() < 0.01
    with pytest.raises(QilError, match="Mask 1 is 200 x 100 and the picture 200 x 160 pixels: these are different"):
        taken(TWO, Masks([SEEN[1][:100]]))


def test_empty_masks_and_repeats_are_left_out_and_named() -> None:
    masks = [np.zeros_like(LOWER), SEEN[1], SEEN[1].copy()]
    stack, report = taken(TWO, Masks(masks, ("moon", "blue", "again")))
    assert stack.names == ("background", "blue")
    assert report.notes == (
        "Mask 1 (moon) is empty and was left out.",
        "Mask 3 (again) repeats blue and was left out.",
    )


@pytest.mark.parametrize(
    ("masks", "names", "says"),
    [
        ([], (), "0 masks were given, 1 to 100 are possible"),
        ([LOWER] * (MAX_MASKS + 1), (), "101 masks were given"),
        ([LOWER], ("a", "b"), "2 names were given for 1 masks"),
        ([np.zeros_like(LOWER)], (), "All masks are empty"),
    ],
)
def test_masks_that_make_no_layers_are_refused(masks: list[Floats], names: tuple[str, ...], says: str) -> None:
    with pytest.raises(QilError, match=says):
        taken(TWO, Masks(masks, names))


def test_a_clean_plate_is_taken_where_things_hide_it_and_toned_to_fit() -> None:
    stripes = torch.where(torch.arange(WIDTH)[None, :, None] // 10 % 2 == 0, 0.3, 0.6).expand(HEIGHT, WIDTH, 3)
    alpha = torch.from_numpy(LOWER)[..., None]
    picture = stripes * (1 - alpha) + torch.tensor(RED) * alpha
    darker = stripes * 0.8
    stack, report = taken(picture, Masks([hard(LOWER)], background=darker))
    hidden = torch.from_numpy(LOWER > 0.99)
    assert (stack.pixels[0, ..., :3] - stripes)[hidden].abs().mean() < 0.03
    assert (darker - stripes)[hidden].abs().mean() > 0.08
    assert report.after.max_error <= 1
    with pytest.raises(QilError, match="clean plate of the same size"):
        taken(picture, Masks([hard(LOWER)], background=darker[:100]))


def test_a_cut_out_keeps_its_alpha() -> None:
    alpha = torch.from_numpy(np.maximum(LOWER, UPPER))[..., None]
    stack, report = taken(torch.cat([TWO, alpha], -1), Masks(SEEN))
    assert report.after.max_error <= 1
    assert (composite(stack)[..., 3:] - alpha).abs().max() <= 1 / 255


def cut_out_of(*things: tuple[tuple[float, float, float], Floats]) -> torch.Tensor:
    """A picture (h, w, 4) of things on nothing."""
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    for _, one in things:
        alpha = one + alpha * (1 - one)
    return torch.cat([painted((things[0][0], np.ones_like(alpha)), *things), torch.from_numpy(alpha)[..., None]], -1)


def test_a_piece_that_stands_alone_in_a_cut_out_leaves_nothing_below_it() -> None:
    one, other = disc(50, 80, 30), disc(150, 80, 30)
    stack, report = taken(cut_out_of((RED, one), (BLUE, other)), Masks([hard(other)]))
    assert report.after.max_error <= 1
    assert stack.pixels[0, :, 100:, 3].max() < 4 / 255
    assert (stack.pixels[1, ..., 3] - torch.from_numpy(other)).abs().max() < 2 / 255, "its edge is the cut-out's own"


def test_what_a_piece_at_the_rim_of_a_cut_out_hides_is_completed() -> None:
    plate, dot = disc(100, 80, 60), disc(60, 40, 20)
    stack, report = taken(cut_out_of((RED, plate), (BLUE, dot)), Masks([hard(dot)]))
    assert report.after.max_error <= 1
    hidden = torch.from_numpy((plate > 0.99) & (dot > 0.99))
    assert stack.pixels[0][hidden][:, 3].mean() > 0.9
    assert (stack.pixels[0][hidden][:, :3] - torch.tensor(RED)).abs().mean() < 0.05
    assert stack.pixels[0, ..., 3][torch.from_numpy((plate == 0) & (dot > 0.99))].mean() < 0.1


def test_the_place_that_a_soft_mask_leaves_open_is_solved() -> None:
    row, column = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    wide = np.clip((60 - np.hypot(column - 100, row - 80)) / 30, 0, 1).astype(np.float32)
    picture = painted((BLUE, wide))
    soft, _ = taken(picture, Masks([np.where((wide > 0.02) & (wide < 0.98), 0.6, wide).astype(np.float32)]))
    assert np.abs(soft.pixels[1, ..., 3].numpy() - wide).mean() < 0.02


def test_moved_layers_are_nearer_to_the_truth_than_cut_and_inpainted_ones() -> None:
    import cv2

    true = draw("shapes", "textured", 2, 320)
    picture = composite(true)[..., :3]
    alphas = true.pixels[1:, ..., 3].numpy()
    masks = [hard(alpha) for alpha in alphas]
    found, _ = taken(picture, Masks(masks, is_ordered=True))
    cut = [torch.cat([picture, torch.from_numpy(mask)[..., None]], -1) for mask in masks]
    holes = (np.max(masks, 0) > 0).astype(np.uint8)
    ground = cv2.inpaint((picture.numpy() * 255).round().astype(np.uint8), holes, 5, cv2.INPAINT_TELEA)
    below = torch.cat([torch.from_numpy(ground).float() / 255, torch.ones(*ground.shape[:2], 1)], -1)
    plain = LayerStack(torch.stack([below, *cut]), found.names)
    assert moved_error(found, true) < moved_error(plain, true)


def test_a_trimap_asks_the_colours_and_not_only_the_place() -> None:
    letter = disc(100, 80, 3)
    mask = disc(100, 80, 7) > 0.5
    known = trimap(painted((BLUE, letter)).numpy(), mask, 6)
    assert known[80, 100] == 1, "the middle of the letter"
    assert known[80, 105] == 0.5, "paper inside the mask"
    assert known[80, 130] == 0, "far away"
    alpha = soft_alpha(painted((BLUE, letter)).numpy(), known)
    assert np.abs(alpha - letter).max() < 0.1


def test_where_all_of_the_picture_is_one_thing_it_is_opaque() -> None:
    stack, report = taken(TWO, Masks([np.ones_like(LOWER)]))
    assert (stack.pixels[1, ..., 3] == 1).all()
    assert report.after.max_error <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 2), (3, 3), (40, 1)])
def test_the_smallest_pictures_have_layers_too(height: int, width: int) -> None:
    picture = torch.rand(height, width, 3)
    stack, report = taken(picture, Masks([np.ones((height, width), np.float32)]))
    assert len(stack) == 2
    assert report.after.max_error <= 1


def shaded_grain(foot: int) -> Floats:
    """A ground (h, w, 3) with streaks, as wood has them, and a shadow whose middle lies so many pixels from the top."""
    streaks = np.repeat(np.random.default_rng(0).normal(0, 0.05, (HEIGHT, WIDTH // 20)), 20, 1)
    row, column = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    shadow = np.clip(1 - np.hypot((row - foot) / 14, (column - 100) / 40), 0, 1)
    return np.clip((np.array(PAPER) + streaks[..., None]) * (1 - 0.9 * shadow[..., None]), 0, 1).astype(np.float32)


def test_the_shadow_at_a_things_foot_makes_no_crumbs_on_its_edge() -> None:
    thing = disc(100, 80, 40)
    stack, _ = taken(over(shaded_grain(122), (RED, thing)), Masks([hard(thing)]))
    beside = disc(100, 80, 43) == 0
    assert (stack.pixels[1, ..., 3].numpy()[beside] > 0.5).sum() <= 10


def test_a_lower_layer_has_no_crumbs_under_the_soft_edge_of_an_upper_one() -> None:
    noise = np.random.default_rng(1).normal(0, 0.03, (HEIGHT, WIDTH, 3)).astype(np.float32)
    picture = (over(shaded_grain(110), (RED, LOWER), (BLUE, UPPER)) + torch.from_numpy(noise)).clamp(0, 1)
    stack, _ = taken(picture, Masks(SEEN, is_ordered=True))
    beside = disc(80, 80, 43) == 0
    assert (stack.pixels[1, ..., 3].numpy()[beside] > 0.3).sum() <= 5
