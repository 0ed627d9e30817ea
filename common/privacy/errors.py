"""Why privacy refuses; each class's docstring is the reason.

PrivacyRefused (exit 3)
├── PlanUnsound           a mechanism or a plan that carries no guarantee
├── AccountantsDisagree   accountants contradict each other
├── CeilingExceeded       the platform's ceiling would be passed
├── AlreadyCharged        one charge pays for one release
├── LedgerUnavailable     a charge could not be made durable
└── LedgerCorrupt         the ledger's rows are not what was charged
"""

from common.errors import PrivacyRefused


class PlanUnsound(PrivacyRefused):
    """The mechanism or plan has values for which no useful guarantee exists."""


class AccountantsDisagree(PrivacyRefused):
    """PRV and PLD lie apart, or RDP's bound below PRV: at least one of them is wrong."""


class CeilingExceeded(PrivacyRefused):
    """What was released plus what is asked would pass the platform's ceiling."""


class AlreadyCharged(PrivacyRefused):
    """The same run, round, attempt and release was charged before: one charge pays for one release."""


class LedgerUnavailable(PrivacyRefused):
    """The ledger cannot be read or durably written: missing, locked, read-only or a full disk."""


class LedgerCorrupt(PrivacyRefused):
    """A row of the ledger does not continue the hash chain; it was edited, removed or damaged."""
