"""What reaches the coordinator: only what the protocol's schema knows, and nothing that tells an update."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from clients.site import Site
from common.deltas import ClippedDelta, QuantizedDelta
from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import ANSWER, masked_vector
from common.secagg import client
from common.secagg.messages import Advert, ReleasedShares, SealedShares, SurvivorSignature
from common.secagg.ring import Ring
from scenarios.experiments.federation import Federation
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

PHASES = ("advertise", "share", "upload", "sign", "unmask")
SCHEMA = {
    "advertise": Advert,
    "share": SealedShares,
    "sign": SurvivorSignature,
    "unmask": ReleasedShares,
}

Make = Callable[..., Federation]


@dataclass
class Wire:
    """A channel that keeps every answer, and on which a platform can fall silent from a phase on."""

    sites: Sequence[Site]
    silent: int | None = None
    since: str = ""
    answers: list[tuple[str, Frame]] = field(default_factory=list)

    def addresses(self) -> Sequence[int]:
        return range(len(self.sites))

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        received = {}
        for address, frame in requests.items():
            if address == self.silent and self.since in PHASES[: PHASES.index(frame.kind) + 1]:
                continue
            received[address] = self.sites[address].handle(frame)
            self.answers.append((frame.kind, received[address]))
        return received


@dataclass
class Updates:
    """What every site was about to hide, in the order in which they quantised."""

    clipped: list[ClippedDelta] = field(default_factory=list)
    quantised: list[QuantizedDelta] = field(default_factory=list)


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> Updates:
    seen, quantise = Updates(), Ring.quantise

    def watched(ring: Ring, delta: ClippedDelta, weight: float, randomness: object) -> QuantizedDelta:
        result = quantise(ring, delta, weight, randomness)  # type: ignore[arg-type]
        seen.clipped.append(delta)
        seen.quantised.append(QuantizedDelta(result.lanes.copy()))  # the site masks them in place
        return result

    monkeypatch.setattr(Ring, "quantise", watched)
    return seen


def open_sites(federation: Federation) -> list[Site]:
    charter = federation.run.charter()
    return [Site(folder, folder.engagement(charter)) for folder in federation.sites.values()]


def hold(federation: Federation, wire: Wire) -> tuple[np.ndarray, Sequence[str]]:
    run = federation.run
    delta, outcome = hold_round(Cohort(Meter(wire, 60.0)), run.charter(), run.latest(), run)
    return delta.mean, outcome.survivors


def check_schema(answers: Sequence[tuple[str, Frame]], lanes: int) -> None:
    """Each answer is its phase's message, byte for byte, with arrays in the upload alone."""
    for phase, frame in answers:
        assert frame.kind == ANSWER
        if phase == "upload":
            assert masked_vector(frame).encode() == frame.body
            assert [array.shape for array in frame.arrays] == [(lanes,)]
        else:
            assert SCHEMA[phase].decode(frame.body).encode() == frame.body
            assert frame.arrays == ()


def check_hidden(answers: Sequence[tuple[str, Frame]], quantised: Sequence[QuantizedDelta]) -> None:
    """No answer holds four consecutive lanes of any plain quantised vector that are not all zero."""
    plain = [
        lanes.tobytes()
        for update in quantised
        for lanes in np.split(update.lanes[: 4 * (len(update.lanes) // 4)], len(update.lanes) // 4)[::25]
        if lanes.all()
    ]
    assert len(plain) > 100
    for _, frame in answers:
        sent = frame.body + b"".join(array.tobytes() for array in frame.arrays)
        assert not any(window in sent for window in plain)


@pytest.mark.parametrize("epsilon", [None, 0.5])
def test_only_the_schema_reaches_the_coordinator(
    federation: Make, updates: Updates, epsilon: float | None
) -> None:
    founded = federation("run", epsilon=epsilon)
    wire = Wire(open_sites(founded))
    hold(founded, wire)
    assert [phase for phase, _ in wire.answers] == [phase for phase in PHASES for _ in range(4)]
    assert len(updates.quantised) == 4
    check_schema(wire.answers, founded.run.charter().model.parameters + 2)
    check_hidden(wire.answers, updates.quantised)


def test_a_planted_leak_is_found(federation: Make, updates: Updates, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that forgets its masks, with signatures that hold: only the check of the bytes can tell."""
    monkeypatch.setattr(client, "masked_parts", lambda lanes, plus, minus, see, threads: [see(lanes)])
    founded = federation("run")
    wire = Wire(open_sites(founded))
    with pytest.raises(AggregationAborted):
        hold(founded, wire)
    check_schema(wire.answers, founded.run.charter().model.parameters + 2)
    with pytest.raises(AssertionError):
        check_hidden(wire.answers, updates.quantised)


def test_a_field_outside_the_schema_is_found(federation: Make) -> None:
    founded = federation("run")
    wire = Wire(open_sites(founded))
    hold(founded, wire)
    phase, frame = wire.answers[0]
    with pytest.raises(AggregationAborted):
        check_schema([(phase, Frame(frame.kind, frame.body + b"loss=0.3"))], 0)


@pytest.mark.parametrize("phase", PHASES)
def test_the_sum_is_exact_whoever_drops_out_when(federation: Make, updates: Updates, phase: str) -> None:
    founded = federation("run")
    mean, survivors = hold(founded, Wire(open_sites(founded), silent=3, since=phase))
    hidden = 4 if phase in ("sign", "unmask") else 3
    assert len(survivors) == len(updates.clipped) == hidden
    plain = np.mean([delta.values.astype(np.float64) for delta in updates.clipped], axis=0)
    charter = founded.run.charter()
    unit = charter.ring_clip / charter.terms().ring.top
    assert np.abs(plain).max() > 100 * unit
    assert np.abs(mean - plain).max() <= unit + np.abs(plain).max() * 2.0**-23


def test_the_masked_lanes_look_uniform(federation: Make, updates: Updates) -> None:
    founded = federation("run")
    wire = Wire(open_sites(founded))
    hold(founded, wire)
    lanes = np.concatenate([frame.arrays[0] for phase, frame in wire.answers if phase == "upload"])
    counts = np.bincount(lanes >> 24, minlength=256)
    expected = lanes.size / 256
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 255 + 6 * np.sqrt(2 * 255)  # six standard deviations
    plain = np.concatenate([update.lanes for update in updates.quantised])
    assert np.unique(plain >> 24).size < 20  # the plain ones are nothing like it
