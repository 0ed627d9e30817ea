"""What both sides check and hash alike: adverts, the round's hashes h1 and h2, and how many must be left."""

import hashlib
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from common.deltas import Lanes
from common.secagg.errors import Phase, ProtocolAborted, TooFewPlatforms
from common.secagg.keys import contributes, verify
from common.secagg.messages import Advert
from common.secagg.parts import THREADS, in_parts
from common.secagg.terms import RoundSpec, Terms
from common.secagg.transcript import digest, encode, names


def advert_fault(advert: Advert, terms: Terms, spec: bytes) -> str:
    """Why an advert cannot be accepted under the specification with digest ``spec``; empty if it can.

    Guarantee: empty only for what the platform's pinned key signed over this very specification, with usable
        keys.
    Refuses: nothing; a platform outside the roster is a fault.
    """
    if advert.platform not in terms.roster:
        return "not in the roster"
    if not verify(terms.roster[advert.platform], advert.signature, "advert", spec, *advert.fields):
        return "the signature does not cover this round's charter, cohort and model"
    if not (contributes(advert.seal_key) and contributes(advert.mask_key)):
        return "a key of small order"
    return ""


def commitment(spec: bytes, platform: str, seed: bytes) -> bytes:
    """A platform's commitment to its mask seed.

    Guarantee: binding (SHA-256); hiding, as the seed is 256 random bits.
    Refuses: nothing.
    """
    return digest("seed", spec, platform.encode(), seed)


def adverts_hash(spec: bytes, adverts: Iterable[Advert]) -> bytes:
    """h1: the specification and the accepted adverts, ordered by platform. It goes into every later key.

    Guarantee: sites that saw different adverts share no key, so they decrypt nothing of each other's.
    Refuses: nothing.
    """
    ordered = sorted(adverts, key=lambda advert: advert.platform)
    return digest("adverts", spec, *(encode(*advert.fields) for advert in ordered))


def sharers_hash(h1: bytes, sharers: Iterable[str]) -> bytes:
    """h2: h1 and the platforms whose shares arrived (U2). Masked vectors and survivor sets are signed under
    it.

    Guarantee: sites with different U2 never count for one quorum.
    Refuses: nothing.
    """
    return digest("sharers", h1, names(sharers))


def lanes_hash(lanes: Lanes, threads: int = THREADS) -> bytes:
    """The digest of a vector: SHA-256 over the hashes of its parts of ``PART`` lanes.

    Guarantee: collision resistant (SHA-256) over vectors of one width; the same on every machine, whatever its
        byte order, and for any number of ``threads``.
    Refuses: nothing.
    """
    hashes = in_parts(lambda start, stop, _: part_hash(lanes[start:stop]), lambda: None, lanes.size, threads)
    return parts_digest(hashes)


def part_hash(part: Lanes) -> bytes:
    """SHA-256 of one part, as little-endian words.

    Guarantee: the same on every machine.
    Refuses: nothing.
    """
    words = np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(words.data).digest()  # straight from the array: no copy


def parts_digest(hashes: Iterable[bytes]) -> bytes:
    """:func:`lanes_hash` of the vector whose parts have these hashes, in order.

    Guarantee: injective on sequences of hashes, up to collisions of SHA-256.
    Refuses: nothing.
    """
    return digest("lanes", *hashes)


def require_enough(
    phase: Phase,
    left: Collection[str],
    terms: Terms,
    spec: RoundSpec,
    excluded: Mapping[str, ProtocolAborted] | None = None,
) -> None:
    """Whether the platforms that are left can still give a sum that hides each of them.

    ``excluded``: who was left out for cause, and why, where the asker knows.

    Guarantee: after it, at least max(t, n_min) are left, with t from the cohort in the signed specification.
    Refuses: fewer (TooFewPlatforms, naming ``excluded``).
    """
    least = terms.floor(spec.size)
    if len(left) < least:
        why = f"{len(left)} of {spec.size} are left, at least {least} needed"
        raise TooFewPlatforms(phase, why=why, excluded=excluded)


def release_bytes(shares: Mapping[str, bytes]) -> bytes:
    """What the signature of a release covers: every dealer and share.

    Guarantee: injective.
    Refuses: nothing.
    """
    return encode(*(part for name in sorted(shares) for part in (name.encode(), shares[name])))
