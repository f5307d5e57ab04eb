"""Lost answers, broken connections, servers that vanish: every job ends once, and nothing runs twice."""

from __future__ import annotations

import _thread
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from fake_comfy import Comfy, serving
from run_shell import Shell

from qil_core.remote import web


def once_each(*comfys: Comfy) -> bool:
    """Whether no prompt was executed twice."""
    return max(Counter(each for comfy in comfys for each in comfy.executed).values()) == 1


def until(there: Callable[[], Any], limit: float = 20) -> None:
    """Wait until something is true, or long enough."""
    end = time.monotonic() + limit
    while not there() and time.monotonic() < end:
        time.sleep(0.02)


def test_a_lost_answer_to_a_submit_does_not_run_it_twice(shell: Shell) -> None:
    with serving(lost_answers=1, seconds=0.2) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert len(comfy.posts) == 1, "the queue or the history had it, so it was not sent again"
    assert len(comfy.executed) == 1


def test_a_lost_submit_is_sent_again_under_the_same_id(shell: Shell) -> None:
    with serving(lost_requests=2) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert len(comfy.posts) == 3
    assert len(set(comfy.posts)) == 1
    assert len(comfy.executed) == 1


def test_a_refused_submit_with_503_is_tried_again(shell: Shell) -> None:
    with serving(errors=Counter({"/prompt": 2})) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert len(comfy.executed) == 1


@pytest.mark.parametrize("path", ["/history", "/view", "/upload", "/object_info", "/system_stats", "/features"])
def test_a_server_that_stumbles_is_asked_again(shell: Shell, path: str) -> None:
    (picture,) = shell.pictures(1)
    with serving(errors=Counter({path: 2})) as comfy:
        assert shell.run("--server", comfy.url, "--set", f"1.image={picture}") == 0
    assert len(comfy.executed) == 1


def test_a_broken_websocket_is_connected_again_and_the_history_decides(shell: Shell) -> None:
    shell.pictures(4)
    with serving(socket_breaks=True, silent=True, seconds=0.1) as comfy:
        assert shell.run("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*") == 0
    assert comfy.connections > 1
    assert len(comfy.executed) == 4


def test_without_any_websocket_jobs_are_done_all_the_same(shell: Shell) -> None:
    with serving(errors=Counter({"/ws": 10**6})) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert comfy.connections == 0


def test_a_refusal_says_what_the_node_said(shell: Shell, said: Callable[[], str]) -> None:
    reason = {"message": "Value not in list", "details": "mode: 'x'"}
    with serving(refusal={"error": {}, "node_errors": {"2": {"errors": [reason]}}}) as comfy:
        assert shell.run("--server", comfy.url) == 1
    assert "2 (Work v1.5): Value not in list: mode: 'x'" in said()
    assert shell.rows()[0]["status"] == "failed"
    assert len(comfy.posts) == 1


def test_a_failed_node_is_named_and_its_job_not_given_to_another_server(shell: Shell, said: Callable[[], str]) -> None:
    failure = {"node_id": "2", "exception_message": "Out of \x1b[31mmemory\ud83d\n"}
    with serving(failure=failure) as one, serving(failure=failure) as two:
        assert shell.run("--server", one.url, "--server", two.url) == 1
    told = said()
    assert "2 (Work v1.5): Out of \\x1b[31mmemory\\ud83d" in told
    assert "1 of 1 jobs failed" in told
    assert len(one.executed) + len(two.executed) == 1


def test_a_failed_job_is_done_again_by_the_next_run(shell: Shell) -> None:
    with serving(failure={"node_id": "2", "exception_message": "no"}) as comfy:
        assert shell.run("--server", comfy.url) == 1
        comfy.failure = None
        assert shell.run("--server", comfy.url) == 0
    assert [row["status"] for row in shell.rows()] == ["failed", "ok"]


def test_a_job_that_runs_too_long_is_interrupted(shell: Shell, said: Callable[[], str]) -> None:
    with serving(seconds=30) as comfy:
        assert shell.run("--server", comfy.url, "--timeout", "0.3") == 1
    assert "still ran after 0.3 s" in said()
    assert comfy.interrupted == comfy.posts


def test_a_queue_that_stands_still_is_not_waited_for_for_ever(shell: Shell, said: Callable[[], str]) -> None:
    with mock.patch.object(Comfy, "work", return_value=None), serving() as hung:
        hung.running = [("stuck", {}, "")]
        assert shell.run("--server", hung.url, "--timeout", "0.4") == 1
        assert not hung.queue, "what was sent is taken back"
        assert not hung.interrupted, "the prompt that runs is somebody else's"
    assert "its queue stood still for 0.4 s" in said()


def test_a_file_that_the_server_lost_fails_its_job_and_no_other(shell: Shell, said: Callable[[], str]) -> None:
    with serving(files={}) as comfy:
        assert shell.run("--server", comfy.url) == 1
    assert "no longer has its file deck.pptx (HTTP 404)" in said()
    assert not list(shell.out.glob("*/*"))


