"""Downloads, with a library that is made up: where a model goes, and that nobody else's is ever replaced."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qil_core.checkpoints.download import RECORD, Origin, download
from qil_core.checkpoints.folders import PARTS
from qil_core.errors import QilError

GENUINE = Origin("huggingface", "Qwen/Qwen-Image-Layered")
Fetch = Callable[..., Any]


def write(folder: Path, mark: str) -> None:
    """A whole model, as far as folders go."""
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / "config.json").write_text(mark)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fetch], None]:
    """Put a function in the place of a library's snapshot_download."""

    def put(fetch: Fetch, name: str = "huggingface_hub") -> None:
        fake = types.ModuleType(name)
        fake.snapshot_download = fetch  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, fake)

    return put


def site(repo_id: str, local_dir: Any, revision: str | None = None, **_: Any) -> None:
    """Every repository's files say whose they are."""
    write(Path(local_dir), f"{repo_id} {revision}")


def no_site(*_: Any, **__: Any) -> None:
    raise AssertionError("nothing has to be downloaded")


def stopping(repo_id: str, local_dir: Any, **_: Any) -> None:
    write(Path(local_dir) / "half", repo_id)
    raise ConnectionError("no route")


# Where it goes


def test_a_model_goes_to_a_folder_named_by_owner_repository_and_revision(tmp_path: Path, library: Any) -> None:
    library(site)
    plain = download(GENUINE, tmp_path)
    other = download(Origin("huggingface", "Qwen/Qwen-Image-Layered", "v2"), tmp_path)
    assert plain == tmp_path / "Qwen" / "Qwen-Image-Layered"
    assert other == tmp_path / "Qwen" / "Qwen-Image-Layered@v2"
    assert (plain / "vae" / "config.json").read_text() == "Qwen/Qwen-Image-Layered None"
    assert (other / "vae" / "config.json").read_text() == "Qwen/Qwen-Image-Layered v2"
    assert {path.name for path in (tmp_path / "Qwen").iterdir()} == {plain.name, other.name}


def test_another_owners_repository_of_the_same_name_changes_nothing_of_the_genuine_one(
    tmp_path: Path, library: Any
) -> None:
    library(site)
    genuine, old = download(GENUINE, tmp_path), tmp_path / "Qwen-Image-Layered"
    write(old, "from before owners counted")
    before = contents(genuine), contents(old)
    attack = Origin("huggingface", "attacker/Qwen-Image-Layered")
    library(stopping)
    with pytest.raises(QilError):
        download(attack, tmp_path)
    library(site)
    assert download(attack, tmp_path) == tmp_path / "attacker" / "Qwen-Image-Layered"
    assert (contents(genuine), contents(old)) == before


@pytest.mark.parametrize(
    "repository",
    [
        "Qwen-Image-Layered", "", "/", "a/b/c", "../evil", "..", "a/..", "a/../b", "/etc/passwd", "~/x", "a\\b/c",
        "C:/x", "a/b.", "a/.b", "a/b--c", "a/b..c", "a/b\n", "a/b\0", "a/ b", "ö/x", "a/\ud83d", "a/" + "b" * 95,
        "a/b@c",
    ],
)  # fmt: skip
def test_what_is_no_repository_id_is_refused_before_anything_is_made(tmp_path: Path, repository: str) -> None:
    with pytest.raises(QilError, match=r"is not a repository id\. Write owner/name such as") as caught:
        download(Origin("huggingface", repository), tmp_path)
    assert str(caught.value).isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("revision", ["..", "a/b", "refs/pr/1", ".a", "a.", "a b", "-x", "a\0", "x" * 101, "\ud83d"])
def test_what_is_no_revision_is_refused(revision: str) -> None:
    with pytest.raises(QilError, match=r"is not a revision\. Write a branch, a tag or a commit"):
        Origin("huggingface", "Qwen/Some", revision)


def test_there_are_two_sites() -> None:
    with pytest.raises(QilError, match="'elsewhere' is no source of models; expected one of huggingface, modelscope"):
        Origin("elsewhere", "Qwen/Some")  # type: ignore[arg-type]


# What is there already


def test_a_model_that_is_there_is_used_without_the_internet(tmp_path: Path, library: Any) -> None:
    library(site)
    place = download(GENUINE, tmp_path)
    library(no_site)
    assert download(GENUINE, tmp_path) == place


def test_a_whole_folder_that_somebody_put_there_is_used_as_it_is(tmp_path: Path, library: Any) -> None:
    library(no_site)
    place = tmp_path / "Qwen" / "Qwen-Image-Layered"
    write(place, "by hand")
    before = contents(place)
    assert download(GENUINE, tmp_path) == place
    assert contents(place) == before


@pytest.mark.parametrize("record", [None, "{", '"x"', "[]", '{"source": "nowhere"}', '{"source": [], "repository": 1}'])
def test_a_folder_that_is_no_whole_model_of_this_origin_is_left_alone(
    tmp_path: Path, library: Any, record: str | None
) -> None:
    library(no_site)
    place = tmp_path / "Qwen" / "Qwen-Image-Layered"
    (place / "vae").mkdir(parents=True)
    (place / "vae" / "mine.txt").write_text("mine")
    if record is not None:
        (place / RECORD).write_text(record)
    before = contents(place)
    with pytest.raises(QilError, match=r"not as a whole model|holds files of another origin"):
        download(GENUINE, tmp_path)
    assert contents(place) == before


