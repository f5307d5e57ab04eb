"""Boxes and points from anybody, and the masks that they stand for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from qil_core.decompose.builtin.working import Mask
from qil_core.decompose.likeness import Point
from qil_core.decompose.pointed import pointed_masks, read_boxes, read_points
from qil_core.errors import QilError
from qil_core.stack import Box

WIDTH, HEIGHT = 120, 80
ONE, OTHER, GROUND = (20, 20, 50, 60), (70, 25, 105, 50), (245, 240, 230)


def painted() -> Any:
    picture = np.full((HEIGHT, WIDTH, 3), GROUND, np.float32)
    for (left, top, right, bottom), color in ((ONE, (200, 30, 30)), (OTHER, (30, 60, 200))):
        picture[top:bottom, left:right] = color
    return picture / 255


def area(*boxes: tuple[int, int, int, int]) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def overlap(found: Any, wanted: Mask) -> float:
    inside = found > 0.5
    return float((inside & wanted).sum() / (inside | wanted).sum())


def box(left: float, top: float, right: float, bottom: float, **more: Any) -> dict[str, Any]:
    return {"x": left, "y": top, "width": right - left, "height": bottom - top, **more}


@pytest.mark.parametrize("nested", [False, True])
def test_boxes_come_as_one_as_a_list_or_as_the_list_of_one_frame(nested: bool) -> None:
    boxes = [box(*ONE, score=0.9, label="cup"), box(60.4, -5, 300, 49.6)]
    found = read_boxes([boxes] if nested else boxes, WIDTH, HEIGHT)
    assert found == [Box(*ONE), Box(60, 0, WIDTH, 50)], "what reaches beyond the picture is cut off"
    assert read_boxes(boxes[0], WIDTH, HEIGHT) == [Box(*ONE)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("boxes", "expected objects with x, y, width and height"),
        ([[box(*ONE)], [box(*ONE)]], "for one picture"),
        ([], "0 boxes were given"),
        ([box(*ONE)] * 101, "101 boxes were given, 1 to 100"),
        ([{"x": 1, "y": 1, "width": 5}], "boxes: height: expected a number, got None"),
        ([box(1, 1, float("nan"), 5)], "expected a number"),
        ([box(1, 1, 1, 5)], "shows nothing of the picture of 120 x 80"),
        ([box(500, 1, 600, 5)], "shows nothing of the picture"),
        ([{"x": True, "y": 1, "width": 5, "height": 5}], "expected a number, got True"),
        ([{"x": 2**2000, "y": 1, "width": 5, "height": 5}], "expected a number"),
    ],
)
def test_boxes_that_are_none_are_refused(given: Any, said: str) -> None:
    with pytest.raises(QilError, match=said):
        read_boxes(given, WIDTH, HEIGHT)


def test_points_name_pixels() -> None:
    text = json.dumps([{"x": 3, "y": 4}, {"x": 119.9, "y": 0, "label": 1}])
    assert read_points("positive_coords", text, WIDTH, HEIGHT) == [Point(3.5, 4.5), Point(119.5, 0.5)]
    assert read_points("positive_coords", " \n", WIDTH, HEIGHT) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3,4", "positive_coords: expected JSON such as"),
        ("[" * 100_000, "expected JSON such as"),
        ("[[1, 2]]", "expected JSON such as"),
        ('[{"x": 1}]', "positive_coords: y: expected a number, got None"),
        ('[{"x": NaN, "y": 1}]', "expected a number, got nan"),
        ('[{"x": 1e999, "y": 1}]', "expected a number, got inf"),
        ('[{"x": 120, "y": 1}]', "the point 120, 1 is not in the picture of 120 x 80 pixels"),
        (json.dumps([{"x": 1, "y": 1}] * 1001), "1001 points were given, at most 1000"),
    ],
)
def test_points_that_are_none_are_refused(text: str, said: str) -> None:
    with pytest.raises(QilError, match=said):
        read_points("positive_coords", text, WIDTH, HEIGHT)


def test_every_box_is_a_thing() -> None:
    found = pointed_masks(painted(), [], [Box(14, 14, 56, 66), Box(64, 19, 111, 56)], [], [])
    assert [overlap(mask, wanted) > 0.9 for mask, wanted in zip(found, (area(ONE), area(OTHER)), strict=True)]


def test_points_alone_are_of_one_thing() -> None:
    (found,) = pointed_masks(painted(), [], [], [Point(35.5, 40.5)], [])
    assert found[40, 35] == 1
    (without,) = pointed_masks(painted(), [], [], [Point(35.5, 40.5)], [Point(90.5, 40.5)])
    assert without[40, 35] == 1
    assert without[40, 90] == 0


def test_a_point_corrects_the_mask_it_lies_in_or_is_nearest_to_and_leaves_the_others_their_bits() -> None:
    good = np.where(area(OTHER), 0.9, 0.0).astype(np.float32)
    leaks = area((20, 20, 50, 78)).astype(np.float32)
    found = pointed_masks(painted(), [leaks, good], [], [Point(35.5, 30.5)], [Point(35.5, 70.5)])
    assert found[1] is good
    assert found[0][70, 35] == 0
    assert found[0][30, 35] == 1
    part = area((20, 20, 50, 40)).astype(np.float32)
    grown = pointed_masks(painted(), [part, good], [], [Point(35.5, 55.5)], [])
    assert grown[0][55, 35] == 1
    assert grown[1] is good


def test_of_masks_that_share_a_point_the_smallest_is_meant() -> None:
    face, person = area((22, 22, 48, 58)).astype(np.float32), area(ONE).astype(np.float32)
    found = pointed_masks(painted(), [person, face], [], [], [Point(24.5, 24.5)])
    assert found[0] is person
    assert found[1][24, 24] == 0


def test_masks_without_points_pass_as_they_are() -> None:
    mask = area(ONE).astype(np.float32)
    assert pointed_masks(painted(), [mask], [], [], [])[0] is mask


def test_masks_and_boxes_or_nothing_are_refused() -> None:
    mask = area(ONE).astype(np.float32)
    with pytest.raises(QilError, match="link masks, or boxes without masks"):
        pointed_masks(painted(), [mask], [Box(*ONE)], [], [])
    with pytest.raises(QilError, match="Nothing says what the things are"):
        pointed_masks(painted(), [], [], [], [Point(1, 1)])
