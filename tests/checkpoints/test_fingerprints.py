"""What reports say of model files, so that others can tell whether theirs are the same."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest

from qil_core.checkpoints.folders import Files
from qil_core.checkpoints.identity import fingerprints
from qil_core.decompose.made import check_files
from qil_core.errors import QilError


def weights(path: Path, values: bytes, name: str = "w") -> bytes:
    """A safetensors file of one tensor of bytes; gives its header."""
    header = json.dumps({name: {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, len(values)]}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + values)
    return struct.pack("<Q", len(header)) + header


def folder(root: Path, values: bytes = b"1234", name: str = "w") -> Files:
    for part in ("transformer", "text_encoder", "vae"):
        weights(root / part / "model.safetensors", values if part == "transformer" else b"0", name)
    (root / "tokenizer").mkdir()
    (root / "tokenizer" / "tokenizer.json").write_text("{}")
    return Files.of_folder(root)


def test_a_safetensors_file_is_known_by_its_header_size_and_samples(tmp_path: Path) -> None:
    found = fingerprints(folder(tmp_path / "m"))
    header = weights(tmp_path / "again.safetensors", b"1234")
    one = found["transformer/model.safetensors"]
    assert one["header"] == hashlib.sha256(header).hexdigest()
    assert one["bytes"] == len(header) + 4
    assert set(found) == {
        "transformer/model.safetensors", "text_encoder/model.safetensors", "vae/model.safetensors",
        "tokenizer/tokenizer.json",
    }  # fmt: skip
    assert "header" not in found["tokenizer/tokenizer.json"]


def test_the_same_weights_in_another_folder_are_the_same_and_others_are_named(tmp_path: Path) -> None:
    first = fingerprints(folder(tmp_path / "one"))
    assert fingerprints(folder(tmp_path / "two")) == first
    check_files(first, {"files": first})
    tuned = fingerprints(folder(tmp_path / "tuned", b"1235"))
    assert tuned["transformer/model.safetensors"]["header"] == first["transformer/model.safetensors"]["header"]
    with pytest.raises(QilError, match=r"not those of the report: transformer/model.safetensors\."):
        check_files(tuned, {"files": first})


def test_a_header_that_claims_to_be_endless_is_not_read_as_such(tmp_path: Path) -> None:
    files = folder(tmp_path / "m")
    (tmp_path / "m" / "vae" / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    assert fingerprints(files)["vae/model.safetensors"]["bytes"] == 10
