"""What every node needs of ComfyUI: progress, previews, interrupt, folders, saving (memory.py and native.py aside)."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy.cli_args import LatentPreviewMethod, args
from comfy_api.latest import io, ui
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from PIL import Image

from ..qil_core.errors import QilError
from ..qil_core.files.atomic import atomic_path
from ..qil_core.files.png import encode
from ..qil_core.progress import Progress, side_by_side
from ..qil_core.stack import to_bytes
from ..qil_core.text import quoted

TICKS = 1000
WEIGHTS = (".safetensors", ".sft", ".gguf")
NOTHING = "(nothing in"
MAX_NAME = 255
"""Bytes of a name in a path: what the file systems of Linux, macOS and Windows take."""
NUMBER_ROOM = 40
"""Bytes that are kept free behind a prefix: its number, its ending, and what marks a file that is being written."""


def progress() -> Progress:
    """Moves the node's progress bar, and stops the work when the user interrupts (by ComfyUI's own exception)."""
    bar = comfy.utils.ProgressBar(TICKS)

    def report(fraction: float, what: str) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(round(fraction * TICKS), TICKS)

    return report


def preview(make: Callable[[], torch.Tensor]) -> None:
    """A Preview on the node that runs; its bar stays where it is. Nothing is made when previews are off, as they are
    in ComfyUI until they are chosen in its settings or by --preview-method.
    """
    context = get_executing_context()
    if context is None or args.preview_method == LatentPreviewMethod.NoPreviews:
        return
    picture = Image.fromarray(to_bytes(side_by_side(make())).numpy())
    done = get_progress_state().ensure_entry(context.node_id)
    bar = comfy.utils.ProgressBar(done["max"])
    bar.update_absolute(done["value"], done["max"], ("JPEG", picture, args.preview_size))


def say(text: str) -> None:
    """Show a text on the node that runs; it stays there until the next run."""
    from server import PromptServer  # ComfyUI's, which has every model's code imported

    context, server = get_executing_context(), getattr(PromptServer, "instance", None)  # none: ComfyUI as a library
    if context is not None and server is not None:
        server.send_progress_text(text, context.node_id)


Read = Callable[[int], Awaitable[bytes]]
"""Reads the body of a request, up to so many bytes. Raises QilError for a longer one."""

Answer = Callable[[Read], Awaitable[tuple[int, Any]]]
"""Answers a request: the status, and what is sent as JSON."""


def add_route(path: str, answer: Answer) -> None:
    """Adds a route for POST to ComfyUI's server; nothing where ComfyUI is used as a library.

    Only JSON is taken: a page of another site cannot send that without being asked for permission.
    """
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is None:
        return
    from aiohttp import web  # ComfyUI's own server is made with it

    async def handle(request: web.Request) -> web.Response:
        async def read(limit: int) -> bytes:
            data = bytearray()
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > limit:
                    raise QilError(f"The request is larger than {limit} bytes, which are the most that are read.")
            return bytes(data)

        if request.content_type != "application/json":
            return web.json_response({"error": "Expected JSON."}, status=415)
        status, found = await answer(read)
        return web.json_response(found, status=status)

    server.routes.post(path)(handle)


def check_prefix(prefix: str) -> None:
    """QilError unless a prefix names a visible file in the output folder, or in a sub-folder of it."""
    name = prefix.replace("\\", "/").rpartition("/")[2].strip()
    if not name or not prefix.isprintable():
        raise QilError(f"The prefix {quoted(prefix)} holds no file name. Write one such as layers/deck.")
    if name.startswith("."):
        raise QilError(f"The prefix {quoted(prefix)} names a hidden file. Write one such as layers/deck.")
    check_path("The prefix", prefix, MAX_NAME - NUMBER_ROOM)
    output = Path(folder_paths.get_output_directory()).resolve()
    if not (output / prefix).resolve().is_relative_to(output):
        raise QilError(f"The prefix {quoted(prefix)} leaves ComfyUI's output folder. Use a name or a sub-folder of it.")


def check_path(what: str, path: str, longest: int = MAX_NAME) -> None:
    """QilError unless the file system takes the names in a path; nothing is looked for. longest: bytes of a name."""
    if "\0" in path:
        raise QilError(f"{what} {quoted(path)} holds a NUL character, which no path can: write it anew.")
    length = max(len(part.encode(errors="replace")) for part in re.split(r"[/\\]", path))
    if length > longest:
        raise QilError(f"{what} {quoted(path)} holds a name of {length} bytes, at most {longest} are possible.")


def output_path(prefix: str, suffix: str, width: int, height: int) -> tuple[Path, dict[str, Any]]:
    """A new file in the output folder, numbered as ComfyUI does, and what the front end needs to offer it.

    Raises QilError for a prefix that `check_prefix` refuses.
    """
    check_prefix(prefix)
    output = folder_paths.get_output_directory()
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    except OSError as error:  # a file where a folder is needed, no permission, too long as a whole
        raise QilError(f"The prefix {quoted(prefix)} cannot be used ({error.strerror}). Choose another one.") from error
    file = f"{name}_{counter:05}_{suffix}"
    return Path(folder) / file, ui.SavedResult(file, subfolder, io.FolderType.output)


def temp_picture(subfolder: str, picture: torch.Tensor) -> dict[str, Any]:
    """A picture (H, W, 3|4) in [0, 1] as a PNG in ComfyUI's temp folder, and what /view needs to serve it.

    It is named by its content: the same picture is written once.
    """
    data = encode(picture)
    name = f"{hashlib.blake2b(data, digest_size=16).hexdigest()}.png"
    path = Path(folder_paths.get_temp_directory()) / subfolder / name
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    return ui.SavedResult(name, subfolder, io.FolderType.temp)


def is_there(picture: dict[str, Any] | None) -> bool:
    """Whether a picture of `temp_picture` has not been deleted since; True for none."""
    if picture is None:
        return True
    return (Path(folder_paths.get_temp_directory()) / picture["subfolder"] / picture["filename"]).is_file()


def input_folder() -> Path:
    """Where ComfyUI looks for the files that a graph opens."""
    return Path(folder_paths.get_input_directory())


def input_files(suffixes: tuple[str, ...]) -> list[str]:
    """Files of the input folder and its sub-folders by their endings, sorted; one entry that says so without any."""
    folder = input_folder()
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found) or [f"{NOTHING} input)"]


def input_path(name: str) -> Path:
    """A file or folder of the input folder, or as "x [output]" of another; QilError when it is not there."""
    check_path("The file", name)
    text, other = folder_paths.annotated_filepath(name.strip())
    folder = Path(other or input_folder()).resolve()
    path = folder / text
    if not text or not path.resolve().is_relative_to(folder):
        raise QilError(f"{quoted(name)} leaves ComfyUI's folder {folder.name}: upload the file with the node's button.")
    if not path.exists():
        raise QilError(
            f"There is no {quoted(text)} in ComfyUI's folder {folder.name}: upload it with the node's button."
        )
    return path


def device() -> torch.device:
    """The device that ComfyUI computes on."""
    return comfy.model_management.get_torch_device()


class NotThere(QilError):
    """A file or folder that a model needs is missing."""


def model_files(kind: str) -> list[str]:
    """Weights in a models folder such as "vae", GGUF too; one entry that says so where there are none."""
    found = {
        path.relative_to(folder).as_posix()
        for folder in map(Path, folder_paths.get_folder_paths(kind))
        for path in folder.rglob("*")
        if path.suffix.lower() in WEIGHTS
    }
    return sorted(found) or [f"{NOTHING} models/{kind})"]


def model_file(kind: str, name: str) -> Path:
    """The path of a file of `model_files`. Raises NotThere."""
    paths = [Path(folder) / name for folder in folder_paths.get_folder_paths(kind)]
    if name in model_files(kind):  # so that no name leads out of the folder, while links in it may
        for path in paths:
            if path.is_file():
                return path
    raise NotThere(f"There is no {quoted(name)} in models/{kind}.")


def model_folder(name: str, repository: str) -> Path:
    """A diffusers folder: a path, or a name in models/diffusers; the last part of `repository` alone names it too, as
    downloads are in a folder of their owner's. Raises NotThere.
    """
    names = [name, repository] if repository.endswith(f"/{name}") else [name]
    places = [Path(folder) / each for folder in folder_paths.get_folder_paths("diffusers") for each in names]
    for path in [Path(os.path.expanduser(name)), *places]:
        if os.path.isdir(path / "transformer"):  # False for texts that are no path, such as one with a NUL in it
            return path
    looked = ", ".join(str(place) for place in places)
    raise NotThere(f'There is no diffusers folder "{name}" (looked for {looked}).')


def downloads_folder() -> Path:
    """Where models are downloaded to: models/diffusers."""
    return Path(folder_paths.get_folder_paths("diffusers")[0])


def tokenizer_folder() -> Path:
    """Qwen2.5's tokenizer, as ComfyUI ships it."""
    import comfy.text_encoders

    folder = Path(next(iter(comfy.text_encoders.__path__))) / "qwen25_tokenizer"
    if not folder.is_dir():
        raise QilError("This ComfyUI has no Qwen2.5 tokenizer: update ComfyUI, or use a diffusers folder.")
    return folder
