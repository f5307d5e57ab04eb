"""Model Studio's key: where it comes from, and that it never gets out."""

from __future__ import annotations

import json
import logging
import random
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studio_server import (
    ASKED,
    KEY,
    PNG,
    Handler,
    Studio,
    editor,
    flat,
    raw,
    reset,
    response,
    success,
)

from qil_core.edit import model_studio
from qil_core.edit.studio_http import Ask, Patience
from qil_core.edit.studio_key import Key, read_key
from qil_core.errors import QilError
from qil_core.progress import silent

# The key


def test_the_key_comes_from_a_private_file(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    editor(studio, key_file=path).edit([flat(512, 512)], ASKED, silent)
    assert studio.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
@pytest.mark.skipif("os.name != 'posix'")
def test_a_key_file_that_others_can_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(QilError, match=rf"mode {mode:o}\). Run: chmod 600 ") as error:
        read_key(path)
    assert KEY not in str(error.value)


@pytest.mark.parametrize("text", [KEY + "\n" + KEY, KEY + "\r\nX-Evil: 1", "sk-schlüssel-123", KEY + " x", "short", ""])
def test_what_cannot_be_a_key_is_refused_unseen(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(QilError, match="not a key") as error:
        read_key(path)
    monkeypatch.setenv("DASHSCOPE_API_KEY", text or "\n")
    with pytest.raises(QilError, match="not a key") as from_environment:
        read_key()
    for shown in (str(error.value), str(from_environment.value)):
        assert not text or text[:8] not in shown


def test_a_key_in_place_of_its_path_is_not_repeated() -> None:
    with pytest.raises(QilError, match="looks like a key itself") as error:
        read_key(Path(KEY))
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        "password",
        "sk-short",
        "sk-" + "a" * 254,
        "sk-0123456789abcdef ghij",
        "machine example.com login me password sk-0123456789abcdef0123",
        KEY + "=",
    ],
)
def test_a_file_that_holds_something_else_than_a_key_is_not_sent(studio: Studio, text: str, tmp_path: Path) -> None:
    path = tmp_path / "some_file"
    path.write_text(text + "\n")
    path.chmod(0o600)
    with pytest.raises(QilError, match="holds is not a key") as error:
        editor(studio, key_file=path).edit([flat(512, 512)], ASKED, silent)
    assert text not in str(error.value)
    assert studio.asked == []


@pytest.mark.parametrize("text", [KEY, "sk-sp-0123456789abcdef", "\ufeffsk-ws-H.abc.DEF_0123456789"])
def test_every_kind_of_key_is_taken(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text + "\r\n", encoding="utf-8")
    path.chmod(0o600)
    assert read_key(path).authorization() == {"Authorization": f"Bearer {text.removeprefix(chr(0xFEFF))}"}


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        f"Bearer {KEY}",
        f"DASHSCOPE_API_KEY={KEY}",
        f"~/{KEY}",
        f"/home/me/{KEY}/x",
        KEY + "\0",
        "0a1b2c3d4e5f60718293a4b5",
    ],
)
def test_a_key_in_place_of_a_path_is_in_no_message(text: str) -> None:
    with pytest.raises(QilError) as error:
        read_key(Path(text))
    secret = KEY if KEY in text else text
    assert not [secret[i : i + 8] for i in range(len(secret) - 7) if secret[i : i + 8] in str(error.value)]
    assert error.value.__cause__ is None


@pytest.mark.parametrize("text", ["~nosuchuser/key", "key\0", "x" * 5000, "\ud83d", ".", "/dev/null"])
def test_odd_paths_of_a_key_file_are_clear_errors(text: str) -> None:
    with pytest.raises(QilError, match=r"There is no key file|cannot be read: "):
        read_key(Path(text))


def test_a_missing_key_says_where_it_belongs(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QilError, match="There is no key file"):
        read_key(tmp_path / "none")
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    with pytest.raises(QilError, match="set the environment variable DASHSCOPE_API_KEY"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert studio.asked == []


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"Bearer {KEY}", "Bearer [key]"),
        (f"{KEY}{KEY} twice", "[key][key] twice"),
        (f"cut: {KEY[:12]}", "cut: [key]"),
        (f"{KEY[5:]} tail", "[key] tail"),
        (KEY.upper(), "[key]"),
        ("İ" + KEY, "İ[key]"),
        ("nothing here", "nothing here"),
    ],
)
def test_the_key_and_pieces_of_it_are_taken_out_of_texts(text: str, clean: str) -> None:
    assert Key(KEY, "a test").redact(text) == clean


