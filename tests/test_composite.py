"""Compositing: the algebra of "over", the formulas of the blend modes, linear light."""

from __future__ import annotations

import importlib
from importlib.metadata import version

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from psd_tools.constants import BlendMode

from qil_core.blend import BLEND_MODES, blend_mode
from qil_core.color import linear_to_srgb, srgb_to_linear
from qil_core.composite import composite, modes_for, onto_color
from qil_core.errors import QilError
from qil_core.files.psd import MODES
from qil_core.stack import LayerStack


def stack(*layers: tuple[float, float, float, float]) -> LayerStack:
    """One-pixel layers, bottom first."""
    return LayerStack.from_image(torch.tensor(layers, dtype=torch.float32).reshape(-1, 1, 1, 4))


def flat(*layers: tuple[float, float, float, float], **options: object) -> list[float]:
    return composite(stack(*layers), **options).flatten().tolist()  # type: ignore[arg-type]


def premultiplied(image: torch.Tensor) -> torch.Tensor:
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], -1)


pixel = st.tuples(*[st.integers(0, 255).map(lambda v: v / 255)] * 4)


def test_half_white_over_black_adds_up_stored_values() -> None:
    assert flat((0, 0, 0, 1), (1, 1, 1, 0.5)) == pytest.approx([0.5, 0.5, 0.5, 1])


def test_half_white_over_black_in_linear_light_is_188() -> None:
    assert flat((0, 0, 0, 1), (1, 1, 1, 0.5), linear=True)[0] * 255 == pytest.approx(187.5, abs=0.1)


def test_over_a_transparent_backdrop_the_colour_stays_its_own() -> None:
    assert flat((0.9, 0.9, 0.9, 0), (0.2, 0.4, 0.6, 0.25)) == pytest.approx([0.2, 0.4, 0.6, 0.25])


def test_where_nothing_is_the_composite_is_clear_black() -> None:
    assert flat((0.3, 0.3, 0.3, 0), (0.7, 0.7, 0.7, 0)) == [0, 0, 0, 0]


@given(pixel, pixel, pixel)
def test_over_is_associative(a: tuple, b: tuple, c: tuple) -> None:
    lower = composite(stack(a, b))
    upper = composite(stack(b, c))
    left = composite(LayerStack.from_image(torch.stack([lower, stack(c).pixels[0]])))
    right = composite(LayerStack.from_image(torch.stack([stack(a).pixels[0], upper])))
    assert torch.allclose(premultiplied(left), premultiplied(right), atol=1e-6)


@pytest.mark.parametrize("modes", [[], ["normal", "screen", "normal"], ["normal", "multiply", "linear-dodge"]])
def test_rounding_never_makes_white_brighter_than_white(modes: list[str]) -> None:
    layers = torch.rand(3, 64, 64, 4, generator=torch.Generator().manual_seed(0))
    layers[..., :3] = 1
    flattened = composite(LayerStack.from_image(layers), modes)
    assert flattened.max() == 1
    assert flattened.min() >= 0


def test_a_stack_of_one_is_itself_where_it_is_visible(random_stack: LayerStack) -> None:
    one = random_stack.select([2])
    seen = one.pixels[0, ..., 3] > 0
    assert torch.allclose(composite(one)[seen], one.pixels[0][seen], atol=1e-6)


def test_the_composite_agrees_with_pillow(random_stack: LayerStack) -> None:
    images = [Image.fromarray(np.uint8((layer * 255).round())) for layer in random_stack.pixels.numpy()]
    whole = images[0]
    for image in images[1:]:
        whole = Image.alpha_composite(whole, image)
    ours = premultiplied(composite(random_stack)) * 255
    theirs = premultiplied(torch.from_numpy(np.array(whole)).float() / 255) * 255
    assert (ours - theirs).abs().max() < 3.5  # Pillow rounds to 8 bit after every layer


FORMULAS = {  # backdrop 0.6, source 0.3, worked out by hand from the formulas' sources
    "normal": 0.3,
    "multiply": 0.18,
    "screen": 0.72,
    "overlay": 0.44,
    "darken": 0.3,
    "lighten": 0.6,
    "color-dodge": 0.857143,
    "color-burn": 0.0,
    "hard-light": 0.36,
    "soft-light": 0.504,
    "difference": 0.3,
    "exclusion": 0.54,
    "linear-dodge": 0.9,
    "linear-burn": 0.0,
    "vivid-light": 0.333333,
    "pin-light": 0.6,
    "linear-light": 0.2,
    "hard-mix": 0.0,
    "subtract": 0.3,
    "divide": 1.0,
    "grain-extract": 0.8,
    "grain-merge": 0.4,
}


@pytest.mark.parametrize("mode", FORMULAS)
def test_a_separable_mode_follows_its_formula(mode: str) -> None:
    assert flat((0.6, 0.6, 0.6, 1), (0.3, 0.3, 0.3, 1), modes=["normal", mode])[0] == pytest.approx(
        FORMULAS[mode], abs=1e-5
    )


def test_the_upper_branches_of_the_light_modes() -> None:
    backdrop, source = torch.tensor([0.2]), torch.tensor([0.8])
    want = {"hard-light": 0.68, "soft-light": 0.3488, "vivid-light": 0.5, "pin-light": 0.6, "linear-light": 0.8}
    for mode, value in want.items():
        assert blend_mode(mode)(backdrop, source).item() == pytest.approx(value, abs=1e-5), mode


EXTREMES = [0, 1, 64, 127, 127.5, 128, 191, 254, 255]
NEWEST = tuple(map(int, version("psd-tools").split(".")[:2])) >= (1, 26)


