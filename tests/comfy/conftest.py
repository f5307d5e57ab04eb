"""A real ComfyUI for the tests of this folder. Where there is none they are skipped, and say so loudly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from unittest import mock

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests: pytest leaves sys.path alone

from comfy_browser import front_end, missing
from comfy_client import Client
from comfy_pictures import put_pictures
from comfy_server import Server, ServerError, running
from finder import PLACES, Checkout, find_checkout
from studio_server import KEY, Studio
from studio_server import running as running_studio

if TYPE_CHECKING:
    from playwright.sync_api import Page

SKIPPED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SKIPPED] = []


@pytest.fixture(scope="session")
def skip_loudly(pytestconfig: pytest.Config) -> Callable[[str], NoReturn]:
    """Skips, and repeats the reason in red at the very end."""

    def skip(reason: str) -> NoReturn:
        notices = pytestconfig.stash[SKIPPED]
        notices.extend([] if reason in notices else [reason])
        pytest.skip(reason)

    return skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """The outermost wrapper: its lines come after all others."""
    yield
    for reason in config.stash[SKIPPED]:
        terminalreporter.write_line(f"!!! {reason}", red=True, bold=True)


@pytest.fixture(scope="session")
def checkout(skip_loudly: Callable[[str], NoReturn]) -> Checkout:
    return find_checkout() or skip_loudly(f"ComfyUI tests SKIPPED: no checkout in {PLACES}")


@pytest.fixture(scope="session")
def session_studio() -> Iterator[Studio]:
    """A Model Studio on this machine: the one address besides Alibaba's to which ComfyUI may send the key."""
    with running_studio() as started:
        yield started


@pytest.fixture(scope="session")
def server(checkout: Checkout, session_studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfy") / "base"
    own = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_HTTP_BASE_URL": f"{session_studio.url}/api/v1"}
    try:
        with mock.patch.dict(os.environ, own), running(checkout, base) as started:
            put_pictures(base / "input")
            yield started
    except ServerError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    return Client(server.address)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the server's log."""
    report = yield
    started = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(started, Server):
        report.sections.append(("end of ComfyUI's log", started.log_tail()))
    return report


@pytest.fixture(scope="session")
def with_diffusers(checkout: Checkout, skip_loudly: Callable[[str], NoReturn]) -> None:
    """Skips where the tests' or ComfyUI's Python cannot read a diffusers folder."""
    pytest.importorskip("diffusers")
    if subprocess.run([checkout.python, "-c", "import diffusers, accelerate"], capture_output=True).returncode:
        skip_loudly("model tests in ComfyUI SKIPPED: its Python has no diffusers and accelerate (requirements.txt)")


@pytest.fixture(scope="module")
def page(skip_loudly: Callable[[str], NoReturn], server: Server) -> Iterator[Page]:
    """ComfyUI's own front end in Chromium."""
    if lack := missing():
        skip_loudly(f"ComfyUI browser tests SKIPPED: {lack}")
    with front_end(server) as opened:
        yield opened
