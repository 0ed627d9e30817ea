"""What a round is about: the charter's terms, which nobody can change, and the round's specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from common.secagg.errors import BadSpec, BadTerms
from common.secagg.ring import Ring
from common.secagg.transcript import digest, encode, names, number

HASH_BYTES = KEY_BYTES = 32
NONCE_BYTES = 16
NAME_BYTES = 64
MOST_PLATFORMS = 1000
_LONELY = "fewer keep no secret from each other, as each can subtract itself"


def fewest_platforms(colluders: int) -> int:
    """n_min = max(3, c + 2), the fewest platforms a sum may hold.

    Guarantee: two honest ones stay unknown to c ``colluders``; never two platforms, each of which could subtract
        itself.
    Refuses: nothing.
    """
    return max(3, colluders + 2)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the platforms agreed out of band; each site computes every threshold from it.

    ``charter``: 32-byte hash of the signed charter. ``roster``: platform → raw Ed25519 public key (32 bytes).
    ``colluders``: c, how many platforms may join forces with the coordinator. ``dimension``: d, the number of
    values. Vectors have d + 2 lanes.
    """

    charter: bytes
    roster: Mapping[str, bytes]
    colluders: int
    dimension: int
    ring: Ring

    def __post_init__(self) -> None:
        object.__setattr__(self, "roster", MappingProxyType(dict(sorted(self.roster.items()))))
        for wrong, why in (
            (len(self.charter) != HASH_BYTES, "the charter's hash has not 32 bytes"),
            (self.colluders < 0, "the number of colluders is negative"),
            (self.dimension < 1, "the vector has no values"),
            (not self.ring.fits(self.dimension), "the ring's tensors are not those of the vector"),
            (not self.ring.holds(len(self.roster)), "the noise leaves the ring no headroom for the sum"),
            (len(self.roster) > MOST_PLATFORMS, f"more than {MOST_PLATFORMS} platforms"),
            (
                not all(0 < len(name.encode()) <= NAME_BYTES and name.isprintable() for name in self.roster),
                "a name has not 1 to 64 printable bytes",
            ),
            (any(len(key) != KEY_BYTES for key in self.roster.values()), "an identity key has not 32 bytes"),
            (len(set(self.roster.values())) < len(self.roster), "two platforms share an identity key"),
            (len(self.roster) < self.n_min, f"{len(self.roster)} platforms, {self.n_min} needed: {_LONELY}"),
        ):
            if wrong:
                raise BadTerms("terms", why=why)

    @property
    def n_min(self) -> int:
        """The fewest platforms a sum may hold."""
        return fewest_platforms(self.colluders)

    def threshold(self, cohort_size: int) -> int:
        """t = ⌊(n + c) / 2⌋ + 1, so that 2t > n + c.

        Guarantee: any two sets of t platforms of the cohort share an honest one. So one survivor set at most
            finds a quorum, and the two secrets of one platform never both reach t shares.
        Refuses: nothing; t ≤ n whenever n ≥ n_min.
        """
        return (cohort_size + self.colluders) // 2 + 1

    def floor(self, cohort_size: int) -> int:
        """The fewest platforms that every phase must keep: max(t, n_min).

        Guarantee: never less than n_min, never less than t.
        Refuses: nothing.
        """
        return max(self.threshold(cohort_size), self.n_min)

    def digest(self) -> bytes:
        """SHA-256 over every term, 32 bytes.

        Guarantee: two different sets of terms never hash alike, whatever the charter's own hash covers.
        Refuses: nothing.
        """
        keys = encode(*(field for name, key in self.roster.items() for field in (name.encode(), key)))
        numbers = (number(self.colluders), number(self.dimension))
        return digest("terms", self.charter, keys, *numbers, self.ring.encode())


@dataclass(frozen=True, slots=True)
class RoundSpec:
    """One attempt at one round, as a site understands it; it signs no other.

    ``run``, ``purpose``: names. ``round``, ``attempt``: from 0. ``nonce``: 16 fresh bytes. ``cohort``: who is
    asked, kept sorted. ``model``: SHA-256 of the model bytes this site *received* (32 bytes), never a hash it
    was told.
    """

    run: str
    purpose: str
    round: int
    attempt: int
    nonce: bytes
    cohort: tuple[str, ...]
    model: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "cohort", tuple(sorted(self.cohort)))

    @property
    def size(self) -> int:
        """n: the cohort's size, from which the threshold follows; drop-outs do not lower it."""
        return len(self.cohort)

    def index(self, platform: str) -> int:
        """The platform's place in the cohort, from 1: where its Shamir shares are taken.

        Guarantee: the same at every site, never 0 (where the secret lies).
        Refuses: a platform outside the cohort (ValueError).
        """
        return self.cohort.index(platform) + 1

    def check(self, terms: Terms) -> None:
        """Whether this round may happen under the charter.

        Guarantee: after it, the cohort is a set of at least n_min roster members.
        Refuses: everything else, with the reason (BadSpec).
        """
        strangers = set(self.cohort) - set(terms.roster)
        for wrong, why in (
            (len(self.nonce) != NONCE_BYTES, "the nonce has not 16 bytes"),
            (len(self.model) != HASH_BYTES, "the model's hash has not 32 bytes"),
            (min(self.round, self.attempt) < 0, "the round or attempt is negative"),
            (len(set(self.cohort)) != self.size, "the cohort names a platform twice"),
            (bool(strangers), f"not in the roster: {', '.join(sorted(strangers))}"),
            (self.size < terms.n_min, f"a cohort of {self.size}, at least {terms.n_min} needed"),
        ):
            if wrong:
                raise BadSpec("advertise", why=why)

    def digest(self, terms: Terms) -> bytes:
        """SHA-256 over the terms and every field, 32 bytes. Every later signature and key depends on it.

        Guarantee: sites that were told different things (model, charter, cohort, round) never hash alike.
        Refuses: a round or attempt outside 0 … 2⁶⁴ − 1 (OverflowError).
        """
        place = (number(self.round), number(self.attempt), self.nonce)
        return digest(
            "spec",
            terms.digest(),
            self.run.encode(),
            self.purpose.encode(),
            *place,
            names(self.cohort),
            self.model,
        )
