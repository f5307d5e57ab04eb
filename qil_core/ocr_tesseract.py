"""Reading lines in scripts that RapidOCR's model lacks with Tesseract, where that program is on the machine.

1. `tesseract`: the program and those of LANGUAGES whose data it has; None where there is nothing of use.
2. `Tesseract.read`: one process a language reads all the lines; what was read surely is not given to the next one.
3. `_read_in`: the process, and its table of words (TSV: a row a word with its place and confidence, 0..100).
4. `spaced`, `right_to_left`: the words with a space where the ink has a gap, or in the order in which they are said.

Smith, "An overview of the Tesseract OCR engine", 2007; since version 4 its recogniser is an LSTM.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import QilError

Picture = NDArray[np.uint8]

LANGUAGES = {"kor": "HANGUL", "ara": "ARABIC", "heb": "HEBREW"}
"""Tesseract's names of the languages that are tried, and how Unicode's names of their letters begin."""

SYLLABLES = ("kor",)
"""Those of them whose letters are syllables."""

MIN_LETTERS = 3
"""Letters of the language in the shortest line; of syllables two are enough. Scraps of ink are read as two letters."""

MIN_SHARE = 0.25
"""Least share of a line's letters that are of the language: a Latin name of ten letters may stand beside a word."""

RIGHT_TO_LEFT = ("ara", "heb")
"""Those of them that run from right to left."""

LATIN = "eng"
"""Latin words between Arabic or Hebrew ones are read with this beside it: the data of the others has Latin letters."""

WINDOWS_PROGRAM = "Tesseract-OCR/tesseract.exe"
"""Where its usual installer puts the program under Windows' folder of programs; it is not put on the PATH."""

LINE_HEIGHT_PX = 96
"""Height of a line with some space above and below. Of 24 lines in Arabic and Hebrew 21 were read right at 48 px, 22
or 23 at 72 and all at 96."""

AS_LINE, AS_RAW_LINE = "7", "13"
"""Tesseract's modes of page segmentation: a picture is one line; the same without looking for the line's parts. The
first reads better, and of 2 in 24 lines it finds nothing at all: these are read in the second."""

MARGIN_PX = {AS_LINE: 16, AS_RAW_LINE: 0}
"""White around a line. Of 24 Arabic lines the first mode read 21 right with this margin and 19 without, the second 6
with it and 18 without."""

SURE = 0.8
"""A line that was read in one language with this confidence is not read in the others."""

MIN_BETTER = 0.2
"""How much more sure than in the other languages a line must be to be taken for one of a later language. A blurred
Korean line was read with 0.75 in Korean and 0.81 in Arabic; of lines that were read right the others have 0.5 or so."""

MIN_WORD_GAP = 0.27
"""Least gap between words of Hangul, as a share of the height of the line's ink: of 134 gaps in 24 lines those between
words were at least 0.30, and all but one between syllables, which Tesseract takes for words, at most 0.24."""

START_SECONDS, LINE_SECONDS = 30, 4
"""Time for one process and for each of its lines, after which it is stopped: a line takes 0.05 s on a free core."""

INSTALL = (
    "install Tesseract with its language data (Debian: tesseract-ocr tesseract-ocr-kor tesseract-ocr-ara "
    "tesseract-ocr-heb; Windows and macOS: its installer or brew install tesseract tesseract-lang)"
)
"""What brings the program and the data of all LANGUAGES."""


class Words(NamedTuple):
    """What was read in a line. score: 0..1, how sure the reader is."""

    text: str
    score: float


class Word(NamedTuple):
    """A word of Tesseract's table: its left and right side in pixels of the line, confidence 0..100."""

    text: str
    left: int
    right: int
    confidence: float


class Tesseract(NamedTuple):
    """The program, those of LANGUAGES that it has data of, and all that it has. May be used by several threads."""

    program: str
    languages: tuple[str, ...]
    installed: frozenset[str] = frozenset()

    def read(self, lines: Sequence[Picture]) -> list[Words]:
        """The words in each upright line (h, w, 3); no words where no language fits. QilError: the program failed."""
        found = [Words("", 0.0)] * len(lines)
        for language in self.languages:
            todo = [number for number, words in enumerate(found) if words.score < SURE]
            read = self._read_in(language, [lines[number] for number in todo]) if todo else []
            for number, words in zip(todo, read, strict=True):
                is_better = words.score >= found[number].score + MIN_BETTER
                found[number] = words if is_better else found[number]
        return found

    def _read_in(self, language: str, lines: Sequence[Picture]) -> list[Words]:
        with_latin = language in RIGHT_TO_LEFT and LATIN in self.installed
        languages = f"{language}+{LATIN}" if with_latin else language
        pages = [_dark_on_light(line) for line in lines]
        rows = _table(self.program, languages, pages, AS_LINE)
        empty = [number for number in range(len(pages)) if not rows[number]]
        again = _table(self.program, languages, [pages[number] for number in empty], AS_RAW_LINE) if empty else {}
        rows |= {number: again[at] for at, number in enumerate(empty)}
        return [_words(rows[number], page, language) for number, page in enumerate(pages)]


_lock = threading.Lock()
_found: list[Tesseract | None] = []


def tesseract() -> Tesseract | None:
    """Tesseract with those of LANGUAGES that it has here; None where it or their data are missing. Looked for once."""
    with _lock:
        if not _found:
            _found.append(_look())
        return _found[0]


