"""OpenCV is asked for before work begins: any of its four distributions will do, so requirements.txt names none."""

from __future__ import annotations

from .errors import QilError


def check_opencv() -> None:
    """Raises QilError that says what to install when cv2 is missing or cannot be loaded."""
    try:
        import cv2  # noqa: F401 - any of its distributions will do
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise
        raise QilError(
            "OpenCV is missing. Run install.py, which lies in this package's folder, with the Python that runs "
            "ComfyUI, or: python -m pip install opencv-python-headless"
        ) from error
    except ImportError as error:
        raise QilError(
            f"OpenCV is installed but cannot be loaded ({error}). On a machine without a screen, use "
            "opencv-python-headless in place of opencv-python: it needs no graphics libraries."
        ) from error
