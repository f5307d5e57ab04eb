"""`qil run` against real servers: files come back, jobs survive a server, and nothing runs twice."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import numpy as np
import pytest
from comfy_client import Client
from comfy_graphs import NODES, node, with_example, workflow
from comfy_pictures import over, read, shapes, slides
from comfy_server import PACK, Server, _command, _stop, _wait, check_requirements, free_port, make_base
from finder import REPO, Checkout
from run_shell import QUICK, Shell

from qil_core.files import loading
from qil_core.remote import preflight, web
from qil_core.remote.pool import SLOTS
from qil_core.remote.prompt import Prompt
from qil_core.remote.server import Server as Remote

DECOMPOSE = REPO / "workflows" / "api" / "decompose_to_pptx.json"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    return lambda: capsys.readouterr().err


def pictures(folder: Path, count: int, green: int) -> Path:
    """A folder of pictures that all differ; those of another green differ from them, too."""
    folder.mkdir()
    for i in range(count):
        shapes(paper=(250 - i, green, 235)).convert("RGB").save(folder / f"p{i:02}.png")
    return folder


def executed(server: Server) -> Counter[str]:
    """How often each picture was decomposed on a server, by the server's own history."""
    history = Client(server.address).get_json("/history")
    graphs = (entry["prompt"][2] for entry in history.values())
    return Counter(graph["1"]["inputs"]["image"] for graph in graphs if "image" in graph.get("1", {}).get("inputs", {}))


@contextmanager
def another(checkout: Checkout, base: Path, *flags: str) -> Iterator[tuple[Server, subprocess.Popen[bytes]]]:
    """A server of its own that a test may kill. flags: of ComfyUI, besides those of every test server."""
    check_requirements(checkout)
    make_base(base)
    server = Server(f"127.0.0.1:{free_port()}", base, base / "server.log")
    with server.log.open("wb") as log, mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1"}):
        process = subprocess.Popen([*_command(checkout, server), *flags], cwd=checkout.folder, stdout=log, stderr=log)
        try:
            _wait(server, process)
            yield server, process
        finally:
            _stop(process)


def test_a_deck_and_a_psd_come_back_and_previews_do_not(shell: Shell, server: Server) -> None:
    graph = with_example(workflow("decompose_to_pptx"))
    graph["7"] = node("ExportLayers", layers=["3", 0], names=["3", 1], filename_prefix="run/file", format="PNG files")
    shell.write(graph)
    picture = shell.folder / "my picture.png"
    shapes(paper=(10, 240, 200)).convert("RGB").save(picture)
    values = ("--set", f"Your picture.image={picture}", "--set", "3.layers=4", "--set", "7.format=PSD")
    assert shell.run("--server", server.url, *values) == 0
    (row,) = shell.rows()
    files = {Path(file["path"]).suffix: shell.out / file["path"] for file in row["outputs"]}
    assert set(files) == {".pptx", ".psd"}
    (slide,) = slides(files[".pptx"].read_bytes())
    assert len(slide.names) == 4
    assert np.abs(over(slide.layers)[..., :3] - read(picture)).max() <= 1
    assert loading.load([files[".psd"]]).stack.names == tuple(slide.names)
    (uploaded,) = [path for path in (server.base / "input").iterdir() if path.name.startswith("qil-my-picture-")]
    assert uploaded.read_bytes() == picture.read_bytes()
    assert row["versions"]["comfyui"]
    assert row["seeds"] == {"3.seed": 0}


def test_a_second_run_does_only_what_is_new(shell: Shell, server: Server, client: Client) -> None:
    folder = pictures(shell.folder / "photos", 3, 246)
    arguments = ("--server", server.url, "--each", f"Your picture.image={folder}")
    assert shell.run(*arguments, workflow=DECOMPOSE) == 0
    before = len(client.get_json("/history"))
    shapes(paper=(1, 2, 3)).convert("RGB").save(folder / "new.png")
    (shell.out / shell.rows()[0]["outputs"][0]["path"]).unlink()
    assert shell.run(*arguments, workflow=DECOMPOSE) == 0
    assert len(client.get_json("/history")) == before + 2
    assert sorted(row["name"] for row in shell.rows()[3:]) == sorted([shell.rows()[0]["name"], "new"])


