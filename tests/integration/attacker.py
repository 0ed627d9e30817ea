"""A coordinator that attacks: it asks what no honest one asks, keeps all that it hears, and peels off what masks
it can. The tests hand it a channel to sites in their own process, or ship it as Flower's ServerApp.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.charter import Charter
from common.deltas import Floats, Lanes
from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, body_of, masked_vector, refusal
from common.requests import AdvertiseRequest, ShareRequest, SignRequest, UnmaskRequest, UploadRequest
from common.secagg.envelopes import Route, Shares, receipt, seal, unseal
from common.secagg.keys import pair_key, self_key
from common.secagg.masks import apply_masks
from common.secagg.messages import (
    SEALED_BYTES,
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
)
from common.secagg.rules import adverts_hash
from common.secagg.server import AdvertBook, collect_adverts
from common.secagg.shamir import combine, interpolation, split
from common.secagg.terms import RoundSpec
from server.channel import Channel

Answer = TypeVar("Answer")


@dataclass
class Attempt:
    """One attempt at a round, and everything that came back, by platform."""

    channel: Channel
    charter: Charter
    model: Floats
    victim: str
    number: int
    nonce: bytes = field(default_factory=lambda: os.urandom(16))
    cohort: tuple[str, ...] = ()
    words: list[str] = field(default_factory=list)
    address: dict[str, int] = field(default_factory=dict)
    adverts: dict[str, Advert] = field(default_factory=dict)
    sealed: dict[str, SealedShares] = field(default_factory=dict)
    vectors: dict[str, MaskedVector] = field(default_factory=dict)
    shares: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    swapped: dict[str, X25519PrivateKey] = field(default_factory=dict)
    shown: dict[str, Advert] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cohort = self.cohort or tuple(member.platform for member in self.charter.members)

    @property
    def others(self) -> list[str]:
        """Everyone but the victim."""
        return sorted(set(self.cohort) - {self.victim})

    @property
    def spec(self) -> RoundSpec:
        """What the platforms are told that they sign."""
        return self.opening.spec(hashlib.sha256(self.model.tobytes()).digest())

    @property
    def opening(self) -> AdvertiseRequest:
        return AdvertiseRequest(
            run=self.charter.digest().hex(),
            round=1,
            attempt=self.number,
            nonce=self.nonce,
            cohort=self.cohort,
        )

    # Questions

    def open(self, models: Mapping[int, Floats]) -> None:
        """Phase 1, with whatever model goes to each address; a signed advert tells who is there."""
        frames = {place: self.opening.frame(model) for place, model in models.items()}
        for place, reply in self.channel.ask(frames, 60.0).items():
            if reply.kind == REFUSED:
                self.words.append(f"{place} advertise {refusal(reply)}")
            else:
                advert = Advert.decode(reply.body)
                self.adverts[advert.platform], self.address[advert.platform] = advert, place

    def find(self) -> None:
        """Phase 1, the same for everyone."""
        self.open(dict.fromkeys(self.channel.addresses(), self.model))

    def ask(self, frames: Mapping[str, Frame], read: Callable[[Frame], Answer]) -> dict[str, Answer]:
        """What the named platforms answer; refusals go to ``words``."""
        answers = {}
        asked = {self.address[name]: frame for name, frame in frames.items()}
        heard = self.channel.ask(asked, 60.0) if asked else {}
        for name, frame in frames.items():
            reply = heard.get(self.address[name])
            if reply is None or reply.kind == REFUSED:
                self.words.append(f"{name} {frame.kind} {'silent' if reply is None else refusal(reply)}")
            else:
                answers[name] = read(reply)
        return answers

    def share(self, shown: Mapping[str, Collection[Advert]]) -> None:
        """Phase 2, with whatever adverts each is shown."""
        requests = {
            name: ShareRequest(attempt=self.number, adverts=tuple(a.encode() for a in ads))
            for name, ads in shown.items()
        }
        self.sealed |= self.ask(
            {name: r.frame() for name, r in requests.items()}, body_of(SealedShares.decode)
        )

    def upload(self, mail: Mapping[str, Mapping[str, bytes]]) -> None:
        """Phase 3, with whatever envelopes each gets."""
        frames = {
            name: UploadRequest(attempt=self.number, sealed=dict(sealed)).frame()
            for name, sealed in mail.items()
        }
        self.vectors |= self.ask(frames, masked_vector)

    def sign(self, told: Mapping[str, Collection[str]]) -> dict[str, bytes]:
        """Phase 4, with whatever survivors each is told of."""
        frames = {
            name: SignRequest(attempt=self.number, survivors=tuple(names)).frame()
            for name, names in told.items()
        }
        return {name: m.signature for name, m in self.ask(frames, body_of(SurvivorSignature.decode)).items()}

    def unmask(self, told: Mapping[str, Collection[str]], signatures: Mapping[str, bytes]) -> None:
        """Phase 5; from what each was told follows which secret its shares are of."""
        frames = dict.fromkeys(told, UnmaskRequest(attempt=self.number, signatures=dict(signatures)).frame())
        for holder, released in self.ask(frames, body_of(ReleasedShares.decode)).items():
            for dealer, share in released.shares.items():
                kind = "seed" if dealer in told[holder] else "key"
                self.shares.setdefault((dealer, kind), {})[holder] = share

    # Knowledge

    def until_masked(self) -> None:
        """Phases 2 and 3 as an honest coordinator would ask them."""
        self.shown = dict(self.adverts)
        self.share(dict.fromkeys(self.adverts, tuple(self.adverts.values())))
        dealt = list(self.sealed)
        self.upload({to: {n: self.sealed[n].envelopes[to] for n in dealt if n != to} for to in dealt})

    def rebuilt(self, dealer: str, kind: str) -> bytes | None:
        """A secret of which enough shares came out."""
        held = self.shares.get((dealer, kind), {})
        needed = self.charter.terms().threshold(len(self.cohort))
        holders = sorted(held)[:needed]
        if len(holders) < needed:
            return None
        places = interpolation([self.spec.index(holder) for holder in holders])
        return combine(places, [held[holder] for holder in holders])

    def peel(self) -> Lanes | None:
        """The victim's vector less every mask that can be worked out from all that was heard."""
        if self.victim not in self.vectors:
            return None
        me, h1 = self.victim, adverts_hash(self.spec.digest(self.charter.terms()), self.shown.values())
        seed, mine = self.rebuilt(me, "seed"), self.rebuilt(me, "key")
        plus, minus = list[bytes](), [] if seed is None else [self_key(seed, h1, me)]
        for peer in set(self.shown) - {me}:
            theirs = self.rebuilt(peer, "key")
            for private, public in (
                (mine and X25519PrivateKey.from_private_bytes(mine), self.shown[peer].mask_key),
                (theirs and X25519PrivateKey.from_private_bytes(theirs), self.shown[me].mask_key),
                (self.swapped.get(peer), self.shown[me].mask_key),
            ):
                if private:
                    (minus if me < peer else plus).append(pair_key(private, public, h1, (me, peer)))
                    break
        lanes = self.vectors[me].delta.lanes.copy()
        apply_masks(lanes, plus, minus)
        return lanes

    def sum(self) -> Lanes | None:
        """The sum an honest coordinator would get, if all answer."""
        terms, told = self.charter.terms(), {name: list(self.vectors) for name in self.vectors}
        try:
            mail = _book(self).collect_shares(self.sealed)
            masked = mail.collect_masked(self.vectors)
            signatures = self.sign(told)
            quorum = masked.collect_signatures({n: SurvivorSignature(s) for n, s in signatures.items()})
            frame = UnmaskRequest(attempt=self.number, signatures=signatures).frame()
            released = self.ask(dict.fromkeys(signatures, frame), body_of(ReleasedShares.decode))
            lanes = quorum.collect_releases(released).unmask()
        except AggregationAborted as reason:
            self.words.append(f"coordinator {type(reason).__name__}")
            return None
        return lanes[: terms.dimension + 2]


