"""A ComfyUI server of its own for the tests: temporary base folder, this package linked in, nothing downloaded."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from finder import REPO, Checkout

PACK = "layered-nodes-under-test"
"""Name of the folder in custom_nodes: no Python identifier, so only relative imports can work."""

STAND_IN = Path(__file__).parent / "standin"
NEEDED = ("cv2", "pptx", "psd_tools", "PIL", "numpy", "torch", "httpx", "threadpoolctl")
START_LIMIT = 120.0
_open = build_opener(ProxyHandler({})).open


class ServerError(Exception):
    """The server did not start, or its Python cannot run this package."""


@dataclass(frozen=True)
class Server:
    """A running ComfyUI: its address, base folder and log file."""

    address: str
    base: Path
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def check_requirements(checkout: Checkout) -> None:
    """ServerError that names the modules ComfyUI's Python lacks."""
    code = f"import importlib.util as u; print(*[m for m in {NEEDED} if not u.find_spec(m)])"
    done = subprocess.run([checkout.python, "-c", code], capture_output=True, text=True)
    missing = done.stdout.strip() or done.stderr.strip()
    if missing:
        raise ServerError(
            f"ComfyUI's Python ({checkout.python}) lacks: {missing}. "
            f"Install this package's requirements there: {checkout.python} -m pip install -r {REPO}/requirements.txt"
        )


def make_base(base: Path) -> None:
    """A base folder with this package under an odd name and the stand-in for the sampler."""
    for name in ("input", "output", "custom_nodes"):
        (base / name).mkdir(parents=True)
    (base / "custom_nodes" / PACK).symlink_to(REPO, target_is_directory=True)
    (base / "custom_nodes" / "stand_in").symlink_to(STAND_IN, target_is_directory=True)


@contextmanager
def running(checkout: Checkout, base: Path) -> Iterator[Server]:
    """A server on a free port of 127.0.0.1 for as long as the block runs."""
    check_requirements(checkout)
    make_base(base)
    server = Server(f"127.0.0.1:{free_port()}", base, base / "server.log")
    with server.log.open("wb") as log:
        process = subprocess.Popen(_command(checkout, server), cwd=checkout.folder, stdout=log, stderr=log)
        try:
            _wait(server, process)
            yield server
        finally:
            _stop(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(checkout: Checkout, server: Server) -> list[str]:
    host, port = server.address.split(":")
    options = ["--cpu", "--disable-api-nodes", "--disable-auto-launch", "--database-url", "sqlite:///:memory:"]
    where = ["--base-directory", str(server.base), "--listen", host, "--port", port]
    return [str(checkout.python), "main.py", *options, *where]


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_LIMIT
    while process.poll() is None and time.monotonic() < end:
        try:
            with _open(f"{server.url}/system_stats", timeout=5) as answer:
                json.load(answer)
            return
        except (URLError, OSError):
            time.sleep(0.25)
    raise ServerError(f"ComfyUI did not start in {START_LIMIT:.0f} s. Its log ends:\n{server.log_tail()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
