"""The site's socket: who may ask, what is answered, and that nothing else comes out of it."""

import os
import resource
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from clients.daemon import SiteDaemon, SiteSilent, SiteSocket, listening
from common.errors import EnvironmentProblem
from common.frame import MAX_BODY, Frame


@contextmanager
def serving(
    handle: Callable[[Frame], Frame], path: Path, users: set[int] | None = None
) -> Iterator[SiteSocket]:
    with listening(path) as listener:
        daemon = SiteDaemon(handle, listener, {os.getuid()} if users is None else users)
        thread = threading.Thread(target=daemon.serve)
        thread.start()
        try:
            yield SiteSocket(path)
        finally:
            daemon.stop()
            thread.join(10)
            assert not thread.is_alive()


def echo(frame: Frame) -> Frame:
    return Frame(f"{frame.kind}!", frame.body, frame.arrays)


def test_a_million_numbers_come_back_exactly(tmp_path: Path) -> None:
    vectors = (np.arange(1_000_000, dtype=np.uint32), np.array([np.nan, -0.0, 1e-45], np.float32))
    with serving(echo, tmp_path / "site.sock") as site:
        answer = site.ask(Frame("upload", b"body", vectors), timeout=10.0)
    assert (answer.kind, answer.body) == ("upload!", b"body")
    assert [v.tobytes() for v in answer.arrays] == [v.tobytes() for v in vectors]


def test_empty_frames_never_race_with_their_answers(tmp_path: Path) -> None:
    with serving(echo, tmp_path / "site.sock") as site:
        kinds = {site.ask(Frame("open"), timeout=10.0).kind for _ in range(300)}
    assert kinds == {"open!"}


def test_a_socket_may_lie_deeper_than_its_address_is_long(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8) / "site.sock"
    assert len(str(path)) > 107
    with serving(echo, path) as site:
        assert site.ask(Frame("open"), timeout=10.0).kind == "open!"


def test_modes_leave_out_everyone_else(tmp_path: Path) -> None:
    path = tmp_path / "sockets" / "site.sock"
    mask = os.umask(0)
    try:
        with serving(echo, path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    finally:
        os.umask(mask)


def test_a_user_who_is_not_on_the_list_gets_no_answer(tmp_path: Path) -> None:
    asked: list[Frame] = []
    strangers = {os.getuid() + 1}
    with serving(lambda frame: asked.append(frame) or frame, tmp_path / "s", strangers) as site:
        with pytest.raises(SiteSilent):
            site.ask(Frame("open"), timeout=10.0)
        assert asked == []


def test_a_failure_closes_the_connection_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(frame: Frame) -> Frame:
        if frame.kind == "open":
            raise ValueError("row 17: alice@example.org")
        return frame

    path = tmp_path / "site.sock"
    with serving(fail, path) as site:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            raw.sendall(bytes([47, 0, 0, 0]) + b'{"kind": "open", "body": 0, "arrays": []      }')
            assert raw.recv(1) == b""
        assert site.ask(Frame("next"), timeout=10.0).kind == "next"
    assert "ValueError" in caplog.text
    assert "alice" not in caplog.text


@pytest.mark.parametrize("junk", [b"", b"\1", b"\xff\xff\xff\xff", b"\2\0\0\0[]", b"\5\0\0\0junk!"])
def test_junk_does_not_stop_the_site(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "site.sock"
    with serving(echo, path) as site:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(path))
            raw.sendall(junk)
        assert site.ask(Frame("open"), timeout=10.0).kind == "open!"


def test_what_is_announced_takes_no_memory_before_it_arrives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gibibyte announced, three bytes sent, by a process that may not have half of that."""
    header = f'{{"kind": "open", "body": {MAX_BODY}, "arrays": []}}'.encode()
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    with serving(echo, tmp_path / "site.sock") as site:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_BODY // 2, hard))
        try:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(site.path))
                raw.sendall(len(header).to_bytes(4, "little") + header + b"abc")
                raw.shutdown(socket.SHUT_WR)
                assert raw.recv(1) == b""
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (before, hard))
    assert "MemoryError" not in caplog.text


def test_one_question_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def slow(frame: Frame) -> Frame:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        inside -= 1
        return frame

    with serving(slow, tmp_path / "site.sock") as site:
        callers = [threading.Thread(target=site.ask, args=(Frame("open"), 10.0)) for _ in range(5)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert most == 1


def test_no_site_and_a_slow_site_are_silent(tmp_path: Path) -> None:
    with pytest.raises(SiteSilent):
        SiteSocket(tmp_path / "nobody.sock").ask(Frame("open"), timeout=1.0)
    go_on = threading.Event()
    with serving(lambda frame: go_on.wait(10) and frame, tmp_path / "slow.sock") as site:
        with pytest.raises(SiteSilent, match="TimeoutError"):
            site.ask(Frame("open"), timeout=0.05)
        go_on.set()


def test_a_stale_socket_is_replaced_and_a_live_one_respected(tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    assert not SiteSocket(path).listens()
    with serving(echo, path) as site:
        assert site.listens()
        with pytest.raises(EnvironmentProblem, match="already answers"), listening(path):
            pass
        assert site.ask(Frame("open"), timeout=10.0).kind == "open!"
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match=r"site\.sock"), listening(tmp_path / "file" / "site.sock"):
        pass
