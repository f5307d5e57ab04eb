"""Filters that take another way on a CPU give what torch gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from qil_core.filters import box_mean, enlarge, shrink


@pytest.mark.parametrize("radius", [1, 3, 12])
def test_box_means_are_of_what_lies_inside_the_picture(radius: int) -> None:
    planes = torch.rand(1, 5, 27, 40, generator=torch.Generator().manual_seed(0))
    padded = F.pad(torch.cat([planes, torch.ones(1, 1, 27, 40)], 1), [radius] * 4)
    sums = F.avg_pool2d(padded, 2 * radius + 1, stride=1)
    torch.testing.assert_close(box_mean(planes, radius), sums[:, :5] / sums[:, 5:], atol=1e-6, rtol=0)


def test_a_box_mean_is_exactly_zero_where_all_is() -> None:
    planes = torch.rand(1, 2, 60, 60, generator=torch.Generator().manual_seed(0))
    planes[..., 20:] = 0
    assert not box_mean(planes, 4)[..., 24:].any()


@pytest.mark.parametrize("size", [(28, 41), (100, 133), (270, 400)])
def test_enlarging_is_torchs_bicubic(size: tuple[int, int]) -> None:
    pixels = torch.rand(27, 40, 4, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(pixels.permute(2, 0, 1)[None], size=size, mode="bicubic")[0].permute(1, 2, 0)
    large = torch.empty(*size, 4)
    enlarge(pixels, large)
    torch.testing.assert_close(large, expected.clamp(0, 1), atol=1e-5, rtol=0)


def test_shrinking_takes_means_of_areas() -> None:
    pixels = torch.rand(60, 90, 4, generator=torch.Generator().manual_seed(0))
    expected = F.avg_pool2d(pixels.permute(2, 0, 1)[None], 3)[0].permute(1, 2, 0)
    torch.testing.assert_close(shrink(pixels, 20, 30), expected, atol=1e-6, rtol=0)
