"""What is fed to the readers of a certificate's parts: one that is accepted would be written the same."""

import json
from collections.abc import Iterator
from typing import Any, Final

from audits.parsers import NAMES, as_json
from audits.target import SECRET, Target
from common.certificate.attestation import Attestation, Charged
from common.certificate.errors import CertificateUnreadable
from common.certificate.statement import Claim, Model, RoundRecord, Statement, Sum
from common.privacy.ledger_rows import columns_of
from common.privacy.skellam import SkellamMechanism

_HASH: Final = (SECRET * 6)[:32].hex()
_TEXT: Final = SECRET.decode()


def certificates() -> Iterator[Target]:
    """The parts that travel between coordinator and site, as texts and as the values behind them."""
    allowed = (CertificateUnreadable,)
    for part in (_statement(), _attestation()):
        kind, content = type(part), part.model_dump(mode="json")

        def read(data: Any, kind: Any = kind) -> None:
            if isinstance(data, bytes):
                assert kind.decode(data).text() == data

        yield Target(f"{kind.__name__} text", allowed, read, [part.text()], share=2)
        yield Target(kind.__name__, allowed, lambda value, read=read: read(_text(value)), [content], share=2)


def _text(value: Any) -> bytes:
    return json.dumps(json.loads(as_json(value)), sort_keys=True, separators=(",", ":")).encode()


def _statement() -> Statement:
    one = Sum(cohort=NAMES, survivors=NAMES, h2=_HASH)
    return Statement(
        charter=_HASH,
        unit=_TEXT,
        adjacency=_TEXT,
        claims=(
            Claim(platform=NAMES[0], mode="local", epsilon=8.0, delta=1e-5, figures={"prv": 7.9}),
            Claim(platform=NAMES[1], mode=_TEXT, epsilon=8.0, delta=1e-5, figures={}, epsilon_alone=16.5),
        ),
        joint={"prv": 14.6},
        rounds=(
            RoundRecord(
                purpose="train", number=1, attempt=2, model=_HASH, sums=(one,), dropped={NAMES[1]: _TEXT}
            ),
        ),
        transcript=_HASH,
        final="train/1",
        model=Model(values=_HASH, file=_HASH, size=7),
        encoder=_HASH,
        basis=_HASH,
        layout=_HASH,
        code=_HASH,
        versions={"hanse": _TEXT},
    )


def _attestation() -> Attestation:
    charged = Charged(release=_TEXT, noise_multiplier=1.5, sample_rate=0.25, steps=2, times=3)
    noise, rate, steps, terms = columns_of(SkellamMechanism(2**20, 2, 512.0, 7, 0.25, 1))
    shared = Charged(
        release=_TEXT, noise_multiplier=noise, sample_rate=rate, steps=steps, times=3, terms=terms
    )
    return Attestation(
        platform=NAMES[0],
        statement=_HASH,
        finished=("train/1",),
        charges=(charged, shared),
        code=_HASH,
        versions={"hanse": _TEXT},
        signature=_HASH * 2,
    )
