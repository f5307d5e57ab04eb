"""Editing by words with editors that obey without a model: what of a layer survives, and what is told."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from benchmarks.fake_editors import FakeEditor, answers, key_of, noisy, resampled, turned_colors, unchanged
from benchmarks.scenes import draw
from qil_core.composite import composite
from qil_core.edit.answer import Alpha
from qil_core.edit.frame import frame_of
from qil_core.edit.report import EditReport
from qil_core.edit.run import edit_image, edit_layer
from qil_core.edit_request import EditRequest
from qil_core.errors import QilError
from qil_core.stack import LayerStack, quantized

REQUEST = EditRequest("change it")
SIDE = 256
GREEN, RED = (0.1, 0.9, 0.2), (0.8, 0.1, 0.2)


def disc(radius: float, color: tuple[float, float, float], size: int = 120, at: float = 0.5, soft: float = 1) -> Tensor:
    """An anti-aliased disc; soft: pixels over which its edge goes."""
    x = torch.arange(size) + 0.5 - at * size
    layer = torch.empty(size, size, 4)
    layer[..., :3] = torch.tensor(color)
    layer[..., 3] = ((radius - (x[:, None] ** 2 + x[None] ** 2).sqrt()) / soft + 0.5).clamp(0, 1)
    return quantized(layer)


def stack_of(*layers: Tensor) -> LayerStack:
    ground = torch.full((*layers[0].shape[:2], 4), 0.6)
    ground[..., 3] = 1
    return LayerStack.from_image(quantized(torch.stack([ground, *layers])))


def edited(
    editor: FakeEditor, stack: LayerStack, index: int = 1, alpha: Alpha = "auto", behind: bool = False
) -> tuple[Tensor, EditReport]:
    (done,), report = edit_layer(editor, stack, index, REQUEST, alpha, behind=behind)
    return done.pixels[index], report


def shown(layer: Tensor, editor: FakeEditor, stack: LayerStack, index: int = 1) -> FakeEditor:
    """An editor that answers with another layer on the key colour that it was sent."""
    small = frame_of(editor, stack.pixels[index], index, "auto", behind=False).seen(layer)
    return FakeEditor(
        lambda picture, _: torch.lerp(key_of(picture).expand_as(small[..., :3]), small[..., :3], small[..., 3:]),
        editor.side,
    )


def editor_of(change: object = unchanged) -> FakeEditor:
    return FakeEditor(change, SIDE)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["shapes", "text", "strokes", "shadows", "panels", "poster"])
def test_an_edit_that_changes_nothing_changes_no_bit(content: str) -> None:
    stack = draw(content, "textured", 0, 200)
    for index, alpha in itertools.product(range(len(stack)), ("auto", "keep", "new")):
        (done,), report = edit_layer(editor_of(), stack, index, REQUEST, alpha)
        assert torch.equal(done.pixels, stack.pixels)
        assert report.changed == (0.0,)


@pytest.mark.parametrize("change", [noisy(0.02), noisy(0.01, smooth=1), noisy(0.01, (0.02, -0.02, 0.01), 0.98)])
def test_noise_and_a_shift_of_tone_are_no_edit(change: object) -> None:
    stack = stack_of(disc(40, RED), disc(25, GREEN, soft=20))
    for index in (1, 2):
        layer, report = edited(editor_of(change), stack, index)
        assert torch.equal(layer, stack.pixels[index])
        assert "keeps its bits" in str(report)


def test_a_slight_shift_of_all_colours_is_undone_and_told() -> None:
    _, report = edited(editor_of(lambda picture, _: picture * 0.98), stack_of(disc(40, (0.9, 0.8, 0.7))))
    assert report.changed == (0.0,)
    assert "a shift of all its colours by up to 5/255" in str(report)


def test_turned_colours_leave_every_soft_edge_as_it_is_and_nothing_of_the_key() -> None:
    stack = stack_of(disc(40, RED, soft=8))
    editor = editor_of(turned_colors(120))
    layer, report = edited(editor, stack)
    assert torch.equal(layer[..., 3], stack.pixels[1, ..., 3])
    key, before = key_of(editor.given[0][0]), torch.tensor(RED)
    wanted = (turned_colors(120)(torch.stack([key, before])[None], 0))[0, 1].clamp(0, 1)
    seen = layer[..., 3] > 0.1
    assert (layer[seen][:, :3] - wanted).abs().max() < 0.03
    assert report.alphas == ("keep",)
    assert report.changed[0] > 0.9


def test_every_other_layer_keeps_its_bits(random_stack: LayerStack) -> None:
    (done,), _ = edit_layer(editor_of(turned_colors(90)), random_stack, 2, REQUEST)
    assert torch.equal(done.pixels[[0, 1, 3]], random_stack.pixels[[0, 1, 3]])
    assert not torch.equal(done.pixels[2], random_stack.pixels[2])
    assert done.names == random_stack.names


def test_what_an_edit_leaves_alone_keeps_its_bits() -> None:
    stack = stack_of(disc(45, RED))
    small = editor_of()

    def dot(picture: Tensor, _: int) -> Tensor:
        height, width = picture.shape[:2]
        picture[height // 2 - 12 : height // 2 + 12, width // 2 - 12 : width // 2 + 12] = torch.tensor([0.1, 0.1, 0.9])
        return picture

    layer, _ = edited(FakeEditor(dot, small.side), stack)
    differs = (layer != stack.pixels[1]).any(-1).nonzero()
    assert (layer[60, 60, :3] - torch.tensor([0.1, 0.1, 0.9])).abs().max() < 0.02
    assert differs.min() > 40
    assert differs.max() < 80


@pytest.mark.parametrize("content", ["shapes", "text"])
def test_half_of_a_layer_can_be_erased_and_the_other_half_keeps_its_bits(content: str) -> None:
    def half(picture: Tensor, variant: int) -> Tensor:
        picture[:, picture.shape[1] // 2 :] = key_of(picture)
        return picture

    scene = draw(content, "flat", 1, 400)
    for index in range(1, len(scene)):
        before = scene.pixels[index]
        done, report = edited(editor_of(half), scene, index)
        seen = (before[..., 3] > 0).any(0).nonzero()
        middle = int(seen[0] + seen[-1]) // 2
        assert torch.equal(done[:, : middle - 16], before[:, : middle - 16]), report
        assert not done[:, middle + 16 :, 3].any()


@pytest.mark.parametrize("color", [RED, (0.2, 0.3, 0.9)])
def test_a_moved_silhouette_is_cut_out_again(color: tuple[float, float, float]) -> None:
    stack = stack_of(disc(30, RED))
    wanted = disc(36, color, at=0.47)
    layer, report = edited(shown(wanted, editor_of(), stack), stack)
    assert report.alphas == ("new",)
    assert "cut out again" in str(report)
    assert 0.1 < report.changed[0] <= 1
    assert (layer[..., 3] - wanted[..., 3]).abs().mean() < 0.004
    assert (layer[..., 3] - wanted[..., 3]).abs().max() < 0.35
    solid = wanted[..., 3] == 1
    assert (layer[solid][:, :3] - torch.tensor(color)).abs().max() < 0.06


def test_a_shadow_moves_along_without_the_key_in_it() -> None:
    def card(at: float) -> Tensor:
        shadow, top = disc(34, (0, 0, 0), at=at + 0.02, soft=18), disc(26, RED, at=at)
        shadow[..., 3] *= 0.5
        flat = composite(LayerStack(torch.stack([shadow, top]), ("", "")))
        return quantized(flat)

    stack, wanted = stack_of(card(0.45)), card(0.53)
    layer, report = edited(shown(wanted, editor_of(), stack), stack)
    assert report.alphas == ("new",)
    assert (layer[..., 3] - wanted[..., 3]).abs().mean() < 0.01
    on_white = [composite(LayerStack(torch.stack([torch.ones_like(one), one]), ("", ""))) for one in (layer, wanted)]
    assert (on_white[0] - on_white[1]).abs().amax(-1).mean() < 0.01


class Interrupted(BaseException):
    """As ComfyUI's own: no Exception."""


