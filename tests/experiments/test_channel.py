"""The channel of a simulation: every site at its place."""

from common.frame import Frame
from scenarios.experiments.channel import InProcessChannel


def test_each_question_goes_to_its_site() -> None:
    sites = [
        lambda frame, number=number: Frame("answer", frame.body + bytes([number])) for number in range(3)
    ]
    channel = InProcessChannel(sites)
    assert list(channel.addresses()) == [0, 1, 2]
    answers = channel.ask({2: Frame("x", b"a"), 0: Frame("x", b"b")}, timeout=0.0)
    assert {address: frame.body for address, frame in answers.items()} == {2: b"a\x02", 0: b"b\x00"}
