"""What the platforms agreed before any private row was read: roster, thresholds, ring, model, privacy.

Every platform signs the same bytes and every site pins them; the coordinator can change none of it.
"""

from common.charter.charter import Charter
from common.charter.parts import (
    PURPOSES,
    CharterInvalid,
    Digest,
    Member,
    ModelTerms,
    Name,
    Purpose,
    ServerTraining,
    TensorClip,
)
from common.charter.signed import SignedCharter

__all__ = [
    "PURPOSES",
    "Charter",
    "CharterInvalid",
    "Digest",
    "Member",
    "ModelTerms",
    "Name",
    "Purpose",
    "ServerTraining",
    "SignedCharter",
    "TensorClip",
]
