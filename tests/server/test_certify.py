"""At the end of a run the sites hold the coordinator's statement against what they remember, and sign it."""

from collections.abc import Callable
from typing import Any

import pytest

from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.certificate.errors import RoundsMissing
from common.frame import Frame
from server.certify import CERTIFICATE, MODEL, certify
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]


def quiet(outcome: Any) -> None:
    pass


def kinds(found: Any) -> list[str]:
    return [type(fault).__name__ for fault in found]


@pytest.mark.parametrize("private", [True, False])
def test_every_site_of_an_honest_run_signs_and_the_certificate_holds(fleet: Make, private: bool) -> None:
    made = fleet(private=private)
    conduct(made.tape(), made.run, quiet)
    certificate = certify(made.tape(), made.run)
    model = (made.run.path / MODEL).read_bytes()
    assert faults(certificate, charter=made.charter.digest(), model=model) == ()
    assert Certificate.load(made.run.path / CERTIFICATE) == certificate
    assert [word.platform for word in certificate.attestations] == list(made.folders)
    for word in certificate.attestations:
        assert word.finished == ("train/1", "train/2", "train/3")
        assert sum(row.times for row in word.charges) == (3 if private else 0)
    assert len(certificate.statement.claims) == (4 if private else 0)


def test_a_run_that_is_not_over_has_nothing_to_certify(fleet: Make) -> None:
    with pytest.raises(RoundsMissing, match="0 of 3 rounds are on record"):
        certify(fleet().tape(), fleet().run)
