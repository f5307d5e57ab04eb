"""What nodes show of layers on themselves: the list of layers, and before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from comfy_browser import load, run
from comfy_client import Client
from comfy_graphs import node, saved, stack_of, taken_apart

if TYPE_CHECKING:
    from playwright.sync_api import Page

VUE = "on => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)"
CARDS, SHADE, COMPARED = ".qls-card", ".qls-shade", ".qls-compare img"


def test_preview_layers_gives_every_layer_with_its_name_and_picture(client: Client) -> None:
    graph = taken_apart("example.png")
    graph["see"] = node("PreviewLayers", layers=["decompose", 0], names=["decompose", 1])
    (sheet,) = client.succeed(graph).output("see")["layer_sheet"]
    names = [layer["name"] for layer in sheet["layers"]]
    assert names == ["0  background", "1  red rectangle", "2  blue circle", "3  green triangle", "composite"]
    red = client.picture(sheet["layers"][1]["picture"])
    assert red.shape == (320, 480, 4)
    assert sheet["layers"][1]["detail"] == f"covers {(red[..., 3] / 255).mean():.1%}"


def test_restore_layers_gives_the_picture_before_and_after(client: Client) -> None:
    graph = stack_of("example.png")
    parts = node("RestoreLayers", layers=["some", 0], original=["picture", 0], restores="alpha and colours")
    graph |= {"some": node("ArrangeLayers", layers=["stack", 0], order="1, 2"), "restored": parts}
    graph["see"] = node("PreviewImage", images=["restored", 0])
    (pair,) = client.succeed(graph).output("restored")["comparison"]
    before, after = (client.picture(pair[side]) for side in ("before", "after"))
    example = client.picture({"filename": "example.png", "subfolder": "", "type": "input"})
    assert np.abs(after[..., :3].astype(int) - example[..., :3]).max() <= 1
    assert np.abs(after.astype(int) - before).max() > 100, "two strips of the picture alone"


@pytest.mark.parametrize("vue", [False, True])
def test_layers_can_be_read_and_enlarged_in_both_renderers(page: Page, vue: bool) -> None:
    page.evaluate(VUE, vue)
    try:
        load(page, saved("move_and_recolor_one_layer"))
        assert run(page) == "execution_success"
        cards = page.locator(CARDS)
        cards.nth(8).wait_for()
        assert cards.count() == 9
        assert "yellow circle" in cards.nth(1).inner_text()
        assert page.evaluate("getComputedStyle(document.querySelector('.qls-name')).fontSize") == "13px"
        cards.nth(1).click()
        shade = page.locator(SHADE)
        assert "yellow circle" in shade.inner_text()
        page.keyboard.press("ArrowRight")
        assert "red circle" in shade.inner_text()
        page.keyboard.press("Escape")
        assert shade.count() == 0
        serialised = page.evaluate("app.graph.serialize().nodes.find((n) => n.type === 'PreviewLayers').widgets_values")
        assert not serialised
    finally:
        page.evaluate(VUE, False)
