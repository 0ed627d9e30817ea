"""What both sides check and hash alike: adverts, the round's hashes h1 and h2, and how many must be left."""

import hashlib
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from common.deltas import Lanes
from common.secagg.errors import Phase, TooFewPlatforms
from common.secagg.keys import contributes, verify
from common.secagg.messages import Advert
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


def lanes_hash(lanes: Lanes) -> bytes:
    """SHA-256 of the lanes as little-endian words.

    Guarantee: the same on every machine, whatever its byte order.
    Refuses: nothing.
    """
    return parts_hash([lanes])


def parts_hash(parts: Iterable[Lanes]) -> bytes:
    """:func:`lanes_hash` of the vector that ``parts`` make up, taken in part by part.

    Guarantee: the same for any way to cut the vector.
    Refuses: nothing.
    """
    taken = hashlib.sha256()
    for part in parts:
        words = np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<"), copy=False)
        taken.update(words.data)  # straight from the array: no copy
    return taken.digest()


def require_enough(phase: Phase, left: Collection[str], terms: Terms, spec: RoundSpec) -> None:
    """Whether the platforms that are left can still give a sum that hides each of them.

    Guarantee: after it, at least max(t, n_min) are left, with t from the cohort in the signed specification.
    Refuses: fewer (TooFewPlatforms).
    """
    least = terms.floor(spec.size)
    if len(left) < least:
        raise TooFewPlatforms(phase, why=f"{len(left)} of {spec.size} are left, at least {least} needed")


def release_bytes(shares: Mapping[str, bytes]) -> bytes:
    """What the signature of a release covers: every dealer and share.

    Guarantee: injective.
    Refuses: nothing.
    """
    return encode(*(part for name in sorted(shares) for part in (name.encode(), shares[name])))
