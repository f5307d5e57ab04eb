"""Reading the words of a picture with RapidOCR, where the optional extra `text` is installed.

1. `reader`: the one reader of this process, made when it is first asked for; None where the extra is missing.
2. `Reader.find`: boxes around lines of text (PaddleOCR's detector: Liao et al., "Real-time scene text detection with
   differentiable binarization", 2020).
3. `Reader.read`: the words in one such box, and how sure the reader is.
4. `Reader.read_all`: all words of many lines. RapidOCR's model knows Latin, Greek, Chinese and Japanese letters; lines
   that it is not sure of are read once more by Tesseract, where that is installed (`ocr_tesseract`).

The models lie in RapidOCR's wheel and are named to it by their paths, so nothing is ever downloaded. ONNX Runtime gets
as many threads as torch uses here, MAX_THREADS at the most, so that it takes no cores that were given to others.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ocr_tesseract
from .ocr_tesseract import Picture as Picture
from .ocr_tesseract import Tesseract
from .ocr_tesseract import Words as Words
from .parallel import worker_count

Corners = NDArray[np.float32]

MAX_THREADS = 4
"""Threads of ONNX Runtime at the most: the detector gains little from more (its layers are small)."""

MAX_SIDE_PX = 1024
"""Longest side of a picture whose lines are looked for; of larger ones the detector sees a smaller copy. Lines from
8 px on are found at this size, and the time of the search grows with the picture's area."""

MIN_SIDE_PX = 16
"""Shorter side of the smallest picture in which lines are looked for."""

READ_HEIGHT_PX = 48
"""Height of a line as the recogniser reads it (the height that it was trained with)."""

MAX_READ_ASPECT = 12
"""Of a longer line only so many heights are read, about thirty letters: its name needs no more."""

MAX_WHOLE_ASPECT = 80
"""Heights of the longest line of which every word is read: about two hundred letters."""

MIN_SCORE = 0.8
"""How sure the reader must be of a line: below, ornaments and faces are read as letters."""

MARGIN_PX = 24
"""Clear space that is put around a layer before lines are looked for: the reader misses them at a picture's edge."""

MIN_SURE = 0.96
"""Score below which a line is read once more: Hebrew that was taken for Latin letters had up to 0.95."""

MAX_LENGTH_PER_EM = 1.15
"""Length of a line in its heights, for each em of what was read, above which letters are missing: the recogniser leaves
out those that it does not know. Of 150 lines read right all have 0.6 to 1.08, with letters left out 1.2 to 7."""

MAX_READ_AGAIN = 200
"""Lines of a picture that are read once more at the most."""

UPRIGHT_ASPECT = 1.5
"""A box that is so many times as high as wide holds a line that runs downwards; it is turned to be read."""

INSTALL = (
    "run install.py --text, which lies in this package's folder, with the Python that runs this, "
    "or: python -m pip install rapidocr onnxruntime"
)
"""What installs the extra; install.py leaves OpenCV as it is."""


