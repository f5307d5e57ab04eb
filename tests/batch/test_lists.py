"""Lists of pictures with options for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qil_core.batch.inputs import list_inputs
from qil_core.batch.job import Job
from qil_core.batch.table import Table
from qil_core.errors import QilError


def jobs_of(path: Path) -> list[Job]:
    table = Table()
    list_inputs([str(path)], "out", table)
    return list(table.pending())


def test_csv_json_lines_and_parquet_say_the_same(tmp_path: Path) -> None:
    rows = [
        {"input": "a/x.png", "layers": 3, "prompt": "a fox", "seed": 2**64 - 1},
        {"input": "s3://shop/y.jpg?version=2", "layers": "auto", "prompt": None, "seed": None},
    ]
    (tmp_path / "l.csv").write_text(
        f"input,layers,prompt,seed\na/x.png,3,a fox,{2**64 - 1}\ns3://shop/y.jpg?version=2,auto,,\n"
    )
    (tmp_path / "l.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = [
        Job(0, str(tmp_path / "a" / "x.png"), "a/x", "3", "a fox", 2**64 - 1),
        Job(1, "s3://shop/y.jpg?version=2", "y", "auto"),
    ]
    assert jobs_of(tmp_path / "l.csv") == expected
    assert jobs_of(tmp_path / "l.jsonl") == expected


def test_parquet_lists_are_read_with_pyarrow(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="Parquet lists need pyarrow, of the extra `cluster`")
    from pyarrow import parquet

    table = pa.table({"input": ["x.png", "y.png"], "layers": [4.0, None], "seed": [7, None]})
    parquet.write_table(table, tmp_path / "l.parquet")
    assert [(job.folder, job.layers, job.seed) for job in jobs_of(tmp_path / "l.parquet")] == [
        ("x", "4", 7),
        ("y", None, None),
    ]
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing else")
    with pytest.raises(QilError, match="no Parquet file"):
        jobs_of(tmp_path / "broken.parquet")


def test_one_picture_may_be_asked_for_several_times(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("input,seed\nx.png,1\nx.png,2\n")
    assert [(job.folder, job.seed) for job in jobs_of(tmp_path / "l.csv")] == [("x", 1), ("x (2)", 2)]


@pytest.mark.parametrize("said", ["../../etc/x.png", "/etc/x.png", "C:\\pictures\\x.png", "s3://a/../x.png"])
def test_no_path_in_a_list_leads_results_out_of_the_output(tmp_path: Path, said: str) -> None:
    (tmp_path / "l.jsonl").write_text(json.dumps({"input": said}) + "\n")
    (job,) = jobs_of(tmp_path / "l.jsonl")
    assert job.folder.endswith("x")
    assert ".." not in job.folder
    assert not job.folder.startswith(("/", "\\"))
    assert ":" not in job.folder


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("input,depth\nx.png,3\n", "columns that nobody knows: depth. Known: input, layers, prompt, seed"),
        ("picture\nx.png\n", "columns that nobody knows: picture"),
        ("layers\n3\n", 'no column "input"'),
        ("input,layers\nx.png,3\ny.png,11\n", 'Row 2 of .* asks for "11" layers, expected 2 to 10, or auto'),
        ("input,layers\nx.png,many\n", 'asks for "many" layers'),
        ("input,seed\nx.png,-1\n", 'Row 1 of .* has the seed "-1"'),
        ("input,seed\nx.png,99999999999999999999\n", "has the seed"),
        ("input,layers\n,3\n", "Row 1 of .* has no path"),
        ("input\nx.png,3\n", "more cells"),
        ("", 'no column "input"'),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(QilError, match=says):
        jobs_of(tmp_path / "l.csv")


@pytest.mark.parametrize("line", ["[1]", "nonsense", '{"input": 3}', '{"input": "x", "seed": true}'])
def test_a_line_that_is_no_object_with_a_path_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "l.jsonl").write_text(line + "\n")
    with pytest.raises(QilError, match=r"(Line|Row) 1 of"):
        jobs_of(tmp_path / "l.jsonl")


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="There is no list"):
        jobs_of(tmp_path / "l.csv")
