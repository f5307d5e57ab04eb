"""Servers come from the command line, the environment, or are ComfyUI's default."""

from __future__ import annotations

import pytest

from qil_core.errors import QilError
from qil_core.remote.address import header, server_urls


def test_the_environment_is_asked_only_when_no_server_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMFY_BASE_URL", raising=False)
    assert server_urls([]) == ["http://127.0.0.1:8188"]
    monkeypatch.setenv("COMFY_BASE_URL", "https://gpu.example/comfy/")
    assert server_urls([]) == ["https://gpu.example/comfy"]
    assert server_urls(["http://a:1/", "http://b:2", "http://a:1"]) == ["http://a:1", "http://b:2"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gpu1:8188",
        "ftp://a",
        "http://",
        "http://u:p@a",
        "http://a?x=1",
        "http://a:99999",
        "http://a b",
        "http://[x",
    ],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(QilError, match="is no server address"):
        server_urls(["http://fine", url])


def test_headers_are_read_and_a_faulty_one_is_not_repeated() -> None:
    assert header("Authorization: Bearer a:b") == ("Authorization", "Bearer a:b")
    for text in ("secret", "A B: secret", "A: sec\r\nret", ": secret"):
        with pytest.raises(QilError, match="must be written") as found:
            header(text)
        assert "sec" not in str(found.value).replace("such as", "")
