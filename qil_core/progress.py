"""How long work reports itself and can be stopped."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done (0..1) and what is being done. It may raise to stop the work."""


def silent(fraction: float, what: str) -> None:
    """Report nothing, stop nothing."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """A Progress for a sub-task that fills start..end of the whole."""
    return lambda fraction, what: progress(start + (end - start) * fraction, what)
