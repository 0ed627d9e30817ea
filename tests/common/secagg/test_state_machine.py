"""Any order of questions, to platforms and to the coordinator, over several attempts that overlap.

The coordinator in these runs is an attacker: it asks whom it likes, shows each platform what it likes of what was
said, and has colluders sign anything. A model that is told only what was asked predicts who answers. Whatever
happens, no secret comes out that the protocol keeps, and a sum is exact or there is none.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from common.deltas import QuantizedDelta
from common.secagg import Memory, RoundSpec, Witness, advertise, collect_adverts
from common.secagg.errors import (
    BaseModelReleased,
    NonceReplayed,
    ProtocolAborted,
    RoundReplayed,
    StateUsed,
)
from common.secagg.keys import sign
from common.secagg.transcript import names

# Mostly the attempt at hand, and nothing hidden, so that many rounds get to their end.
WHICH = st.sampled_from([-1, -1, -1, -2, -3])
PLACES = st.one_of(st.just(set()), st.sets(st.integers(0, 5), max_size=4))
SELDOM = st.sampled_from([False] * 7 + [True])
STAGES = ("Advertised", "Shared", "Masked", "Signed")


@dataclass
class Attempt:
    """What was said in one attempt; ``state`` is where each platform stands, ``view`` what it was shown."""

    spec: RoundSpec
    state: dict[str, Any] = field(default_factory=dict)
    past: list[tuple[Any, str, Any]] = field(default_factory=list)
    adverts: dict[str, Any] = field(default_factory=dict)
    sealed: dict[str, Any] = field(default_factory=dict)
    vectors: dict[str, Any] = field(default_factory=dict)
    signatures: dict[str, Any] = field(default_factory=dict)
    released: dict[str, Any] = field(default_factory=dict)
    view: dict[tuple[str, str], Any] = field(default_factory=dict)


class Convoy(RuleBasedStateMachine):
    """The rules ask; each checks its answer against the model's prediction."""

    make: Any = None

    @initialize(n=st.integers(3, 6), data=st.data())
    def embark(self, n: int, data: st.DataObject) -> None:
        c = data.draw(st.integers(0, n - 2), "colluders")
        self.ships = self.make(n, c, dimension=3)
        self.colluders = self.ships.names[n - c :]
        self.t, self.floor = self.ships.terms.threshold(n), self.ships.terms.floor(n)
        self.memory = {name: Memory.empty() for name in self.ships.names}
        self.attempts: list[Attempt] = []
        self.nonces = 0

    @rule(model=st.integers(0, 9), back=SELDOM, old_nonce=SELDOM)
    def open_an_attempt(self, model: int, back: bool, old_nonce: bool) -> None:
        """The next attempt, or one of a round before; with a fresh nonce, or the last one again."""
        self.nonces += not (old_nonce and self.attempts)
        place = {"round": int(not back), "attempt": len(self.attempts), "model": bytes([model]) * 32}
        spec = self.ships.spec(nonce=self.nonces.to_bytes(16, "big"), **place)
        self.attempts.append(Attempt(spec))
        for name in self.ships.names:
            self.ask_to_advertise(name, -1)

    @precondition(lambda self: self.attempts)
    @rule(who=st.integers(0, 5), which=WHICH)
    def ask_again_to_advertise(self, who: int, which: int) -> None:
        self.ask_to_advertise(self.pick(who), which % len(self.attempts))

    def ask_to_advertise(self, name: str, which: int) -> None:
        attempt, memory = self.attempts[which], self.memory[name]
        spec = attempt.spec
        expected: type[ProtocolAborted] | None = None
        if (spec.round, spec.attempt) <= memory.last.get(spec.run, (-1, -1)):
            expected = RoundReplayed
        elif spec.nonce in memory.nonces:
            expected = NonceReplayed
        elif (spec.purpose, spec.model) in memory.models:
            expected = BaseModelReleased
        if expected is not None:
            with pytest.raises(expected):
                memory.admit(spec)
            return
        self.memory[name] = memory.admit(spec)
        witness = Witness(0, bytes(32))
        state, advert = advertise(name, self.ships.keys[name], self.ships.terms, spec, witness)
        attempt.state[name], attempt.adverts[name] = state, advert

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH, hidden=PLACES, for_whom=PLACES)
    def get_on(self, which: int, hidden: set[int], for_whom: set[int]) -> None:
        """The question that most platforms of the attempt wait for, and what the coordinator can make of it."""
        questions = (self.have_them_share, self.have_them_mask, self.have_them_sign, self.have_them_release)
        waiting = [len(self.standing(which, stage)) for stage in STAGES]
        questions[waiting.index(max(waiting))](which, hidden, for_whom)
        self.sum_up(which)

    def have_them_share(self, which: int, hidden: set[int], for_whom: set[int]) -> None:
        for name, attempt in self.standing(which, "Advertised"):
            others = self.left(attempt.adverts, hidden, name, for_whom)
            shown = [attempt.adverts[other] for other in sorted({*others, name})]
            fine = len(shown) >= self.floor
            if (answer := self.ask(attempt, name, "share", shown, fine=fine)) is not None:
                attempt.sealed[name] = answer
                attempt.view[name, "adverts"] = frozenset(advert.platform for advert in shown)

    def have_them_mask(self, which: int, hidden: set[int], for_whom: set[int]) -> None:
        for name, attempt in self.standing(which, "Shared"):
            seen = attempt.view[name, "adverts"]
            dealers = self.left(attempt.sealed, hidden, name, for_whom) - {name}
            dealers = {dealer for dealer in dealers if name in attempt.sealed[dealer].envelopes}
            mail = {dealer: attempt.sealed[dealer].envelopes[name] for dealer in dealers}
            alike = all(attempt.view[dealer, "adverts"] == seen for dealer in dealers)
            fine = alike and len(dealers) + 1 >= self.floor
            if self.ask(attempt, name, "open", mail, fine=fine) is None and not fine:
                continue
            attempt.view[name, "sharers"] = (seen, frozenset({*dealers, name}))
            plain = QuantizedDelta(self.ships.deltas[name].lanes.copy())
            attempt.vectors[name] = self.ask(attempt, name, "mask", plain, fine=True)

    def have_them_sign(self, which: int, hidden: set[int], for_whom: set[int]) -> None:
        for name, attempt in self.standing(which, "Masked"):
            _, sharers = attempt.view[name, "sharers"]
            told = self.left(attempt.vectors, hidden, name, for_whom)
            fine = name in told and told <= sharers and len(told) >= self.floor
            if (answer := self.ask(attempt, name, "sign", sorted(told), fine=fine)) is not None:
                attempt.signatures[name] = answer
                attempt.view[name, "survivors"] = (attempt.view[name, "sharers"], frozenset(told))

    def have_them_release(self, which: int, hidden: set[int], for_whom: set[int]) -> None:
        for name, attempt in self.standing(which, "Signed"):
            state, mine = attempt.state[name], attempt.view[name, "survivors"]
            signers = self.left(attempt.signatures, hidden, name, for_whom)
            signatures = {signer: attempt.signatures[signer].signature for signer in signers}
            for liar in set(self.colluders) & mine[1]:
                signatures[liar] = sign(self.ships.keys[liar], "survivors", state.h2, names(mine[1]))
            agreed = {other for other in signers if attempt.view[other, "survivors"] == mine} & mine[1]
            spec = attempt.spec
            if (spec.purpose, spec.model) in self.memory[name].models:
                with pytest.raises(BaseModelReleased):
                    self.memory[name].released(spec)
                continue
            self.memory[name] = self.memory[name].released(spec)
            fine = len(agreed | set(self.colluders) & mine[1]) >= self.t
            if (answer := self.ask(attempt, name, "release", signatures, fine=fine)) is not None:
                attempt.released[name] = answer

    @precondition(lambda self: self.attempts)
    @rule(which=WHICH, who=st.integers(0, 5))
    def lose_a_platform(self, which: int, who: int) -> None:
        self.attempts[which % len(self.attempts)].state.pop(self.pick(who), None)

    @precondition(lambda self: any(attempt.past for attempt in self.attempts))
    @rule(place=st.integers(0, 10**6))
    def ask_a_second_time(self, place: int) -> None:
        past = [question for attempt in self.attempts for question in attempt.past]
        state, question, argument = past[place % len(past)]
        with pytest.raises(StateUsed):
            getattr(state, question)(argument)

    def sum_up(self, which: int) -> None:
        attempt = self.attempts[which % len(self.attempts)]
        try:
            book = collect_adverts(self.ships.terms, attempt.spec, list(attempt.adverts.values()))
            masked = book.collect_shares(attempt.sealed).collect_masked(attempt.vectors)
            lanes = masked.collect_signatures(attempt.signatures).collect_releases(attempt.released).unmask()
        except ProtocolAborted as reason:
            assert reason.phase in ("advertise", "share", "mask", "sign", "unmask")
            assert reason.hint
        else:
            assert np.array_equal(lanes, self.ships.plain_sum(masked.survivors))
            assert len(masked.survivors) >= self.floor

    @invariant()
    def no_platform_loses_both_secrets(self) -> None:
        for attempt in self.attempts:
            count: Counter[tuple[str, str]] = Counter()
            for holder, released in attempt.released.items():
                if holder not in self.colluders:
                    told = attempt.view[holder, "survivors"][1]
                    count.update((dealer, "seed" if dealer in told else "key") for dealer in released.shares)
            for dealer in self.ships.names:
                open_ = [count[dealer, kind] + len(self.colluders) >= self.t for kind in ("seed", "key")]
                assert not all(open_), dealer

    @invariant()
    def one_release_for_each_model(self) -> None:
        released = Counter((name, a.spec.model) for a in self.attempts for name in a.released)
        assert all(count == 1 for count in released.values())

    @invariant()
    def all_releases_of_an_attempt_are_of_one_view(self) -> None:
        for attempt in self.attempts:
            honest = set(attempt.released) - set(self.colluders)
            assert len({attempt.view[name, "survivors"] for name in honest}) <= 1

    # How the rules ask

    def pick(self, place: int) -> str:
        return self.ships.names[place % self.ships.n]

    def standing(self, which: int, stage: str) -> list[tuple[str, Attempt]]:
        """Who waits for this question in the attempt."""
        attempt = self.attempts[which % len(self.attempts)]
        return [(name, attempt) for name, state in attempt.state.items() if type(state).__name__ == stage]

    def left(self, pool: Any, hidden: set[int], name: str, for_whom: set[int]) -> set[str]:
        """All of the pool, or for some platforms a part of it."""
        if self.ships.names.index(name) not in for_whom:
            return set(pool)
        return set(pool) - {self.pick(place) for place in hidden}

    def ask(self, attempt: Attempt, name: str, question: str, argument: Any, *, fine: bool) -> Any:
        """The answer, if the model says that there is one; else the reason has a phase and a remedy."""
        state = attempt.state.pop(name)
        attempt.past.append((state, question, argument))
        if not fine:
            with pytest.raises(ProtocolAborted) as caught:
                getattr(state, question)(argument)
            assert not isinstance(caught.value, StateUsed)
            return None
        answer = getattr(state, question)(argument)
        if question == "release":
            return answer
        attempt.state[name], message = (answer, None) if question == "open" else answer
        return message


def sail(convoy: Any, **changes: Any) -> None:
    Convoy.make = staticmethod(convoy)
    whole = {"max_examples": 120, "stateful_step_count": 40, "deadline": None}
    run_state_machine_as_test(Convoy, settings=settings(**{**whole, **changes}))


def test_any_order_of_questions(convoy: Any) -> None:
    sail(convoy)


@pytest.mark.parametrize(
    ("place", "weak"),
    [
        ("common.secagg.client.Signed._signed_by", lambda *_: True),
        ("common.secagg.client.require_enough", lambda *_: None),
        ("common.secagg.terms.Terms.threshold", lambda _, size: size // 2),
        ("common.secagg.once.Once.take", lambda box, _: box._box[0]),
    ],
    ids=["no quorum", "no floor", "a lower threshold", "a state that answers twice"],
)
def test_it_notices_a_weaker_protocol(
    convoy: Any, monkeypatch: pytest.MonkeyPatch, place: str, weak: Any
) -> None:
    """The control. The same examples each time, and no search for a smaller one."""
    monkeypatch.setattr(place, weak)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        sail(convoy, max_examples=1000, derandomize=True, database=None, phases=[Phase.generate])
