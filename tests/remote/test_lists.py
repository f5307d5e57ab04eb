"""Jobs come from options, from files of a pattern, and from the rows of a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from qil_core.errors import QilError
from qil_core.remote.lists import Given, rows_of


def values(path: Path) -> list[tuple[str | None, dict[str, object]]]:
    return [(row.name, {given.slot: given.value for given in row.given}) for row in rows_of(["3.seed=1"], None, path)]


def test_without_a_list_there_is_one_job() -> None:
    (row,) = rows_of(["3.seed=1", "6.text=a=b"], None, None)
    assert row.given == [Given("3.seed", "1", Path()), Given("6.text", "a=b", Path())]
    assert row.name is None


def test_rows_of_a_csv_add_to_what_is_set_and_empty_cells_leave_the_workflows_value(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text('\ufeffname,6.text,3.seed\nfox,"a, b",5\ncat,,6\n', encoding="utf-8")
    assert values(path) == [("fox", {"3.seed": "5", "6.text": "a, b"}), ("cat", {"3.seed": "6"})]


def test_lines_of_json_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"3.seed": 5}\n\n{"name": "a/b", "3.fast": true, "6.text": null}\n')
    assert values(path) == [(None, {"3.seed": 5}), ("a/b", {"3.seed": "1", "3.fast": True})]


def test_a_list_names_files_from_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"1.image": "a.png"}\n')
    assert rows_of([], None, path)[0].given == [Given("1.image", "a.png", tmp_path)]


def test_each_file_of_a_pattern_is_a_job_named_by_its_place(tmp_path: Path) -> None:
    for name in ("p10.png", "p2.png", "same.png", "same.jpg", "in/p2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    rows = rows_of([], f"1.image={tmp_path}/**/*", None)
    assert [row.name for row in rows] == ["in/p2", "p2", "p10", "same.jpg", "same.png"]
    assert [row.name for row in rows_of([], f"1.image={tmp_path}/in", None)] == ["p2"]
    assert [row.name for row in rows_of([], f"1.image={tmp_path}/p2.png", None)] == ["p2"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs.txt", "a", r"must be a .csv file with a header, or a .jsonl"),
        ("jobs.csv", "a,b\n1\n", "Line 2 .* more or fewer cells"),
        ("jobs.csv", "a,b\n1,2,3\n", "more or fewer cells"),
        ("jobs.csv", 'a\n"1\n', "is no CSV"),
        ("jobs.csv", "a,b\n", "holds no jobs"),
        ("jobs.jsonl", "{}\n[1]\n", "Line 2 .* must be a JSON object"),
        ("jobs.jsonl", "{\n", "Line 1 .* is no JSON"),
        ("jobs.jsonl", '{"name": "../x"}\n', "line 1 .* cannot be the name of a folder"),
        ("jobs.jsonl", '{"name": 5}\n', "cannot be the name of a folder"),
    ],
)
def test_a_faulty_list_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(QilError, match=message):
        rows_of([], None, tmp_path / name)


def test_options_that_make_no_sense_are_named(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="sets nothing"):
        rows_of(["seed"], None, None)
    with pytest.raises(QilError, match="no file matches"):
        rows_of([], f"1.image={tmp_path}/*.png", None)
    with pytest.raises(QilError, match="either --each or --jobs"):
        rows_of([], "1.image=a", tmp_path / "l.csv")
    with pytest.raises(QilError, match="cannot be read"):
        rows_of([], None, tmp_path / "l.csv")
    (tmp_path / "latin.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(QilError, match="not in UTF-8"):
        rows_of([], None, tmp_path / "latin.csv")
