"""Why a certificate does not hold. Each reason may travel: it follows from certificate and charter alone."""

from common.errors import AggregationAborted, PrivacyRefused


class CertificateInvalid(AggregationAborted):
    """A certificate that does not hold; every reason below is one of its subclasses, or refuses for privacy."""


class CertificateUnreadable(CertificateInvalid):
    """Bytes that are no certificate, or one that is written otherwise than a certificate is."""


class OtherCharter(CertificateInvalid):
    """A statement about another charter than the one it comes with, or than the one that was expected."""


class RoundsMissing(CertificateInvalid):
    """The rounds are not all of the charter's, once each and in order, or not of the charter's platforms."""


class BrokenChain(CertificateInvalid):
    """The transcript hash is not that of the rounds."""


class RoundContradicted(CertificateInvalid):
    """A site remembers a round otherwise than the statement tells it."""


class RoundUnvouched(CertificateInvalid):
    """Fewer sites vouch for a round's sum than had to release its shares."""


class SwappedModel(CertificateInvalid):
    """A model that is not the one the statement is about."""


class SecondModel(CertificateInvalid):
    """A site has put its name to another final model, or other rounds, of the same charter."""


class RunOver(CertificateInvalid):
    """A round of a run whose version this site has signed: a later charge would make its word untrue."""


class SignatureMissing(CertificateInvalid):
    """A platform that took part has not signed."""


class SignatureWrong(CertificateInvalid):
    """A platform's word is not what its key signed, or is about another statement."""


class ClaimUnsound(PrivacyRefused):
    """A claimed ε, or a figure beside it, that does not follow from the charter's plans."""


class ClaimExceeded(PrivacyRefused):
    """A platform's own ledger shows more for this run than the claim."""


class AuditContradicts(PrivacyRefused):
    """An audit found a lower bound above the claimed ε."""


class AuditElsewhere(PrivacyRefused):
    """An audit of a larger claim, at another δ, or of other code: it says nothing of this version."""