def calls_while_moving(stop_after: int = 10**6, variants: int = 2) -> list[tuple[float, str]]:
    """What progress was called with while a silhouette that moved was read back; it raises at one of the calls."""
    stack, calls = stack_of(disc(30, RED)), []

    def progress(fraction: float, what: str) -> None:
        calls.append((fraction, what))
        if len(calls) > stop_after:
            raise Interrupted

    editor = shown(disc(36, RED, at=0.47), editor_of(), stack)
    edit_layer(editor, stack, 1, EditRequest("move it", variants=variants), "auto", progress=progress)
    return calls


def test_reading_an_answer_reports_each_of_its_steps() -> None:
    calls = calls_while_moving()
    fractions = [fraction for fraction, _ in calls]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    for variant in (1, 2):
        steps = [what for _, what in calls if what.startswith(f"variant {variant}: ")]
        assert len(steps) >= 15, "each is a fraction of a second for 3 megapixels"
        for step in ("looking for soft parts", "explaining the answer", "solving colours", "putting the edit into"):
            assert any(step in what for what in steps)


def test_reading_an_answer_can_be_stopped_at_each_of_its_steps() -> None:
    for calls in range(len(calls_while_moving(variants=1)) - 1):
        with pytest.raises(Interrupted):
            calls_while_moving(calls, variants=1)


