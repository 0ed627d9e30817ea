"""A ledger's statement: what is spent, by which kinds of release, what the next plan would cost, who watches."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clients import policy
from clients.config import SiteFolder
from clients.memory import MemoryFile
from common.privacy.accountant import Epsilon, epsilon_of
from common.privacy.errors import LedgerCorrupt
from common.privacy.ledger import RELEASE_KINDS, Ceiling, Entry, ReleaseKind
from common.privacy.plan import Plan
from common.privacy.shared import if_aggregation_fails
from common.secagg.messages import Witness


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of release: how many charges, and their ε if there were no other kind; these do not add up."""

    release: ReleaseKind
    charges: int
    epsilon: float


@dataclass(frozen=True, slots=True)
class NextPlan:
    """The charter pinned last: the ``left`` of its ``rounds``, and its other releases, bring ε to ``total``.

    A round that is held again would cost one more.
    """

    charter: str
    rounds: int
    left: int
    total: Epsilon
    fits: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """``alone``: ε of the same if aggregation fails, larger with shared noise. ``next_plan`` is absent where no
    private charter is pinned; ``peers``: how many were shown this ledger.
    """

    ceiling: Ceiling
    spent: Epsilon
    alone: float
    charges: int
    kinds: tuple[Kind, ...]
    next_plan: NextPlan | None
    peers: int

    @property
    def left(self) -> float:
        """What the ceiling leaves above ε; a plan that spends it composes, so it may cost more than this alone."""
        return max(0.0, self.ceiling.epsilon - self.spent.prv)


def statement(site: SiteFolder) -> Statement:
    """The statement of a site's ledger, checked against what the site itself told its peers.

    Raises:
        PrivacyRefused: where there is no ceiling, or the ledger cannot be used or is older than what was told.
        CharterInvalid: where the charter pinned last is not what was signed.
    """
    ledger = site.ledger()
    entries, ceiling = ledger.entries(), ledger.ceiling
    own = site.identity().public_key().public_bytes_raw().hex()
    memory = MemoryFile(site.witnesses_path).read()
    told = memory.witnesses
    if own in told:
        _refuse_older(told[own], memory.least.get(own, 0), entries, str(ledger.path))
    history = ledger.history()
    return Statement(
        ceiling=ceiling,
        spent=epsilon_of(history, ceiling.delta),
        alone=if_aggregation_fails(history, ceiling.delta),
        charges=len(entries),
        kinds=tuple(_kinds(entries, ceiling.delta)),
        next_plan=_next_plan(site, entries, ceiling),
        peers=len(told.keys() - {own}),
    )


def _refuse_older(told: Witness, least: int, entries: Sequence[Entry], where: str) -> None:
    expected = max(told.counter, least)
    if expected > len(entries) or (told.counter and entries[told.counter - 1].head != told.head):
        raise LedgerCorrupt(
            "this is not the ledger that this site showed its peers",
            where=where,
            why=f"they expect entry {expected}, and here are {len(entries)}",
            hint="restore the newest ledger; peers refuse this one",
        )


def _kinds(entries: Sequence[Entry], delta: float) -> list[Kind]:
    by_kind = {
        kind: [entry.charge.mechanism for entry in entries if entry.charge.release == kind]
        for kind in RELEASE_KINDS
    }
    return [
        Kind(kind, len(history), epsilon_of(history, delta).prv)
        for kind, history in by_kind.items()
        if history
    ]


def _next_plan(site: SiteFolder, entries: Sequence[Entry], ceiling: Ceiling) -> NextPlan | None:
    if not site.has_charter():
        return None
    charter, platform = site.latest().charter(), site.config().platform
    if charter.member(platform).privacy is None:
        return None
    done = policy.rounds_charged(charter, entries)
    unpaid = policy.planned_after(charter, platform, done)
    total = epsilon_of([*(entry.charge.mechanism for entry in entries), *unpaid], ceiling.delta)
    left = charter.rounds - done["train"]
    return NextPlan(charter.name, charter.rounds, left, total, total.prv <= ceiling.epsilon)


def as_document(found: Statement) -> dict[str, Any]:
    """The statement for programs."""
    plan = found.next_plan
    return {
        "unit": Plan.unit,
        "adjacency": Plan.adjacency,
        "delta": found.spent.delta,
        **_figures(found.spent),
        "epsilon_if_aggregation_fails": found.alone if math.isfinite(found.alone) else None,
        "ceiling": found.ceiling.epsilon,
        "left": found.left,
        "releases": found.charges,
        "kinds": [asdict(kind) for kind in found.kinds],
        "next_plan": None
        if plan is None
        else {
            "charter": plan.charter,
            "rounds": plan.rounds,
            "rounds_left": plan.left,
            **_figures(plan.total),
            "fits": plan.fits,
        },
        "peers": found.peers,
        "rollback_detectable": found.peers > 0,
    }


def as_text(found: Statement) -> str:
    """The statement for people."""
    spent, ceiling = found.spent, found.ceiling
    lines = [
        f"spent    {spent}",
        f"ceiling  ε = {ceiling.epsilon:g}, of which {found.left:.3f} is left",
        f"unit     {Plan.unit}; {Plan.adjacency}; {_releases(found.charges)}",
    ]
    if found.alone != spent.prv:
        lines.insert(1, f"alone    ε = {found.alone:.3f} if aggregation fails; the ceiling does not bound it")
    lines += [
        f"kind     {one.release}: {_releases(one.charges)}, ε = {one.epsilon:.3f} by itself"
        for one in found.kinds
    ]
    lines.append(f"next     {_planned(found.next_plan)}")
    return "\n".join([*lines, f"rollback {_watched(found.peers)}"])


def _releases(count: int) -> str:
    return f"{count} release{'' if count == 1 else 's'}"


def _figures(spent: Epsilon) -> dict[str, float | str]:
    return {
        "accountant": spent.by,
        "epsilon_prv": spent.prv,
        "epsilon_pld": spent.pld,
        "epsilon_rdp": spent.rdp,
    }


def _planned(plan: NextPlan | None) -> str:
    if plan is None:
        return "no private charter is pinned here"
    if plan.left == 0:
        return f"{plan.charter}: all {plan.rounds} rounds are charged"
    fits = "it fits" if plan.fits else "more than the ceiling: it is refused"
    left = f"{plan.left} of {plan.rounds} rounds left"
    return f"{plan.charter}: {left}, after which ε = {plan.total.prv:.3f}; {fits}"


def _watched(peers: int) -> str:
    if peers:
        return (
            f"{peers} peers were shown this ledger and refuse an earlier one; this command asks none of them"
        )
    return "no peer was ever shown this ledger: put back to an earlier state, it would look like this"