def test_comfyui_takes_an_id_of_ours_and_a_lost_answer_runs_nothing_twice(server: Server, client: Client) -> None:
    remote = Remote(server.url, threading.Event(), patience=QUICK)
    remote.events.start()
    sent: list[str] = []
    once = remote.web.once

    def losing(method: str, path: str, *more: Any, **named: Any) -> web.Answer | web.Lost:
        answer = once(method, path, *more, **named)
        sent.append(path)
        return web.Lost("the answer is lost", sent=True) if path == "/prompt" else answer

    graph = {"text": node("PrimitiveString", value=uuid4().hex), "see": node("PreviewAny", source=["text", 0])}
    prompt_id = str(uuid4())
    try:
        with mock.patch.object(remote.web, "once", losing):
            entry = Prompt(remote, prompt_id, graph, 60).run()
    finally:
        remote.close()
    assert sent.count("/prompt") == 1
    assert entry["outputs"]["see"]["text"] == [graph["text"]["inputs"]["value"]]
    runs = [each for each in client.get_json("/history").values() if each["prompt"][2] == entry["prompt"][2]]
    assert [each["prompt"][1] for each in runs] == [prompt_id]


def test_a_failed_node_says_why_and_the_others_go_on(shell: Shell, server: Server, said: Callable[[], str]) -> None:
    graph = with_example(workflow("move_and_recolor_one_layer"))
    shell.write(graph)
    (shell.folder / "jobs.csv").write_text("name,Move the layer.index\nfine,1\nwrong,900\n")
    arguments = ("--set", "1.image=example.png", "--jobs", str(shell.folder / "jobs.csv"))
    assert shell.run("--server", server.url, *arguments) == 1
    assert "5 (Move the layer): " in said()
    assert {row["name"]: row["status"] for row in shell.rows()} == {"fine": "ok", "wrong": "failed"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["Your pictur.image=x"], "names no node"),
        (["3.layers=fox"], 'must be a whole number; got "fox"'),
        (["3.layers=99"], "must be 2 to 10"),
        (["5.slides=some"], "one of: one a stack, build-up"),
        (["1.image=none.png"], "there is no file none.png here, and the server has none"),
        (["3.model=x"], "a connection, or JSON of the type LAYERED_MODEL"),
    ],
)
def test_what_is_wrong_is_said_before_work_begins(
    shell: Shell, server: Server, client: Client, said: Callable[[], str], values: list[str], message: str
) -> None:
    before = len(client.get_json("/history"))
    sets = [part for value in values for part in ("--set", value)]
    assert shell.run("--server", server.url, *sets, workflow=DECOMPOSE) == 2
    assert message in said()
    assert len(client.get_json("/history")) == before
    assert not shell.out.exists()


def test_lacking_nodes_and_the_editors_form_are_said(shell: Shell, server: Server, said: Callable[[], str]) -> None:
    shell.write({**with_example(workflow("decompose_to_pptx")), "9": node("NodeThatIsNowhere")})
    assert shell.run("--server", server.url) == 2
    assert "lacks NodeThatIsNowhere" in said()
    assert shell.run("--server", server.url, workflow=REPO / "workflows" / "Decompose to PPTX.json") == 2
    assert "Workflow > Export (API)" in said()


def test_the_list_of_our_nodes_is_the_servers(client: Client) -> None:
    known = client.get_json("/object_info")
    assert set(preflight.OURS) == NODES <= set(known)


def test_files_for_load_layers_are_uploaded_too(shell: Shell, server: Server) -> None:
    paths = [shell.folder / f"layer {i}.png" for i in range(2)]
    for i, path in enumerate(paths):
        shapes(paper=(200 + i, 9, 9, 255)).save(path)
    load = node("LoadLayers", source="several PNGs", source__files="", hidden="keep")
    shell.write({"1": load, "2": node("ExportLayers", layers=["1", 0], filename_prefix="run/two", format="PNG files")})
    files = "\n".join(map(str, paths))
    assert shell.run("--server", server.url, "--set", f"1.source.files={files}", "--set", "2.format=PSD") == 0
    (row,) = shell.rows()
    assert len(loading.load([shell.out / row["outputs"][0]["path"]]).stack) == 2


