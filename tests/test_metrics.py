"""LayersEditDist and its pieces, on cases worked out by hand."""

from __future__ import annotations

import pytest
import torch

from qil_core.errors import QilError
from qil_core.metrics import compare, edge_band, edge_error, grouped, layers_edit_dist, measure, ssim, warp
from qil_core.stack import LayerStack

GREY, RED, GREEN, BLUE = (0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def box(color: tuple[float, float, float], left: int, right: int, alpha: float = 1.0) -> torch.Tensor:
    """A layer of 4 x 12 pixels, one colour in some columns."""
    layer = torch.zeros(4, 12, 4)
    layer[:, left:right] = torch.tensor([*color, alpha])
    return layer


def stack(*layers: torch.Tensor) -> LayerStack:
    return LayerStack.from_image(torch.stack(layers))


GROUND = box(GREY, 0, 12)


def test_layers_that_nothing_above_overlaps_are_one_group() -> None:
    red, green, blue = box(RED, 0, 4), box(GREEN, 6, 8), box(BLUE, 2, 5)
    groups = grouped([GROUND, red, green, blue])
    assert len(groups) == 3, "green and blue on top, red under blue, the ground under all"
    assert torch.equal(groups[0], GROUND)
    assert torch.equal(groups[1], red)
    assert torch.equal(groups[2], green + blue)


def test_a_pair_is_compared_where_the_true_layer_is_and_by_soft_iou() -> None:
    pair = compare(box((1.0, 0.6, 0.0), 0, 6, 0.5), box(RED, 2, 8))
    # of 6 true columns 4 differ by 0.6 in one of three channels, 2 (nothing, so black, against red) by 1 in one
    assert pair.rgb_l1 == pytest.approx((4 * 0.2 + 2 / 3) / 6)
    assert pair.alpha_iou == pytest.approx(4 * 0.5 / (2 * 0.5 + 6))


def test_two_empty_layers_are_equal_and_so_are_two_empty_stacks() -> None:
    pair = compare(torch.zeros(4, 4, 4), torch.zeros(4, 4, 4))
    assert (pair.rgb_l1, pair.alpha_iou, pair.cost) == (0, 1, 0)
    empty = LayerStack.from_image(torch.zeros(3, 4, 4, 4))
    assert set(layers_edit_dist(empty, empty.select([0, 1])).levels) == {pair}


def test_an_empty_layer_has_no_overlap_with_one_that_is_not() -> None:
    for empty, full in ((torch.zeros(4, 12, 4), GROUND), (GROUND, torch.zeros(4, 12, 4))):
        assert compare(empty, full).alpha_iou == 0


def test_ties_of_the_path_go_diagonal_then_to_i_minus_1() -> None:
    assert warp([[0, 0, 0], [0, 0, 0]]) == [(0, 0), (0, 1), (1, 2)]
    assert warp([[0, 0], [0, 0], [0, 0]]) == [(0, 0), (1, 0), (2, 1)]
    assert warp([[0, 9], [0, 9], [9, 0]]) == [(0, 0), (1, 0), (2, 1)]


def test_what_equals_the_truth_scores_0_and_1_at_every_level() -> None:
    true = stack(GROUND, box(RED, 0, 6), box(BLUE, 4, 9))
    score = layers_edit_dist(true, true)
    assert {(pair.rgb_l1, pair.alpha_iou) for pair in score.levels} == {(0, 1)}
    assert (len(score.levels), score.merged) == (6, 0)


def test_a_layer_cut_in_two_that_overlap_is_forgiven_by_one_merge() -> None:
    true = stack(GROUND, box(RED, 0, 8))
    predicted = stack(GROUND, box(RED, 0, 5), box(RED, 4, 8))
    score = layers_edit_dist(predicted, true)
    assert score.levels[0].alpha_iou == pytest.approx((1 + 5 / 8 + 4 / 8) / 3)
    assert (score.levels[1].rgb_l1, score.levels[1].alpha_iou) == (0, 1)
    assert score.levels[5] == score.levels[1], "it stopped early: its last score counts on"
    assert score.merged == 1


def test_a_truth_that_is_finer_is_merged_as_well() -> None:
    fine = stack(GROUND, box(RED, 0, 5), box(RED, 4, 8))
    assert layers_edit_dist(stack(GROUND, box(RED, 0, 8)), fine).levels[1].alpha_iou == 1


def test_the_merge_that_gains_most_comes_first_on_whichever_side_it_is() -> None:
    def first_merge(predicted: LayerStack, true: LayerStack) -> float:
        score = layers_edit_dist(predicted, true)
        assert (score.merged, score.levels[2].alpha_iou) == (2, 1), "the other merge comes next"
        return score.levels[1].alpha_iou

    red, blue = box(RED, 0, 6), box(BLUE, 5, 12)
    halves, rim = [box(BLUE, 5, 10), box(BLUE, 9, 12)], [box(BLUE, 5, 7), box(BLUE, 6, 12)]
    red_halves = [box(RED, 0, 4), box(RED, 3, 6)]
    blue_first = first_merge(stack(GROUND, red, *halves), stack(GROUND, *red_halves, blue))
    assert blue_first == pytest.approx((1 + 4 / 6 + 3 / 6 + 1) / 4), "among the predicted layers"
    red_first = first_merge(stack(GROUND, red, *rim), stack(GROUND, *red_halves, blue))
    assert red_first == pytest.approx((1 + 1 + 2 / 7 + 6 / 7) / 4), "among the true layers"


def test_a_side_with_two_layers_is_never_merged() -> None:
    score = layers_edit_dist(stack(GROUND, box(RED, 0, 4)), stack(GROUND, box(BLUE, 6, 9)))
    assert score.merged == 0


def test_stacks_that_cannot_be_scored_are_refused() -> None:
    with pytest.raises(QilError, match="1 and 2 layers"):
        layers_edit_dist(stack(GROUND), stack(GROUND, GROUND))
    with pytest.raises(QilError, match="12 x 4 and 5 x 4"):
        layers_edit_dist(stack(GROUND, GROUND), stack(GROUND[:, :5], GROUND[:, :5]))


def test_the_edge_band_leaves_out_what_is_nearly_clear_or_opaque() -> None:
    alpha = torch.tensor([0.0, 0.01, 0.5, 0.97, 0.99])
    band = edge_band(alpha)
    assert band.tolist() == [False, False, True, True, False]
    assert edge_error(alpha, torch.tensor([1.0, 1.0, 0.6, 0.97, 0.0]), band) == pytest.approx(0.05)
    assert edge_error(alpha, alpha, torch.zeros(5, dtype=torch.bool)) == 0


def test_ssim_is_1_for_equal_pictures_and_the_formulas_value_for_flat_ones() -> None:
    noise = torch.rand(16, 20, 3, generator=torch.Generator().manual_seed(0))
    assert ssim(noise, noise) == pytest.approx(1)
    assert ssim(torch.full((12, 12, 1), 0.2), torch.full((12, 12, 1), 0.6)) == pytest.approx(0.2401 / 0.4001, abs=1e-4)
    with pytest.raises(QilError, match="11 pixels"):
        ssim(noise[:5], noise[:5])


def test_all_measures_of_a_stack_as_text_and_as_numbers() -> None:
    ground, disc = torch.full((16, 16, 4), 0.5), torch.zeros(16, 16, 4)
    ground[..., 3], disc[4:12, 4:12] = 1, torch.tensor([1.0, 0.0, 0.0, 0.6])
    fainter = disc.clone()
    fainter[4:12, 4:12, 3] = 0.4
    found = measure(stack(ground, fainter), stack(ground, disc))
    assert found.edges == pytest.approx(0.2, abs=1e-6), "its whole body is a soft edge"
    assert found.whole.max_error == pytest.approx(255 * 0.2 * 0.5, abs=0.01)
    numbers = found.as_dict()
    assert numbers["recomposition"]["ssim"] == found.ssim < 1  # type: ignore[index]
    assert f"SSIM {found.ssim:.4f}" in str(found)
    assert "max error 25.50/255" in str(found)
    same = measure(stack(ground, disc), stack(ground, disc))
    assert (same.edges, same.ssim, same.whole.max_error) == (0, pytest.approx(1), 0)


def test_pictures_too_small_for_ssim_are_measured_without() -> None:
    found = measure(stack(GROUND, box(RED, 0, 6)), stack(GROUND, box(RED, 0, 6)))
    assert found.ssim is None
    assert "SSIM not defined" in str(found)
