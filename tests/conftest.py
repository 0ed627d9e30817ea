"""Fixtures that more than one package's tests use."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.config import CeilingConfig, SiteConfig, SiteFolder
from clients.site import Site
from common.certificate.certificate import Certificate
from common.certificate.statement import Statement
from common.charter import Charter, Member, ModelTerms, ServerTraining, SignedCharter
from common.deltas import AdapterDelta, Floats
from common.frame import Frame
from common.model.training import LocalTraining
from common.privacy.plan import Plan, PrivacyPlan
from common.privacy.shared import draft_shared
from common.secagg.ring import Ring
from common.shared_noise import Contribution
from scenarios.experiments.runner import Outcome, run_experiment
from scenarios.experiments.spec import ExperimentSpec
from server.checkpoint import RunFolder

HARBOURS = ("amber", "herring", "salt", "timber")
PARAMETERS = 24
PLAN = PrivacyPlan(
    epsilon=8.0,
    delta=1e-5,
    noise_multiplier=2.0,
    sample_rate=0.05,
    denominator=8.0,
    clip=1.0,
    rounds=3,
    local_steps=2,
    bucket=160,
)

# Every field is spelt out, so that another default does not change a frozen digest.
TRAINING = LocalTraining(
    loss="softmax",
    optimizer="adam",
    learning_rate=3e-3,
    steps=2,
    bucket=160,
    expected_batch=8.0,
    negatives=256,
    history=20,
    value_range=(0.5, 5.0),
)
SERVER = ServerTraining(learning_rate=0.01, beta1=0.9, beta2=0.99, epsilon=1e-4, average=0.5)

# A declaration whose files are never read: training is replaced.
SCENARIO = """
name = "harbour"
title = "a harbour"
description = "made up"
licence = "none"
source = { events = "events.csv", items = "items.csv" }
columns = { user = "who", item = "what", time = "when" }
items.text = ["what"]
split.by = "leave-last-out"
"""

# A shop whose files are read: 24 people who buy ten items each of 64.
SHOP = """
name = "{name}"
title = "{name}"
description = "made up"
licence = "none"
source = {{ events = "{name}.csv", items = "items.csv" }}
columns = {{ user = "who", item = "what", time = "when" }}
items.text = ["what"]
split.by = "leave-last-out"
training = {{ steps = 2, bucket = 32, expected_batch = 8, negatives = 16 }}
"""
WORDS = ("red", "blue", "large", "small", "fresh", "dried", "fine", "coarse")

Handle = Callable[[Frame], Frame]
Relay = Callable[[int, Frame, Handle], Frame | None]


@pytest.fixture(scope="session")
def task() -> None:
    """Flower names the sender of every message after the task that runs; outside of a run there is none."""
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1


@pytest.fixture(scope="session")
def plan() -> PrivacyPlan:
    """Three rounds of two steps, ε near 0.5 in all."""
    return PLAN


def identity_of(platform: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(platform.encode()).digest())


@pytest.fixture(scope="session")
def identity() -> Callable[[str], Ed25519PrivateKey]:
    """A platform's key, the same in every run of the tests."""
    return identity_of


def shared_terms(keys: Mapping[str, bytes], dimension: int = PARAMETERS) -> dict[str, Any]:
    """Fields of a charter whose platforms take one plain step a round and share the noise; ε = 6 in three."""
    training = TRAINING.model_copy(update={"optimizer": "sgd", "learning_rate": 0.5, "steps": 1})
    constants = Plan(
        epsilon=6.0,
        delta=1e-5,
        sample_rate=0.05,
        denominator=8.0,
        clip=1.0,
        rounds=3,
        local_steps=1,
        bucket=160,
    )
    norm = Contribution(training, 1.0).sensitivity(1.0, 8.0, Ring(8.0), dimension)
    plans = draft_shared(dict.fromkeys(keys, constants), dict.fromkeys(keys, norm), dimension, 2)
    members = tuple(
        Member(
            platform=name,
            public_key=key.hex(),
            weight=1.0,
            training=training,
            privacy=plans[name],
        )
        for name, key in keys.items()
    )
    digest = "5a" * 32
    model = ModelTerms(
        size="tiny", features=16, parameters=dimension, encoder=digest, basis=digest, layout=digest
    )
    return {"privacy": "shared-noise", "ring_clip": 8.0, "members": members, "model": model}


