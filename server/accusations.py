"""Whom the coordinator leaves out of the next attempt, and on whose word."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.errors import AggregationAborted
from common.secagg.errors import BadDealer, BadShares, BadSurvivors, ProtocolAborted, WrongRelease


@dataclass
class Accusations:
    """What was held against platforms so far.

    Some faults the coordinator sees for itself: a receipt that its dealer did not sign, a signature on other
    survivors than were told, a share that is not the one dealt, shares off the dealer's polynomial. Whether an
    envelope opens, and whether a ledger went back, only the receiver sees. Its word is a claim, and a liar costs
    itself the round; so a platform is left out only on the word of more platforms than may lie, one of which is
    honest then.
    """

    claimed: dict[str, set[str]] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)

    def hear(self, accuser: str, accused: str) -> None:
        """Note one platform's word against another; a word against oneself is none."""
        if accuser != accused:
            self.claimed.setdefault(accused, set()).add(accuser)

    def prove(self, faults: Mapping[str, ProtocolAborted]) -> None:
        """Note what the coordinator checked itself; of the faults, those that would void round after round.

        A wrong vector is not among them: it is left out of the sum before it costs the others anything.
        """
        spoiling = BadShares | BadDealer | BadSurvivors | WrongRelease
        self.proven |= {name for name, why in faults.items() if isinstance(why, spoiling)}

    def learn(self, reason: AggregationAborted) -> None:
        """Note whom the end of a void round proves guilty."""
        if isinstance(reason, ProtocolAborted):
            self.prove(reason.excluded)
        if isinstance(reason, BadDealer):
            self.proven.add(reason.platform)

    def absorb(self, other: "Accusations") -> None:
        """Note all that was held against platforms in a part of the round."""
        for accused, accusers in other.claimed.items():
            self.claimed.setdefault(accused, set()).update(accusers)
        self.proven |= other.proven

    def culprits(self, colluders: int) -> frozenset[str]:
        """Whoever is proven guilty, or accused by more than ``colluders`` platforms."""
        accused = {name for name, accusers in self.claimed.items() if len(accusers) > colluders}
        return frozenset(self.proven | accused)