def test_a_run_that_is_terminated_leaves_nothing_of_ours_on_the_server_and_the_next_run_goes_on(
    shell: Shell, server: Server, client: Client
) -> None:
    folder = pictures(shell.folder / "photos", 6, 240)
    command = ["-m", "qil_core", "run", str(DECOMPOSE), "--server", server.url, "-o", str(shell.out)]
    each = ["--each", f"1.image={folder}"]
    process = subprocess.Popen([sys.executable, *command, *each], cwd=REPO, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while len(shell.rows()) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in told
    queue = client.get_json("/queue")
    assert not queue["queue_pending"]
    done = len(shell.rows())
    assert 2 <= done < 6
    assert shell.run("--server", server.url, *each, workflow=DECOMPOSE) == 0
    assert sorted(row["name"] for row in shell.rows()) == [f"p{i:02}" for i in range(6)]


def test_of_two_servers_one_is_killed_and_every_job_is_done_once(
    shell: Shell, server: Server, checkout: Checkout, tmp_path: Path
) -> None:
    folder = pictures(shell.folder / "photos", 16, 235)
    with another(checkout, tmp_path / "base") as (doomed, process):

        def kill() -> None:
            while sum(executed(doomed).values()) < 2 and not ended.wait(0.1):
                pass
            counted.update(executed(doomed))
            process.kill()

        counted, ended = Counter[str](), threading.Event()
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        both = ("--server", doomed.url, "--server", server.url)
        assert shell.run(*both, "--each", f"1.image={folder}", workflow=DECOMPOSE) == 0
        ended.set()
        killer.join()
    rows = shell.rows()
    assert sorted(row["name"] for row in rows) == [f"p{i:02}" for i in range(16)]
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["server"] for row in rows} == {doomed.url, server.url}
    assert max(counted.values()) == 1
    finished = executed(server) + counted
    uploaded = {f"qil-{row['name']}-{row['inputs'][0]['sha256'][:16]}.png": row["server"] for row in rows}
    assert all(finished[name] >= 1 for name in uploaded)
    again = [name for name in uploaded if finished[name] > 1]
    assert {uploaded[name] for name in again} <= {server.url}, "only what the dead server had not handed over"
    assert len(again) <= SLOTS
    for row in rows:
        deck = shell.out / row["outputs"][0]["path"]
        (slide,) = slides(deck.read_bytes())
        assert np.abs(over(slide.layers)[..., :3] - read(folder / f"{row['name']}.png")).max() <= 1


def test_json_of_a_run_can_be_read_and_its_files_are_there(shell: Shell, server: Server) -> None:
    command = ["-m", "qil_core", "run", str(DECOMPOSE), "--set", "1.image=example.png", "-o", str(shell.out), "--json"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=REPO,
        env={**os.environ, "COMFY_BASE_URL": server.url},
        capture_output=True,
        text=True,
        check=True,
    )
    row = json.loads(done.stdout)
    with zipfile.ZipFile(io.BytesIO((shell.out / row["outputs"][0]["path"]).read_bytes())) as deck:
        assert "ppt/presentation.xml" in deck.namelist()


def test_a_server_set_up_as_the_page_says_does_the_work_and_writes_nothing_else(
    shell: Shell, checkout: Checkout, tmp_path: Path, said: Callable[[], str]
) -> None:
    folders = {name: tmp_path / name for name in ("models", "input", "output", "temp", "user")}
    for folder in folders.values():
        folder.mkdir()
    flags = [
        *["--disable-api-nodes", "--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK],
        *[part for name, folder in folders.items() for part in (f"--{name}-directory", str(folder))],
        *["--database-url", "sqlite:///:memory:", "--max-upload-size", "1"],
    ]
    page = (REPO / "docs" / "serving.md").read_text()
    assert all(f"`{flag}" in page or f" {flag}" in page for flag in flags if flag.startswith("--"))
    with another(checkout, tmp_path / "base", *flags) as (served, _):
        client = Client(served.address)
        known = client.get_json("/object_info")
        assert set(preflight.OURS) <= set(known)
        assert not [name for name, info in known.items() if info.get("api_node") or "StandIn" in name]
        assert shell.run("--server", served.url, workflow=health(shell.folder)) == 0
        picture = pictures(shell.folder / "photos", 1, 220) / "p00.png"
        arguments = ("--server", served.url, "--set", f"1.image={picture}")
        assert shell.run(*arguments, workflow=DECOMPOSE) == 0
        assert not list(folders["models"].rglob("*")), "models can be read-only"
        assert [path.name for path in folders["input"].glob("qil-*")]
        cleaned(folders["output"])
        shell.out = shell.folder / "again"
        assert shell.run(*arguments, workflow=DECOMPOSE) == 1
        assert "no longer has its file" in said()
        client.post("/free", {"free_memory": True})
        assert shell.run(*arguments, workflow=DECOMPOSE) == 0
        (shell.folder / "large.png").write_bytes(bytes(2_000_000))
        large = ("--set", f"1.image={shell.folder / 'large.png'}")
        assert shell.run("--server", served.url, *large, workflow=DECOMPOSE) == 2
        assert "takes 1.0 MB" in said()


def health(folder: Path) -> Path:
    """The graph of the page's health check."""
    page = (REPO / "docs" / "serving.md").read_text()
    path = folder / "health.json"
    path.write_text(page.partition("```json\n")[2].partition("```")[0])
    return path


def cleaned(folder: Path) -> None:
    """As the page says, but at once."""
    subprocess.run(["find", str(folder), "-type", "f", "-delete"], check=True)