def test_keep_keeps_alpha_whatever_the_silhouette_does() -> None:
    stack = stack_of(disc(30, RED))
    layer, report = edited(shown(disc(40, RED), editor_of(), stack), stack, alpha="keep")
    assert torch.equal(layer[..., 3], stack.pixels[1, ..., 3])
    assert report.alphas == ("keep",)


@pytest.mark.parametrize("color", [GREEN, (0.1, 0.2, 0.9), (0.9, 0.1, 0.8), (0.5, 0.5, 0.5), (1, 1, 1), (0, 0, 0)])
def test_the_key_is_far_from_the_layers_colours(color: tuple[float, float, float]) -> None:
    editor = editor_of()
    edited(editor, stack_of(disc(30, color)))
    assert (key_of(editor.given[0][0]) - torch.tensor(color)).norm() > 0.85


def test_the_key_is_far_from_colours_that_the_instruction_names() -> None:
    stack = stack_of(disc(30, RED))
    for words, color in (("make it light blue", (0, 0, 1)), ("make it green", (0, 1, 0)), ("改成蓝色", (0, 0, 1))):
        editor = editor_of()
        edit_layer(editor, stack, 1, EditRequest(words))
        assert (key_of(editor.given[0][0]) - torch.tensor(color).float()).norm() > 0.7


def test_a_key_that_came_back_as_another_colour_is_told_and_used() -> None:
    stack = stack_of(disc(30, RED))

    def bluish(picture: Tensor, _: int) -> Tensor:
        return torch.where((picture == key_of(picture)).all(-1, keepdim=True), picture * 0.9 + 0.05, picture)

    layer, report = edited(editor_of(bluish), stack)
    assert "key colour came back as #" in str(report)
    assert (layer[..., 3] - stack.pixels[1, ..., 3]).abs().max() < 0.1


def test_pure_noise_is_refused_where_it_would_have_to_be_cut_out() -> None:
    stack = stack_of(disc(30, RED))
    static = editor_of(lambda picture, _: torch.rand(picture.shape, generator=torch.Generator().manual_seed(0)))
    layer, report = edited(static, stack)
    assert torch.equal(layer[..., 3], stack.pixels[1, ..., 3])
    assert "changed the flat colour" in str(report)
    with pytest.raises(QilError, match="cannot be cut out: use alpha keep"):
        edited(static, stack, alpha="new")


def test_an_answer_that_shows_nothing_keeps_alpha_and_cannot_be_cut_out() -> None:
    stack = stack_of(disc(30, RED))
    empty = editor_of(lambda picture, _: key_of(picture).expand_as(picture))
    for alpha in ("auto", "keep"):
        layer, _ = edited(empty, stack, alpha=alpha)
        assert torch.equal(layer[..., 3], stack.pixels[1, ..., 3])
    with pytest.raises(QilError, match="shows nothing in front of the backdrop"):
        edited(empty, stack, alpha="new")


