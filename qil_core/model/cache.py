"""Results kept by content: what a call had to work out, the next one with the same input gets for nothing."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

LIMIT = 256 << 20
"""Bytes held at the most: 70 prompts of 512 tokens, of 3.7 MB each in bf16; latents of 1024 px take 0.5 MB."""

Value = TypeVar("Value", str, Tensor)


def content_key(*parts: object) -> str:
    """A name for these contents: equal contents have equal names, however they came about.

    Parts are tensors and plain values, whose repr says all of them.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Tensor):
            data = part.detach().contiguous().cpu()
            digest.update(f"{data.dtype}{tuple(data.shape)}".encode())
            digest.update(data.view(-1).view(dtype=torch.uint8).numpy().data if data.numel() else b"")
        else:
            digest.update(f"{type(part).__name__}:{part!r};".encode())
    return digest.hexdigest()


class ContentCache:
    """Texts and tensors by their content's name, in memory; the least recently used go when the bound is passed."""

    def __init__(self, limit: int = LIMIT) -> None:
        """limit: bytes held at the most."""
        self._limit = limit
        self._held: OrderedDict[str, str | Tensor] = OrderedDict()
        self.size = 0

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        """What is held under key, or what make() gives, which is then held."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]  # type: ignore[return-value]  # a key names one kind of value
        value = make()
        self._held[key] = value
        self.size += _size(value)
        while self.size > self._limit and len(self._held) > 1:
            self.size -= _size(self._held.popitem(last=False)[1])
        return value

    def get_all(self, keys: Sequence[str], make: Callable[[list[int]], list[Value]]) -> list[Value]:
        """What is held under each key. What is not comes from one make(places of those keys), and is then held."""
        values: dict[str, Any] = {key: self._held[key] for key in keys if key in self._held}
        new = {key: i for i, key in enumerate(keys) if key not in values}
        if new:
            values |= zip(new, make(list(new.values())), strict=True)
        return [self.get(key, partial(values.__getitem__, key)) for key in keys]


def _size(value: str | Tensor) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else len(value.encode())
