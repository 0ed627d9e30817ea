"""The shim: hands on what comes, and gives away nothing of a failure."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict

from clients.app import app
from clients.daemon import SiteDaemon, listening
from common import wire
from common.frame import Frame


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Path]:
    """Two sites, ``alpha`` and ``beta``, that answer with their names."""
    with listening(tmp_path / "alpha.sock") as first, listening(tmp_path / "beta.sock") as second:
        daemons = [
            SiteDaemon(lambda frame, name=name: Frame(frame.kind, name), listener, {0, *_users()})
            for name, listener in ((b"alpha", first), (b"beta", second))
        ]
        threads = [threading.Thread(target=daemon.serve) for daemon in daemons]
        for thread in threads:
            thread.start()
        yield tmp_path
        for daemon, thread in zip(daemons, threads, strict=True):
            daemon.stop()
            thread.join()


def _users() -> set[int]:
    return {Path("/proc/self").stat().st_uid}


def ask(node_config: dict[str, str | int], run_config: dict[str, str | int]) -> Message:
    message = wire.request(Frame("open"), address=7, timeout=5.0)
    return app(message, Context(1, 7, node_config, RecordDict(), run_config))


@pytest.mark.parametrize(("partition", "name"), [(0, b"alpha"), (1, b"beta")])
def test_in_simulation_a_partition_is_a_socket_by_name(
    task: None, sockets: Path, partition: int, name: bytes
) -> None:
    reply = ask({"partition-id": partition}, {"sockets": str(sockets)})
    assert wire.frame_of(reply) == Frame("open", name)


def test_the_platforms_own_socket_comes_first(task: None, sockets: Path) -> None:
    reply = ask({"site-socket": str(sockets / "beta.sock"), "partition-id": 0}, {"sockets": str(sockets)})
    assert wire.frame_of(reply).body == b"beta"


@pytest.mark.parametrize(
    "node_config",
    [{"site-socket": "/nowhere/secret-name.sock"}, {"partition-id": 2}, {}],
    ids=["gone", "far", "none"],
)
def test_a_failure_leaves_no_text(task: None, sockets: Path, node_config: dict[str, str | int]) -> None:
    reply = ask(node_config, {"sockets": str(sockets)})
    assert reply.error.code == wire.SITE_SILENT
    assert reply.error.reason == "the site does not answer"
