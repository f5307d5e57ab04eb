"""Downloading a model, when a user asks for it; nothing in this package does so by itself.

1. Where a model comes from is checked and decides where it goes: `Origin`.
2. It is filled beside its place, in a hidden folder that an interrupted download takes up again: `_fill`.
3. When it is complete, it is renamed into its place, with its origin written inside: `_move_in`. What is at that place
   already is used when it is the same model, and never changed.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import QilError
from ..progress import Progress, silent
from .folders import missing_parts

Source = Literal["huggingface", "modelscope"]

NEEDED = [
    "model_index.json",
    "*/*.json",
    "*/*.safetensors",
    "*/*.txt",
    "*/*.jinja",
]
"""What runs the model: weights, configurations, tokenizer. No pictures, no pickles, no programs."""

SITES = {"huggingface": "https://huggingface.co/", "modelscope": "https://modelscope.cn/models/"}

ID_LETTERS = 96
"""The longest repository id of Hugging Face, as huggingface_hub's validate_repo_id has it."""

REVISION_LETTERS = 100
"""The longest revision that is taken: a commit has 40 letters, and with the name it must fit into a folder's name."""

WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
"""A part of a repository id, or a revision. Folders are named so too: no dot at either end."""

RECORD = "qil_origin.json"
"""The file inside a downloaded folder that says where it comes from."""


@dataclass(frozen=True)
class Origin:
    """Where a diffusers repository is: a site, "owner/name" there, and a revision of it ("" is the main one).

    Raises QilError for a text that is none of these.
    """

    source: Source
    repository: str
    revision: str = ""

    def __post_init__(self) -> None:
        if self.source not in SITES:
            raise QilError(f"{self.source!r} is no source of models; expected one of {', '.join(SITES)}.")
        fits = re.fullmatch(f"{WORD}/{WORD}", self.repository) and len(self.repository) <= ID_LETTERS
        if not fits or ".." in self.repository or "--" in self.repository:
            raise QilError(
                f"{_short(self.repository)} is not a repository id. Write owner/name such as "
                f"Qwen/Qwen-Image-Layered: letters, digits, -, _ and ., at most {ID_LETTERS} of them."
            )
        fits = re.fullmatch(f"(?:{WORD})?", self.revision) and len(self.revision) <= REVISION_LETTERS
        if not fits or ".." in self.revision:
            raise QilError(
                f"{_short(self.revision)} is not a revision. Write a branch, a tag or a commit: letters, digits, -, _ "
                f"and ., at most {REVISION_LETTERS} of them; or nothing for the main one."
            )

    def __str__(self) -> str:
        return f"{self.repository} {f'at {self.revision} ' if self.revision else ''}from {self.source}"

    @property
    def folder(self) -> Path:
        """Its place among a user's models: owner/name, or owner/name@revision."""
        return Path(self.repository + (f"@{self.revision}" if self.revision else ""))

    @property
    def hidden_folder(self) -> Path:
        """Where it is while it is not complete, beside its place; another origin has another one."""
        return self.folder.with_name(f".{self.folder.name}.{self.source}.partial")


def _short(text: str) -> str:
    """A user's text as it can be printed on one line."""
    return ascii(text if len(text) <= ID_LETTERS else text[:ID_LETTERS] + "...")


def download(origin: Origin, models: Path, progress: Progress = silent, rest: Origin | None = None) -> Path:
    """The folder of a downloaded diffusers repository: owner/name in the folder models.

    It is downloaded unless it is there. What an earlier, interrupted call downloaded is taken up again. progress is
    called from the library's threads; it may raise to stop. rest: has the other folders of a model of which origin has
    no more than the transformer; they go to the same place.
    Raises QilError when another model lies at its place, when the library is not installed, or when the download
    fails, with the steps to do it by hand.
    """
    place = Path(models) / origin.folder
    if _is_there(origin, place):
        return place
    hidden = Path(models) / origin.hidden_folder
    _fill(origin, hidden, place, progress)
    if rest and missing_parts(hidden):
        _fill(rest, hidden, place, progress, without="transformer/*")
    _move_in(origin, hidden, place)
    progress(1.0, f"Downloaded {origin.repository}")
    return place


