"""Results that are kept for the next time, the least recently used going first; from several threads at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, of a bounded size in all. A value that is larger than the bound alone is not kept."""

    def __init__(self, limit: int) -> None:
        """limit: in the unit of the sizes that put() is given, such as bytes."""
        self._limit = limit
        self._held: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """What is kept under a key; None where nothing is."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keeps a value, and drops the oldest ones until all that is kept fits."""
        with self._lock:
            self._held[key] = value, size
            self._held.move_to_end(key)
            while sum(size for _, size in self._held.values()) > self._limit:
                self._held.popitem(last=False)