def charter_of(keys: Mapping[str, bytes], private: bool, **changes: Any) -> Charter:
    digest = "5a" * 32
    fields: dict[str, Any] = {
        "name": "first-convoy",
        "members": tuple(
            Member(
                platform=name,
                public_key=key.hex(),
                weight=1.0,
                training=TRAINING,
                privacy=PLAN if private else None,
            )
            for name, key in keys.items()
        ),
        "colluders": 1,
        "ring_clip": 1.0,
        "ring_bits": 22,
        "rounds": 3,
        "model": ModelTerms(
            size="tiny", features=16, parameters=PARAMETERS, encoder=digest, basis=digest, layout=digest
        ),
        "server": SERVER,
        "privacy": "local" if private else "off",
        "seed": None if private else 7,
    }
    return Charter(**{**fields, **changes})


@pytest.fixture(scope="session")
def draft() -> Callable[..., Charter]:
    """``draft(*platforms, private=…, **fields)``: a charter whose keys follow from the platforms' names."""

    def make(*platforms: str, private: bool = False, **changes: Any) -> Charter:
        keys = {name: identity_of(name).public_key().public_bytes_raw() for name in platforms or HARBOURS}
        return charter_of(keys, private, **changes)

    return make


@pytest.fixture(scope="session")
def draft_shared_charter() -> Callable[..., Charter]:
    """``draft_shared_charter(parameters=…)``: a charter of four platforms that share the noise."""

    def make(parameters: int = PARAMETERS) -> Charter:
        keys = {name: identity_of(name).public_key().public_bytes_raw() for name in HARBOURS}
        return charter_of(keys, True, **shared_terms(keys, parameters))

    return make


@dataclass
class Tape:
    """A channel to sites in this process that keeps what passes through it.

    ``relay`` stands between: it may answer in a site's place, or keep silent by returning None.
    """

    sites: Sequence[Handle]
    relay: Relay = field(default=lambda address, frame, site: site(frame))
    passed: list[tuple[int, Frame, Frame]] = field(default_factory=list)

    def addresses(self) -> Sequence[int]:
        return range(len(self.sites))

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        answers = {}
        for address, frame in requests.items():
            if (answer := self.relay(address, frame, self.sites[address])) is not None:
                answers[address] = answer
                self.passed.append((address, frame, answer))
        return answers

    def questions(self, address: int) -> list[Frame]:
        """What this address was asked, in order."""
        return [frame for asked, frame, _ in self.passed if asked == address]


@dataclass(frozen=True)
class Fleet:
    """Sites with folders, keys and one pinned charter, and the coordinator's run folder; no data at all."""

    folders: Mapping[str, SiteFolder]
    signed: SignedCharter
    run: RunFolder

    @classmethod
    def of(cls, folders: Mapping[str, SiteFolder], run: Path, private: bool, **changes: Any) -> "Fleet":
        """A charter that every site signs and pins, and a run under it."""
        keys = {name: folder.identity().public_key().public_bytes_raw() for name, folder in folders.items()}
        if changes.pop("shared", False):
            changes = {**shared_terms(keys), **changes}
        signed = SignedCharter(charter=charter_of(keys, private, **changes))
        for name, folder in folders.items():
            signed = signed.signed_by(name, folder.identity())
        for folder in folders.values():
            folder.pin(signed)
        return cls(folders, signed, RunFolder.create(run, signed, np.linspace(-1, 1, PARAMETERS, dtype="f4")))

    @property
    def charter(self) -> Charter:
        return self.signed.charter

    def again(self, **changes: Any) -> "Fleet":
        """The same sites under another charter."""
        run = self.run.path.with_name(f"{self.run.path.name}-again")
        return Fleet.of(self.folders, run, self.charter.privacy != "off", **changes)

    def site(self, platform: str) -> Site:
        """The platform's process, started anew."""
        folder = self.folders[platform]
        return Site(folder, folder.engagement(self.charter))

    def tape(self, relay: Relay | None = None) -> Tape:
        """A channel to all sites, each started anew; addresses are the order of the roster."""
        sites = [self.site(name).handle for name in self.folders]
        return Tape(sites, relay) if relay else Tape(sites)

    def next_model(self) -> None:
        """Let the next round start from a model that no sum was made over."""
        self.run.save(self.run.latest().retired())

    def resigned(self, certificate: Certificate, statement: Statement, **words: Any) -> Certificate:
        """All sites conspire: they sign another statement, or another word on it."""
        attestations = tuple(
            word.model_copy(update={"statement": statement.digest(), **words}).signed(
                self.folders[word.platform].identity()
            )
            for word in certificate.attestations
        )
        return certificate.model_copy(update={"statement": statement, "attestations": attestations})


