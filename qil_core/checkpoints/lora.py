"""LoRAs merged into a transformer's weights as they are unpacked: W + strength * (alpha / rank) * up @ down.

All namings in use: lora_down/lora_up with alpha, lora_A/lora_B with or without an adapter's name; under
`diffusion_model.`, `transformer.`, PEFT's or kohya's underscored prefixes, or under no prefix at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QilError
from .readers import metadata, open_readers
from .recognize import Kind, expect
from .stored import Readers, Stored, Weight

if TYPE_CHECKING:
    from torch import Tensor

REFUSED = {
    ".lokr_": "a LoKr",
    ".hada_": "a LoHa",
    ".oft_": "an OFT adapter",
    ".dora_scale": "a DoRA",
    ".lora_magnitude_vector": "a DoRA",
    ".lora_mid.": "a LoCon with a third matrix",
    ".lora_B.bias": "a LoRA with biases",
    ".lora_up.bias": "a LoRA with biases",
    ".reshape_weight": "a LoRA that reshapes weights",
    ".diff": "a file of full differences",
    ".set_weight": "a file of replaced weights",
}
"""What would change the result and is not done here, by a part of its names."""

KEY = re.compile(r"^(?P<module>.+)\.(?:lora[_.](?P<half>A|B|down|up)(?:\.\w+)??(?:\.weight)?|(?P<alpha>alpha))$")
PREFIX = re.compile(r"^(base_model\.model\.|diffusion_model\.|transformer\.|lora_unet_|lora_transformer_|lycoris_)+")


@dataclass(frozen=True, eq=False)
class Delta:
    """One weight's change, (alpha / divisor) * up @ down: up (out, rank), down (rank, in). No alpha: a factor of 1."""

    up: Weight
    down: Weight
    alpha: Weight | float | None
    divisor: float

    @property
    def factor(self) -> float:
        """What up @ down is multiplied by."""
        alpha = self.alpha().item() if isinstance(self.alpha, Weight) else self.alpha
        return 1.0 if alpha is None else alpha / self.divisor


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA as it fits one model. deltas: by the name of the weight. unmatched: keys for which there is no weight."""

    path: Path
    deltas: dict[str, Delta]
    unmatched: tuple[str, ...]

    @property
    def note(self) -> str:
        """How much of it is used."""
        changes = f"LoRA {self.path.name} changes {len(self.deltas)} weights"
        if not self.unmatched:
            return f"{changes}."
        return f"{changes}; {len(self.unmatched)} of its keys have no place here, such as {self.unmatched[0]}."


def with_loras(readers: Readers, loras: Sequence[tuple[Path, float]]) -> Readers:
    """Readers with LoRAs (path, strength) merged. Raises QilError for a file that is none or that fits nowhere."""
    return apply(readers, [(open_lora(path, readers), strength) for path, strength in loras])


def apply(readers: Readers, loras: Sequence[tuple[Lora, float]]) -> Readers:
    """Readers with opened LoRAs merged: summed in float32, then rounded once to the type of the weight."""
    changes: dict[str, list[tuple[Delta, float]]] = {}
    for lora, strength in loras:
        for name, delta in lora.deltas.items():
            changes.setdefault(name, []).append((delta, strength))
    return readers | {
        name: replace(readers[name], stored=partial(_with_changes, readers[name], deltas))
        for name, deltas in changes.items()
    }


def _with_changes(weight: Weight, deltas: Sequence[tuple[Delta, float]]) -> Stored:
    """A weight that stays as small as it is stored: what changes it is merged when it is unpacked."""
    base = weight.stored()
    halves = [half() for delta, _ in deltas for half in (delta.up, delta.down)]
    factors = [(delta.factor, strength) for delta, strength in deltas]
    merge = partial(_merged, unpack=base.unpack, own=len(base.tensors), factors=factors)
    return Stored((*base.tensors, *halves), merge, by_rows=False, settles=base.is_plain)


def _merged(
    *tensors: Tensor, unpack: Callable[..., Tensor], own: int, factors: Sequence[tuple[float, float]]
) -> Tensor:
    weight = unpack(*tensors[:own])
    total = weight.float()
    for (factor, strength), up, down in zip(factors, tensors[own::2], tensors[own + 1 :: 2], strict=True):
        change = up.float() @ down.float()
        total = total + strength * (change * factor)  # not in place: it may be the mapped file
    return total.to(weight.dtype)


def open_lora(path: Path, readers: Readers) -> Lora:
    """Match a LoRA's keys with a model's weights, by names and shapes only."""
    path = Path(path)
    stored = open_readers(path)
    expect(stored, Kind.LORA, path)
    _refuse_others(stored, path)
    halves, unmatched = _grouped(stored, _modules(readers), path)
    if not halves:
        raise QilError(
            f"{path} fits no weight of this model. Its keys are such as {', '.join(unmatched[:3])}; "
            "expected a LoRA for Qwen-Image, such as one with transformer_blocks.0.attn.to_q.lora_A.weight."
        )
    settings = _settings(path)
    deltas = {name: _delta(name, found, readers[name], settings, path) for name, found in halves.items()}
    return Lora(path, deltas, tuple(unmatched))


def _refuse_others(stored: Readers, path: Path) -> None:
    for name in stored:
        for mark, what in REFUSED.items():
            if mark in name:
                raise QilError(f"{path} is {what} ({name}), which cannot be merged here. Use a plain LoRA.")


def _modules(readers: Readers) -> dict[str, str]:
    """Every name by which a LoRA may call a layer, dotted or underscored, and the weight that it means."""
    stems = {name.removesuffix(".weight"): name for name, weight in readers.items() if len(weight.shape) == 2}
    return {stem.replace(".", "_"): name for stem, name in stems.items()} | stems


Halves = dict[str, dict[str, Weight]]


def _grouped(stored: Readers, modules: dict[str, str], path: Path) -> tuple[Halves, list[str]]:
    """By the model's weight: its down, up and alpha; and the keys that belong to none."""
    halves: Halves = {}
    unmatched = []
    for key, weight in stored.items():
        found = KEY.match(key)
        name = modules.get(PREFIX.sub("", found["module"])) if found else None
        if found is None or name is None:
            unmatched.append(key)
            continue
        role = {"A": "down", "B": "up", None: "alpha"}.get(found["half"], found["half"])
        if role in halves.setdefault(name, {}):
            raise QilError(f"{path} changes {name} twice, under several names. Use a file with one LoRA in it.")
        halves[name][role] = weight
    return halves, unmatched


