"""The site: the platform's own process. It alone holds data, key, ledger and the protocol's state.

Requests are adversarial until checked. An answer is a protocol message or one word of refusal; there is none
that returns data, an unmasked update or a key.
"""

import hashlib
import logging
import threading
import time
import traceback
from collections.abc import Mapping
from functools import cached_property
from typing import cast

import numpy as np

from clients import policy
from clients.certify import attest
from clients.clipped_sum import clipped_sum
from clients.config import Engagement, SiteFolder
from clients.draw import Drawing, require_group
from clients.memory import MemoryFile
from clients.metrics import sum_of
from clients.platform_data import read_platform
from clients.round import Contribute, Member, OutOfTurn, Round
from clients.statistics import moments_of
from clients.trainer import train
from clients.whole_sum import released
from common.certificate.statement import Statement
from common.charter import Charter, CharterInvalid, Purpose
from common.data.sequences import Sequences
from common.data.split import Split
from common.deltas import AdapterDelta, Floats
from common.errors import HanseError
from common.frame import Frame, encode
from common.model.layout import ParamLayout
from common.model.scorer import Scorer
from common.model.sequence import build_model
from common.model.statistics import Basis
from common.privacy.shared import SharedNoisePlan
from common.randomness import KeyedRandomness, OsRandomness
from common.replies import ANSWER, Message, answer, refuse
from common.requests import (
    KINDS,
    AdvertiseRequest,
    CertifyRequest,
    CommitRequest,
    MalformedRequest,
    ReplayRequest,
    RevealRequest,
    ShareRequest,
    SignRequest,
    UnmaskRequest,
    UploadRequest,
)
from scenarios.platforms.registry import load_scenario

log = logging.getLogger(__name__)


