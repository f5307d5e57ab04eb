"""Qwen-Image-Edit on this machine behind the Editor protocol."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..edit_request import EditRequest
from ..errors import QilError
from ..model.editing import EditModel, native_size
from ..model.runtime import report_lines
from ..progress import Preview, Progress, unseen
from . import Edited


class LocalEditor:
    """An edition of Qwen-Image-Edit on one device."""

    def __init__(self, model: EditModel, preview: Preview = unseen) -> None:
        """preview: is shown the picture while it forms."""
        self.model = model
        self.label: str = model.parts.model.label
        self.preview = preview

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels in which a picture of width x height comes back."""
        return native_size(width, height)

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        """request.variants pictures made of 1..3 pictures (1 for the base model); the first one is edited.

        Raises QilError, also for addresses of pictures: nothing is fetched for a model on this machine.
        """
        request.check()
        if request.picture_urls:
            raise QilError(
                "Addresses of pictures are for Model Studio, which reads them itself. For a model on this machine load "
                "the picture and link it to reference_2 or reference_3."
            )
        edited, run = self.model.edit(pictures, request, progress, self.preview)
        pictures = tuple(picture.clone() for picture in edited)  # made without autograd, which limits what one may do
        return Edited(pictures, tuple(report_lines(run)))