def test_a_variant_that_cannot_be_used_does_not_cost_the_others() -> None:
    stack = stack_of(disc(30, RED))
    editor = editor_of(lambda picture, i: key_of(picture).expand_as(picture) if i == 0 else picture)
    stacks, report = edit_layer(editor, stack, 1, EditRequest("change it", variants=2), "new")
    assert len(stacks) == len(report.alphas) == 1
    assert "Variant 1 is left out: The answer shows nothing" in str(report)
    assert "Variant 2: " in str(report)


def test_an_answer_of_another_size_is_scaled_and_one_of_another_aspect_is_refused() -> None:
    stack = stack_of(disc(30, RED))
    layer, report = edited(editor_of(resampled(0.75)), stack)
    assert (layer[..., 3] - stack.pixels[1, ..., 3]).abs().max() < 0.1
    assert "answered with 192 x 192 px" in str(report)
    with pytest.raises(QilError, match="another aspect"):
        edited(editor_of(answers(torch.zeros(100, 200, 3))), stack)


def test_an_empty_layer_and_wrong_values_are_refused() -> None:
    stack = stack_of(torch.zeros(20, 20, 4))
    with pytest.raises(QilError, match="Layer 1 is empty"):
        edited(editor_of(), stack)
    with pytest.raises(QilError, match="Alpha must be one of auto, keep, new; got other"):
        edited(editor_of(), stack, alpha="other")  # type: ignore[arg-type]
    with pytest.raises(QilError, match="out of range"):
        edited(editor_of(), stack, index=2)
    with pytest.raises(QilError, match="instruction is empty"):
        edit_layer(editor_of(), stack, 0, EditRequest(" "))


@pytest.mark.parametrize("place", [(0, 0), (10, 7), (19, 19)])
def test_one_pixel_can_be_edited(place: tuple[int, int]) -> None:
    layer = torch.zeros(20, 20, 4)
    layer[place] = torch.tensor([*RED, 1.0])
    stack = stack_of(layer)
    assert torch.equal(edited(editor_of(), stack)[0], stack.pixels[1])
    done, _ = edited(editor_of(turned_colors(120)), stack)
    assert done[place][3] == 1
    assert (done[place][:3] - torch.tensor(RED)).abs().max() > 0.2


def test_a_layer_that_touches_all_borders_is_edited_with_room_around_it() -> None:
    stack = stack_of(disc(60, RED))
    editor = editor_of(turned_colors(120))
    layer, _ = edited(editor, stack)
    assert torch.equal(layer[..., 3], stack.pixels[1, ..., 3])
    picture = editor.given[0][0]
    assert torch.equal(picture[0], key_of(picture).expand_as(picture[0]))


def test_an_opaque_bottom_layer_stays_opaque_in_whatever_colour() -> None:
    stack = stack_of(disc(30, RED))
    for color in itertools.product((0.0, 1.0), repeat=3):
        painted = editor_of(lambda picture, _, color=color: torch.tensor(color).expand_as(picture))
        layer, report = edited(painted, stack, index=0)
        assert torch.equal(layer, torch.tensor([*color, 1.0]).expand_as(layer))
        assert report.alphas == ("keep",)


def test_variants_are_a_stack_each() -> None:
    stack = stack_of(disc(30, RED))
    editor = editor_of(lambda picture, i: turned_colors(40.0 * (i + 1))(picture, i))
    stacks, report = edit_layer(editor, stack, 1, EditRequest("turn it", variants=3))
    assert len(stacks) == len(report.alphas) == len(report.changed) == 3
    assert [f"Variant {i}:" in str(report) for i in (1, 2, 3, 4)] == [True, True, True, False]
    assert not torch.equal(stacks[0].pixels[1], stacks[2].pixels[1])
    assert all(torch.equal(done.pixels[0], stack.pixels[0]) for done in stacks)