def update_of(platform: str) -> Floats:
    """What training changes at a platform in these tests."""
    return np.linspace(-0.5, 0.5, PARAMETERS, dtype=np.float32) * np.float32(len(platform) / 10)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Fleet]:
    """``fleet(*platforms, private=…, ceiling=…, **fields)``, each call in a folder of its own.

    Training is a vector that follows from the platform's name.
    """

    def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
        return AdapterDelta(update_of(site._member.platform))

    monkeypatch.setattr(Site, "_train", trained)

    def make(*platforms: str, private: bool = False, ceiling: float = 8.0, **changes: Any) -> Fleet:
        limit = CeilingConfig(epsilon=ceiling, delta=1e-5) if private else None
        home = Path(tempfile.mkdtemp(dir=tmp_path, prefix="fleet-"))
        scenario = home / "harbour.toml"
        scenario.write_text(SCENARIO)
        folders = {
            name: SiteFolder.create(
                home / name, SiteConfig(platform=name, scenario=str(scenario), ceiling=limit)
            )
            for name in platforms or HARBOURS
        }
        return Fleet.of(folders, home / "server", private, **changes)

    return make


def make_encoder(folder: Path) -> None:
    """A BERT of two layers with random weights, saved as a published one would be."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel

    vocabulary = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def make_shop(folder: Path, name: str) -> Path:
    draw = np.random.default_rng(HARBOURS.index(name))
    items = [f"{first} {second}" for first in WORDS for second in WORDS]
    lines = [
        f"user-{user},{items[item]},2026-01-{day + 1:02}"
        for user in range(24)
        for day, item in enumerate(draw.permutation(len(items))[:10])
    ]
    (folder / f"{name}.csv").write_text("\n".join(["who,what,when", *lines, ""]))
    (folder / "items.csv").write_text("\n".join(["what", *items, ""]))
    path = folder / f"{name}.toml"
    path.write_text(SHOP.format(name=name))
    return path


@pytest.fixture(scope="session")
def shops() -> Callable[..., ExperimentSpec]:
    """``shops(folder, **fields)``: an experiment on four made-up shops whose files are in ``folder``."""

    def make(folder: Path, **changes: Any) -> ExperimentSpec:
        if not (folder / "encoder").exists():
            make_encoder(folder / "encoder")
        fields: dict[str, Any] = {
            "title": "four shops",
            "platforms": tuple(str(make_shop(folder, name)) for name in HARBOURS),
            "systems": ("local-only", "federated"),
            "rounds": 2,
            "trackers": (),
            "model": {"size": "tiny", "features": 16, "encoder": str(folder / "encoder")},
            "privacy": {"epsilons": (8.0,), "spare": 0},
        }
        return ExperimentSpec.model_validate({**fields, **changes})

    return make


@dataclass(frozen=True)
class Voyage:
    """An experiment that has been run from beginning to end, and where."""

    spec: ExperimentSpec
    out: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def voyage(
    shops: Callable[..., ExperimentSpec], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Voyage]:
    """A whole experiment on the shops in this process. Do not change what it left; copy it."""
    folder = tmp_path_factory.mktemp("voyage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANSE_CACHE", str(folder / "cache"))
        patch.setenv("HANSE_QUIET", "1")
        spec = shops(folder)
        yield Voyage(spec, folder / "out", run_experiment(spec, folder / "out", workers=1))
