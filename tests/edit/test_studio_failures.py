"""Model Studio refuses, breaks off or keeps silent: what is asked again, what is not, and how long anybody waits."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import torch
from studio_server import (
    ASKED,
    CHARGED,
    ID,
    Act,
    FastClock,
    Handler,
    Studio,
    answer,
    cut,
    editor,
    flat,
    made,
    mute,
    picture,
    raw,
    refusal,
    reset,
    response,
    trickle,
)

from qil_core.edit import studio_http
from qil_core.edit.model_studio import ModelStudio
from qil_core.edit.studio_http import Answer, Clock, Limiter, Lost, Patience, uncharged
from qil_core.errors import QilError
from qil_core.progress import silent


class Interrupted(BaseException):
    """As ComfyUI's own: no Exception."""


# Refusals and repeats


def test_a_wrong_key_is_explained(studio: Studio) -> None:
    studio.posts = [refusal(401, "InvalidApiKey", "Invalid API-key provided.")]
    with pytest.raises(QilError) as error:
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert str(error.value) == (
        f"Model Studio refused (HTTP 401): InvalidApiKey: Invalid API-key provided. (request_id: {ID}). "
        f"Check the key, and that it was made for this region: a key belongs to one region."
    )
    assert len(studio.asked) == 1


def test_a_refusal_is_shown_in_the_servers_words(studio: Studio) -> None:
    studio.posts = [refusal(400, "InvalidParameter", "size must be\n512 to 2048")]
    with pytest.raises(QilError, match=rf"HTTP 400\): InvalidParameter: size must be 512 to 2048 .request_id: {ID}"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert len(studio.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(studio: Studio, status: int) -> None:
    studio.posts = [refusal(status, "Throttling.RateQuota", "Requests rate limit exceeded.")] * 2 + [made(1)]
    edited = editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert torch.equal(edited.pictures[0], picture(0))
    assert len(studio.asked) == 3
    assert studio.asked[0].body == studio.asked[2].body


def test_a_server_that_stays_busy_is_asked_five_times_with_longer_and_longer_pauses(studio: Studio) -> None:
    studio.posts = [refusal(429, "Throttling.RateQuota", "Requests rate limit exceeded.")]
    clock = FastClock()
    with pytest.raises(QilError, match=r"HTTP 429.*limit is reached: wait"):
        editor(studio, clock=Clock(clock.now, clock.sleep)).edit([flat(512, 512)], ASKED, silent)
    assert len(studio.asked) == 5
    assert 7.5 <= clock.skipped <= 15.5  # 1 + 2 + 4 + 8 s, each times 0.5 to 1


def test_retry_after_is_honoured(studio: Studio) -> None:
    studio.posts = [refusal(429, "Throttling", "busy", {"Retry-After": "37"}), made(1)]
    clock = FastClock()
    editor(studio, clock=Clock(clock.now, clock.sleep)).edit([flat(512, 512)], ASKED, silent)
    assert 36.5 <= clock.skipped <= 38


def test_a_wait_beyond_the_deadline_is_an_error_at_once(studio: Studio) -> None:
    studio.posts = [refusal(429, "Throttling", "busy", {"Retry-After": "3600"}), made(1)]
    clock = FastClock()
    with pytest.raises(QilError, match="It asks to wait 3600 s"):
        editor(studio, clock=Clock(clock.now, clock.sleep)).edit([flat(512, 512)], ASKED, silent)
    assert (len(studio.asked), clock.skipped) == (1, 0)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("", 0, 0), ("soon", 0, 0), ("-3", 0, 0), ("9" * 400, 0, 0)],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, low: float, high: float) -> None:
    assert low <= studio_http._retry_after({"retry-after": header}) <= high


def test_a_retry_date_to_come_is_waited_for() -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert 55 < studio_http._retry_after({"retry-after": date}) <= 60


def test_a_request_that_did_not_go_out_whole_is_sent_again(studio: Studio) -> None:
    studio.posts = [reset, made(1)]
    edited = editor(studio).edit([picture(0, 1600, 1600)], ASKED, silent)  # 9 MB: more than any buffer on the way
    assert torch.equal(edited.pictures[0], picture(0))
    assert len(studio.asked) == 2


@pytest.mark.parametrize(
    "act",
    [
        cut,
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\n"),
        raw(response(200, b'{"output": {"cho', length=500)),
        raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        answer(504, b"<html>504 Gateway Time-out</html>"),
        answer(200, b"<html>Log in to the network</html>"),
        answer(200, b'["wrong"]'),
        answer(200, {"output": {"choices": []}, "request_id": ID}),
        answer(200, {"output": {"choices": [{"message": {"content": [{"text": "no"}, {"image": 3}]}}]}}),
        answer(200, b" " * 1_000_001),
        raw(response(200, b"\x1b\x05", {"Content-Encoding": "br"})),
    ],
)
def test_what_may_have_been_charged_is_asked_for_once(studio: Studio, act: Act) -> None:
    studio.posts = [act, made(1)]
    with pytest.raises(QilError, match=CHARGED):
        editor(studio).edit([flat(512, 512)], ASKED, silent)
    assert len(studio.asked) == 1


def test_html_instead_of_json_is_shown_with_the_request_id_of_the_headers(studio: Studio) -> None:
    studio.posts = [answer(200, b"<html>Log in to the network</html>", {"X-Request-Id": "abc-1"})]
    with pytest.raises(QilError, match=r"holds no picture.*request_id: abc-1. The answer begins: <html>Log in"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)


def test_a_failure_in_an_answer_of_200_is_a_failure(studio: Studio) -> None:
    studio.posts = [refusal(200, "DataInspectionFailed", "Input data may contain inappropriate content.")]
    with pytest.raises(QilError, match=r"DataInspectionFailed: Input data.*change them"):
        editor(studio).edit([flat(512, 512)], ASKED, silent)


