"""A charter under its members' signatures, and its file."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field

from common.charter.charter import Charter
from common.charter.parts import CharterInvalid, Frozen
from common.files import write_atomically


class SignedCharter(Frozen):
    """A charter and the signatures of its members, by platform, in hexadecimal."""

    charter: Charter
    signatures: dict[str, str] = Field(default_factory=dict)

    def signed_by(self, platform: str, identity: Ed25519PrivateKey) -> "SignedCharter":
        """The same charter with one more signature."""
        signature = identity.sign(self.charter.digest()).hex()
        return SignedCharter(charter=self.charter, signatures={**self.signatures, platform: signature})

    def verified(self) -> Charter:
        """The charter, once every member's signature holds (Ed25519, RFC 8032).

        Raises:
            CharterInvalid: naming the first platform whose signature is missing or wrong.
        """
        for member in self.charter.members:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(member.public_key))
            try:
                key.verify(bytes.fromhex(self.signatures[member.platform]), self.charter.digest())
            except KeyError:
                raise CharterInvalid(f"{member.platform} has not signed", where=self.charter.name) from None
            except (InvalidSignature, ValueError):
                raise CharterInvalid(
                    f"the signature of {member.platform} is not over this charter", where=self.charter.name
                ) from None
        return self.charter

    def save(self, path: Path) -> None:
        """Write the charter as JSON, atomically."""
        write_atomically(path, self.model_dump_json(indent=2).encode(), mode=0o644)

    @classmethod
    def load(cls, path: Path) -> "SignedCharter":
        """Read a charter; it is not trusted before :meth:`verified`.

        Raises:
            CharterInvalid: when there is no readable charter at ``path``.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CharterInvalid(
                "no readable charter", where=str(path), why=type(error).__name__, hint="draft and sign again"
            ) from error
