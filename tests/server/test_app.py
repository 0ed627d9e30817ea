"""The grid as a channel: who is asked, whose answer is whose, and who has dropped out."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from flwr.app import Context, Error, Message, RecordDict

from common import wire
from common.charter import CharterInvalid
from common.errors import AggregationAborted, EnvironmentProblem, HanseError, PrivacyRefused
from common.frame import Frame
from server import app, failure
from server.app import GridChannel


class Grid:
    """Stands for Flower's grid: names messages as it takes them and answers as ``respond`` says."""

    def __init__(self, nodes: Iterable[int], respond: Callable[[Message], Message | None]) -> None:
        self.nodes, self.respond = list(nodes), respond
        self.replies: dict[str, Message] = {}

    def get_node_ids(self) -> list[int]:
        return self.nodes

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        names = []
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"message-{number}"
            names.append(f"message-{number}")
            if (reply := self.respond(message)) is not None:
                self.replies[names[-1]] = reply
        return names

    def pull_messages(self, names: Iterable[str]) -> list[Message]:
        return [self.replies.pop(name) for name in set(names) & set(self.replies)]


def echo(message: Message) -> Message:
    return wire.reply(Frame("answer", str(message.metadata.dst_node_id).encode()), message)


def test_each_answer_finds_its_question(task: None) -> None:
    channel = GridChannel(Grid([5, 3, 9], echo))
    assert channel.addresses() == [3, 5, 9]
    answers = channel.ask({node: Frame("open") for node in channel.addresses()}, timeout=5.0)
    assert {node: frame.body for node, frame in answers.items()} == {3: b"3", 5: b"5", 9: b"9"}


def test_an_error_and_a_malformed_answer_are_absent(task: None) -> None:
    def respond(message: Message) -> Message:
        node = message.metadata.dst_node_id
        if node == 3:  # as Flower reports a SuperNode that died: from node 1
            reply = Message(Error(5, "gone"), reply_to=message)
            reply.metadata.__dict__["_src_node_id"] = 1
            return reply
        return echo(message) if node == 5 else Message(RecordDict(), reply_to=message)

    channel = GridChannel(Grid([3, 5, 9], respond))
    assert list(channel.ask({node: Frame("open") for node in (3, 5, 9)}, timeout=5.0)) == [5]


def test_whoever_is_late_is_absent_and_costs_the_timeout_once(task: None) -> None:
    channel = GridChannel(
        Grid([3, 5], lambda message: echo(message) if message.metadata.dst_node_id == 5 else None)
    )
    begun = time.monotonic()
    assert list(channel.ask({3: Frame("open"), 5: Frame("open")}, timeout=0.3)) == [5]
    assert 0.3 <= time.monotonic() - begun < 2


def test_assembly_waits_and_then_says_how_many_came(task: None) -> None:
    GridChannel(Grid([1, 2], echo)).assemble(2, patience=0.0)
    with pytest.raises(EnvironmentProblem, match="1 of 2 platforms"):
        GridChannel(Grid([1], echo)).assemble(2, patience=0.1)


def test_without_a_run_folder_nothing_is_written(
    task: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context = Context(1, 1, {}, RecordDict(), {"run-folder": "", "timeout": 1.0})
    with pytest.raises(EnvironmentProblem, match="names no run-folder"):
        app.app(Grid([], echo), context)
    assert list(tmp_path.iterdir()) == []


def test_why_a_run_stopped_is_noted_in_its_folder(task: None, tmp_path: Path) -> None:
    context = Context(1, 1, {}, RecordDict(), {"run-folder": str(tmp_path), "timeout": 1.0})
    with pytest.raises(HanseError):
        app.app(Grid([], echo), context)
    noted = failure.noted(tmp_path)
    assert noted is not None
    assert "charter" in str(noted)


@pytest.mark.parametrize(
    "kind", [CharterInvalid, PrivacyRefused, AggregationAborted, EnvironmentProblem, HanseError]
)
def test_a_noted_failure_keeps_its_words_and_exit_code(tmp_path: Path, kind: type[HanseError]) -> None:
    error = kind("what", where="where", why="why", hint="hint")
    failure.note(tmp_path, error)
    noted = failure.noted(tmp_path)
    assert type(noted) is kind
    assert (str(noted), noted.hint, noted.exit_code) == (str(error), "hint", kind.exit_code)
    failure.forget(tmp_path)
    assert failure.noted(tmp_path) is None
