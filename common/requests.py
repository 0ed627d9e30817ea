"""What the coordinator asks of a site: five requests for a round, one after it, two for a draw of groups, and one
after the last round.

Each is a strict JSON body beside its arrays. What belongs to a round or a draw says to which attempt: a question
that comes late, when the next attempt is under way, must not end that one.
"""

from typing import Annotated, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.charter import Name, Purpose
from common.errors import AggregationAborted
from common.frame import Frame, Vector
from common.secagg.draw import Draw
from common.secagg.terms import RoundSpec

Count = Annotated[int, Field(ge=0, lt=2**63)]


class MalformedRequest(AggregationAborted):
    """A request that is none of these, or whose body is not of its form."""


class _Request(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_bytes="base64", val_json_bytes="base64"
    )
    kind: ClassVar[str]

    def frame(self, *arrays: Vector) -> Frame:
        """This request as a frame."""
        return Frame(self.kind, self.model_dump_json().encode(), arrays)

    @classmethod
    def parse(cls, frame: Frame) -> Self:
        """The request in ``frame``.

        Raises:
            MalformedRequest: on anything that is not exactly of this form.
        """
        try:
            return cls.model_validate_json(frame.body)
        except ValidationError:
            hint = "run one version of Hanse at both ends"
            # Pydantic's error quotes the body, and a traceback would show it.
            raise MalformedRequest(f"a malformed {cls.kind} request", hint=hint) from None


class CommitRequest(_Request):
    """Begins a draw of groups, the ``draw``-th for this round."""

    kind = "commit"
    run: Annotated[str, Field(max_length=128)]
    round: Count
    attempt: Count
    draw: Count

    def place(self) -> Draw:
        """What every platform's commitment is bound to."""
        return Draw(self.run, self.round, self.attempt, self.draw)


class RevealRequest(_Request):
    """Hands over everyone's signed commitments to the draw."""

    kind = "reveal"
    attempt: Count
    commitments: tuple[bytes, ...]


class AdvertiseRequest(_Request):
    """Opens a round; its frame carries the model, float32, shape (d,).

    ``purpose``: what the round's sum is for; each counts its rounds from 1. ``reveals``: where the charter has
    groups, everyone's revealed value; ``cohort`` is then the group.
    """

    kind = "advertise"
    purpose: Purpose = "train"
    run: Annotated[str, Field(max_length=128)]
    round: Count
    attempt: Count
    nonce: Annotated[bytes, Field(min_length=16, max_length=16)]
    cohort: tuple[Name, ...]
    reveals: tuple[bytes, ...] = ()

    def spec(self, model: bytes) -> RoundSpec:
        """What every platform signs; ``model`` is the SHA-256 of the vector as it was received.

        What a site remembers counts rounds by the specification's run, so each purpose has a run of its own.
        """
        run = self.run if self.purpose == "train" else f"{self.purpose}/{self.run}"
        return RoundSpec(run, self.purpose, self.round, self.attempt, self.nonce, self.cohort, model)


class ShareRequest(_Request):
    """Hands over the signed adverts of everyone who answered."""

    kind = "share"
    attempt: Count
    adverts: tuple[bytes, ...]


class UploadRequest(_Request):
    """Hands over the ciphertexts addressed to this platform, by sender, and asks for its masked update."""

    kind = "upload"
    attempt: Count
    sealed: dict[Name, bytes]


class SignRequest(_Request):
    """Names the platforms whose masked updates arrived."""

    kind = "sign"
    attempt: Count
    survivors: tuple[Name, ...]


class UnmaskRequest(_Request):
    """Hands over the signatures under the list of survivors, by platform."""

    kind = "unmask"
    attempt: Count
    signatures: dict[Name, bytes]


class ReplayRequest(_Request):
    """Tells, after the sum, the SHA-256 of the sealed bundle to replay the round from, and the bundle's key."""

    kind = "replay"
    attempt: Count
    bundle: Annotated[bytes, Field(min_length=32, max_length=32)]
    key: Annotated[bytes, Field(min_length=32, max_length=32, repr=False)]


class CertifyRequest(_Request):
    """After the last round: the statement about the version, whose frame carries the model, float32."""

    kind = "certify"
    statement: Annotated[bytes, Field(max_length=2**24)]


KINDS: Final = frozenset(request.kind for request in _Request.__subclasses__())
"""What may be asked at all."""
