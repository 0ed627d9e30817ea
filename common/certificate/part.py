"""What every part of a certificate is: a frozen value with one JSON text, so that no byte can change unseen."""

import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from common.certificate.errors import CertificateUnreadable
from common.errors import HanseError

Text = Annotated[str, Field(max_length=512)]
Kind = TypeVar("Kind", bound="Part")


class Part(BaseModel):
    """A frozen value of which there is one JSON text.

    ``later``: fields that are left out where they are None, so that what was signed before them still holds.
    """

    later: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    def text(self) -> bytes:
        """Its JSON: keys sorted, no spaces."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        return {name: value for name, value in fields.items() if value is not None or name not in self.later}


def decoded(kind: type[Kind], data: bytes, write: Callable[[Kind], bytes] = lambda part: part.text()) -> Kind:
    """One value has one text: another spelling of it is refused, so that no byte can change unseen."""
    try:
        found = kind.model_validate_json(data)
        again = write(found)
    except (ValueError, HanseError, RecursionError) as error:
        # What the text holds must not reach a traceback.
        raise CertificateUnreadable(f"no {kind.__name__.lower()}", why=type(error).__name__) from None
    if again != data:
        raise CertificateUnreadable(f"a {kind.__name__.lower()} that is written otherwise than it should be")
    return found
