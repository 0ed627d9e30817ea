"""What a site remembers: replays, base models and ledgers, through any order of events and through JSON."""

import json
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from common.secagg import Advert, Memory, RoundSpec, Witness
from common.secagg.errors import (
    BaseModelReleased,
    LedgerRollback,
    MemoryCorrupt,
    NonceReplayed,
    RoundReplayed,
)

SPEC = RoundSpec("run", "training", 3, 1, b"n" * 16, ("a", "b", "c"), b"m" * 32)


def advert(counter, head=b"h", platform="bremen"):
    return Advert(platform, bytes(32), bytes(32), bytes(32), Witness(counter, head * 32), bytes(64))


@pytest.mark.parametrize(("round_", "attempt"), [(3, 1), (3, 0), (2, 9), (0, 0)])
def test_no_round_again_nor_one_before(round_, attempt):
    memory = Memory.empty().admit(SPEC)
    with pytest.raises(RoundReplayed, match="last was round 3, attempt 1"):
        memory.admit(replace(SPEC, round=round_, attempt=attempt, nonce=b"o" * 16))


@pytest.mark.parametrize(("round_", "attempt"), [(3, 2), (4, 0)])
def test_a_later_attempt_or_round_is_fine(round_, attempt):
    later = replace(SPEC, round=round_, attempt=attempt, nonce=b"o" * 16)
    assert Memory.empty().admit(SPEC).admit(later).last == {"run": (round_, attempt)}


def test_runs_count_their_rounds_apart_but_share_nonces_and_models():
    memory = Memory.empty().admit(SPEC)
    other = replace(SPEC, run="other", round=0, attempt=0)
    with pytest.raises(NonceReplayed):
        memory.admit(other)
    fresh = replace(other, nonce=b"o" * 16)
    assert memory.admit(fresh).last == {"run": (3, 1), "other": (0, 0)}
    with pytest.raises(BaseModelReleased, match="training over model 6d6d6d"):
        memory.released(SPEC).admit(fresh)


def test_a_retry_over_the_same_model_until_shares_are_released():
    memory = Memory.empty().admit(SPEC)
    retry = replace(SPEC, attempt=2, nonce=b"o" * 16)
    memory = memory.admit(retry).released(retry)
    again = replace(SPEC, round=4, nonce=b"p" * 16)
    with pytest.raises(BaseModelReleased):
        memory.admit(again)
    memory.admit(replace(again, model=b"k" * 32))
    memory.admit(replace(again, purpose="statistics"))


def test_changes_are_new_values():
    memory = Memory.empty()
    memory.admit(SPEC), memory.released(SPEC), memory.witness([advert(1)])
    assert memory == Memory.empty()


def test_a_ledger_may_stay_or_grow():
    memory = Memory.empty().witness([advert(4), advert(9, platform="visby")])
    memory = memory.witness([advert(4)]).witness([advert(7, b"i")])
    assert memory.witnesses == {"bremen": Witness(7, b"i" * 32), "visby": Witness(9, b"h" * 32)}


@pytest.mark.parametrize(
    ("counter", "head", "why"), [(3, b"h", "entry 3 after entry 4"), (4, b"x", "two heads")]
)
def test_a_ledger_neither_goes_back_nor_forks(counter, head, why):
    memory = Memory.empty().witness([advert(4)])
    with pytest.raises(LedgerRollback, match=why) as caught:
        memory.witness([advert(9, platform="visby"), advert(counter, head)])
    assert caught.value.platform == "bremen"


def test_a_release_moves_the_ledger():
    memory = Memory.empty().witness([advert(4), advert(9, platform="visby")]).saw_release([advert(4)])
    with pytest.raises(LedgerRollback, match="still entry 4") as caught:
        memory.witness([advert(9, platform="visby"), advert(4)])
    assert (caught.value.phase, caught.value.platform) == ("memory", "bremen")
    assert memory.witness([advert(5, b"i")]).witnesses["bremen"].counter == 5


def test_what_a_release_asks_for_never_falls():
    """Two rounds under two charters may end in another order than they began in."""
    memory = Memory.empty().saw_release([advert(7)]).saw_release([advert(4)])
    assert memory.least == {"bremen": 8}
    assert memory.saw_release([advert(0, platform="visby")]).least == {"bremen": 8, "visby": 1}
    with pytest.raises(LedgerRollback):
        memory.witness([advert(7)])


def test_a_memory_from_before_releases_were_seen_still_reads():
    text = Memory.empty().witness([advert(4)]).to_json()
    assert "least" not in text
    assert Memory.from_json(text).least == {}


