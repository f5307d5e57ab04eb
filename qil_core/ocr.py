"""Reading the words of a picture with RapidOCR, where the optional extra `text` is installed.

1. `reader`: the one reader of this process, made when it is first asked for; None where the extra is missing.
2. `Reader.find`: boxes around lines of text (PaddleOCR's detector: Liao et al., "Real-time scene text detection with
   differentiable binarization", 2020).
3. `Reader.read`: the words in one such box, and how sure the reader is.

The models lie in RapidOCR's wheel and are named to it by their paths, so nothing is ever downloaded. ONNX Runtime gets
as many threads as torch uses here, MAX_THREADS at the most, so that it takes no cores that were given to others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .parallel import worker_count

Picture = NDArray[np.uint8]
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

UPRIGHT_ASPECT = 1.5
"""A box that is so many times as high as wide holds a line that runs downwards; it is turned to be read."""

INSTALL = (
    "run install.py --text, which lies in this package's folder, with the Python that runs this, "
    "or: python -m pip install rapidocr onnxruntime"
)
"""What installs the extra; install.py leaves OpenCV as it is."""


class Words(NamedTuple):
    """What was read in a box. score: 0..1, how sure the reader is."""

    text: str
    score: float


class Reader:
    """Finds and reads lines. label: what reads, for people ("rapidocr 3.10.0"). May be used by several threads."""

    def __init__(self, engine: Callable[..., Any], label: str) -> None:
        self.label = label
        self._engine = engine
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
        return self._words(straightened(picture, corners))

    def read_whole(self, picture: Picture, corners: Corners) -> Words:
        """The same, of a line of any length all of them."""
        return self._words(straightened(picture, corners, MAX_WHOLE_ASPECT))

    def _words(self, line: Picture) -> Words:
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
            _reader = Reader(_engine(), f"rapidocr {metadata.version('rapidocr')}")
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


def straightened(picture: Picture, corners: Corners, most: float = MAX_READ_ASPECT) -> Picture:
    """A box of a picture as an upright line READ_HEIGHT_PX high: its beginning, where it has more heights than most."""
    import cv2

    width, height = _size(corners)
    if height > UPRIGHT_ASPECT * width:
        corners, width, height = np.roll(corners, -1, axis=0), height, width
    aspect = width / max(height, 1)
    right, foot = aspect * READ_HEIGHT_PX, READ_HEIGHT_PX
    target = np.array([[0, 0], [right, 0], [right, foot], [0, foot]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    size = (max(1, round(min(aspect, most) * READ_HEIGHT_PX)), READ_HEIGHT_PX)
    line = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(line, np.uint8)


def _size(corners: Corners) -> tuple[float, float]:
    """Width and height of a box in pixels, its longer sides."""
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))