def test_a_server_that_is_not_there_costs_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", "http://127.0.0.1:9")
    clock = FastClock()
    client = ModelStudio(base_url="http://127.0.0.1:9", clock=Clock(clock.now, clock.sleep), limiter=Limiter(0))
    with pytest.raises(QilError, match=r"could not be reached .ConnectError.*Nothing was charged"):
        client.edit([flat(512, 512)], ASKED, silent)
    assert clock.skipped > 7  # it was tried again


@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (Answer(429, b""), True),
        (Answer(500, b"<html>"), True),
        (Answer(504, b"<html>"), False),
        (Answer(504, b'{"code": "InternalError"}'), True),
        (Answer(400, b"{}"), False),
        (Answer(200, b""), False),
        (Lost("x", sent=False, again=True), True),
        (Lost("x", sent=True, again=True), False),
        (Lost("x", sent=False, again=False), False),
    ],
)
def test_only_what_was_surely_not_charged_is_repeated(outcome: Answer | Lost, again: bool) -> None:
    assert uncharged(outcome) is again


# Waiting


def test_a_silent_server_times_out_and_is_not_asked_again(studio: Studio) -> None:
    studio.posts = [mute]
    with pytest.raises(QilError, match=rf"ReadTimeout.*{CHARGED}"):
        editor(studio, patience=Patience(read=0.2)).edit([flat(512, 512)], ASKED, silent)
    assert studio.hung_up.wait(5)
    assert len(studio.asked) == 1


@pytest.mark.parametrize("act", [trickle, mute])
def test_the_deadline_holds_however_the_server_behaves(studio: Studio, act: Act) -> None:
    studio.posts = [act]
    with pytest.raises(QilError, match=rf"no whole answer within 0.3 s.*{CHARGED}"):
        editor(studio, patience=Patience(total=0.3)).edit([flat(512, 512)], ASKED, silent)
    assert studio.hung_up.wait(5)
    assert threads() == []


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "model-studio"]


@pytest.mark.parametrize("stop", [Interrupted, QilError])
@pytest.mark.parametrize("where", ["request", "download"])
def test_an_interrupt_comes_through_at_once_and_frees_everything(
    studio: Studio, where: str, stop: type[BaseException]
) -> None:
    studio.posts, studio.gets = ([mute] if where == "request" else [made(1)]), [mute]
    asked = studio.asked if where == "request" else studio.fetched

    def progress(fraction: float, what: str) -> None:
        if asked:
            raise stop("enough")

    with pytest.raises(stop, match="enough"):
        editor(studio).edit([flat(512, 512)], ASKED, progress)
    assert studio.hung_up.wait(5)
    assert threads() == []


def test_a_server_that_never_greets_can_be_left_at_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection stands and its encryption is never agreed on: before, that held the thread."""
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", f"https://127.0.0.1:{silent_server.getsockname()[1]}")
        studio.url = f"https://127.0.0.1:{silent_server.getsockname()[1]}"

        def progress(fraction: float, what: str) -> None:
            if what.endswith(" 0 s"):
                silent_server.accept()[0].recv(1)  # the client has said hello and waits
                raise Interrupted

        with pytest.raises(Interrupted):
            editor(studio).edit([flat(512, 512)], ASKED, progress)
    assert threads() == []


def test_progress_is_called_all_the_while(studio: Studio) -> None:
    def late(handler: Handler) -> None:
        time.sleep(0.8)
        made(1)(handler)

    studio.posts, calls = [late], []
    editor(studio).edit([flat(512, 512)], ASKED, lambda fraction, what: calls.append((fraction, what)))
    fractions = [fraction for fraction, _ in calls]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert len([what for _, what in calls if what.startswith("Model Studio: ") and what.endswith(" s")]) >= 4


def test_an_interrupt_ends_a_pause_too(studio: Studio) -> None:
    studio.posts = [refusal(429, "Throttling", "busy", {"Retry-After": "5"})]

    def progress(fraction: float, what: str) -> None:
        if "trying again" in what:
            raise Interrupted

    with pytest.raises(Interrupted):
        editor(studio, clock=Clock()).edit([flat(512, 512)], ASKED, progress)


# The pace


def test_at_most_two_requests_start_in_any_second() -> None:
    limiter, now, starts = studio_http.Limiter(0.5), 0.0, []
    for gap in (0, 0, 0, 0.1, 0.7, 5, 0, 0):
        now += gap
        starts.append(now + limiter.reserve(now))
    assert starts == pytest.approx([0, 0.5, 1.0, 1.5, 2.0, 5.8, 6.3, 6.8])


def test_threads_share_the_pace() -> None:
    limiter, starts = studio_http.Limiter(0.5), []
    crowd = [threading.Thread(target=lambda: starts.append(limiter.reserve(0.0))) for _ in range(50)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert sorted(starts) == pytest.approx([0.5 * i for i in range(50)])


def test_each_repeat_waits_for_its_turn_too(studio: Studio) -> None:
    studio.posts = [refusal(500, "InternalError", "x"), made(1)]
    clock = FastClock()
    patience = Patience(backoff=0)
    editor(studio, clock=Clock(clock.now, clock.sleep), limiter=Limiter(100), patience=patience).edit(
        [flat(512, 512)], ASKED, silent
    )
    assert 99 < clock.skipped <= 100


def test_all_editors_share_one_pace_of_two_a_second() -> None:
    assert ModelStudio()._limiter is ModelStudio()._limiter is studio_http.LIMITER
    assert studio_http.LIMITER._interval == 0.5
