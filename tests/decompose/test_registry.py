"""The list of decomposers, from which the command line and the nodes take theirs."""

from __future__ import annotations

import pytest

from qil_core.cli import _parser
from qil_core.cli import decompose as command
from qil_core.cli.shell import Shell
from qil_core.decompose import Decomposed, Decomposer, Entry, registry
from qil_core.decompose.builtin import Builtin
from qil_core.errors import QilError
from qil_core.options import Option, read_all

OPTIONS = (
    Option("strength", 0.5, "How much.", low=0, high=2),
    Option("rounds", 3, "How often.", low=1, high=9),
    Option("tidy", True, "Whether."),
    Option("mode", "fast", "How.", choices=("fast", "slow")),
)


def test_every_decomposer_has_a_name_and_a_label_of_its_own() -> None:
    for texts in ([each.name for each in registry.DECOMPOSERS], [each.label for each in registry.DECOMPOSERS]):
        assert len(set(texts)) == len(texts)
        assert all(texts)


def test_saved_workflows_find_their_decomposers_by_the_labels_that_they_hold() -> None:
    labels = ["built-in (no weights)", "diffusers folder", "ComfyUI files", "download"]
    labels += [f"Layered-Control, {label}" for label in labels[1:]]
    assert [each.label for each in registry.DECOMPOSERS] == labels


def test_the_built_in_one_opens_without_weights() -> None:
    assert isinstance(registry.open_by_name("builtin", [], Shell()), Builtin)


def test_a_name_that_is_not_in_the_list_is_refused_with_those_that_are() -> None:
    with pytest.raises(QilError, match='no decomposer "bogus": choose one of builtin, qwen, '):
        registry.entry("bogus")


def test_a_decomposer_that_is_added_to_the_list_is_opened_by_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    class Mine:
        label = "Mine"

        def decompose(self, *request: object) -> Decomposed:
            raise NotImplementedError

    def opened(values: object, place: object) -> Decomposer:
        asked.append(values)
        return Mine()

    mine = Entry("mine", "My own", OPTIONS, opened)
    monkeypatch.setattr(registry, "DECOMPOSERS", (*registry.DECOMPOSERS, mine))
    monkeypatch.setattr(command, "DECOMPOSERS", registry.DECOMPOSERS)
    texts = ["decompose", "a.png", "-o", "out", "--decomposer", "mine", "--set", "rounds=4", "--set", "mode=slow"]
    assert command.opened(_parser().parse_args(texts)).label == "Mine"
    assert asked == [{"source": "My own", "strength": 0.5, "rounds": 4, "tidy": True, "mode": "slow"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mode=bogus", 'mode must be one of fast, slow; got "bogus"'),
        ("rounds=many", 'rounds must be a number; got "many"'),
        ("rounds=10", "rounds must be 1 to 9; got 10"),
        ("strength=nan", "strength must be 0 to 2; got nan"),
        ("tidy=perhaps", 'tidy must be true or false; got "perhaps"'),
        ("rounds", "write NAME=VALUE, with one of these names: strength, rounds, tidy, mode"),
        ("depth=3", "write NAME=VALUE, with one of these names: strength, rounds, tidy, mode"),
    ],
)
def test_an_option_that_cannot_be_read_says_what_can(text: str, message: str) -> None:
    with pytest.raises(QilError, match=message):
        read_all(OPTIONS, [text])


def test_sources_that_only_comfyui_has_say_so_on_the_command_line() -> None:
    with pytest.raises(QilError, match="is for ComfyUI"):
        registry.open_by_name("qwen-download", [], Shell())


def test_loras_are_not_silently_left_out_on_the_command_line() -> None:
    with pytest.raises(QilError, match="LoRAs are for ComfyUI"):
        registry.open_by_name("qwen", ["loras=mine.safetensors"], Shell())
