"""What a report says of the certificates that its federated runs ended with."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.certificate.errors import CertificateUnreadable
from server.certify import CERTIFICATE, MODEL


def certified(runs: Sequence[Path]) -> Iterator[str]:
    """One sentence on the certificates in ``runs``, folders of coordinators; none where nothing was federated."""
    reasons = {run.parent.name: reason for run in runs if (reason := _fault(run))}
    if not runs:
        return
    if not reasons:
        yield (
            f"Each of {len(runs)} federated versions has a certificate that its sites signed and that holds: "
            f"server/{CERTIFICATE} in its folder; hanse verify FILE checks it."
        )
    else:
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items()))
        yield f"{len(reasons)} of {len(runs)} federated versions have no certificate that holds ({told})."


def _fault(run: Path) -> str:
    try:
        certificate, model = Certificate.load(run / CERTIFICATE), (run / MODEL).read_bytes()
    except (CertificateUnreadable, OSError) as error:
        return type(error).__name__
    return next((type(fault).__name__ for fault in faults(certificate, model=model)), "")