def test_references_go_along_cropped_and_on_a_plain_ground() -> None:
    stack, editor = stack_of(disc(30, RED)), editor_of()
    plain, cut = torch.rand(9, 12, 3), disc(10, RED, 60)
    edit_layer(editor, stack, 1, REQUEST, references=[plain, cut])
    _, second, third = editor.given[0]
    assert torch.equal(second, plain)
    assert third.shape == (20, 20, 3)
    assert torch.equal(third[0, 0], torch.ones(3))
    edit_layer(editor, stack, 1, REQUEST, references=[disc(10, (1, 1, 1), 60)])
    assert torch.equal(editor.given[1][1][0, 0], torch.full((3,), 0.5))
    with pytest.raises(QilError, match="3 reference pictures were given: an edit takes 2 at most"):
        edit_layer(editor, stack, 1, REQUEST, references=[plain] * 3)
    with pytest.raises(QilError, match="reference picture is empty"):
        edit_layer(editor, stack, 1, REQUEST, references=[torch.zeros(5, 5, 4)])


def test_behind_shows_the_layers_below_and_nothing_of_them_gets_into_the_layer() -> None:
    stack = stack_of(disc(50, (0.1, 0.2, 0.8)), disc(25, RED, soft=6), disc(10, (1, 1, 1)))
    editor = editor_of()
    layer, report = edited(editor, stack, 2, behind=True)
    assert torch.equal(layer, stack.pixels[2])
    assert report.key is None
    middle = editor.given[0][0][SIDE // 2, SIDE // 2]
    assert (middle - torch.tensor(RED)).abs().max() < 0.02  # what lies above is not shown

    def reddest(picture: Tensor, _: int) -> Tensor:
        frame = frame_of(editor, stack.pixels[2], 2, "auto", behind=True)
        alpha = frame.seen(stack.pixels[2])[..., 3:]
        return picture + alpha * (torch.tensor([0.2, 0.8, 0.3]) - torch.tensor(RED))

    layer, _ = edited(editor_of(reddest), stack, 2, behind=True)
    assert torch.equal(layer[..., 3], stack.pixels[2, ..., 3])
    seen = layer[..., 3] > 0.1
    assert (layer[seen][:, :3] - torch.tensor([0.2, 0.8, 0.3])).abs().mean() < 0.01


def test_behind_the_bottom_layer_is_nothing_and_that_is_told() -> None:
    stack = LayerStack.from_image(disc(30, RED)[None])
    _, report = edited(editor_of(), stack, 0, behind=True)
    assert "Nothing is behind layer 0" in str(report)


def test_a_plain_picture_keeps_its_bits_where_nothing_was_edited() -> None:
    picture = quantized(torch.rand(50, 80, 3, generator=torch.Generator().manual_seed(0)))
    (same,), report = edit_image(editor_of(), picture, REQUEST)
    assert torch.equal(same, picture)
    assert "picture of 80 x 50 px" in str(report)
    (blue,), _ = edit_image(editor_of(lambda p, _: torch.tensor([0.0, 0.2, 1.0]).expand_as(p)), picture, REQUEST)
    assert (blue - torch.tensor([0.0, 0.2, 1.0])).abs().max() < 0.003


def test_a_picture_with_alpha_keeps_it_or_gets_another_one() -> None:
    picture = disc(30, RED, soft=6)
    (done,), report = edit_image(editor_of(turned_colors(120)), picture, REQUEST)
    assert torch.equal(done[..., 3], picture[..., 3])
    assert report.key is not None
    stack = LayerStack.from_image(picture[None])
    wanted = disc(36, RED, at=0.47)
    (cut,), report = edit_image(shown(wanted, editor_of(), stack, 0), picture, REQUEST, alpha="auto")
    assert report.alphas == ("new",)
    assert (cut[..., 3] - wanted[..., 3]).abs().mean() < 0.004


def test_the_report_says_what_was_done() -> None:
    _, report = edited(editor_of(turned_colors(120)), stack_of(disc(30, RED)))
    first, second, *rest = str(report).splitlines()
    assert first.startswith('a fake editor: layer 1 ("layer 2") edited at 256 x 256 px on #')
    assert second.startswith("Variant 1: the layer's alpha was kept; ")
    assert rest == ["a fake editor's note"]
    told = report.as_dict()
    assert told["alphas"] == ["keep"]
    assert told["instruction"] == "change it"
    assert told["key"] == report.key
