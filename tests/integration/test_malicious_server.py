"""A malicious coordinator gets named refusals and no update; with the one check off it gets the update.

Each attack runs twice in this process: against sites as they are, and, as a control, against sites that lack the
check which stops it. And once more through Flower's own messages, against a process for each site.
"""

import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest

from clients.round import Round
from clients.site import Site
from common.deltas import AdapterDelta, Floats, Lanes
from common.requests import AdvertiseRequest
from common.secagg.memory import Memory
from common.secagg.once import Once
from common.secagg.terms import RoundSpec, Terms
from scenarios.experiments.federation import Federation
from scenarios.experiments.flower import afloat, project

HERE = Path(__file__).parent
VICTIM = "salt"
EXPECTED = {
    "key_swap": {f"{name} share BadAdvert" for name in ("amber", "herring", "salt", "timber")},
    "split_model": {f"{name} share BadAdvert" for name in ("amber", "herring", "salt", "timber")},
    "both_shares": {
        f"{name} {phase} OutOfTurn" for name in ("amber", "herring", "timber") for phase in ("sign", "unmask")
    },
    "split_survivors": {f"{name} unmask NoQuorum" for name in ("amber", "herring", "salt", "timber")},
    "replay": {
        f"{place} advertise {word}"
        for place, words in {
            **dict.fromkeys((0, 1, 3), ("RoundReplayed", "NonceReplayed", "BaseModelReleased")),
            2: ("RoundReplayed", "NonceReplayed"),
        }.items()
        for word in words
    },
}
"""Who refused what, and why. Whoever is asked to open a round has not yet said who it is."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


ATTACKER = load("attacker")


def truth(site: Site, model: Floats) -> Lanes:
    """What the victim hides in round 1 over this model: with privacy off and a seed it is the same each time."""
    charter = site._member.charter
    opening = AdvertiseRequest(
        run=charter.digest().hex(),
        round=1,
        attempt=99,
        nonce=bytes(16),
        cohort=tuple(member.platform for member in charter.members),
    )
    return Round(site._member, opening, model)._quantise(site._train(model, 1)).lanes


def looks_uniform(lanes: Lanes) -> bool:
    """Pearson's χ² over the bytes, at six standard deviations; each of the four bytes of a lane by itself."""
    words = lanes.astype("<u4").view(np.uint8).reshape(-1, 4)
    counts = np.array([np.bincount(words[:, place], minlength=256) for place in range(4)])
    square = ((counts - len(words) / 256) ** 2 / (len(words) / 256)).sum(axis=1)
    return bool((square < 255 + 6 * np.sqrt(2 * 255)).all())


def share_of_equal(guess: Lanes, secret: Lanes) -> float:
    return float(np.mean(guess[:-2] == secret[:-2]))


# --- the attacks work where the check is off -----------------------------------------------------------------


def believe_every_signature(patch: pytest.MonkeyPatch) -> None:
    for module in ("client", "envelopes", "rules"):
        patch.setattr(f"common.secagg.{module}.verify", lambda *_: True)


def sign_no_model(patch: pytest.MonkeyPatch) -> None:
    digest = RoundSpec.digest
    patch.setattr(RoundSpec, "digest", lambda spec, terms: digest(replace(spec, model=bytes(32)), terms))


def answer_as_often_as_asked(patch: pytest.MonkeyPatch) -> None:
    def take(opened: Any, phase: type, attempt: int) -> Any:
        kept = opened.__dict__.setdefault("kept", {})
        kept[type(opened._state)] = opened._state
        return kept[phase]

    patch.setattr(Once, "take", lambda box, phase: box._box[0])
    patch.setattr(Round, "_take", take)
    patch.setattr(Memory, "released", lambda memory, spec: memory)


def let_half_be_a_quorum(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Terms, "threshold", lambda terms, size: size // 2)


def remember_nothing(patch: pytest.MonkeyPatch) -> None:
    for change in ("admit", "released"):
        patch.setattr(Memory, change, lambda memory, spec: memory)


WEAKENED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "key_swap": believe_every_signature,
    "split_model": sign_no_model,
    "both_shares": answer_as_often_as_asked,
    "split_survivors": let_half_be_a_quorum,
    "replay": remember_nothing,
}


