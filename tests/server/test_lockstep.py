"""Groups side by side: one question for all of them at a time, and no thread left behind."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from common.errors import AggregationAborted
from common.frame import Frame
from server.channel import Channel
from server.lockstep import side_by_side

GROUPS = ((0, 1), (2, 3), (4,))


@dataclass
class Echo:
    """Answers every frame with itself, but for addresses that are silent; keeps who asked what together."""

    silent: frozenset[int] = frozenset()
    asked: list[tuple[list[int], float]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    def addresses(self) -> Sequence[int]:
        return range(5)

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        self.asked.append((sorted(requests), timeout))
        self.threads.add(threading.get_ident())
        return {address: frame for address, frame in requests.items() if address not in self.silent}


def ask(channel: Channel, word: str, timeout: float = 1.0) -> list[str]:
    frames = {address: Frame(f"{word}-{address}") for address in channel.addresses()}
    return [frame.kind for frame in channel.ask(frames, timeout).values()]


def idle() -> bool:
    """Whether all threads of the groups have ended."""
    for _ in range(100):
        if not any(thread.name.startswith("group ") for thread in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


def test_all_groups_questions_go_out_together_from_the_callers_thread() -> None:
    channel = Echo()
    results = side_by_side(
        channel, GROUPS, lambda place, side: ask(side, "open") + ask(side, "close", timeout=2.0 + place)
    )
    assert channel.asked == [([0, 1, 2, 3, 4], 1.0), ([0, 1, 2, 3, 4], 4.0)]
    assert channel.threads == {threading.get_ident()}
    assert results == [
        [f"{word}-{address}" for word in ("open", "close") for address in group] for group in GROUPS
    ]
    assert idle()


def test_a_group_hears_its_own_answers_only() -> None:
    assert side_by_side(Echo(frozenset({1, 2, 3})), GROUPS, lambda _, side: ask(side, "open")) == [
        ["open-0"],
        [],
        ["open-4"],
    ]


def test_a_group_that_ends_early_holds_nobody_up() -> None:
    channel = Echo()
    results = side_by_side(
        channel, GROUPS, lambda place, side: [ask(side, str(step)) for step in range(place + 1)][-1]
    )
    assert results == [["0-0", "0-1"], ["1-2", "1-3"], ["2-4"]]
    assert [who for who, _ in channel.asked] == [[0, 1, 2, 3, 4], [2, 3, 4], [4]]


def test_a_group_that_aborts_gives_its_reason_and_the_others_go_on() -> None:
    def hold(place: int, side: Channel) -> list[str]:
        ask(side, "open")
        if place == 1:
            raise AggregationAborted("too few")
        return ask(side, "close")

    first, second, third = side_by_side(Echo(), GROUPS, hold)
    assert (first, third) == (["close-0", "close-1"], ["close-4"])
    assert isinstance(second, AggregationAborted)
    assert idle()


@pytest.mark.parametrize("error", [ValueError("a mistake"), KeyboardInterrupt(), SystemExit(3)])
def test_anything_else_ends_all_of_them(error: BaseException) -> None:
    def hold(place: int, side: Channel) -> None:
        ask(side, "open")
        if place == 2:
            raise error
        ask(side, "close")

    with pytest.raises(type(error)):
        side_by_side(Echo(), GROUPS, hold)
    assert idle()


def test_a_channel_that_fails_leaves_no_thread_behind() -> None:
    class Broken(Echo):
        def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        side_by_side(Broken(), GROUPS, lambda _, side: ask(side, "open"))
    assert idle()


def test_no_groups_ask_nothing() -> None:
    channel = Echo()
    assert side_by_side(channel, (), lambda _, side: ask(side, "open")) == []
    assert channel.asked == []
