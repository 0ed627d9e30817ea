"""The joint draw of groups: every platform commits to a random value, then reveals it.

    commit    H(draw, platform, value), signed
    reveal    given everyone's commitments: the value, signed under their hash
    opening   given everyone's values: the seed, and from it each platform's group

(Blum, "Coin flipping by telephone", 1981, with signatures under pinned keys in place of a line.) Nobody chooses
the groups: whoever speaks last has committed before it heard the others. What is left is to speak not at all.
A missing value ends the draw, and a site takes part in a fixed number of draws for each round, so whoever sees
all values first (the coordinator, with any platforms on its side) picks the best of that many draws, no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.randomness import Randomness
from common.secagg.errors import BadDraw, DrawsUsedUp, TooFewPlatforms
from common.secagg.fields import Reader, name_bytes
from common.secagg.groups import group_count, partition
from common.secagg.keys import SIGNATURE_BYTES, sign, verify
from common.secagg.once import Once
from common.secagg.terms import Terms
from common.secagg.transcript import digest, encode, number

VALUE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Draw:
    """Which draw this is: the ``number``-th, from 1, for a round; ``attempt`` is what its groups then open."""

    run: str
    round: int
    attempt: int
    number: int

    def check(self, most: int) -> None:
        """Whether the charter, which allows ``most`` draws for a round, allows this one.

        Guarantee: after it, the number lies in 1 … ``most``.
        Refuses: any other (DrawsUsedUp).
        """
        if not 1 <= self.number <= most:
            raise DrawsUsedUp("commit", why=f"draw {self.number} of round {self.round}, {most} are allowed")

    def digest(self, terms: Terms) -> bytes:
        """SHA-256 over the terms and every field, 32 bytes.

        Guarantee: no two draws, and no two charters, share a commitment or a signature.
        Refuses: numbers outside 0 … 2⁶⁴ − 1 (OverflowError).
        """
        place = (number(self.round), number(self.attempt), number(self.number))
        return digest("draw", terms.digest(), self.run.encode(), *place)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A platform's name, 32 bytes and a signature (64)."""

    platform: str
    content: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The name after its length, then 96 bytes.

        Guarantee: ``decode`` gives the same message.
        Refuses: nothing.
        """
        return name_bytes(self.platform) + self.content + self.signature


@dataclass(frozen=True, slots=True)
class Commitment(_Signed):
    """What a platform binds itself to before it hears the others."""

    @classmethod
    def decode(cls, data: bytes) -> "Commitment":
        """The commitment in ``data``.

        Guarantee: every field has its length; ``encode`` gives ``data`` back.
        Refuses: anything else (ProtocolError).
        """
        return cls(*_decoded(Reader(data, "commit")))


@dataclass(frozen=True, slots=True)
class Reveal(_Signed):
    """The value itself; of no use to anyone before all have committed."""

    @classmethod
    def decode(cls, data: bytes) -> "Reveal":
        """The revealed value in ``data``.

        Guarantee: every field has its length; ``encode`` gives ``data`` back.
        Refuses: anything else (ProtocolError).
        """
        return cls(*_decoded(Reader(data, "reveal")))


@dataclass(frozen=True, slots=True)
class Ballot:
    """Everyone's commitments to one draw, checked; made alike by the coordinator and by each site."""

    terms: Terms
    digest: bytes
    commitments: tuple[Commitment, ...]
    count: int

    @classmethod
    def of(cls, terms: Terms, draw: Draw, commitments: Sequence[Commitment], least: int) -> "Ballot":
        """The ballot of these commitments, at least ``least`` groups to be cut from their platforms.

        Guarantee: each commitment is signed by a roster key for this very draw, and each platform's stands there
            once.
        Refuses: anything else (BadDraw), too few platforms for the groups (TooFewPlatforms).
        """
        place = draw.digest(terms)
        for one in commitments:
            if fault := commitment_fault(one, terms, place):
                raise BadDraw("commit", one.platform, why=fault)
        ordered = tuple(sorted(commitments, key=lambda one: one.platform))
        if len({one.platform for one in ordered}) < len(ordered):
            raise BadDraw("commit", why="two commitments of one platform")
        count = group_count(len(terms.roster), len(ordered), terms.n_min)
        if count < least:
            why = f"{len(ordered)} platforms make {count} groups, at least {least} needed"
            raise TooFewPlatforms("commit", why=why)
        return cls(terms, place, ordered, count)

    @property
    def platforms(self) -> tuple[str, ...]:
        """Those who take part, sorted."""
        return tuple(one.platform for one in self.commitments)

    @property
    def hash(self) -> bytes:
        """SHA-256 over the draw and all commitments: values are revealed under it, so they count for no other
        set of platforms.
        """
        return digest("ballot", self.digest, *(one.encode() for one in self.commitments))

    def fault(self, reveal: Reveal) -> str:
        """What is wrong with a revealed value; empty if nothing.

        Guarantee: empty only for the one value that its platform committed to and signed for this ballot.
        Refuses: nothing.
        """
        mine = next((one for one in self.commitments if one.platform == reveal.platform), None)
        if mine is None:
            return "it did not commit"
        if commitment_to(self.digest, reveal.platform, reveal.content) != mine.content:
            return "the value does not open its commitment"
        key = self.terms.roster[reveal.platform]
        if not verify(key, reveal.signature, "reveal", self.hash, reveal.content):
            return "the signature covers another ballot"
        return ""

    def groups(self, reveals: Sequence[Reveal]) -> tuple[tuple[str, ...], ...]:
        """The groups, from everyone's value.

        Guarantee: if one platform's value was uniform and unknown when the others committed, so is the seed.
        Refuses: a value that is wrong, or there twice (BadDraw), or not everyone's (BadDraw).
        """
        for one in reveals:
            if fault := self.fault(one):
                raise BadDraw("reveal", one.platform, why=fault)
        values = {one.platform: one.content for one in reveals}
        if len(values) < len(reveals) or len(values) < len(self.commitments):
            raise BadDraw("reveal", why="not one value of each platform that committed")
        pairs = (encode(name.encode(), values[name]) for name in self.platforms)
        return partition(self.platforms, self.count, digest("groups", *pairs))


