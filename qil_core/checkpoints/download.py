"""Downloading a model, when a user asks for it; nothing in this package does so by itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ..errors import QilError
from ..progress import Progress, silent

Source = Literal["huggingface", "modelscope"]

NEEDED = [
    "model_index.json",
    "*/*.json",
    "*/*.safetensors",
    "*/*.txt",
    "*/*.jinja",
]
"""What runs the model: weights, configurations, tokenizer. No pictures, no pickles."""

SITES = {"huggingface": "https://huggingface.co/", "modelscope": "https://modelscope.cn/models/"}


def download(repo_id: str, source: Source, folder: Path, progress: Progress = silent) -> Path:
    """Download a diffusers repository such as Qwen/Qwen-Image-Layered into folder, and give it back.

    What an earlier, broken-off call left there is taken up again. progress is called from the library's threads; it
    may raise to stop.
    Raises QilError when the library is not installed or the download fails, with the steps to do it by hand.
    """
    folder = Path(folder)
    if source not in SITES:
        raise QilError(f"{source!r} is no source of models; expected one of {', '.join(SITES)}.")
    fetch = _fetcher(source)
    stops: list[BaseException] = []

    def watched(fraction: float, what: str) -> None:
        try:
            progress(fraction, what)
        except BaseException as stop:
            stops.append(stop)
            raise

    watched(0.0, f"Downloading {repo_id}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(repo_id, folder, _bar(watched, repo_id))
    except Exception as error:  # the libraries, and what they use for HTTP, have no common base
        if error in stops:
            raise
        raise QilError(_by_hand(repo_id, source, folder, error)) from error
    progress(1.0, f"Downloaded {repo_id}")
    return folder


def _by_hand(repo_id: str, source: Source, folder: Path, error: Exception) -> str:
    return (
        f"{repo_id} could not be downloaded from {source}: {str(error).strip() or repr(error)}\n"
        f"Try again (it goes on where it stopped), or do it by hand: open {SITES[source]}{repo_id} on a machine with "
        f"internet, download the folders transformer, text_encoder, vae, tokenizer, processor, scheduler and "
        f"model_index.json, and put them into {folder}."
    )


Fetch = Callable[[str, Path, type], Any]


def _fetcher(source: Source) -> Fetch:
    return _huggingface() if source == "huggingface" else _modelscope()


def _huggingface() -> Fetch:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise QilError("Downloading needs the Python package huggingface_hub: pip install huggingface_hub") from error

    return lambda repo_id, folder, bar: snapshot_download(
        repo_id, local_dir=folder, allow_patterns=NEEDED, tqdm_class=bar
    )


def _modelscope() -> Fetch:
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise QilError("Downloading from ModelScope needs its Python package: pip install modelscope") from error

    # Its progress goes to the console only.
    return lambda repo_id, folder, bar: snapshot_download(repo_id, local_dir=str(folder), allow_patterns=NEEDED)


def _bar(progress: Progress, repo_id: str) -> type:
    """A tqdm class that reports to progress and prints nothing: bytes where the library counts them, files if not."""
    from tqdm import tqdm

    counts_bytes = False

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            nonlocal counts_bytes
            counts_bytes |= named.get("unit") == "B"
            named.pop("name", None)
            super().__init__(*arguments, **named | {"file": io.StringIO(), "disable": False})

        def __iter__(self) -> Iterator[Any]:
            for item in self.iterable:
                yield item
                self.update()

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            if self.total and (self.unit == "B" or not counts_bytes):
                progress(min(1.0, self.n / self.total), f"Downloading {repo_id}: {_amount(self)}")

    return Bar


def _amount(bar: Any) -> str:
    """How much is there, and of how much so far known: files are found one after another."""
    if bar.unit == "B":
        return f"{bar.n / 1e9:.1f} of {bar.total / 1e9:.1f} GB"
    return f"{bar.n} of {bar.total} files"