def _is_there(origin: Origin, place: Path) -> bool:
    """Whether the model is at its place. A complete folder without a record was put there by hand: it is used."""
    if not place.exists():
        return False
    recorded = _recorded(place)
    if recorded == asdict(origin):
        return True
    if recorded is not None:
        raise QilError(f"{place} holds {_described(recorded)}; {origin} does not replace it. Rename or move {place}.")
    if missing := missing_parts(place):
        raise QilError(
            f"{place} is there already, but not as a whole model (it has no {', '.join(missing)} folder), and it is "
            f"not changed. Complete it or move it away, so that {origin} can be downloaded."
        )
    return True


def _recorded(place: Path) -> Any:
    """The record of a folder, None where there is none. Whatever else it may hold is another origin."""
    try:
        return json.loads((place / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return "damaged"


def _described(recorded: Any) -> str:
    try:
        return f"{Origin(**recorded)}"
    except (TypeError, QilError):
        return f"files of another origin, by its {RECORD}"


def _fill(origin: Origin, hidden: Path, place: Path, progress: Progress, without: str = "") -> None:
    """Download a repository into a hidden folder, but for what a pattern names. Raises QilError."""
    fetch = _fetcher(origin.source)
    stops: list[BaseException] = []

    def watched(fraction: float, what: str) -> None:
        try:
            progress(fraction, what)
        except BaseException as stop:
            stops.append(stop)
            raise

    watched(0.0, f"Downloading {origin.repository}")
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        fetch(origin, hidden, _bar(watched, origin.repository), [without] if without else None)
    except Exception as error:  # the libraries, and what they use for HTTP, have no common base
        if error in stops:
            raise
        raise QilError(_by_hand(origin, place, error)) from error


def _by_hand(origin: Origin, place: Path, error: Exception) -> str:
    return (
        f"{origin.repository} could not be downloaded from {origin.source}: {str(error).strip() or repr(error)}\n"
        f"Try again (it goes on where it stopped), or do it by hand: open {SITES[origin.source]}{origin.repository} on "
        "a machine with internet, download the folders transformer, text_encoder, vae, tokenizer, processor, scheduler "
        f"and model_index.json, and put them into {place}."
    )


def _move_in(origin: Origin, hidden: Path, place: Path) -> None:
    """From the hidden folder to its place, which must be free: renaming replaces no folder that holds anything."""
    try:
        (hidden / RECORD).write_text(json.dumps(asdict(origin)), encoding="utf-8")
        hidden.rename(place)
    except OSError as error:
        raise QilError(
            f"{origin.repository} is downloaded, but {hidden} cannot be renamed to {place}: {error.strerror or error}. "
            "Do it by hand."
        ) from error


Fetch = Callable[[Origin, Path, type, list[str] | None], Any]


def _fetcher(source: Source) -> Fetch:
    return _huggingface() if source == "huggingface" else _modelscope()


def _huggingface() -> Fetch:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise QilError("Downloading needs the Python package huggingface_hub: pip install huggingface_hub") from error

    return lambda origin, folder, bar, without: snapshot_download(
        origin.repository,
        revision=origin.revision or None,
        local_dir=folder,
        allow_patterns=NEEDED,
        ignore_patterns=without,
        tqdm_class=bar,
    )


def _modelscope() -> Fetch:
    try:
        from modelscope import snapshot_download
    except ImportError as error:
        raise QilError("Downloading from ModelScope needs its Python package: pip install modelscope") from error

    # Its progress goes to the console only.
    return lambda origin, folder, bar, without: snapshot_download(
        origin.repository,
        revision=origin.revision or None,
        local_dir=str(folder),
        allow_patterns=NEEDED,
        ignore_patterns=without,
    )


def _bar(progress: Progress, repository: str) -> type:
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
                progress(min(1.0, self.n / self.total), f"Downloading {repository}: {_amount(self)}")

    return Bar


def _amount(bar: Any) -> str:
    """How much is there, and of how much so far known: files are found one after another."""
    if bar.unit == "B":
        return f"{bar.n / 1e9:.1f} of {bar.total / 1e9:.1f} GB"
    return f"{bar.n} of {bar.total} files"