def test_the_same_id_on_another_site_is_another_model(tmp_path: Path, library: Any) -> None:
    library(site)
    place = download(GENUINE, tmp_path)
    before = contents(place)
    library(site, "modelscope")
    with pytest.raises(
        QilError, match="holds Qwen/Qwen-Image-Layered from huggingface; Qwen/Qwen-Image-Layered from modelscope does"
    ):
        download(Origin("modelscope", GENUINE.repository), tmp_path)
    assert contents(place) == before


# On the way


def test_an_interrupted_download_is_out_of_sight_and_goes_on_where_it_stopped(tmp_path: Path, library: Any) -> None:
    library(stopping)
    with pytest.raises(QilError, match=r"no route\nTry again"):
        download(GENUINE, tmp_path)
    assert not (tmp_path / "Qwen" / "Qwen-Image-Layered").exists()
    (hidden,) = (tmp_path / "Qwen").iterdir()
    assert hidden.name.startswith(".")
    library(site)
    place = download(GENUINE, tmp_path)
    assert (place / "half" / "vae").is_dir(), "what was there already stays"
    assert json.loads((place / RECORD).read_text()) == {
        "source": "huggingface",
        "repository": "Qwen/Qwen-Image-Layered",
        "revision": "",
    }
    assert list((tmp_path / "Qwen").iterdir()) == [place]


def test_a_place_that_is_taken_during_the_download_is_not_replaced(tmp_path: Path, library: Any) -> None:
    place = tmp_path / "Qwen" / "Qwen-Image-Layered"

    def slow(repo_id: str, **named: Any) -> None:
        site(repo_id, **named)
        write(place, "somebody was faster")

    library(slow)
    with pytest.raises(QilError, match=r"is downloaded, but .* cannot be renamed"):
        download(GENUINE, tmp_path)
    assert set(contents(place).values()) == {"somebody was faster"}


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_download_asks_for_what_is_needed_and_reports(tmp_path: Path, library: Any, source: Any) -> None:
    asked: dict[str, Any] = {}
    told: list[tuple[float, str]] = []

    def snapshot_download(repo_id: str, tqdm_class: Any = None, **named: Any) -> None:
        asked.update(named, repo_id=repo_id)
        if tqdm_class is not None:
            bar = tqdm_class(total=0, unit="B", desc="bytes")
            bar.total = 4e9
            bar.update(1e9)
            list(tqdm_class(["a", "b"], total=2))  # files, which count for less than bytes

    library(snapshot_download, "huggingface_hub" if source == "huggingface" else source)
    download(Origin(source, "Qwen/Some", "v2"), tmp_path, lambda *report: told.append(report))
    assert (asked["repo_id"], asked["revision"]) == ("Qwen/Some", "v2")
    assert "*/*.safetensors" in asked["allow_patterns"]
    assert not any("bin" in pattern or "py" in pattern for pattern in asked["allow_patterns"])
    between = [(0.25, "Downloading Qwen/Some: 1.0 of 4.0 GB")] if source == "huggingface" else []
    assert told == [(0.0, "Downloading Qwen/Some"), *between, (1.0, "Downloaded Qwen/Some")]


def test_a_download_without_internet_says_what_to_do(tmp_path: Path, library: Any) -> None:
    library(stopping)
    with pytest.raises(QilError, match=r"no route\nTry again .* open https://huggingface.co/Qwen/Qwen-.*scheduler"):
        download(GENUINE, tmp_path)


def test_a_download_can_be_stopped(tmp_path: Path, library: Any) -> None:
    library(lambda *_, tqdm_class, **named: tqdm_class(total=8, unit="B").update(4))

    def stop(fraction: float, what: str) -> None:
        if fraction:
            raise RuntimeError("stopped by the user")

    with pytest.raises(RuntimeError, match="stopped by the user"):
        download(GENUINE, tmp_path, stop)


def test_a_download_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(QilError, match="pip install modelscope"):
        download(Origin("modelscope", "Qwen/Some"), tmp_path)


def test_what_a_repository_lacks_comes_from_another_one_into_the_same_folder(tmp_path: Path, library: Any) -> None:
    fetched: list[tuple[str, str | None, list[str] | None]] = []

    def transformer_alone(repo_id: str, local_dir: Any, revision: str | None, ignore_patterns: Any, **_: Any) -> None:
        fetched.append((repo_id, revision, ignore_patterns))
        for part in PARTS[:1] if repo_id == "Some/Control" else PARTS[1:]:
            (Path(local_dir) / part).mkdir(parents=True)
            (Path(local_dir) / part / "config.json").write_text(repo_id)

    library(transformer_alone)
    control = Origin("huggingface", "Some/Control", "v2")
    place = download(control, tmp_path, rest=GENUINE)
    assert place == tmp_path / "Some" / "Control@v2"
    assert fetched == [("Some/Control", "v2", None), (GENUINE.repository, None, ["transformer/*"])]
    read = {part: (place / part / "config.json").read_text() for part in PARTS}
    assert read == {part: "Some/Control" if part == "transformer" else GENUINE.repository for part in PARTS}
    library(no_site)
    assert download(control, tmp_path, rest=GENUINE) == place


def test_nothing_comes_from_another_repository_where_the_first_has_all(tmp_path: Path, library: Any) -> None:
    library(site)
    place = download(Origin("huggingface", "Some/Whole"), tmp_path, rest=GENUINE)
    assert {(place / part / "config.json").read_text() for part in PARTS} == {"Some/Whole None"}
