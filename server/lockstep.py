"""Several groups' rounds side by side over one channel, which is asked by one caller and once for a step.

A group's round is ordinary code that asks and waits. Each runs in a thread of its own, and hands its question
over instead of asking; when all groups have asked or ended, the questions go out together. So the sites of all
groups work at the same time, while a channel need know nothing of threads.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from common.errors import AggregationAborted
from common.frame import Frame
from server.channel import Channel

Result = TypeVar("Result")
Answers = Mapping[int, Frame]


class _Cancelled(BaseException):
    """Ends a group's thread when nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class _Question:
    requests: Mapping[int, Frame]
    timeout: float


@dataclass(frozen=True, slots=True)
class _End(Generic[Result]):
    result: Result | AggregationAborted


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Side(Generic[Result]):
    """The channel as one group sees it: its own platforms, and a question that waits for the others'."""

    reachable: Sequence[int]
    told: "SimpleQueue[_Question | _End[Result] | _Failure]" = field(default_factory=SimpleQueue)
    heard: "SimpleQueue[Answers | None]" = field(default_factory=SimpleQueue)

    def addresses(self) -> Sequence[int]:
        return self.reachable

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Answers:
        self.told.put(_Question(requests, timeout))
        answers = self.heard.get()
        if answers is None:
            raise _Cancelled
        return answers

    def run(self, job: Callable[[Channel], Result]) -> None:
        try:
            self.told.put(_End(job(self)))
        except AggregationAborted as reason:
            self.told.put(_End(reason))
        except BaseException as error:  # it is raised again where the caller waits
            self.told.put(_Failure(error))


def side_by_side(
    channel: Channel, groups: Sequence[Sequence[int]], job: Callable[[int, Channel], Result]
) -> list[Result | AggregationAborted]:
    """``job(place, channel)`` for each group, at once; ``groups``: the addresses of each.

    A group that aborts gives its reason; anything else that one raises ends all and is raised here.
    """
    sides: list[_Side[Result]] = [_Side(addresses) for addresses in groups]
    results: dict[int, Result | AggregationAborted] = {}
    for place, side in enumerate(sides):
        work = _bound(job, place)
        threading.Thread(target=side.run, args=(work,), name=f"group {place}", daemon=True).start()
    try:
        while len(results) < len(sides):
            _step(channel, sides, results)
    finally:
        for side in sides:
            side.heard.put(None)
    return [results[place] for place in range(len(sides))]


def _bound(job: Callable[[int, Channel], Result], place: int) -> Callable[[Channel], Result]:
    return lambda channel: job(place, channel)


def _step(
    channel: Channel, sides: Sequence[_Side[Result]], results: dict[int, Result | AggregationAborted]
) -> None:
    """Wait until every group that is left has asked or ended; then ask for all of them."""
    asked: dict[int, _Question] = {}
    for place, side in enumerate(sides):
        if place in results:
            continue
        match side.told.get():
            case _Question() as question:
                asked[place] = question
            case _End(result):
                results[place] = result
            case _Failure(error):
                raise error
    if asked:
        requests = {address: frame for one in asked.values() for address, frame in one.requests.items()}
        answers = channel.ask(requests, max(one.timeout for one in asked.values()))
        for place, question in asked.items():
            mine = {address: answers[address] for address in question.requests if address in answers}
            sides[place].heard.put(mine)