def _book(attempt: Attempt) -> AdvertBook:
    return collect_adverts(attempt.charter.terms(), attempt.spec, list(attempt.adverts.values()))


# Attacks: each returns its best guess of the victim's quantised vector.


def key_swap(attempt: Attempt) -> Lanes | None:
    """Play everyone else towards the victim, with keys of one's own, and the victim towards everyone else."""
    attempt.find()
    identity, seals = Ed25519PrivateKey.generate(), {}
    for name in attempt.cohort:
        seals[name], attempt.swapped[name] = X25519PrivateKey.generate(), X25519PrivateKey.generate()

    def mine(name: str) -> Advert:
        seal_key, mask_key = (key[name].public_key().public_bytes_raw() for key in (seals, attempt.swapped))
        forged = replace(attempt.adverts[name], seal_key=seal_key, mask_key=mask_key)
        return replace(forged, signature=identity.sign(b""))

    attempt.shown = {name: mine(name) for name in attempt.others}
    attempt.shown[attempt.victim] = attempt.adverts[attempt.victim]
    genuine = [attempt.adverts[name] for name in attempt.others]
    towards = dict.fromkeys(attempt.others, (*genuine, mine(attempt.victim)))
    attempt.share({**towards, attempt.victim: tuple(attempt.shown.values())})
    if attempt.victim not in attempt.sealed:
        return None
    h1 = adverts_hash(attempt.spec.digest(attempt.charter.terms()), attempt.shown.values())
    mail, public = {}, attempt.adverts[attempt.victim].seal_key
    for name in attempt.others:
        route, back = Route(h1, name, attempt.victim), Route(h1, attempt.victim, name)
        shares = Shares(*(split(os.urandom(32), 1, [1])[0] for _ in range(2)))
        mail[name] = seal(shares, seals[name], public, route) + receipt(shares, identity, route).encode()
        envelope = attempt.sealed[attempt.victim].envelopes[name]
        if opened := unseal(envelope[:SEALED_BYTES], seals[name], public, back):
            attempt.shares.setdefault((attempt.victim, "seed"), {})[name] = opened.seed
            attempt.shares.setdefault((attempt.victim, "key"), {})[name] = opened.key
    attempt.upload({attempt.victim: mail})
    return attempt.peel()


