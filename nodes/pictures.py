"""The pictures that the saved workflows open: in ComfyUI's input folder before anybody opens one of them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from ..qil_core.errors import QilError
from ..qil_core.files.atomic import atomic_path
from . import host

SHIPPED = Path(__file__).parent.parent / "workflows" / "pictures"


def put_examples() -> None:
    """Copies each picture to the input folder unless a file of its name is there.

    Where that cannot be done, as in a folder that may only be read, ComfyUI's log says so; the nodes do not need them.
    """
    folder = host.input_folder()
    for picture in sorted(SHIPPED.iterdir()):
        if (folder / picture.name).exists():
            continue
        try:
            with atomic_path(folder / picture.name) as temporary:
                shutil.copyfile(picture, temporary)
        except QilError as error:
            logging.warning("Qwen Layers: an example picture of the workflows is missing. %s", error)
