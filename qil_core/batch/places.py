"""Folders of this machine and URLs alike: reading inputs, delivering results.

A URL is of any file system that fsspec knows (s3://, gs://, abfs://, memory://, ...). file:// is a path here.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import QilError
from ..files.atomic import atomic_path

MAX_INPUT_BYTES = 1 << 30
"""Bytes of a picture's file at the most (1 GiB): it is read as a whole before it is decoded."""

MIN_FREE_BYTES = 8 << 20
"""Bytes that must be free before work begins (8 MiB): a picture of 1 megapixel with 4 layers as PNGs and PowerPoint."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a write after which the next picture cannot be written either."""

CHANGES = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "updated", "mtime", "created")
"""What file systems of fsspec call the etag, hash or time by which a change is seen."""

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+(::.*)?://")
"""How a URL begins. One letter and a colon are a drive of Windows."""


def is_url(text: str) -> bool:
    """Whether a text names something of another file system than this machine's."""
    return bool(_URL.match(text)) and not text.startswith("file://")


def local_path(text: str) -> Path:
    """The path that a text which is no URL names; file:// is read as one."""
    if not text.startswith("file://"):
        return Path(text)
    return Path(url2pathname(unquote(urlsplit(text).path)))


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it. Raises QilError that says what to install."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise QilError(
            f"{url} cannot be opened: {error}. Install what that kind of URL needs (s3fs, gcsfs, ...)."
        ) from None
    return system, str(path)


@contextmanager
def opening(url: str, tried: str = "read") -> Iterator[None]:
    """Turn what file systems raise in the block into a QilError that names the URL and what was tried."""
    try:
        yield
    except QilError:
        raise
    except FileNotFoundError:
        raise QilError(f"There is no file {url}.") from None
    except OSError as error:
        raise QilError(f"{url} cannot be {tried}: {error.strerror or error}.") from error
    except Exception as error:  # each file system has a client of its own (botocore, ...) with errors of its own
        raise QilError(f"{url} cannot be {tried}: {type(error).__name__}: {error}.") from error


def read_bytes(source: str) -> bytes:
    """A whole input. Raises QilError: not there, not readable, larger than MAX_INPUT_BYTES."""
    with opening(source):
        if is_url(source):
            system, path = file_system(source)
            with system.open(path, "rb") as file:
                data = bytes(file.read(MAX_INPUT_BYTES + 1))
        else:
            with local_path(source).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    if len(data) > MAX_INPUT_BYTES:
        raise QilError(f"{source} is larger than the {MAX_INPUT_BYTES >> 20} MiB that are read of a picture.")
    return data


def state_of(source: str) -> str:
    """A text that changes when an input does: its size, and its time of change or etag. Raises QilError."""
    with opening(source):
        if is_url(source):
            system, path = file_system(source)
            return state_in(system.info(path))
        about = local_path(source).stat()
        return local_state(about)


def local_state(about: os.stat_result) -> str:
    """The same of what the system says about a file."""
    return f"{about.st_size}-{about.st_mtime_ns}"


def state_in(info: Mapping[str, Any]) -> str:
    """The same of what fsspec says about a file: file systems call the time and the etag differently."""
    known = (info[name] for name in CHANGES if info.get(name) is not None)
    return f"{info.get('size')}-{next(known, '')}"


Make = Callable[[Path], list[Path]]
"""Makes the results of a picture in a folder, and gives their paths, the report's last."""


class Output(Protocol):
    """Where results go."""

    def check(self) -> None:
        """QilError when nothing can be written there."""
        ...

    def deliver(self, folder: str, make: Make) -> tuple[str, ...]:
        """Have results made and put into a folder of the output; their paths below the output. Raises QilError."""
        ...

    def has(self, outputs: list[str]) -> bool:
        """Whether these results, paths below the output, are there."""
        ...

    def fetch(self, name: str, to: Path) -> None:
        """Bring a file here, where the output has it."""
        ...

    def put(self, name: str, file: Path) -> None:
        """Put a file into the output, under this name. Raises QilError."""
        ...


@dataclass(frozen=True)
class Folder:
    """An output folder of this machine, or of a network drive that all workers see under the same path."""

    root: Path

    def check(self) -> None:
        with atomic_path(self.root / ".qil-batch-can-write") as probe:
            probe.write_bytes(b"1")
        (self.root / ".qil-batch-can-write").unlink()
        free = shutil.disk_usage(self.root).free
        if free < MIN_FREE_BYTES:
            raise QilError(
                f"{self.root} has {free / 1e6:.1f} MB free, expected at least {MIN_FREE_BYTES / 1e6:.1f} MB for the "
                "results of one picture. Free some space on that disk, or choose another folder."
            )

    def deliver(self, folder: str, make: Make) -> tuple[str, ...]:
        return tuple(path.relative_to(self.root).as_posix() for path in make(self.root / folder))

    def has(self, outputs: list[str]) -> bool:
        return all((self.root / name).exists() for name in outputs)

    def fetch(self, name: str, to: Path) -> None:
        if (self.root / name).exists() and self.root / name != to:
            shutil.copyfile(self.root / name, to)

    def put(self, name: str, file: Path) -> None:
        with atomic_path(self.root / name) as path:
            shutil.copyfile(file, path)


@dataclass(frozen=True)
class Bucket:
    """An output below a URL. Results are made in a temporary folder of the worker's machine and then uploaded."""

    url: str

    def check(self) -> None:
        with tempfile.TemporaryDirectory(prefix="qil-") as there:
            probe = Path(there, "probe")
            probe.write_bytes(b"1")
            self.put(".qil-batch-can-write", probe)
            system, path = file_system(self.url)
            system.rm(f"{path.rstrip('/')}/.qil-batch-can-write")

    def deliver(self, folder: str, make: Make) -> tuple[str, ...]:
        with tempfile.TemporaryDirectory(prefix="qil-") as there:
            root = Path(there)
            made = make(root / folder)
            for path in made:  # the report last: where it is, all the others are
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    self.put(file.relative_to(root).as_posix(), file)
            return tuple(path.relative_to(root).as_posix() for path in made)

    def has(self, outputs: list[str]) -> bool:
        system, path = file_system(self.url)
        return bool(outputs) and bool(system.exists(f"{path.rstrip('/')}/{outputs[-1]}"))

    def fetch(self, name: str, to: Path) -> None:
        system, path = file_system(self.url)
        source = f"{path.rstrip('/')}/{name}"
        with opening(f"{self.url}/{name}"):
            if system.exists(source):
                system.get_file(source, os.fspath(to))

    def put(self, name: str, file: Path) -> None:
        system, path = file_system(self.url)
        target = f"{path.rstrip('/')}/{name}"
        with opening(f"{self.url}/{name}", "written"):
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
            system.put_file(os.fspath(file), target)


def output_at(text: str) -> Output:
    """The output that a path or URL names."""
    return Bucket(text.rstrip("/")) if is_url(text) else Folder(local_path(text).absolute())


def concerns_all(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is of the disk as a whole: the next picture would meet it too."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__
    return False