class Reader:
    """Finds and reads lines. label: what reads, for people ("rapidocr 3.10.0"). May be used by several threads.

    second: reads the lines again that the engine is not sure of.
    """

    def __init__(self, engine: Callable[..., Any], label: str, second: Tesseract | None = None) -> None:
        self.label = label
        self._engine = engine
        self._second = second
        self._lock = threading.Lock()

    def find(self, picture: Picture) -> list[Corners]:
        """Boxes (4, 2) around the lines of a picture (h, w, 3): x and y of their corners, clockwise."""
        if min(picture.shape[:2]) < MIN_SIDE_PX:
            return []
        with self._lock:
            found = self._engine(_bgr(picture), use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, np.float32) for box in found.boxes]

    def read(self, picture: Picture, corners: Corners) -> Words:
        """The words in a box (4, 2) of a picture (h, w, 3)."""
        return self.read_line(straightened(picture, corners))

    def read_all(self, picture: Picture, boxes: Sequence[Corners]) -> list[Words]:
        """All the words in each of many boxes (4, 2). QilError: Tesseract is installed and fails."""
        found = [self.read_line(straightened(picture, box, MAX_WHOLE_ASPECT)) for box in boxes]
        doubtful = [at for at, box in enumerate(boxes) if _is_doubtful(found[at], box)][:MAX_READ_AGAIN]
        if self._second is None or not doubtful:
            return found
        height = ocr_tesseract.LINE_HEIGHT_PX
        lines = [straightened(picture, boxes[at], MAX_WHOLE_ASPECT, height) for at in doubtful]
        for at, words in zip(doubtful, self._second.read(lines), strict=True):
            found[at] = words if words.score >= ocr_tesseract.SURE else found[at]
        return found

    @property
    def lacks(self) -> str:
        """What would have to be installed for more scripts to be read; "" where nothing is missing."""
        has = self._second.languages if self._second else ()
        absent = [script.title() for name, script in ocr_tesseract.LANGUAGES.items() if name not in has]
        return f"lines in {', '.join(absent)} are not read: {ocr_tesseract.INSTALL}" if absent else ""

    def read_line(self, line: Picture) -> Words:
        """The words in an upright line (READ_HEIGHT_PX, w, 3), by the first engine alone."""
        with self._lock:
            found = self._engine(_bgr(line), use_det=False, use_cls=False, use_rec=True)
        return Words(found.txts[0], float(found.scores[0])) if found.txts else Words("", 0.0)


_lock = threading.Lock()
_reader: Reader | None = None


def reader() -> Reader | None:
    """The reader of this process; None where `missing` says why there is none."""
    global _reader
    with _lock:
        if _reader is None and not missing():
            label = f"rapidocr {metadata.version('rapidocr')}"
            _reader = Reader(_engine(), label, ocr_tesseract.tesseract())
        return _reader


def missing() -> str:
    """What the extra lacks: a package, or the models of its wheel; "" where it is complete."""
    absent = [name for name in ("rapidocr", "onnxruntime") if util.find_spec(name) is None]
    if absent:
        return " and ".join(absent)
    return "" if all(_models().values()) else "the models of rapidocr's wheel"


def _models() -> dict[str, Path | None]:
    """The detector's and the recogniser's file in RapidOCR's wheel; None for one that is not there."""
    spec = util.find_spec("rapidocr")
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else Path()
    return {kind: next(iter(sorted(folder.glob(f"*_{kind}_*.onnx"))), None) for kind in ("det", "rec")}


def _engine() -> Callable[..., Any]:
    from rapidocr import RapidOCR

    models = _models()
    return RapidOCR(
        params={
            "Global.log_level": "error",
            "Global.text_score": 0.0,
            "Det.model_path": str(models["det"]),
            "Det.limit_type": "max",
            "Det.limit_side_len": MAX_SIDE_PX,
            "Rec.model_path": str(models["rec"]),
            "EngineConfig.onnxruntime.intra_op_num_threads": min(worker_count(), MAX_THREADS),
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _bgr(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[..., ::-1])


def _is_doubtful(words: Words, corners: Corners) -> bool:
    """Whether a line may say something else than what was read in it: the score is low, or letters are missing."""
    text = words.text.strip()
    ems = sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.5 for letter in text)
    long, high = sorted(_size(corners), reverse=True)
    return words.score < MIN_SURE or long > MAX_LENGTH_PER_EM * ems * high


def straightened(
    picture: Picture, corners: Corners, most: float = MAX_READ_ASPECT, line_height: int = READ_HEIGHT_PX
) -> Picture:
    """A box of a picture as an upright line of one height: its beginning, where it has more heights than most."""
    import cv2

    width, height = _size(corners)
    if height > UPRIGHT_ASPECT * width:
        corners, width, height = np.roll(corners, -1, axis=0), height, width
    aspect = width / max(height, 1)
    right, foot = aspect * line_height, line_height
    target = np.array([[0, 0], [right, 0], [right, foot], [0, foot]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    size = (max(1, round(min(aspect, most) * line_height)), line_height)
    line = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(line, np.uint8)


def _size(corners: Corners) -> tuple[float, float]:
    """Width and height of a box in pixels, its longer sides."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))
