"""Secure aggregation without IO: bytes in, bytes out.

The coordinator learns the sum of the survivors' updates and nothing else; see
docs/explanation/secure-aggregation.md.
"""

from common.secagg.client import Advertised, Masked, Shared, Signed, advertise
from common.secagg.memory import Memory
from common.secagg.messages import (
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
    Witness,
)
from common.secagg.ring import Ring
from common.secagg.server import AdvertBook, Mailboxes, MaskedSum, Quorum, Releases, collect_adverts
from common.secagg.terms import RoundSpec, Terms

__all__ = [
    "Advert",
    "AdvertBook",
    "Advertised",
    "Mailboxes",
    "Masked",
    "MaskedSum",
    "MaskedVector",
    "Memory",
    "Quorum",
    "ReleasedShares",
    "Releases",
    "Ring",
    "RoundSpec",
    "SealedShares",
    "Shared",
    "Signed",
    "SurvivorSignature",
    "Terms",
    "Witness",
    "advertise",
    "collect_adverts",
]