def test_json_round_trip():
    memory = Memory.empty().witness([advert(4)]).saw_release([advert(4)])
    assert Memory.from_json(memory.to_json()) == memory
    memory = Memory.empty().admit(SPEC).released(SPEC).witness([advert(2**63)])
    assert Memory.from_json(memory.to_json()) == memory
    assert Memory.from_json(Memory.empty().to_json()) == Memory.empty()


def test_equal_memories_have_one_text():
    """Its sets have another order in each process, the text has not."""
    memory = Memory.empty()
    for number in range(20):
        spec = replace(SPEC, round=4 + number, nonce=bytes([number]) * 16, model=bytes([number]) * 32)
        memory = memory.admit(spec).released(spec)
    content = json.loads(memory.to_json())
    assert content["nonces"] == [f"{number:02x}" * 16 for number in range(20)]
    assert content["models"] == [["training", f"{number:02x}" * 32] for number in range(20)]
    assert Memory.from_json(memory.to_json()) == memory


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"last": 3}', '{"last": {}, "nonces": []}', "[" * 100_000]
)
def test_memory_that_cannot_be_read_is_not_taken_for_empty(text):
    with pytest.raises(MemoryCorrupt):
        Memory.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(SPEC.nonce.hex(), "xyz"),
        lambda text: text.replace("[3, 1]", "[3]"),
        lambda text: text.replace("[3, 1]", '["x", 1]'),
        lambda text: text[:-1],
        lambda text: text.replace((b"h" * 32).hex(), "00"),
        lambda text: text.replace("[1,", "[1.5,"),
        lambda text: text.replace('"last"', '"lost": 1, "last"'),
        lambda text: text.replace('"last"', '"last": {"other": [0, 0]}, "last"'),
        lambda text: text.replace('"models": []', '"models": [[1, "00"], ["a", "00"]]'),
        lambda text: text.replace('"models": []', '"models": [[1, "00"]]'),
        lambda text: text.replace(SPEC.nonce.hex(), SPEC.nonce.hex().upper()),
        lambda text: text.replace(": ", ":"),
        lambda text: text + " ",
    ],
)
def test_damaged_memory_is_refused(change):
    text = Memory.empty().admit(SPEC).witness([advert(1)]).to_json()
    assert change(text) != text
    with pytest.raises(MemoryCorrupt):
        Memory.from_json(change(text))


def test_of_two_attempts_over_one_model_one_may_release():
    """Both were opened before either released: two processes of one site, say, that share its memory."""
    other = replace(SPEC, attempt=SPEC.attempt + 1, nonce=b"o" * 16)
    memory = Memory.empty().admit(SPEC).admit(other).released(SPEC)
    with pytest.raises(BaseModelReleased):
        memory.released(other)


class Site(RuleBasedStateMachine):
    """A site that reboots at any time, against a model that keeps everything it ever answered."""

    def __init__(self):
        super().__init__()
        self.memory, self.answered, self.models, self.ledger = Memory.empty(), [], set(), (0, 0)

    @rule(
        round_=st.integers(0, 3), attempt=st.integers(0, 2), nonce=st.integers(0, 9), model=st.integers(0, 2)
    )
    def ask(self, round_, attempt, nonce, model):
        spec = replace(
            SPEC, round=round_, attempt=attempt, nonce=bytes([nonce] * 16), model=bytes([model] * 32)
        )
        later = all((round_, attempt) > (old.round, old.attempt) for old in self.answered)
        fresh = all(spec.nonce != old.nonce for old in self.answered)
        if later and fresh and spec.model not in self.models:
            self.memory = self.memory.admit(spec)
            self.answered.append(spec)
        else:
            with pytest.raises((RoundReplayed, NonceReplayed, BaseModelReleased)):
                self.memory.admit(spec)

    @rule()
    def release(self):
        if self.answered and self.answered[-1].model in self.models:
            with pytest.raises(BaseModelReleased):
                self.memory.released(self.answered[-1])
        elif self.answered:
            self.memory = self.memory.released(self.answered[-1])
            self.models.add(self.answered[-1].model)

    @rule(counter=st.integers(0, 5), fork=st.integers(0, 1))
    def see(self, counter, fork):
        known = self.ledger[0]
        if counter > known or (counter, fork) == self.ledger or "bremen" not in self.memory.witnesses:
            self.memory = self.memory.witness([advert(counter, bytes([fork]))])
            self.ledger = (counter, fork)
        else:
            with pytest.raises(LedgerRollback):
                self.memory.witness([advert(counter, bytes([fork]))])

    @rule()
    def reboot(self):
        self.memory = Memory.from_json(self.memory.to_json())

    @invariant()
    def nothing_is_forgotten(self):
        assert len(self.memory.nonces) == len(self.answered)
        assert {model for _, model in self.memory.models} == self.models


TestSite = Site.TestCase
TestSite.settings = settings(deadline=None, stateful_step_count=30)
