"""`qil run` with one server that behaves: what it sends, what it keeps, what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fake_comfy import GRAPH, NODES, serving
from run_shell import Shell


def file(name: str, kind: str = "output", subfolder: str = "") -> dict[str, str]:
    return {"filename": name, "subfolder": subfolder, "type": kind}


def test_values_go_by_title_and_by_id_and_a_file_is_uploaded(shell: Shell) -> None:
    (picture,) = shell.pictures(1)
    with serving() as comfy:
        code = shell.run("--server", comfy.url, "--set", f"Your picture.image={picture}", "--set", "2.seed=12")
    assert code == 0
    (name,) = comfy.uploads
    assert name == f"qil-p0-{sha256(b'picture 0').hexdigest()[:16]}.png"
    assert comfy.files[name] == b"picture 0"
    (graph,) = comfy.graphs
    assert graph["1"]["inputs"] == {"image": name}
    assert graph["2"]["inputs"]["seed"] == 12
    assert graph["2"]["inputs"]["picture"] == ["1", 0], "links stay"


def test_every_file_of_every_key_comes_back_once_and_previews_do_not(shell: Shell) -> None:
    outputs: dict[str, Any] = {
        "2": {"images": [file("shot.png", "temp")], "files": [file("deck.pptx", subfolder="x"), file("result.psd")]},
        "3": {
            "psd": [file("result.psd")],
            "text": ["no file"],
            "animated": [True],
            "3d": [file("result.psd", "input")],
        },
    }
    with serving(outputs=outputs) as comfy:
        assert shell.run("--server", comfy.url) == 0
    (row,) = shell.rows()
    folder = shell.out / row["name"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "deck.pptx": b"slides",
        "result.psd": b"layers",
        "result (2).psd": b"layers",
    }
    assert [each["path"] for each in row["outputs"]] == [
        f"{row['name']}/{name}" for name in ("deck.pptx", "result.psd", "result (2).psd")
    ]


def test_the_manifest_says_what_was_done_with_what(shell: Shell) -> None:
    (picture,) = shell.pictures(1)
    with serving() as comfy:
        shell.run("--server", comfy.url, "--set", f"1.image={picture}")
    (row,) = shell.rows()
    assert row["name"].startswith("p0-")
    assert (row["status"], row["error"], row["seeds"], row["server"]) == ("ok", "", {"2.seed": 7}, comfy.url)
    assert row["inputs"] == [{"slot": "1.image", "path": str(picture), "sha256": sha256(b"picture 0").hexdigest()}]
    assert row["outputs"][0]["sha256"] == sha256(b"slides").hexdigest()
    assert row["prompt_id"] == comfy.executed[0]
    assert row["versions"]["comfyui"] == "0.0.1"
    assert row["seconds"] > 0
    assert len(row["workflow_sha256"]) == 64


def test_json_on_stdout_is_an_object_for_each_job_and_nothing_else(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.pictures(3)
    with serving() as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*.png", "--json")
        assert shell.run(*arguments) == 0
        first = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert shell.run(*arguments) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(row["name"] for row in first) == ["p0", "p1", "p2"]
    assert [row["before"] for row in first + again] == [False] * 3 + [True] * 3
    assert len(comfy.executed) == 3


def test_the_same_file_goes_up_once(shell: Shell) -> None:
    (picture,) = shell.pictures(1)
    (shell.folder / "jobs.jsonl").write_text("".join(f'{{"2.seed": {seed}}}\n' for seed in range(6)))
    with serving() as comfy:
        arguments = ("--server", comfy.url, "--set", f"1.image={picture}", "--jobs", str(shell.folder / "jobs.jsonl"))
        assert shell.run(*arguments) == 0
        assert list(comfy.uploads.values()) == [1]
        assert shell.run(*arguments[:4], "--set", "2.seed=50") == 0
        assert list(comfy.uploads.values()) == [1], "the server has it still"
    assert sorted(graph["2"]["inputs"]["seed"] for graph in comfy.graphs) == [0, 1, 2, 3, 4, 5, 50]


def test_a_text_with_a_file_a_line_uploads_each(shell: Shell) -> None:
    paths = shell.pictures(2)
    shell.write({"1": {"class_type": "LoadLayers", "inputs": {"source": "several PNGs", "source.files": ""}}})
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--set", "1.source.files=" + "\n".join(map(str, paths))) == 0
    assert comfy.graphs[0]["1"]["inputs"]["source.files"].splitlines() == list(comfy.uploads)


def test_a_file_that_only_the_server_has_is_named_as_it_is(shell: Shell) -> None:
    with serving() as comfy:
        for name in ("there.png", "sub/made.png [output]"):
            assert shell.run("--server", comfy.url, "--set", f"1.image={name}") == 0
    assert [graph["1"]["inputs"]["image"] for graph in comfy.graphs] == ["there.png", "sub/made.png [output]"]
    assert not comfy.uploads


def test_a_choice_brings_its_inputs_with_their_defaults(shell: Shell) -> None:
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--set", "2.how=many") == 0
        assert shell.run("--server", comfy.url, "--set", "2.how.count=5", "--set", "2.how=many") == 0
    assert [graph["2"]["inputs"]["how.count"] for graph in comfy.graphs] == [3, 5]


def test_headers_go_along_and_into_no_manifest(shell: Shell) -> None:
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--header", "Authorization: Bearer s3cret") == 0
    assert all(headers["Authorization"] == "Bearer s3cret" for headers in comfy.headers)
    assert "s3cret" not in (shell.out / "manifest.jsonl").read_text()


def test_a_run_goes_on_where_files_or_jobs_are_missing(shell: Shell) -> None:
    shell.pictures(3)
    with serving() as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*.png")
        assert shell.run(*arguments) == 0
        (shell.out / "p1" / "deck.pptx").unlink()
        assert shell.run(*arguments) == 0
        assert len(comfy.executed) == 4
        shell.pictures(4)
        assert shell.run(*arguments) == 0
    assert len(comfy.executed) == 5
    assert [row["name"] for row in shell.rows()[3:]] == ["p1", "p3"]


def test_a_name_with_another_content_is_done_again_and_leaves_no_old_files(shell: Shell) -> None:
    (picture,) = shell.pictures(1)
    with serving() as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={picture}")
        assert shell.run(*arguments) == 0
        picture.write_bytes(b"changed")
        comfy.outputs = {"2": {"files": [file("result.psd")]}}
        (shell.out / "p0" / "mine.txt").write_text("a note of the user's")
        assert shell.run(*arguments) == 0
        assert sorted(path.name for path in (shell.out / "p0").iterdir()) == ["mine.txt", "result.psd"]
        assert shell.run(*arguments) == 0
    assert len(comfy.executed) == 2


def test_a_manifest_that_was_changed_by_hand_removes_nothing_outside(shell: Shell) -> None:
    (picture,) = shell.pictures(1)
    with serving() as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={picture}")
        shell.run(*arguments)
        row = shell.rows()[0]
        row["outputs"] = [{"path": "../photos/p0.png", "bytes": 9}]
        (shell.out / "manifest.jsonl").write_text(json.dumps(row) + "\n")
        picture.write_bytes(b"changed")
        assert shell.run(*arguments) == 0
    assert picture.read_bytes() == b"changed"


def test_names_from_a_server_stay_in_the_jobs_folder(shell: Shell) -> None:
    outputs = {"2": {"files": [file("../../../evil.txt", subfolder="../.."), file("/etc/x"), file(".hidden")]}}
    files = {"../../../evil.txt": b"1", "/etc/x": b"2", ".hidden": b"3"}
    with serving(outputs=outputs, files=files) as comfy:
        assert shell.run("--server", comfy.url) == 0
    (row,) = shell.rows()
    assert {path.name for path in (shell.out / row["name"]).iterdir()} == {
        "_.._.._.._evil.txt",
        "_etc_x",
        "_.hidden",
    }
    assert {path.name for path in shell.folder.iterdir()} == {"out", "work.json"}


def test_the_editors_form_runs_where_a_server_converts_it(shell: Shell) -> None:
    shell.write({"nodes": [], "links": []})
    with serving(converts=GRAPH) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert comfy.graphs == [GRAPH]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "Your pictur.image=x"], '"Your pictur.image" names no node of work.json'),
        (["--set", "2.seed=fox"], '2.seed must be a whole number; got "fox"'),
        (["--set", "2.sed=1"], "Node 2 (Work v1.5) has no input sed. It has: seed,"),
        (["--set", "1.image=none.png"], "there is no file none.png here, and the server has none of that name"),
        (["--set", "1.image=a\x00b"], "there is no file a\\x00b here"),
        (["--set", "2.how.count=3"], "has no input how.count"),
        (["--set", "2.text=half \ud83d"], "2.text holds what cannot be sent as JSON"),
        (["--server", "nonsense"], '"nonsense" is no server address'),
        (["--header", "x"], "A header must be written"),
        (["--jobs", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_what_is_wrong_is_said_before_work_begins(
    shell: Shell, said: Callable[[], str], arguments: list[str], message: str
) -> None:
    with serving() as comfy:
        assert shell.run("--server", comfy.url, *arguments) == 2
    assert message in said()
    assert not comfy.posts
    assert not shell.out.exists()


def test_faulty_rows_are_all_named_at_once(shell: Shell, said: Callable[[], str]) -> None:
    path = shell.folder / "jobs.csv"
    path.write_text("2.seed\n1\nfox\n2\n200\n")
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--jobs", str(path)) == 2
    told = said()
    assert f'line 3 of {path}: 2.seed must be a whole number; got "fox"' in told
    assert f"line 5 of {path}: 2.seed must be 0 to 99" in told
    assert not comfy.posts


@pytest.mark.parametrize(
    ("rows", "message"),
    [("1\n2\n1\n", "are the same job"), ("1,fox\n2,Fox\n", "have the same name")],
)
def test_rows_that_would_be_one_are_named(shell: Shell, said: Callable[[], str], rows: str, message: str) -> None:
    path = shell.folder / "jobs.csv"
    path.write_text(("2.seed,name\n" if "," in rows else "2.seed\n") + rows)
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--jobs", str(path)) == 2
    assert message in said()


def test_rows_that_are_equal_but_for_their_names_are_jobs_of_their_own(shell: Shell) -> None:
    path = shell.folder / "jobs.csv"
    path.write_text("2.seed,name\n1,a\n1,b\n")
    with serving() as comfy:
        assert shell.run("--server", comfy.url, "--jobs", str(path)) == 0
    assert len(comfy.executed) == 2


def test_lacking_nodes_are_named_with_their_package(shell: Shell, said: Callable[[], str]) -> None:
    graph = {**GRAPH, "3": {"class_type": "ExportPPTX", "inputs": {}}, "4": {"class_type": "Rare", "inputs": {}}}
    shell.write(graph)
    less = {name: node for name, node in NODES.items() if name != "Work"}
    with serving(nodes=NODES) as all_of_them, serving(nodes=less) as fewer:
        assert shell.run("--server", all_of_them.url, "--server", fewer.url) == 2
    told = said()
    assert f"{all_of_them.url} lacks ExportPPTX (of this package, Qwen Layers), Rare (of a package that" in told
    assert f"{fewer.url} lacks ExportPPTX (of this package, Qwen Layers), Rare" in told
    assert "Work (of work-pack)" in told
    assert not shell.out.exists()


def test_servers_that_cannot_be_reached_are_all_named(shell: Shell, said: Callable[[], str]) -> None:
    with serving() as comfy, serving(pages={"/system_stats"}) as wall:
        servers = ["http://127.0.0.1:1", comfy.url, "http://127.0.0.1:2", wall.url]
        assert shell.run(*(part for url in servers for part in ("--server", url))) == 2
    told = said()
    for url in ("http://127.0.0.1:1", "http://127.0.0.1:2", wall.url):
        assert f"No ComfyUI can be reached at {url}" in told
    assert comfy.url not in told


def test_a_file_larger_than_a_server_takes_is_named_before_work_begins(shell: Shell, said: Callable[[], str]) -> None:
    (picture,) = shell.pictures(1)
    with serving(max_upload=5) as comfy:
        assert shell.run("--server", comfy.url, "--set", f"1.image={picture}") == 2
    assert "--max-upload-size" in said()


def test_a_full_disk_and_a_folder_that_cannot_be_are_named_before_work_begins(
    shell: Shell, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as comfy:
        shell.out.write_text("a file")
        assert shell.run("--server", comfy.url) == 2
        assert "Choose another with -o" in said()
        shell.out.unlink()
        monkeypatch.setattr("qil_core.remote.preflight.LEAST_FREE", 10**18)
        assert shell.run("--server", comfy.url) == 2
        assert "is full" in said()
    assert not comfy.posts


def test_a_broken_manifest_is_named_before_work_begins(shell: Shell, said: Callable[[], str]) -> None:
    shell.out.mkdir()
    (shell.out / "manifest.jsonl").write_text("broken\n")
    with serving() as comfy:
        assert shell.run("--server", comfy.url) == 2
    assert "Line 1 of the manifest" in said()
    assert not comfy.posts


def test_without_what_listens_to_servers_the_package_to_install_is_named(
    shell: Shell, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "websocket", None)
    assert shell.run("--server", "http://127.0.0.1:1") == 2
    assert "pip install websocket-client" in said()


def test_the_nodes_of_this_package_are_the_ones_that_it_registers() -> None:
    from qil_core.remote.preflight import OURS

    root = (Path(__file__).resolve().parents[2] / "__init__.py").read_text()
    listed = root.partition("return [")[2].partition("]")[0]
    assert {name.strip() for name in listed.split(",") if name.strip()} == OURS