def _look() -> Tesseract | None:
    program = shutil.which("tesseract") or next((str(path) for path in _windows_programs() if path.is_file()), None)
    if program is None:
        return None
    listed = _run([program, "--list-langs"], START_SECONDS)
    installed = frozenset(line.strip() for line in listed.splitlines())
    languages = tuple(name for name in LANGUAGES if name in installed)
    return Tesseract(program, languages, installed) if languages else None


def _windows_programs() -> Iterator[Path]:
    for name in ("PROGRAMFILES", "LOCALAPPDATA"):
        if folder := os.environ.get(name):
            yield Path(folder) / WINDOWS_PROGRAM


def _dark_on_light(line: Picture) -> NDArray[np.uint8]:
    """A line as a grey picture (h, w)."""
    grey = line.astype(np.float32).mean(-1)
    return (255 - grey if float(np.median(grey)) < 128 else grey).astype(np.uint8)


def _table(program: str, languages: str, pages: Sequence[NDArray[np.uint8]], mode: str) -> dict[int, list[Word]]:
    """The words of each picture by its number, 0 for the first."""
    import cv2

    with tempfile.TemporaryDirectory(prefix="qil-text-") as folder:
        names = [str(Path(folder) / f"{number}.png") for number in range(len(pages))]
        for name, page in zip(names, pages, strict=True):
            framed = np.pad(page, MARGIN_PX[mode], constant_values=255)
            Path(name).write_bytes(cv2.imencode(".png", framed)[1].tobytes())
        index = Path(folder) / "lines.txt"
        index.write_text("\n".join(names) + "\n", encoding="utf-8")
        command = [program, str(index), "stdout", "-l", languages, "--psm", mode, "--dpi", "300", "tsv"]
        table = _run(command, START_SECONDS + LINE_SECONDS * len(pages))
    words: dict[int, list[Word]] = {number: [] for number in range(len(pages))}
    for row in csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = _without_marks(row["text"] or "")
        if row["level"] == "5" and text:
            left = int(row["left"]) - MARGIN_PX[mode]
            words[int(row["page_num"]) - 1].append(Word(text, left, left + int(row["width"]), float(row["conf"])))
    return words


def _run(command: list[str], seconds: float) -> str:
    """What a program prints. OpenMP's threads would take cores that others use. Raises QilError."""
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, env=environment, check=True)
    except subprocess.TimeoutExpired as error:
        raise QilError(f"Tesseract ({command[0]}) gave no answer within {seconds:.0f} s: try again.") from error
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error).encode()).decode("utf-8", "replace").strip()[-300:]
        raise QilError(f"Tesseract ({command[0]}) failed: {said}. Repair or remove it.") from error
    return done.stdout.decode("utf-8", "replace")


def _without_marks(text: str) -> str:
    """A word without the invisible marks of direction that Tesseract puts beside it."""
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf").strip()


def _words(words: list[Word], line: NDArray[np.uint8], language: str) -> Words:
    """A line from its words; nothing where it has hardly a letter of the language."""
    text = right_to_left(words) if language in RIGHT_TO_LEFT else spaced(words, line)
    names = [unicodedata.name(letter, "") for letter in text if letter.isalpha()]
    own = sum(name.startswith(LANGUAGES[language]) for name in names)
    if own < max(MIN_LETTERS - (language in SYLLABLES), MIN_SHARE * len(names)):
        return Words("", 0.0)
    letters = sum(len(word.text) for word in words)
    return Words(text, sum(word.confidence * len(word.text) for word in words) / letters / 100)


def spaced(words: list[Word], line: NDArray[np.uint8]) -> str:
    """Words of a line (h, w) from left to right with a space where the ink has a gap, and only there.

    Tesseract takes syllables of Hangul for words, and words for one; the place of a gap in a word tells the letter.
    """
    ink = line < 128
    height = int(np.ptp(np.flatnonzero(ink.any(1)))) + 1 if ink.any() else 1
    edges = np.diff(ink.any(0).astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    gaps = [(int(a), int(b)) for a, b in zip(ends[:-1], starts[1:], strict=True) if b - a > MIN_WORD_GAP * height]
    lefts = [word.left for word in words]
    letters = [list(word.text) for word in words]
    for start, end in gaps:
        middle = (start + end) / 2
        at = max((number for number, left in enumerate(lefts) if left < middle), default=0)
        following = lefts[at + 1] if at + 1 < len(words) else int(ends[-1])
        if following - end < height * MIN_WORD_GAP / 2:
            letters[at].append(" ")
            continue
        inner = sum(b - a for a, b in gaps if lefts[at] <= a and b < following)
        before = sum(b - a for a, b in gaps if lefts[at] <= a and b <= start)
        share = (start - before - lefts[at]) / max(following - inner - lefts[at], 1)
        letters[at].insert(round(share * len(words[at].text)) + letters[at].count(" "), " ")
    return " ".join("".join("".join(each) for each in letters).split())


def right_to_left(words: list[Word]) -> str:
    """The words of a line that runs from right to left as they are said.

    Tesseract has that order but where Latin words stand between: then their places tell it, and Latin words beside each
    other run rightwards.
    """
    is_latin = [any(unicodedata.bidirectional(letter) == "L" for letter in word.text) for word in words]
    if not any(is_latin):
        return " ".join(word.text for word in words)
    said: list[str] = []
    start = 0
    for word, latin in sorted(zip(words, is_latin, strict=True), key=lambda each: -(each[0].left + each[0].right)):
        if latin:
            said.insert(start, word.text)
        else:
            said.append(word.text)
            start = len(said)
    return " ".join(said)