class Site:
    """Answers the coordinator's requests for one platform under one charter.

    Data are read at the first upload that the policy and the ledger have let through, and not before.
    """

    def __init__(self, folder: SiteFolder, engagement: Engagement) -> None:
        self._folder, self._engagement = folder, engagement
        folder.prune_tickets(time.time())
        contribute: dict[Purpose, Contribute] = {
            "train": self._train,
            "statistics": self._statistics,
            "metrics": self._metrics,
        }
        self._member = _member(folder, engagement, contribute)
        self._drawing: Drawing | None = None
        self._round: Round | None = None
        self._answers: dict[bytes, Frame] = {}
        self._lock = threading.Lock()

    def handle(self, request: Frame) -> Frame:
        """The answer to one request; never raises, since an exception's text would reach the coordinator.

        An identical request gets identical bytes, so that a lost answer can be asked for again.
        """
        key = hashlib.sha256(b"".join(encode(request))).digest()
        with self._lock:
            if key in self._answers:
                return self._answers[key]
            try:
                reply = self._answer(request)
            except Exception as error:  # the site outlives whatever one request does
                self._say(request, error)
                return refuse(error)
            self._answers[key] = reply
            return reply

    def _answer(self, request: Frame) -> Frame:
        if request.kind == AdvertiseRequest.kind:
            return self._open(request)
        if request.kind in (CommitRequest.kind, RevealRequest.kind):
            return self._draw(request)
        if request.kind == CertifyRequest.kind:
            return self._certify(request)
        if self._round is None:
            raise OutOfTurn("no round is open", hint="a site that restarted joins at the next round")
        if request.kind == ReplayRequest.kind:
            return self._keep(self._round, ReplayRequest.parse(request))
        reply = answer(_next(self._round, request))
        if request.kind == UnmaskRequest.kind:
            self._engagement.logbook.note(self._round.seen())
        return reply

    def _certify(self, request: Frame) -> Frame:
        match request.arrays:
            case (np.ndarray(dtype=np.float32) as model,):
                statement = Statement.decode(CertifyRequest.parse(request).statement)
                return answer(attest(self._member, self._engagement.logbook, statement, cast(Floats, model)))
        raise MalformedRequest("a statement without exactly one float32 model")

    def _draw(self, request: Frame) -> Frame:
        if request.kind == CommitRequest.kind:
            drawing = Drawing(self._member, CommitRequest.parse(request))
            commitment = answer(drawing.commit())
            self._drawing = drawing  # a round that is under way goes on
            return commitment
        if self._drawing is None:
            raise OutOfTurn("no draw has begun", hint="a site that restarted joins at the next draw")
        return answer(self._drawing.reveal(RevealRequest.parse(request)))

    def _open(self, request: Frame) -> Frame:
        match request.arrays:
            case (np.ndarray(dtype=np.float32) as model,):
                asked = AdvertiseRequest.parse(request)
                self._engagement.logbook.require_open()
                require_group(self._member.charter, self._drawing, asked)
                opened = Round(self._member, asked, cast(Floats, model))
                advert = answer(opened.advertise())
                # Only now: a late copy of an old opening must not end the round that is under way.
                self._round, self._answers = opened, {}
                return advert
        raise MalformedRequest("an opening without exactly one float32 model")

    def _keep(self, finished: Round, request: ReplayRequest) -> Frame:
        """The answer is empty: the site has nothing to say about a replay before it has checked it."""
        now = int(time.time())
        self._folder.prune_tickets(now)
        self._engagement.tickets.keep(finished.ticket(request, now))
        return Frame(ANSWER)

    def _train(self, model: Floats, number: int) -> AdapterDelta:
        charter, platform = self._member.charter, self._member.platform
        terms, (features, sequences) = charter.member(platform), self._rows
        size = charter.model.size
        asked = (model, size, features, sequences, terms.training)
        if isinstance(terms.privacy, SharedNoisePlan):
            return clipped_sum(*asked, terms.privacy, OsRandomness())
        if terms.privacy is not None:
            return train(*asked, terms.privacy, OsRandomness())
        return train(*asked, None, KeyedRandomness("training", charter.seed or 0, platform, number))

    def _statistics(self, model: Floats, number: int) -> AdapterDelta:
        """They depend on no model and are released once."""
        charter, platform = self._member.charter, self._member.platform
        features, sequences = self._rows
        moments = moments_of(features, sequences, charter.member(platform).training.history)
        return released(moments.packed(), charter.mechanism(platform, "statistics"))

    def _metrics(self, model: Floats, number: int) -> AdapterDelta:
        """How well the model ranks on the test cut, which nothing else looks at."""
        charter, (features, split) = self._member.charter, self._data
        total = sum_of(Scorer(model, charter.model.size), features, split.test)
        return released(total, charter.mechanism(self._member.platform, "metrics"))

    @property
    def _rows(self) -> tuple[Floats, Sequences]:
        """Item features, and the events that may be learned from."""
        features, split = self._data
        return features, split.train

    @cached_property
    def _data(self) -> tuple[Floats, Split]:
        """Item features and the split: every round asks for the same, so they are worked out once."""
        charter = self._member.charter
        data = read_platform(self._folder.config(), self._folder.user_key())
        basis = Basis.load(self._engagement.basis_path)
        if basis.digest != charter.model.basis or data.encoder != charter.model.encoder:
            raise CharterInvalid("the encoder or the feature basis is not the one in the charter")
        layout = ParamLayout.of(build_model(charter.model.size, charter.model.features))
        if layout.digest != charter.model.layout:
            raise CharterInvalid("this version's model is not the one in the charter")
        return data.features(basis), data.platform.split

    def _say(self, request: Frame, error: Exception) -> None:
        # Text alone: a log record that keeps the error keeps its frames, and with them the round's secrets.
        asked = request.kind if request.kind in KINDS else "answer"  # a caller's own text is not logged
        if isinstance(error, HanseError):
            told = f"{error} ({error.hint})" if error.hint else str(error)
            log.warning("%s refuses to %s: %s", self._member.platform, asked, told)
        else:
            told = "".join(traceback.format_exception(error))
            log.error("%s could not %s: %s", self._member.platform, asked, told)


def _next(round_: Round, request: Frame) -> Message:
    """What the open round says to the next of its questions."""
    match request.kind:
        case ShareRequest.kind:
            return round_.share(ShareRequest.parse(request))
        case UploadRequest.kind:
            return round_.upload(UploadRequest.parse(request))
        case SignRequest.kind:
            return round_.sign(SignRequest.parse(request))
        case UnmaskRequest.kind:
            return round_.unmask(UnmaskRequest.parse(request))
    raise MalformedRequest("an unknown kind of request", hint="run one version of Hanse at both ends")


def _member(folder: SiteFolder, engagement: Engagement, contribute: Mapping[Purpose, Contribute]) -> Member:
    config = folder.config()
    if config.ceiling:
        policy.require_public_catalogue(load_scenario(config.scenario))
    ledger = folder.ledger() if config.ceiling else None
    charter: Charter = engagement.charter()
    memory, witnesses = MemoryFile(engagement.memory_path, begun=True), MemoryFile(folder.witnesses_path)
    return Member(config.platform, folder.identity(), charter, ledger, memory, witnesses, contribute)
