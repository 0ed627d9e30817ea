"""The report's sentence on certificates is true of the files it speaks of."""

from collections.abc import Callable
from typing import Any

from scenarios.experiments.certified import certified
from server.certify import CERTIFICATE, MODEL, conclude
from server.rounds import conduct

Make = Callable[..., Any]


def test_it_says_what_holds_and_names_what_does_not(fleet: Make) -> None:
    made = fleet("amber", "herring", "salt", private=True, rounds=1)
    run, cell = made.run.path, made.run.path.parent.name
    assert list(certified([])) == []
    (said,) = certified([run])
    assert (
        said == f"1 of 1 federated versions have no certificate that holds ({cell}: CertificateUnreadable)."
    )
    conduct(made.tape(), made.run, lambda outcome: None)
    conclude(made.tape(), made.run)
    (said,) = certified([run])
    assert said.startswith("Each of 1 federated versions has a certificate that its sites signed")
    (run / MODEL).write_bytes(b"another")
    (said,) = certified([run])
    assert said.endswith(f"({cell}: SwappedModel).")


def test_a_run_that_cannot_be_certified_is_not_lost(fleet: Make, caplog: Any) -> None:
    made = fleet("amber", "herring", "salt")
    conclude(made.tape(), made.run)
    assert "no certificate: first-convoy: only a finished run has a version to certify" in caplog.text
    assert not (made.run.path / CERTIFICATE).exists()