def split_model(attempt: Attempt) -> Lanes | None:
    """Give the others a model from which nothing can be learned: the sum is then the victim's update alone.

    Pasquini et al., *Eluding secure aggregation in federated learning via model inconsistency*, CCS 2022.
    """
    attempt.find()
    attempt.number, attempt.nonce = attempt.number + 1, os.urandom(16)
    dead, place = np.zeros_like(attempt.model), attempt.address[attempt.victim]
    attempt.open({**dict.fromkeys(attempt.address.values(), dead), place: attempt.model})
    attempt.until_masked()
    return attempt.sum() if attempt.vectors else None


def both_shares(attempt: Attempt) -> Lanes | None:
    """Let everyone survive and release the seeds; then say that the victim had dropped, and ask for its key."""
    attempt.find()
    attempt.until_masked()
    everyone = dict.fromkeys(attempt.cohort, attempt.cohort)
    first = attempt.sign(everyone)
    attempt.unmask(everyone, first)
    without = dict.fromkeys(attempt.others, attempt.others)
    second = attempt.sign(without)
    attempt.unmask(without, second)
    attempt.unmask(without, dict(list(first.items())[::-1]))
    return attempt.peel()


def split_survivors(attempt: Attempt) -> Lanes | None:
    """Tell half of them that the victim dropped: one half would release its seed, the other its key."""
    attempt.find()
    attempt.until_masked()
    half = attempt.others[: len(attempt.cohort) // 2]
    told = {name: attempt.others if name in half else list(attempt.cohort) for name in attempt.cohort}
    attempt.unmask(told, attempt.sign(told))
    return attempt.peel()


def replay(attempt: Attempt) -> Lanes | None:
    """Sum twice over one model, the second time without the victim: the difference is its update."""
    attempt.find()
    attempt.until_masked()
    whole = attempt.sum()
    everyone = dict.fromkeys(attempt.address.values(), attempt.model)
    replace(attempt, nonce=os.urandom(16)).open(everyone)
    replace(attempt, number=attempt.number + 1).open(everyone)
    less = replace(
        attempt,
        number=attempt.number + 2,
        nonce=os.urandom(16),
        cohort=tuple(attempt.others),
        adverts={},
        sealed={},
        vectors={},
    )
    less.open({place: less.model for name, place in attempt.address.items() if name in less.cohort})
    if whole is None or len(less.adverts) < len(less.cohort):
        return None
    less.until_masked()
    rest = less.sum()
    return None if rest is None else whole - rest


ATTACKS: Final[Mapping[str, Callable[[Attempt], Lanes | None]]] = {
    attack.__name__: attack for attack in (key_swap, split_model, both_shares, split_survivors, replay)
}
