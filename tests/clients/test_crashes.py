"""A site that dies at any of its writes: what has left it is on disk, and what is there is not answered again."""

from collections.abc import Callable
from typing import Any

import pytest

from clients.memory import MemoryFile
from common.files import write_atomically
from common.frame import Frame
from common.privacy.ledger import Ledger
from common.replies import ANSWER, refusal
from common.secagg.memory import Memory
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

Make = Callable[..., Any]
PHASES = ("advertise", "share", "upload", "sign", "unmask")
WRITES = ("advertise", "share", "upload", "unmask")
SALT = 2


class Crash(BaseException):
    """The process is gone: nothing after this line has happened."""


def hold(made: Any, tape: Any) -> None:
    hold_round(Cohort(Meter(tape, 5.0)), made.charter, made.run.latest(), made.run)


def kept(made: Any) -> Memory:
    found: list[Memory] = []
    MemoryFile(made.folders["salt"].engagement(made.charter).memory_path).update(
        lambda memory: found.append(memory) or memory  # type: ignore[func-returns-value]
    )
    return found[0]


@pytest.fixture
def fatal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], list[str]]:
    """``fatal(phase, after)``: salt dies once, at the write of that phase; the list names the phase under way."""

    def arm(phase: str, after: bool) -> list[str]:
        under_way: list[str] = []
        charge = Ledger.charge

        def crashing(write: Callable[[], Any], mine: bool) -> None:
            strikes = mine and under_way[-1:] == [phase] and "dead" not in under_way
            if strikes:
                under_way.append("dead")
            if after or not strikes:
                write()
            if strikes:
                raise Crash

        monkeypatch.setattr(
            "clients.memory.write_atomically",
            lambda path, content: crashing(lambda: write_atomically(path, content), "salt" in path.parts),
        )
        monkeypatch.setattr(
            Ledger,
            "charge",
            lambda ledger, entry: crashing(lambda: charge(ledger, entry), "salt" in ledger.path.parts),
        )
        return under_way

    return arm


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("phase", WRITES)
def test_died_at_a_write(
    fleet: Make, fatal: Callable[[str, bool], list[str]], phase: str, after: bool
) -> None:
    made = fleet(private=True)
    under_way, left, tape = fatal(phase, after), list[str](), made.tape()

    def relay(address: int, frame: Frame, site: Any) -> Frame:
        if address != SALT:
            return site(frame)  # type: ignore[no-any-return]
        under_way.append(frame.kind)
        try:
            answer: Frame = tape.sites[SALT](frame)
        except Crash:
            tape.sites = [*tape.sites[:SALT], made.site("salt").handle, *tape.sites[SALT + 1 :]]
            answer = tape.sites[SALT](frame)  # the coordinator asks again for the answer that never came
        left.append(frame.kind if answer.kind == ANSWER else f"{frame.kind}: {refusal(answer)}")
        return answer

    tape.relay = relay
    hold(made, tape)

    memory, entries = kept(made), len(made.folders["salt"].ledger().entries())
    if phase == "advertise" and not after:
        assert left == list(PHASES)  # nothing was written, nothing had left: it is asked for the first time
        return
    reached = PHASES.index(phase)
    word = "RoundReplayed" if phase == "advertise" else "OutOfTurn"
    assert left == [*PHASES[:reached], f"{phase}: {word}"]
    assert len(memory.nonces) == 1
    assert entries == (phase == "unmask" or (phase == "upload" and after))
    assert len(memory.models) == (phase == "unmask" and after)

    made.next_model()
    left.clear()
    hold(made, tape)
    assert left == list(PHASES)


def test_what_an_answer_depends_on_is_on_disk_when_it_leaves(fleet: Make) -> None:
    """Read from the files, at the moment at which the coordinator gets each answer."""
    made = fleet(private=True)
    seen: dict[str, tuple[int, int, int, int]] = {}

    def relay(address: int, frame: Frame, site: Any) -> Frame:
        answer: Frame = site(frame)
        if address == SALT:
            folder, memory = made.folders["salt"], kept(made)
            witnesses = (
                Memory.from_json(folder.witnesses_path.read_text())
                if folder.witnesses_path.exists()
                else None
            )
            seen[frame.kind] = (
                len(memory.nonces),
                len(witnesses.witnesses) if witnesses else 0,
                len(folder.ledger().entries()),
                len(memory.models),
            )
        return answer

    hold(made, made.tape(relay))
    assert seen == {
        "advertise": (1, 0, 0, 0),
        "share": (1, 4, 0, 0),
        "upload": (1, 4, 1, 0),
        "sign": (1, 4, 1, 0),
        "unmask": (1, 4, 1, 1),
    }
