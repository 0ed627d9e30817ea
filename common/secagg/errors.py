"""The reasons secure aggregation stops: one class per reason, whose docstring is the reason.

AggregationAborted
└── ProtocolAborted         carries the phase and the platform
    ├── BadTerms            the charter's numbers protect nobody
    ├── BadSpec             the round's specification breaks the charter
    ├── ProtocolError       bytes or names that are no message of this protocol
    ├── UnknownPlatform     a platform nobody invited
    ├── TooFewPlatforms     fewer than max(t, n_min) are left
    ├── BadAdvert           a swapped key, another model, another charter
    ├── BadShares           a share that is not the one its dealer signed
    ├── BadVector           a masked vector that its platform did not sign
    ├── BadSurvivors        a survivor set that this site cannot sign
    ├── NoQuorum            fewer than t signatures on one survivor set
    ├── WrongRelease        a released share that names its holder as the cheat
    ├── BadDealer           valid shares that name their dealer as the cheat
    ├── WrongSum            the unmasked vector cannot be a sum of the survivors
    ├── BadDraw, WithheldReveal, DrawsUsedUp, WrongGroup      the joint draw of groups
    ├── StateUsed           a protocol state asked twice
    ├── NotFinite, OutOfBound, NoHeadroom, WrongShape         a vector that must not be masked
    └── RoundReplayed, NonceReplayed, BaseModelReleased, LedgerRollback, MemoryCorrupt    monotone state
"""

from typing import Literal

from common.errors import AggregationAborted

Phase = Literal[
    "terms", "quantise", "commit", "reveal", "advertise", "share", "mask", "sign", "unmask", "memory"
]


class ProtocolAborted(AggregationAborted):
    """Secure aggregation stopped."""

    def __init__(self, phase: Phase, platform: str = "", *, why: str = "", hint: str = "") -> None:
        reason = (self.__doc__ or type(self).__name__).splitlines()[0].rstrip(".")
        super().__init__(reason, where=f"{phase}: {platform}" if platform else phase, why=why, hint=hint)
        self.phase, self.platform = phase, platform


class BadTerms(ProtocolAborted):
    """The charter's terms cannot protect a sum."""


class BadSpec(ProtocolAborted):
    """The round's specification breaks the charter."""


class ProtocolError(ProtocolAborted):
    """These bytes are no message of this protocol."""


class UnknownPlatform(ProtocolAborted):
    """The platform is not in the set that was signed before."""


class TooFewPlatforms(ProtocolAborted):
    """Too few platforms are left for a sum that hides each of them."""


class BadAdvert(ProtocolAborted):
    """The advertisement is not signed under the charter's key over this site's own specification."""


class BadShares(ProtocolAborted):
    """The sealed shares are not the ones their dealer signed for this platform."""


class BadVector(ProtocolAborted):
    """The masked vector is not the one its platform signed."""


class BadSurvivors(ProtocolAborted):
    """The survivor set is one this site cannot have summed."""


class NoQuorum(ProtocolAborted):
    """There is no quorum on one survivor set."""


class WrongRelease(ProtocolAborted):
    """The platform released a share that is not the one it was dealt."""


class BadDealer(ProtocolAborted):
    """The platform dealt shares that do not rebuild the secret it committed to."""


class WrongSum(ProtocolAborted):
    """The unmasked vector cannot be a sum of the survivors' vectors."""


class BadDraw(ProtocolAborted):
    """A commitment or a revealed value is not one that its platform signed for this draw."""


class WithheldReveal(ProtocolAborted):
    """A platform committed to the draw of groups and did not reveal its value."""


class DrawsUsedUp(ProtocolAborted):
    """The charter allows no further draw of groups for this round."""


class WrongGroup(ProtocolAborted):
    """The cohort of this opening is not the group that the draw gives this platform."""


class StateUsed(ProtocolAborted):
    """A protocol state answers once, and this one has."""


class NotFinite(ProtocolAborted):
    """The update holds NaN or infinity."""


class OutOfBound(ProtocolAborted):
    """The update is larger than the bound it declares or the ring's clip."""


class NoHeadroom(ProtocolAborted):
    """The weights would let the sum wrap around the ring."""


class WrongShape(ProtocolAborted):
    """The vector has not the length and type that the charter fixes."""


class RoundReplayed(ProtocolAborted):
    """This site has answered this round, or a later one, before."""


class NonceReplayed(ProtocolAborted):
    """This site has seen this nonce before."""


class BaseModelReleased(ProtocolAborted):
    """A sum over this base model has been unmasked; a second one would allow differencing."""


class LedgerRollback(ProtocolAborted):
    """A platform's privacy ledger went back, or forked, since this site last saw it."""


class MemoryCorrupt(ProtocolAborted):
    """The persisted protocol memory cannot be read."""
