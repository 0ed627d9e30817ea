"""Who is where, who dropped out and why: the coordinator's account of one round."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from common.errors import AggregationAborted, DataError, PrivacyRefused
from common.frame import Frame
from common.replies import ANSWER, Refusal, body_of, refuse
from common.requests import AdvertiseRequest
from common.secagg.messages import Advert, SurvivorSignature, Witness
from server.channel import Meter
from server.cohort import Cohort

OPENING = AdvertiseRequest(
    run="r", round=3, attempt=5, nonce=bytes(16), cohort=("amber", "herring", "salt", "timber")
)
SIGNATURE = Frame(ANSWER, b"s" * 64)


@dataclass
class Scripted:
    """A channel whose answers are written down beforehand."""

    answers: Mapping[int, Frame]
    asked: list[Mapping[int, Frame]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def addresses(self) -> Sequence[int]:
        return range(4)

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        self.asked.append(requests)
        self.timeouts.append(timeout)
        return {address: self.answers[address] for address in requests if address in self.answers}


def advert(platform: str, mark: bytes = b"k") -> Frame:
    made = Advert(platform, mark * 32, b"m" * 32, b"c" * 32, Witness(0, bytes(32)), b"s" * 64)
    return Frame(ANSWER, made.encode())


def no_fault(advert: Advert) -> str:
    return ""


def opened(
    answers: Mapping[int, Frame], fault: Callable[[Advert], str] = no_fault
) -> tuple[Cohort, list[str]]:
    cohort = Cohort(Meter(Scripted(answers), 5.0))
    adverts = cohort.open(OPENING.frame(), fault)
    return cohort, [found.platform for found in adverts]


def everyone() -> tuple[Cohort, Scripted]:
    """A cohort in which address 0 is amber, and so on; its channel can be given other answers."""
    channel = Scripted({address: advert(name) for address, name in enumerate(OPENING.cohort)})
    cohort = Cohort(Meter(channel, 5.0))
    cohort.open(OPENING.frame(), no_fault)
    return cohort, channel


def test_who_is_where_is_learned_from_the_adverts() -> None:
    cohort, names = opened({0: advert("salt"), 2: advert("amber")})
    assert names == ["salt", "amber"]
    assert cohort.address == {"salt": 0, "amber": 2}


def test_two_addresses_that_name_one_platform() -> None:
    cohort, names = opened({0: advert("salt", b"1"), 1: advert("amber"), 2: advert("salt", b"2")})
    assert names == ["salt", "amber"]
    assert cohort.address == {"salt": 0, "amber": 1}


def test_an_impostor_that_answers_first_does_not_push_the_platform_out() -> None:
    """Its advert has a fault, since only the platform has the platform's key."""
    answers = {0: advert("salt", b"x"), 1: advert("amber"), 2: advert("salt", b"k")}
    cohort, names = opened(answers, lambda found: "forged" if found.seal_key == b"x" * 32 else "")
    assert names == ["amber", "salt"]
    assert cohort.address == {"amber": 1, "salt": 2}


@pytest.mark.parametrize("body", [b"", b"\xff" * 10, advert("salt").body + b"loss", b"4 BadSpec"])
def test_an_answer_that_is_no_advert_is_passed_over(body: bytes) -> None:
    cohort, names = opened({0: Frame(ANSWER, body), 1: advert("amber")})
    assert names == ["amber"]
    assert cohort.refusals == {}


def test_refusals_to_open_are_kept_by_address() -> None:
    cohort, names = opened({0: refuse(PrivacyRefused("")), 1: advert("amber"), 3: refuse(DataError(""))})
    assert names == ["amber"]
    assert cohort.refusals == {0: Refusal(3, "PrivacyRefused"), 3: Refusal(1, "Unavailable")}


def ask(cohort: Cohort, *names: str) -> list[str]:
    frames = {name: Frame("sign", name.encode()) for name in names}
    return list(cohort.ask(frames, body_of(SurvivorSignature.decode)))


def test_refusals_in_later_phases_are_kept_too() -> None:
    """A disk that fills up is met at the charge, in the middle of a round, and is still why the run stops."""
    cohort, channel = everyone()
    channel.answers = {1: refuse(PrivacyRefused("")), 3: SIGNATURE}
    assert ask(cohort, "timber", "herring") == ["timber"]
    assert cohort.refusals == {1: Refusal(3, "PrivacyRefused")}


def test_each_platform_is_asked_its_own_question_at_its_address() -> None:
    cohort, channel = everyone()
    channel.answers = {1: SIGNATURE, 3: SIGNATURE}
    assert ask(cohort, "timber", "herring") == ["timber", "herring"]
    assert {address: frame.body for address, frame in channel.asked[-1].items()} == {
        3: b"timber",
        1: b"herring",
    }
    assert channel.timeouts == [5.0, 5.0]


def test_the_absent_the_refusing_and_the_malformed_drop_out_with_the_reason_known() -> None:
    cohort, channel = everyone()
    channel.answers = {1: refuse(DataError("")), 2: Frame(ANSWER, b"too short"), 3: SIGNATURE}
    assert ask(cohort, *OPENING.cohort) == ["timber"]
    assert cohort.dropped == {
        "amber": "sign",
        "herring": "sign: Unavailable",
        "salt": "sign: ProtocolError",
    }


def test_only_the_reasons_of_the_protocol_are_taken_for_a_malformed_answer() -> None:
    cohort, channel = everyone()
    channel.answers = {0: SIGNATURE}

    def broken(frame: Frame) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cohort.ask({"amber": Frame("sign")}, broken)


def test_a_reason_is_a_word_whatever_was_sent() -> None:
    cohort, channel = everyone()
    channel.answers = {0: Frame("refused", b"4 \x1b[31mBad\nnews")}
    ask(cohort, "amber")
    assert cohort.dropped == {"amber": "sign: Unavailable"}


def test_the_account_of_the_round() -> None:
    channel = Scripted({0: advert("amber"), 1: advert("salt"), 2: refuse(AggregationAborted(""))})
    cohort = Cohort(Meter(channel, 5.0))
    cohort.open(OPENING.frame(), no_fault)
    channel.answers = {0: SIGNATURE}
    ask(cohort, "amber", "salt")
    outcome = cohort.outcome(OPENING, ("amber",))
    assert (outcome.number, outcome.attempt, outcome.survivors) == (3, 5, ("amber",))
    assert outcome.cohort == OPENING.cohort
    assert outcome.dropped == {"herring": "advertise", "timber": "advertise", "salt": "sign"}
    assert set(outcome.seconds_by_phase) == {"advertise", "sign"}
    opening = len(OPENING.frame().body)
    assert outcome.bytes_down == {"amber": opening + 5, "salt": opening + 4}
    assert outcome.bytes_up == {"amber": len(advert("amber").body) + 64, "salt": len(advert("salt").body)}
