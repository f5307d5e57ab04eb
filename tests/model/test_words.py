"""Several prompts pass through the text encoder together, each with the numbers that it has alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("diffusers")

from stock import Spy

from qil_core.model import words
from qil_core.model.parts import Parts
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import STREAMED
from qil_core.model.streaming import StreamedBlocks
from qil_core.progress import silent
from qil_core.request import Request

CPU = torch.device("cpu")
SMALL = Request(layers=1, steps=2, prompt="a red disc on white", resolution=128)
PICTURE = torch.ones(8, 8, 4)


def test_last_states_are_those_of_the_whole_text_encoder_to_the_bit(parts: Parts) -> None:
    texts = [parts.tokenizer([text], return_tensors="pt") for text in ("a red disc on white", "a blue square")]
    inputs = [{"input_ids": text.input_ids, "attention_mask": text.attention_mask} for text in texts]
    layers = parts.text_encoder.model.language_model.layers
    with torch.inference_mode():
        want = [parts.text_encoder(**given, output_hidden_states=True).hidden_states[-1] for given in inputs]
        got = words.last_states(parts.text_encoder, inputs, CPU)
    assert all(torch.equal(*pair) for pair in zip(got, want, strict=True))
    assert parts.text_encoder.model.language_model.layers is layers


class Stop(Exception):
    pass


def test_between_two_layers_it_can_be_stopped(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = parts.text_encoder.model.language_model.layers
    spies = [Spy(monkeypatch, layer, "forward") for layer in layers]
    given = {"input_ids": torch.tensor([[1, 2, 3]])}

    def stop(done: float) -> None:
        if done:
            raise Stop

    with pytest.raises(Stop):
        words.last_states(parts.text_encoder, [given], CPU, stop)
    assert [spy.calls for spy in spies] == [1, 0]


def test_prompts_are_embedded_without_the_logits_of_all_words(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = Spy(monkeypatch, parts.text_encoder.lm_head, "forward")
    LayeredModel(parts, CPU).layers(PICTURE, SMALL, silent)
    assert logits.calls == 0
    LayeredModel(parts, CPU).layers(PICTURE, replace(SMALL, prompt=""), silent)
    assert logits.calls > 0, "a caption takes them"


def test_a_streamed_text_encoder_travels_once_for_both_prompts(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = parts.text_encoder.model.language_model.layers
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    rounds: list[int] = []
    one_round = StreamedBlocks.__iter__
    monkeypatch.setattr(StreamedBlocks, "__iter__", lambda self: rounds.append(len(self)) or one_round(self))
    layer = Spy(monkeypatch, layers[0], "forward")
    model.layers(PICTURE, replace(SMALL, negative_prompt="a blue square"), silent)
    assert layer.calls == 2, "a prompt and a negative one"
    words, *blocks = rounds
    assert words == len(layers)
    assert blocks == [len(parts.transformer.transformer_blocks)] * SMALL.steps
