"""Without OpenCV the work does not begin, and the message says what to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

import pytest
import torch

from qil_core.decompose.run import decompose
from qil_core.edit import EditRequest
from qil_core.edit.run import edit_layer
from qil_core.errors import QilError
from qil_core.opencv import check_opencv
from qil_core.request import Request
from qil_core.restore import restore
from qil_core.stack import LayerStack

STACK = LayerStack.from_image(torch.ones(1, 8, 8, 4))


class Never:
    """A decomposer and an editor that must not be asked."""

    label = "never"
    keeps_alpha = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


DOORS: dict[str, Callable[[], Any]] = {
    "decompose": lambda: decompose(Never(), torch.ones(8, 8, 3), Request(layers=2)),
    "restore": lambda: restore(STACK, torch.ones(16, 16, 4)),
    "edit": lambda: edit_layer(Never(), STACK, 0, EditRequest("red")),
}


class Broken(MetaPathFinder):
    """cv2 is there, but a library that it needs is not."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file", name="cv2")


@pytest.fixture
def without_cv2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)


@pytest.mark.usefixtures("without_cv2")
@pytest.mark.parametrize("door", DOORS)
def test_without_opencv_the_message_says_what_to_install(door: str) -> None:
    with pytest.raises(QilError, match=r"OpenCV is missing\. Run install\.py.*pip install opencv-python-headless"):
        DOORS[door]()


def test_an_opencv_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(QilError, match=r"installed but cannot be loaded \(libGL\.so\.1.*in place of opencv-python"):
        check_opencv()
