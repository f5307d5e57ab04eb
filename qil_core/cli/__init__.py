"""The `qil` command. Each file here is one of its commands, or a few that belong together."""

from __future__ import annotations

import argparse
import io
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

from .. import __version__
from ..error_codes import told
from ..errors import QilError
from . import batch, decompose, layers, run

COMMANDS = (decompose, batch, run, layers)
"""In the order in which help lists them."""

STOPPED, CUT_OFF = 130, 141
"""Exit status after Ctrl-C, and when nobody reads on (`qil info F | head`), as shells have it: 128 and the signal's
number, 2 or 13."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; errors that a user can mend go to stderr as one line, with exit status 1."""
    _print_anything()
    try:
        _run(arguments)
    except BrokenPipeError:
        if not _let_go():
            raise
        return CUT_OFF
    except QilError as error:
        print(f"qil: {told(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("qil: stopped", file=sys.stderr)
        return STOPPED
    return 0


def _run(arguments: Sequence[str] | None) -> None:
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    finally:
        sys.stdout.flush()  # here, where an error is caught, and not when Python ends; help ends with SystemExit


def _let_go() -> bool:
    """Whether a reader of what is printed has gone; then the rest goes nowhere, so that nothing complains at the end.

    A pipe to another program can break too: that is an error like all others.
    """
    gone = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for stream in gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return bool(gone)


def _is_unread(stream: TextIO) -> bool:
    """Whether what is printed there goes into a pipe that nobody reads any more."""
    try:
        number = stream.fileno()
        pipe = select.poll()  # not on Windows, where such a pipe raises another error
    except (AttributeError, OSError, ValueError):  # the last two: no file, as in tests
        return False
    pipe.register(number, 0)
    return any(what & (select.POLLERR | select.POLLHUP) for _, what in pipe.poll(0))


def _print_anything() -> None:
    """File names hold what no encoding can show, half a surrogate pair or bytes of another one: print its escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qil", description="Takes pictures apart into RGBA layers.")
    parser.add_argument("--version", action="version", version=f"qil {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for each in COMMANDS:
        each.add(commands)
    return parser