def test_signed_addresses_and_keys_stay_out_of_logs_and_other_users_keep_theirs(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    import httpx

    caplog.set_level(logging.DEBUG)
    editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert [record.name for record in caplog.records if record.name.startswith("http")] == []
    assert "secret-signature" not in caplog.text
    httpx.get(studio.url + "/0.png", trust_env=False)
    assert "HTTP Request: GET" in caplog.text


def test_neither_a_key_nor_a_request_shows_itself() -> None:
    key = Key(KEY, "a test")
    ask = Ask("POST", "https://example.com/?Signature=x", key.authorization(), b"body", 1, key.redact, "Model Studio")
    assert repr(key) == str(key) == "Key(hidden)"
    assert KEY not in repr(ask)
    assert "Signature" not in repr(ask)


def test_importing_the_client_does_not_load_httpx() -> None:
    import subprocess
    import sys

    code = "import sys, qil_core.edit.model_studio; print('httpx' in sys.modules)"
    root = Path(model_studio.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root).stdout == "False\n"


# Whatever a server does, the key stays in


class Chaos:
    """Acts by chance, most of which say the key in some place. They may be cut anywhere."""

    def __init__(self, studio: Studio, rng: random.Random) -> None:
        self.studio, self.rng, self.echoes = studio, rng, 0

    def __call__(self, handler: Handler) -> None:
        status = self.rng.choice((200, 200, 200, 301, 400, 401, 403, 404, 413, 429, 500, 502, 503, 504))
        data = self._good(handler.command) if self.rng.random() < 0.4 else self._response(status)
        if self.rng.random() < 0.2:
            data = data[: self.rng.randrange(len(data) + 1)]
        self.echoes += KEY.encode() in data
        (reset if self.rng.random() < 0.05 else raw(data))(handler)

    def _good(self, command: str) -> bytes:
        """What a client can use, with the key beside it."""
        url = self.studio.picture_url(0)
        body = json.dumps(success(url, url) | {"request_id": KEY}).encode() if command == "POST" else PNG
        return response(200, body, {"X-Request-Id": KEY})

    def _response(self, status: int) -> bytes:
        said = f"Authorization: Bearer {KEY}"
        if self.rng.random() < 0.05:
            return f"HTTP/1.1 {said}\r\n\r\n".encode()
        names = ("Retry-After", "X-Request-Id", "Location", "Set-Cookie", "Content-Encoding", "X-Api-Key", "Bad Name")
        headers = {name: said for name in names if self.rng.random() < 0.05}
        length = None if self.rng.random() < 0.9 else self.rng.randrange(10_000)
        return response(status, self.rng.choice(self._bodies(said)), headers, length)

    def _bodies(self, said: str) -> list[bytes]:
        url, pad = self.studio.picture_url(self.rng.randrange(6)), "x" * self.rng.randrange(320)
        answers: list[Any] = [
            success(url) | {"request_id": said},
            success(url, f"{url}&key={KEY}"),
            success(f"https://{KEY}@127.0.0.1/"),
            success(said, pad + KEY),
            {"code": said, "message": pad + said, "request_id": said},
            {"code": "InvalidApiKey", "message": {"nested": [said]}, "request_id": [KEY]},
            {"output": said},
            [said],
            said,
        ]
        files = [PNG, PNG[: self.rng.randrange(len(PNG))], PNG[:8] + said.encode() * 9, PNG[:40] + said.encode()]
        html = f"<html>{pad}{said}</html>".encode()
        return [json.dumps(item).encode() for item in answers] + files + [html, said.encode(), KEY.encode() + b"\xff\0"]


def chain(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!s} {error!r} {error.args!r} {getattr(error, '__notes__', '')}"
        error = error.__cause__ or error.__context__


@pytest.mark.slow
def test_a_thousand_failures_that_echo_the_key_never_show_it(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    grams = [KEY[i : i + 8].lower() for i in range(len(KEY) - 7)]
    failures = successes = echoes = 0
    for seed in range(1000):
        chaos = Chaos(studio, random.Random(seed))
        studio.posts, studio.gets = [chaos], [chaos] * 6
        client = editor(studio, patience=Patience(attempts=2))
        try:
            edited = client.edit([flat(384, 384)], replace(ASKED, variants=2), silent)
            shown = [str(edited.notes)]
            successes += 1
        except QilError as error:
            shown = [*chain(error), traceback.format_exc()]
            failures += 1
        shown += [repr(client), client.label, str(vars(client)), *(str(vars(record)) for record in caplog.records)]
        caplog.clear()
        text = "\n".join(shown).lower()
        assert not [gram for gram in grams if gram in text], f"seed {seed}"
        echoes += chaos.echoes
    assert failures > 300
    assert successes > 30
    assert echoes > 1000
    assert not [seen for seen in studio.fetched if KEY in str(seen) or "authorization" in seen.headers]
    assert len(studio.fetched) > 100