def _delta(name: str, found: dict[str, Weight], weight: Weight, settings: dict[str, Any], path: Path) -> Delta:
    if not {"up", "down"} <= found.keys():
        raise QilError(f"{path} is incomplete: for {name} it has only {' and '.join(found)}. Download it again.")
    up, down = found["up"], found["down"]
    fits = len(up.shape) == len(down.shape) == 2 and up.shape[1] == down.shape[0]
    if not fits or (up.shape[0], down.shape[1]) != weight.shape:
        raise QilError(
            f"{path} was made for another model: for {name} {list(weight.shape)} "
            f"it has up {list(up.shape)} and down {list(down.shape)}."
        )
    rank = down.shape[0]
    alpha = found.get("alpha") or _alpha(name.removesuffix(".weight"), settings)
    return Delta(up, down, alpha, rank**0.5 if settings.get("use_rslora") else rank)


def _settings(path: Path) -> dict[str, Any]:
    """The adapter's configuration, which diffusers writes into the header: there is no alpha among the keys then."""
    text = metadata(path).get("lora_adapter_metadata", "{}")
    try:
        found = json.loads(text)
        return {key.removeprefix("transformer."): value for key, value in found.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise QilError(f"{path} has a damaged header ({error}). Download it again.") from error


def _alpha(module: str, settings: dict[str, Any]) -> float | None:
    patterns = settings.get("alpha_pattern") or {}
    own = next((alpha for end, alpha in patterns.items() if f".{module}".endswith(f".{end}")), None)
    alpha = own if own is not None else settings.get("lora_alpha")
    return None if alpha is None else float(alpha)
