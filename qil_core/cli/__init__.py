"""The `qil` command. Each file here is one of its commands, or a few that belong together."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import QilError
from . import batch, decompose, layers, run

COMMANDS = (decompose, batch, run, layers)
"""In the order in which help lists them."""

STOPPED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the signal's number, 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; errors that a user can mend go to stderr as one line, with exit status 1."""
    _print_anything()
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except QilError as error:
        print(f"qil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("qil: stopped", file=sys.stderr)
        return STOPPED
    return 0


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