@pytest.fixture
def sites(fleet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Four sites; of a model of zeros nothing can be learned."""
    trained = Site._train

    def train(site: Site, model: Floats, number: int) -> AdapterDelta:
        learned = trained(site, model, number)
        return learned if model.any() else AdapterDelta(np.zeros_like(learned.values))

    monkeypatch.setattr(Site, "_train", train)
    return fleet()


def attacked(made: Any, attack: str) -> tuple[Lanes | None, Sequence[str], Lanes]:
    """The attacker's guess, what it was refused, and the victim's own vector."""
    model = made.run.latest().state.parameters
    attempt = ATTACKER.Attempt(made.tape(), made.charter, model, VICTIM, 1)
    guess = ATTACKER.ATTACKS[attack](attempt)
    return guess, attempt.words, truth(made.site(VICTIM), model)


@pytest.mark.parametrize("attack", WEAKENED)
def test_with_its_check_off_the_attack_recovers_the_update(
    sites: Any, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    WEAKENED[attack](monkeypatch)
    guess, _, secret = attacked(sites, attack)
    assert guess is not None
    assert np.array_equal(guess[:-2], secret[:-2])
    assert len(np.unique(secret[:-2])) > 10


@pytest.mark.parametrize("attack", WEAKENED)
def test_with_every_check_on_it_gets_reasons(sites: Any, attack: str) -> None:
    guess, words, secret = attacked(sites, attack)
    assert set(words) == EXPECTED[attack]
    assert guess is None or share_of_equal(guess, secret) == 0


# --- and through Flower --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Flower's engine is the extra 'ray'")
def test_through_flower_each_attack_is_refused_by_name_and_recovers_nothing(
    federation: Callable[..., Federation],
) -> None:
    founded = federation("attacked")
    with afloat(founded.run, {name: site.path for name, site in founded.sites.items()}) as (home, processes):
        bundle = home.stage(project())
        for module in ("attacker", "attacking_app"):
            shutil.copy(HERE / f"{module}.py", bundle / "server")
        settings = bundle / "pyproject.toml"
        settings.write_text(settings.read_text().replace("server.app:app", "server.attacking_app:app"))
        processes.start("flwr-run", home.run(len(founded.sites)), bundle)
        deadline = time.monotonic() + 150
        while not processes.ended("flwr-run") and time.monotonic() < deadline:
            time.sleep(0.1)
        log = processes.log("amber").read_text()
        told = processes.log("flwr-run").read_text()

    assert (founded.run.path / "words.json").exists(), told[-2000:]
    words = json.loads((founded.run.path / "words.json").read_text())
    assert set(words) == set(EXPECTED)
    for attack, expected in EXPECTED.items():
        assert {anonymous(word) for word in words[attack]} == {anonymous(word) for word in expected}, attack
    for attack, reason in {
        "key_swap": "share: salt: The advertisement is not signed",
        "both_shares": "this round is not in the phase masked",
        "split_survivors": "There is no quorum on one survivor set",
        "replay": "a second one would allow differencing",
    }.items():
        assert reason in log, attack

    victim = Site(founded.sites[VICTIM], founded.sites[VICTIM].engagement(founded.run.charter()))
    with np.load(founded.run.path / "guesses.npz") as found:
        guesses = {name: found[name] for name in found.files}
    assert {name for name in guesses if name.endswith(".guess")} == {
        "both_shares.guess",
        "split_survivors.guess",
    }
    for attack in ("both_shares", "split_survivors"):
        secret = truth(victim, cast(Floats, guesses[f"{attack}.model"]))
        assert share_of_equal(guesses[f"{attack}.guess"], secret) < 0.001
        assert looks_uniform(guesses[f"{attack}.guess"])
        assert not looks_uniform(secret)


def anonymous(word: str) -> str:
    """Without the address, which Flower chooses."""
    who, rest = word.split(" ", 1)
    return rest if rest.startswith("advertise") else f"{who} {rest}"