@pytest.mark.skipif(not NEWEST, reason="NOT CHECKED: psd-tools before 1.26 draws some extremes otherwise")
@pytest.mark.parametrize("mode", MODES)
def test_every_photoshop_mode_is_psd_tools_at_the_extremes(mode: str) -> None:
    """Each colour of these values over each shifted one, over itself, and over its complement, which adds up to 1."""
    theirs = importlib.import_module("psd_tools.composite.blend").BLEND_FUNC[BlendMode[MODES[mode]]]
    values = torch.tensor(EXTREMES) / 255
    colors = torch.cartesian_prod(values, values, values)
    sources = [colors.roll(shift, 0) for shift in (1, 9, 81, 100, 333)] + [colors, 1 - colors]
    for source in sources:
        wanted = theirs(colors.numpy()[None].copy(), source.numpy()[None].copy())[0]
        assert np.abs(BLEND_MODES[mode](colors, source).numpy() - wanted).max() < 1e-5


def test_a_white_or_black_source_wins_in_vivid_light_and_the_backdrop_elsewhere() -> None:
    white, black = torch.tensor([1.0]), torch.tensor([0.0])
    for mode, burnt, dodged in (("vivid-light", 0, 1), ("color-burn", 1, 0), ("color-dodge", 1, 0)):
        blend = BLEND_MODES[mode]
        assert (blend(white, black).item(), blend(black, white).item()) == (burnt, dodged), mode


def test_hard_mix_gives_complements_to_the_lighter_backdrop() -> None:
    for value, wanted in ((0.25, 0), (0.5, 0), (0.75, 1)):
        assert BLEND_MODES["hard-mix"](torch.tensor(value), torch.tensor(1 - value)).item() == wanted


def test_the_four_colour_modes_keep_what_they_promise() -> None:
    backdrop, source = torch.tensor([[0.7, 0.5, 0.4]]), torch.tensor([[0.2, 0.4, 0.6]])
    weights = torch.tensor([0.3, 0.59, 0.11])
    for mode, lum_of in [("hue", backdrop), ("saturation", backdrop), ("color", backdrop), ("luminosity", source)]:
        mixed = BLEND_MODES[mode](backdrop, source)
        assert (mixed @ weights).item() == pytest.approx((lum_of @ weights).item(), abs=1e-6), mode
    hue = BLEND_MODES["hue"](backdrop, source)[0]
    assert (hue.max() - hue.min()).item() == pytest.approx(0.3, abs=1e-6)  # the backdrop's saturation
    saturation = BLEND_MODES["saturation"](backdrop, source)[0]
    assert (saturation.max() - saturation.min()).item() == pytest.approx(0.4, abs=1e-6)  # the source's


@pytest.mark.parametrize("mode", BLEND_MODES)
@given(backdrop=pixel, source=pixel)
def test_every_mode_stays_in_range_and_over_nothing_is_normal(mode: str, backdrop: tuple, source: tuple) -> None:
    mixed = composite(stack(backdrop, source), ["normal", mode])
    assert bool((mixed >= 0).all() and (mixed <= 1).all())
    alone = composite(stack((*backdrop[:3], 0.0), source), ["normal", mode])
    assert torch.allclose(alone, composite(stack(source)), atol=1e-5)


@pytest.mark.parametrize("mode", BLEND_MODES)
def test_half_a_blend_is_half_way(mode: str) -> None:
    below, above = (0.6, 0.3, 0.2, 1.0), (0.3, 0.8, 0.5, 1.0)
    whole = torch.tensor(flat(below, above, modes=["normal", mode]))
    half = torch.tensor(flat(below, (*above[:3], 0.5), modes=["normal", mode]))
    assert torch.allclose(half, (whole + torch.tensor(below)) / 2, atol=1e-6)


def test_the_general_path_equals_the_fast_one_for_normal(random_stack: LayerStack) -> None:
    fast = composite(random_stack)
    modes = ["multiply", "normal", "normal", "normal"]  # the bottom layer meets nothing
    assert torch.allclose(composite(random_stack, modes), fast, atol=1e-5)


def test_an_unknown_mode_lists_the_known_ones() -> None:
    with pytest.raises(QilError, match=r'Unknown blend mode "burn".*color-burn'):
        composite(stack((0, 0, 0, 1), (0, 0, 0, 1)), ["normal", "burn"])


def test_a_wrong_count_of_modes_is_refused() -> None:
    with pytest.raises(QilError, match="3 blend modes were given for 2 layers"):
        composite(stack((0, 0, 0, 1), (0, 0, 0, 1)), ["normal"] * 3)


def test_modes_come_from_a_text() -> None:
    assert modes_for("normal\n multiply,screen", 3) == ["normal", "multiply", "screen"]
    assert modes_for("screen", 3) == ["screen"] * 3
    assert modes_for("", 3) == []
    assert blend_mode("Color Dodge") is BLEND_MODES["color-dodge"]


def test_a_background_colour_shows_where_the_stack_is_clear() -> None:
    picture = onto_color(composite(stack((1, 0, 0, 0.25))), torch.tensor([0.0, 0.0, 1.0]))
    assert picture.flatten().tolist() == pytest.approx([0.25, 0, 0.75, 1])


def test_the_transfer_curve_is_its_own_inverse() -> None:
    values = torch.linspace(0, 1, 1001)
    assert torch.allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)
    assert srgb_to_linear(torch.tensor(0.5)).item() == pytest.approx(0.214041, abs=1e-6)