def test_an_output_larger_than_allowed_is_not_kept(
    shell: Shell, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_FILE", 1000)
    with serving(files={"deck.pptx": bytes(5000)}) as comfy:
        assert shell.run("--server", comfy.url) == 1
    assert "larger than 0.001 MB" in said()
    assert not list(shell.out.glob("*/*"))


def test_a_sign_in_page_instead_of_json_loses_the_server(shell: Shell, said: Callable[[], str]) -> None:
    with serving(pages={"/prompt"}) as comfy:
        assert shell.run("--server", comfy.url, "--wait", "60") == 1
    assert "something other than JSON: HTTP 200 <html>Sign in</html>" in said()


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(
    shell: Shell, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.pictures(4)

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with serving() as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*")
        with monkeypatch.context() as patched:
            patched.setattr("qil_core.remote.outputs._kept", full)
            assert shell.run(*arguments) == 1
        assert "No space left on device" in said()
        assert shell.rows() == []
        assert shell.run(*arguments) == 0
    assert sorted(row["name"] for row in shell.rows()) == ["p0", "p1", "p2", "p3"]


def test_jobs_of_a_server_that_vanishes_go_to_the_other_one(shell: Shell) -> None:
    shell.pictures(12)
    with serving(dies_after=2, seconds=0.05) as dying, serving(seconds=0.05) as living:
        servers = ("--server", dying.url, "--server", living.url)
        assert shell.run(*servers, "--each", f"1.image={shell.folder}/photos/*") == 0
    rows = shell.rows()
    assert sorted(row["name"] for row in rows) == sorted(f"p{i}" for i in range(12))
    assert {row["status"] for row in rows} == {"ok"}
    assert 2 <= len(dying.executed) <= 3
    assert once_each(dying, living)
    lost = len(dying.executed) - sum(row["server"] == dying.url for row in rows)
    assert len(dying.executed) + len(living.executed) == 12 + lost, "only what was not fetched in time is done again"


def test_two_servers_share_the_work(shell: Shell) -> None:
    shell.pictures(12)
    with serving(seconds=0.1) as one, serving(seconds=0.1) as two:
        servers = ("--server", one.url, "--server", two.url)
        assert shell.run(*servers, "--each", f"1.image={shell.folder}/photos/*") == 0
    assert min(len(one.executed), len(two.executed)) >= 4


def test_a_server_that_comes_back_is_used_again_and_its_old_prompt_cancelled(shell: Shell) -> None:
    shell.pictures(3)
    with serving(seconds=0.2) as comfy:

        def vanish() -> None:
            until(lambda: comfy.executed)
            comfy.gone.set()
            time.sleep(1.0)
            comfy.queue, comfy.running = [], []
            comfy.gone.clear()
            threading.Thread(target=comfy.work, daemon=True).start()

        thread = threading.Thread(target=vanish)
        thread.start()
        assert shell.run("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*", "--wait", "60") == 0
        thread.join()
    assert sorted(row["name"] for row in shell.rows()) == ["p0", "p1", "p2"]
    assert once_each(comfy)


def test_a_job_that_a_restarted_server_forgot_is_given_to_it_again(shell: Shell) -> None:
    with serving(forgotten=1) as comfy:
        assert shell.run("--server", comfy.url) == 0
    assert len(set(comfy.posts)) == 2
    assert comfy.executed == comfy.posts[1:]


def test_without_any_server_left_the_remaining_jobs_fail_with_their_reason(
    shell: Shell, said: Callable[[], str]
) -> None:
    shell.pictures(5)
    with serving(dies_after=1, seconds=0.05) as comfy:
        arguments = ("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*")
        assert shell.run(*arguments, "--wait", "0.5") == 1
    told = said()
    failed = [row for row in shell.rows() if row["status"] == "failed"]
    assert "No server was there for 0.5 s" in told
    assert len(shell.rows()) == 5
    assert len(failed) in (4, 5)


def test_a_job_that_takes_servers_down_fails_in_the_end(shell: Shell, said: Callable[[], str]) -> None:
    with serving(dies_after=0) as one, serving(dies_after=0) as two, serving(dies_after=0) as three:
        servers = [part for comfy in (one, two, three) for part in ("--server", comfy.url)]
        assert shell.run(*servers, "--wait", "60") == 1
    assert "lost 3 times with its server" in said()


def test_ctrl_c_cancels_what_is_ours_and_the_next_run_goes_on(shell: Shell, said: Callable[[], str]) -> None:
    shell.pictures(6)
    with serving(seconds=0.6) as comfy:
        comfy.queue.append(("somebody-elses", {}, ""))

        def press() -> None:
            until(lambda: len(comfy.executed) >= 3)
            _thread.interrupt_main()

        thread = threading.Thread(target=press)
        thread.start()
        arguments = ("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*")
        assert shell.run(*arguments) == 130
        thread.join()
        assert "the same command goes on" in said()
        done = len(shell.rows())
        assert done < 6
        assert not [each for each in comfy.queue if each[0] in comfy.posts]
        assert set(comfy.interrupted) <= set(comfy.posts)
        assert "somebody-elses" in comfy.executed
        comfy.seconds = 0
        assert shell.run(*arguments) == 0
    assert sorted(row["name"] for row in shell.rows()) == [f"p{i}" for i in range(6)]
