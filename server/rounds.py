"""The whole run as the coordinator sees it: five questions a round, one masked sum, one step, one notice."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from common.bundle import digest_of
from common.certificate.statement import Sum
from common.charter import Charter, Purpose
from common.deltas import AggregateDelta, Floats
from common.errors import AggregationAborted, PrivacyRefused
from common.replies import body_of, masked_vector
from common.requests import AdvertiseRequest, ShareRequest, SignRequest, UnmaskRequest, UploadRequest
from common.secagg.errors import BaseModelReleased
from common.secagg.groups import group_count
from common.secagg.messages import ReleasedShares, SealedShares, SurvivorSignature
from common.secagg.rules import advert_fault
from common.secagg.server import collect_adverts
from server.accusations import Accusations
from server.archive import Archive
from server.channel import Channel, Meter
from server.checkpoint import Checkpoint, RunFolder
from server.cohort import Cohort
from server.evaluation import released_metrics
from server.gates import PublicScore, require_score, settle
from server.grouped import hold_in_groups
from server.outcome import RoundOutcome
from server.robust import judge
from server.warm_start import warm_start

log = logging.getLogger(__name__)

Watch = Callable[[RoundOutcome], None]


@dataclass(frozen=True, slots=True)
class Service:
    """What the coordinator brings along.

    ``timeout``: how long it waits for the slowest answer of a phase, in seconds. ``score``: over public data; a
    charter with a rollback needs one.
    """

    timeout: float = 600.0
    score: PublicScore | None = None


def conduct(channel: Channel, folder: RunFolder, watch: Watch, service: Service | None = None) -> Checkpoint:
    """Hold every round that is left, saving each before the next begins: statistics, training, metrics.

    A platform that is found guilty of spoiling a round is left out of those that follow. Words against one add up
    over the whole run: however they are spread over its rounds, no more than the charter's colluders lie.

    Raises:
        AggregationAborted: when too few platforms are left for a sum; finished rounds stay.
        PrivacyRefused: when sites refuse because their ceilings would be passed.
        EnvironmentProblem: without the public score that the charter's rollback needs.
    """
    charter, checkpoint = folder.charter(), folder.latest()
    service, retired, roster = service or Service(), False, roster_of(charter)
    require_score(charter, service.score)
    archive, accusations = Archive.of(folder.path, charter), Accusations()
    while due := _due(charter, checkpoint):
        cohort = Cohort(Meter(channel, service.timeout), accusations=accusations)
        try:
            mean, outcome = _hold(cohort, charter, checkpoint, folder, roster, archive)
        except AggregationAborted as reason:
            _refuse_with(cohort, charter, reason)
            accusations.learn(reason)
            if (smaller := _without_culprits(roster, accusations, charter)) != roster:
                roster = smaller
                continue
            if retired or not _model_is_used(cohort, charter):
                raise
            log.warning("a void round used up its base model; the next attempt starts just beside it")
            checkpoint, retired = checkpoint.retired(due), True
            folder.save(checkpoint)
            continue
        before = checkpoint.state
        if due == "statistics" and mean is not None:
            base = warm_start(charter, mean, outcome.survivors)
            checkpoint = replace(checkpoint, base=base, warmed=outcome)
        elif due == "metrics" and mean is not None:
            metrics = released_metrics(charter, mean, outcome.survivors)
            checkpoint = replace(checkpoint, metrics=metrics, measured=outcome)
        else:
            checkpoint = settle(charter, checkpoint, mean, outcome, service.score)
        retired, roster = False, _without_culprits(roster, accusations, charter)
        folder.save(checkpoint)
        if mean is not None:
            archive.hand_over(cohort, before, mean, checkpoint.state)
        if due == "train":
            watch(checkpoint.outcomes[-1])
    return checkpoint


def _due(charter: Charter, checkpoint: Checkpoint) -> Purpose | None:
    if charter.statistics is not None and checkpoint.base is None:
        return "statistics"
    if checkpoint.round < charter.rounds:
        return "train"
    return "metrics" if charter.metrics is not None and checkpoint.metrics is None else None


def roster_of(charter: Charter) -> tuple[str, ...]:
    """Everyone whom the charter lets take part."""
    return tuple(member.platform for member in charter.members)


def _hold(
    cohort: Cohort,
    charter: Charter,
    checkpoint: Checkpoint,
    folder: RunFolder,
    roster: tuple[str, ...],
    archive: Archive,
) -> tuple[Floats | None, RoundOutcome]:
    """The mean of the round that is due; of training as robust terms leave it: None where no sum is within bounds.

    The statistics ask for no model; their attempts open with one all the same, as it is what no sum is made twice
    over. The metrics are those of the model that is published.
    """
    due = _due(charter, checkpoint)
    if due is not None and due != "train":
        opening = opening_of(charter, folder, due, 1, roster)
        model = checkpoint.released if due == "metrics" else checkpoint.model
        delta, outcome = hold_opened(cohort, charter, opening, model)
        return delta.mean, outcome
    robust = charter.robust
    if robust and charter.groups:
        sums, outcome = hold_in_groups(cohort, charter, robust, checkpoint, folder, roster, hold_opened)
    else:
        delta, outcome = hold_round(cohort, charter, checkpoint, folder, roster, archive)
        if robust is None:
            return delta.mean, outcome
        sums = {outcome.cohort: delta}
    mean, groups = judge(sums, robust)
    return mean, outcome.model_copy(update={"groups": groups})


def hold_round(
    cohort: Cohort,
    charter: Charter,
    checkpoint: Checkpoint,
    folder: RunFolder,
    roster: tuple[str, ...] | None = None,
    archive: Archive | None = None,
) -> tuple[AggregateDelta, RoundOutcome]:
    """One training round from the open question to the unmasked mean; asks ``roster``, or everyone.

    Raises:
        AggregationAborted: with the reason, when a phase ends with fewer than max(threshold, n_min) platforms.
    """
    opening = opening_of(charter, folder, "train", checkpoint.round + 1, roster)
    return hold_opened(cohort, charter, opening, checkpoint.model, archive)


def opening_of(
    charter: Charter, folder: RunFolder, purpose: Purpose, number: int, roster: tuple[str, ...] | None = None
) -> AdvertiseRequest:
    """A new attempt at round ``number`` of ``purpose``, for ``roster`` or everyone."""
    return AdvertiseRequest(
        purpose=purpose,
        run=charter.digest().hex(),
        round=number,
        attempt=folder.next_attempt(),
        nonce=os.urandom(16),
        cohort=roster or roster_of(charter),
    )


def hold_opened(
    cohort: Cohort,
    charter: Charter,
    opening: AdvertiseRequest,
    model: Floats,
    archive: Archive | None = None,
) -> tuple[AggregateDelta, RoundOutcome]:
    """The five phases of ``opening``, which carries ``model``, float32; raises as :func:`hold_round`."""
    terms = charter.terms(opening.purpose)
    spec = opening.spec(digest_of(model))

    digest = spec.digest(terms)
    adverts = cohort.open(opening.frame(model), lambda advert: advert_fault(advert, terms, digest))
    book = collect_adverts(terms, spec, adverts)

    share = ShareRequest(attempt=spec.attempt, adverts=tuple(advert.encode() for advert in book.adverts))
    sealed = cohort.ask({name: share.frame() for name in book.platforms}, body_of(SealedShares.decode))
    boxes = book.collect_shares(sealed)

    uploads = {
        name: UploadRequest(attempt=spec.attempt, sealed=dict(boxes.for_platform(name)))
        for name in boxes.platforms
    }
    masked = cohort.ask({name: upload.frame() for name, upload in uploads.items()}, masked_vector)
    total = boxes.collect_masked(masked)

    sign = SignRequest(attempt=spec.attempt, survivors=tuple(total.survivors))
    signatures = cohort.ask(
        {name: sign.frame() for name in total.survivors}, body_of(SurvivorSignature.decode)
    )
    quorum = total.collect_signatures(signatures)

    unmask = UnmaskRequest(attempt=spec.attempt, signatures=dict(quorum.signatures))
    released = cohort.ask(
        {name: unmask.frame() for name in quorum.signatures}, body_of(ReleasedShares.decode)
    )
    releases = quorum.collect_releases(released)
    delta = terms.ring.dequantise(releases.unmask(), reuse=True)
    if archive is not None:
        archive.take(releases, masked)

    cohort.exclude(releases.excluded)
    return delta, cohort.outcome(opening, tuple(total.survivors)).model_copy(
        update={
            "model": spec.model.hex(),
            "sums": (Sum(cohort=spec.cohort, survivors=total.survivors, h2=total.h2.hex()),),
        }
    )


def _without_culprits(roster: tuple[str, ...], accusations: Accusations, charter: Charter) -> tuple[str, ...]:
    """Who is asked next: all but the culprits, unless too few would be left for a sum, or for the groups."""
    culprits = accusations.culprits(charter.colluders)
    left = tuple(name for name in roster if name not in culprits)
    groups = group_count(len(charter.members), len(left), charter.terms().n_min)
    if left == roster or groups < (charter.groups.least_groups if charter.groups else 1):
        return roster
    log.warning("left out from now on: %s", ", ".join(sorted(culprits & set(roster))))
    return left


def _refuse_with(cohort: Cohort, charter: Charter, void: AggregationAborted) -> None:
    """Raise what the sites refuse for, where more of them say so than may lie."""
    words = [told.reason for told in cohort.refusals.values() if told.code == PrivacyRefused.exit_code]
    if len(words) > charter.colluders:
        raise PrivacyRefused(
            "the sites refuse this round",
            why=", ".join(sorted(set(words))),
            hint="finished rounds are kept; what each site allows is in its own log",
        ) from void


def _model_is_used(cohort: Cohort, charter: Charter) -> bool:
    """Whether more sites than may lie have released shares over this very model."""
    told = [refusal.reason for refusal in cohort.refusals.values()]
    return told.count(BaseModelReleased.__name__) > charter.colluders
