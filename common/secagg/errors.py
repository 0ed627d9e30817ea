"""The reasons secure aggregation stops: one class per reason. Its docstring is the reason, then the remedy.

AggregationAborted
└── ProtocolAborted         carries the phase, the platform, and whom the phases before it excluded
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

from collections.abc import Mapping
from typing import Literal

from common.errors import AggregationAborted

Phase = Literal[
    "terms", "quantise", "commit", "reveal", "advertise", "share", "mask", "sign", "unmask", "memory"
]


class ProtocolAborted(AggregationAborted):
    """Secure aggregation stopped.

    Start another attempt; if it stops again, read the sites' logs.
    """

    def __init__(
        self,
        phase: Phase,
        platform: str = "",
        *,
        why: str = "",
        hint: str = "",
        excluded: "Mapping[str, ProtocolAborted] | None" = None,
    ) -> None:
        reason, _, remedy = (self.__doc__ or type(self).__name__).partition("\n\n")
        where = f"{phase}: {platform}" if platform else phase
        names = f"; excluded: {', '.join(sorted(excluded))}" if excluded else ""
        super().__init__(_sentence(reason), where=where, why=why + names, hint=hint or _sentence(remedy))
        self.phase, self.platform = phase, platform
        self.excluded: Mapping[str, ProtocolAborted] = dict(excluded or {})


def _sentence(docstring: str) -> str:
    return " ".join(docstring.split()).rstrip(".")


class BadTerms(ProtocolAborted):
    """The charter's terms cannot protect a sum.

    Draft another charter, which every platform signs again.
    """


class BadSpec(ProtocolAborted):
    """The round's specification breaks the charter.

    Ask the coordinator for a round that the charter provides for, or correct the site's own key.
    """


class ProtocolError(ProtocolAborted):
    """These bytes are no message of this protocol.

    Run one version of Hanse everywhere, and see what lies between the two ends.
    """


class UnknownPlatform(ProtocolAborted):
    """The platform is not in the set that was signed before.

    Compare the coordinator's charter with the site's; if they agree, something invents platforms.
    """


class TooFewPlatforms(ProtocolAborted):
    """Too few platforms are left for a sum that hides each of them.

    Wait until more platforms are within reach, then start again; what was refused is in their logs.
    """


class BadAdvert(ProtocolAborted):
    """The advertisement is not signed under the charter's key over this site's own specification.

    Compare charter and model at both ends; if they agree, someone between them changes messages.
    """


class BadShares(ProtocolAborted):
    """The sealed shares are not the ones their dealer signed for this platform.

    Leave the dealer out of the next attempt if more platforms than may lie say so of it.
    """


class BadVector(ProtocolAborted):
    """The masked vector is not the one its platform signed.

    Leave the platform out of the sum, and see what lies between it and the coordinator.
    """


class BadSurvivors(ProtocolAborted):
    """The survivor set is one this site cannot have summed.

    Wait for the next round; a coordinator that asks so more than once is at fault.
    """


class NoQuorum(ProtocolAborted):
    """There is no quorum on one survivor set.

    Start another attempt; if it stops again, the coordinator tells platforms different survivors.
    """


class WrongRelease(ProtocolAborted):
    """The platform released a share that is not the one it was dealt.

    Leave the platform out of the next attempt, and ask its operator.
    """


class BadDealer(ProtocolAborted):
    """The platform dealt shares that do not rebuild the secret it committed to.

    Leave the dealer out of the next attempt, and ask its operator.
    """


class WrongSum(ProtocolAborted):
    """The unmasked vector cannot be a sum of the survivors' vectors.

    Void the round; a platform lied about its weight or count, and leaving each out in turn finds it.
    """


class BadDraw(ProtocolAborted):
    """A commitment or a revealed value is not one that its platform signed for this draw.

    Draw again; if the same platform is named twice, compare its key with the charter's.
    """


class WithheldReveal(ProtocolAborted):
    """A platform committed to the draw of groups and did not reveal its value.

    The next draw goes on without it; ask its operator whether the site stopped.
    """


class DrawsUsedUp(ProtocolAborted):
    """The charter allows no further draw of groups for this round.

    Sign another charter, without whoever kept withholding a value, or with more draws.
    """


class WrongGroup(ProtocolAborted):
    """The cohort of this opening is not the group that the draw gives this platform.

    Compare the coordinator's account of the draw with the site's; one of them was told something else.
    """


class StateUsed(ProtocolAborted):
    """A protocol state answers once, and this one has.

    Start another attempt; what was answered before is not answered again.
    """


class NotFinite(ProtocolAborted):
    """The update holds NaN or infinity.

    See the site's own log; lower the learning rate if training diverges.
    """


class OutOfBound(ProtocolAborted):
    """The update is larger than the bound it declares or the ring's clip.

    Clip the update to the charter's ring before it is quantised.
    """


class NoHeadroom(ProtocolAborted):
    """The weights would let the sum wrap around the ring.

    Draft a charter with smaller weights or fewer bits.
    """


class WrongShape(ProtocolAborted):
    """The vector has not the length and type that the charter fixes.

    Use the version of the model that the charter names.
    """


class RoundReplayed(ProtocolAborted):
    """This site has answered this round, or a later one, before.

    Go on with a later round or attempt of this run.
    """


class NonceReplayed(ProtocolAborted):
    """This site has seen this nonce before.

    Start another attempt with a fresh nonce.
    """


class BaseModelReleased(ProtocolAborted):
    """A sum over this base model has been unmasked; a second one would allow differencing.

    Start from another model; the coordinator retires this one by itself.
    """


class LedgerRollback(ProtocolAborted):
    """A platform's privacy ledger went back, or forked, since this site last saw it.

    Have the platform restore its newest ledger, or leave it out.
    """


class MemoryCorrupt(ProtocolAborted):
    """The persisted protocol memory cannot be read.

    Restore the file from a copy that is not older, or sign a new charter; never delete it.
    """