@dataclass(frozen=True, slots=True)
class Committed:
    """A platform that has committed, and waits for the others' commitments."""

    draw: Draw
    terms: Terms
    commitment: Commitment
    identity: Ed25519PrivateKey = field(repr=False)
    _value: Once[bytes] = field(repr=False)

    def reveal(self, commitments: Sequence[Commitment], least: int) -> tuple[Ballot, Reveal]:
        """This platform's value, and the ballot that the coming opening is held against.

        Guarantee: the value leaves once, under one set of commitments, its own among them.
        Refuses: a second call (StateUsed); what :meth:`Ballot.of` refuses; its own commitment missing (BadDraw).
        """
        value, me = self._value.take("reveal"), self.commitment.platform
        ballot = Ballot.of(self.terms, self.draw, commitments, least)
        if self.commitment not in ballot.commitments:
            raise BadDraw("reveal", me, why="this site's own commitment is missing or changed")
        return ballot, Reveal(me, value, sign(self.identity, "reveal", ballot.hash, value))


def commit(
    me: str, identity: Ed25519PrivateKey, terms: Terms, draw: Draw, randomness: Randomness
) -> Committed:
    """Bind ``me`` to a value. Call it after ``Memory.admit_draw(draw)`` has been persisted.

    Guarantee: the commitment says nothing of the value, as long as ``randomness`` is the operating system's.
    Refuses: nothing.
    """
    value, place = randomness.octets(VALUE_BYTES), draw.digest(terms)
    content = commitment_to(place, me, value)
    signed = Commitment(me, content, sign(identity, "commit", place, content))
    return Committed(draw, terms, signed, identity, Once(value))


def commitment_to(place: bytes, platform: str, value: bytes) -> bytes:
    """The hash a platform commits with, in the draw with digest ``place``.

    Guarantee: binding (SHA-256); hiding, as the value is 256 random bits.
    Refuses: nothing.
    """
    return digest("value", place, platform.encode(), value)


def commitment_fault(one: Commitment, terms: Terms, place: bytes) -> str:
    """What is wrong with a commitment in the draw with digest ``place``; empty if nothing.

    Guarantee: empty only for what the platform's pinned key signed for this draw under this charter.
    Refuses: nothing; a platform outside the roster is a fault.
    """
    if one.platform not in terms.roster:
        return "not in the roster"
    if not verify(terms.roster[one.platform], one.signature, "commit", place, one.content):
        return "the signature covers another draw or charter"
    return ""


def _decoded(read: Reader) -> tuple[str, bytes, bytes]:
    fields = read.name(), read.take(VALUE_BYTES), read.take(SIGNATURE_BYTES)
    read.end()
    return fields
