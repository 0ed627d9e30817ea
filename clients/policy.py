"""What the platform allows, whatever the coordinator asks: checked before a row is read."""

from collections.abc import Iterable, Mapping
from typing import Final

from common.charter import PURPOSES, Charter, CharterInvalid, Purpose
from common.errors import PrivacyRefused
from common.privacy.accountant import AnyMechanism
from common.privacy.errors import PlanUnsound
from common.privacy.ledger import Ceiling, Entry, Ledger, ReleaseKind
from common.privacy.plan import largest_delta
from common.requests import AdvertiseRequest, CommitRequest
from common.robust import RobustTerms
from scenarios.platforms.spec import ScenarioSpec


class UnprotectedRefused(PrivacyRefused):
    """A run with privacy off, at a site that has a privacy ceiling."""


class ProtectionWithoutCeiling(PrivacyRefused):
    """A private run at a site that never said how much it may spend."""


class PrivateCatalogue(PrivacyRefused):
    """A private run over a catalogue that is read from the events: one user's rows could change everyone's."""


class OutsideCharter(PrivacyRefused):
    """A round, a run or a cohort that the charter does not provide for."""

    def __init__(self, what: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        remedy = hint or "compare the coordinator's charter with the one pinned here"
        super().__init__(what, where=where, why=why, hint=remedy)


def require_public_catalogue(scenario: ScenarioSpec) -> None:
    """Let a site with a ceiling learn from a scenario.

    Guarantee: the catalogue, and with it negatives, features and basis, does not depend on any user's rows.
    Refuses: a scenario whose items come from its events (PrivateCatalogue).
    """
    if not scenario.public_catalogue:
        raise PrivateCatalogue(
            "the items are read from the events",
            where=scenario.name,
            why="an item that one user brought in would change every other user's gradient",
            hint="name the whole catalogue's file in source.items",
        )


def accept(charter: Charter, platform: str) -> None:
    """Let the site pin a charter.

    Guarantee: the platform's own plan spends no more than the ε it claims; with shared noise, no more than either.
    Refuses: a plan whose noise does not keep its claim (PlanUnsound); a platform that is not on the roster.
    """
    plan = charter.member(platform).privacy
    if plan is not None:
        plan.forecast(charter.besides_training(platform))


RELEASES: Final[Mapping[Purpose, ReleaseKind]] = {
    "train": "training",
    "statistics": "statistics",
    "metrics": "metrics",
}
"""What a round of each purpose is called in the ledger."""


def admit(charter: Charter, platform: str, ledger: Ledger | None, request: AdvertiseRequest) -> None:
    """Let a round begin.

    Guarantee: when this returns, all rounds that are left of the charter, of every purpose, fit under the
    platform's ceiling together with everything ever charged. With shared noise the ceiling bounds ε with honest
    aggregation; what is spent if that fails, the charter's plan bounds and every platform signed.
    Refuses: privacy off at a site with a ceiling; a private charter without one; a round beyond the charter's
    last of its purpose, or of another run; a cohort beyond the roster; a plan that would pass the ceiling; a
    ceiling whose δ is too large for the declared number of users.

    Raises:
        PrivacyRefused: one subclass for each reason.
    """
    plan = charter.member(platform).privacy
    if plan is None and ledger is not None:
        hint = "sign a charter with privacy on, or take part from a site without a ceiling"
        raise UnprotectedRefused("this site has a privacy ceiling and the charter has privacy off", hint=hint)
    if plan is not None and ledger is None:
        raise ProtectionWithoutCeiling("this site has no privacy ceiling", hint="add [ceiling] to site.toml")
    _inside(charter, request)
    if plan is not None and ledger is not None:
        _require_small_delta(ledger.ceiling, plan.bucket)
        done = {**rounds_charged(charter, ledger.entries()), request.purpose: request.round - 1}
        ledger.admit(planned_after(charter, platform, done))


def _require_small_delta(ceiling: Ceiling, bucket: int) -> None:
    """The ledger states ε at the ceiling's δ, whatever the plan was made for."""
    if ceiling.delta > (largest := largest_delta(bucket)):
        raise PlanUnsound(
            f"the ceiling's δ = {ceiling.delta:g} is too large for {bucket} users",
            where="site.toml",
            hint=f"set ceiling.delta to at most {largest:.1e}",
        )


def rounds_charged(charter: Charter, entries: Iterable[Entry]) -> dict[Purpose, int]:
    """By purpose, the last of the charter's rounds that a ledger has a charge for, 0 where none."""
    run = charter.digest().hex()
    # Within a run they only rise.
    last = {entry.charge.release: entry.charge.round for entry in entries if entry.charge.run == run}
    return {purpose: last.get(release, 0) for purpose, release in RELEASES.items()}


def planned_after(charter: Charter, platform: str, done: Mapping[Purpose, int]) -> list[AnyMechanism]:
    """What the charter still releases of a platform's users after ``done`` rounds of each purpose."""
    return [one for purpose in PURPOSES for one in charter.planned(platform, purpose, done[purpose])]


def admit_draw(charter: Charter, request: CommitRequest) -> RobustTerms:
    """Let a draw of groups begin, under the terms returned.

    Guarantee: the draw is one of those the charter allows for one of its rounds. It needs no ledger: who is in
    which group says nothing about anyone's data.
    Refuses: a charter without groups, a round beyond its last or of another run (OutsideCharter); a draw beyond
    the round's last (DrawsUsedUp).
    """
    groups = charter.groups
    if groups is None:
        raise OutsideCharter("a draw of groups, and the charter has none")
    _this_round(charter, "train", request)
    request.place().check(groups.draws)
    return groups


def _inside(charter: Charter, request: AdvertiseRequest) -> None:
    _this_round(charter, request.purpose, request)
    try:
        for platform in request.cohort:
            charter.member(platform)
    except CharterInvalid as stranger:
        raise OutsideCharter("a cohort with a platform that is not on the roster") from stranger


def _this_round(charter: Charter, purpose: Purpose, request: AdvertiseRequest | CommitRequest) -> None:
    rounds = charter.rounds_of(purpose)
    if request.run != charter.digest().hex() or not 1 <= request.round <= rounds:
        raise OutsideCharter(f"round {request.round} is not one of the charter's {rounds} for {purpose}")
