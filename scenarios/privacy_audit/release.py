"""The audited run: real sites, ledgers and rounds in this process, and what they let out.

The coordinator and both other platforms work with the attacker: they send zeros, so that every sum is the audited
platform's update, which is what its claim must withstand without any cryptography.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from clients.config import CeilingConfig, Engagement, SiteConfig, SiteFolder
from clients.site import Site
from clients.trainer import train
from common.charter import Charter, Member, ModelTerms, ServerTraining, SignedCharter
from common.data.sequences import Sequences
from common.deltas import AdapterDelta, Floats
from common.frame import Frame
from common.model.layout import ParamLayout, pack
from common.model.sequence import build_model
from common.privacy.plan import PrivacyPlan
from common.randomness import OsRandomness
from scenarios.privacy_audit.cast import Cast
from scenarios.privacy_audit.controls import Sabotage
from scenarios.privacy_audit.settings import SIZE, Settings
from server.channel import Meter
from server.checkpoint import RunFolder
from server.cohort import Cohort
from server.gates import settle
from server.rounds import hold_round

_AUDITED: Final = "audited"
_NAMES: Final = (_AUDITED, "peer-one", "peer-two")
_TIMEOUT: Final = 600.0
_UNREAD: Final = "5a" * 32  # no encoder and no basis: items are made up as features
_DECLARATION: Final = """
name = "audit"
title = "canaries"
description = "made up; no file is read"
licence = "none"
source = { events = "events.csv", items = "items.csv" }
columns = { user = "user", item = "item", time = "time" }
items.text = ["item"]
split.by = "leave-last-out"
"""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """One round as the attacker sees it. ``model``: what it started from; ``update``: the audited one's. (d,)."""

    model: Floats
    update: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Transcript:
    """All that a run lets out, and the ε that the audited platform's ledger says it spent."""

    releases: tuple[Release, ...]
    spent: float


class _Planted(Site):
    """A site over given rows; everything else is as a platform runs it."""

    def __init__(
        self,
        folder: SiteFolder,
        engagement: Engagement,
        rows: tuple[Floats, Sequences],
        sabotage: Sabotage | None,
    ) -> None:
        super().__init__(folder, engagement)
        self._given, self._sabotage = rows, sabotage

    @property
    def _rows(self) -> tuple[Floats, Sequences]:
        return self._given

    def _train(self, model: Floats, number: int) -> AdapterDelta:
        if self._sabotage is None:
            return super()._train(model, number)
        charter, (features, sequences) = self._member.charter, self._rows
        terms = charter.member(_AUDITED)
        if not isinstance(terms.privacy, PrivacyPlan):
            raise ValueError("a run without noise of the platform's own has no plan to break")
        plan = self._sabotage(terms.privacy)
        return train(model, charter.model.size, features, sequences, terms.training, plan, OsRandomness())


class _Colluding(Site):
    """A platform that works with the attacker: its update is known."""

    def _train(self, model: Floats, number: int) -> AdapterDelta:
        return AdapterDelta(np.zeros_like(model))


@dataclass(frozen=True, slots=True)
class _Here:
    """A channel to sites in this process."""

    sites: Sequence[Site]

    def addresses(self) -> Sequence[int]:
        return range(len(self.sites))

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        return {address: self.sites[address].handle(frame) for address, frame in requests.items()}


def run(
    settings: Settings, plan: PrivacyPlan, cast: Cast, home: Path, sabotage: Sabotage | None = None
) -> Transcript:
    """Hold all rounds over the cast's rows in the new folder ``home``.

    With a ``sabotage`` the ledger is charged for ``plan`` and training follows another: a path that is broken.

    Raises:
        HanseError: what a site or the coordinator has to refuse.
    """
    folders = _folders(home, plan)
    signed = _signed(settings, plan, folders)
    for folder in folders.values():
        folder.pin(signed)
    sites = [_site(name, folder, signed.charter, cast, sabotage) for name, folder in folders.items()]
    initial = pack(build_model(SIZE, settings.features))
    releases = _hold(RunFolder.create(home / "server", signed, initial), sites)
    return Transcript(releases, folders[_AUDITED].ledger().spent().prv)


def _hold(folder: RunFolder, sites: Sequence[Site]) -> tuple[Release, ...]:
    charter, checkpoint, releases = folder.charter(), folder.latest(), list[Release]()
    while checkpoint.round < charter.rounds:
        before = checkpoint.state.parameters
        cohort = Cohort(Meter(_Here(sites), _TIMEOUT))
        total, outcome = hold_round(cohort, charter, checkpoint, folder)
        releases.append(Release(before, total.mean * np.float32(total.weight)))
        checkpoint = settle(charter, checkpoint, total.mean, outcome, None)
        folder.save(checkpoint)
    return tuple(releases)


def _site(name: str, folder: SiteFolder, charter: Charter, cast: Cast, sabotage: Sabotage | None) -> Site:
    engagement = folder.engagement(charter)
    if name != _AUDITED:
        return _Colluding(folder, engagement)
    return _Planted(folder, engagement, (cast.features, cast.rows), sabotage)


def _folders(home: Path, plan: PrivacyPlan) -> dict[str, SiteFolder]:
    home.mkdir(parents=True)
    declaration = home / "audit.toml"
    declaration.write_text(_DECLARATION)
    ceiling = CeilingConfig(epsilon=plan.epsilon, delta=plan.delta)
    return {
        name: SiteFolder.create(
            home / name, SiteConfig(platform=name, scenario=str(declaration), ceiling=ceiling)
        )
        for name in _NAMES
    }


def _signed(settings: Settings, plan: PrivacyPlan, folders: Mapping[str, SiteFolder]) -> SignedCharter:
    layout = ParamLayout.of(build_model(SIZE, settings.features))
    charter = Charter(
        name="audit",
        members=tuple(
            Member(
                platform=name,
                public_key=folder.identity().public_key().public_bytes_raw().hex(),
                weight=1.0,
                training=settings.training,
                privacy=plan,
            )
            for name, folder in folders.items()
        ),
        ring_clip=1.0,
        rounds=settings.rounds,
        model=ModelTerms(
            size=SIZE,
            features=settings.features,
            parameters=layout.size,
            encoder=_UNREAD,
            basis=_UNREAD,
            layout=layout.digest,
        ),
        server=ServerTraining(learning_rate=1e-3),
        privacy="local",
    )
    signed = SignedCharter(charter=charter)
    for name, folder in folders.items():
        signed = signed.signed_by(name, folder.identity())
    return signed
