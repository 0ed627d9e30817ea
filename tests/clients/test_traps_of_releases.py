"""Traps 5 to 9: constants, accounts, preprocessing and weights that tell what nobody was charged for.

Each test first builds the usual code and shows the harm on it, then holds ours against the same.
Trap 4's seed and trap 6's silent layers have files of their own: test_release_randomness and test_guard.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus import PrivacyEngine
from opacus.accountants import PRVAccountant
from opacus.optimizers import DPOptimizer
from pydantic import ValidationError
from torch.utils.data import DataLoader, TensorDataset

from clients import trainer
from clients.policy import PrivateCatalogue, require_public_catalogue
from clients.private_optimizer import OsNoiseOptimizer
from clients.trainer import Shelf, train
from clients.user_gradients import user_gradients
from common.charter import Charter
from common.charter import Member as Signatory
from common.data.sequences import Sequences
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.statistics import Basis, CatalogueMoments
from common.model.training import LocalTraining
from common.model.windows import Windows
from common.privacy.accountant import Mechanism
from common.privacy.ledger import Ceiling, Charge, Ledger
from common.privacy.plan import PrivacyPlan
from common.privacy.sampling import poisson_sample
from common.randomness import KeyedRandomness, OsRandomness
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import Source

pytestmark = pytest.mark.usefixtures("one_thread")

TERMS = LocalTraining(steps=3, bucket=256, expected_batch=64, negatives=16, history=20)
PLAN = PrivacyPlan(epsilon=8, delta=1e-3, noise_multiplier=1, sample_rate=0.25, denominator=64, clip=1,
                   rounds=3, local_steps=3, bucket=256)  # fmt: skip


def first(sequences: Sequences, users: int) -> Sequences:
    """The platform as it would be with the first ``users`` alone."""
    offsets = sequences.offsets[: users + 1]
    rows = slice(0, int(offsets[-1]))
    return Sequences(offsets, sequences.items[rows], sequences.times[rows], sequences.values[rows])


def spied(monkeypatch, features, sequences):
    """What a private round fixes before it looks at users: constants of every step, without the users' rows."""
    seen = []

    class Spy(OsNoiseOptimizer):
        def __init__(self, optimizer, **terms):
            seen.append({name: value for name, value in terms.items() if name != "noise"})
            super().__init__(optimizer, **terms)

    def sample(population, rate, randomness):
        seen.append(rate)
        return poisson_sample(population, rate, randomness)

    monkeypatch.setattr(trainer, "OsNoiseOptimizer", Spy)
    monkeypatch.setattr(trainer, "poisson_sample", sample)
    vector = pack(build_model("tiny", features.shape[1]))
    train(vector, "tiny", features, sequences, TERMS, PLAN, OsRandomness())
    return seen


# 5: the number of users in a constant; a seed


@pytest.mark.filterwarnings("ignore:Secure RNG turned off")
@pytest.mark.filterwarnings("ignore:Full backward hook")
def test_opacus_takes_rate_and_denominator_from_the_number_of_users_and_ours_from_the_plan(
    features, sequences, monkeypatch
) -> None:
    def naive(users: int) -> tuple[float, int]:
        rows = DataLoader(TensorDataset(torch.zeros(users, 1)), batch_size=100)
        layer = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        _, private, loader = PrivacyEngine().make_private(
            module=layer, optimizer=optimizer, data_loader=rows, noise_multiplier=1.0, max_grad_norm=1.0
        )
        return loader.sample_rate, private.expected_batch_size

    (rate, denominator), (other_rate, other_denominator) = naive(1000), naive(1001)
    assert rate != other_rate
    assert denominator != other_denominator  # one person more, and everyone can see it
    few, many = (spied(monkeypatch, features, first(sequences, users)) for users in (3, 120))
    constants = {"noise_multiplier": 1.0, "clip": 1.0, "denominator": 64.0}
    assert few == many == [constants, *[PLAN.sample_rate] * PLAN.local_steps]


def test_opacus_secure_mode_needs_a_package_that_is_gone() -> None:
    with pytest.raises(ImportError, match="torchcsprng"):
        PrivacyEngine(secure_mode=True)


def test_opacus_noise_is_subtracted_by_whoever_knows_the_seed_and_ours_is_not() -> None:
    secret = torch.tensor([[0.3, -0.4]])

    def released(kind: type[DPOptimizer]) -> torch.Tensor:
        torch.manual_seed(7)
        parameter = torch.nn.Parameter(torch.zeros(2))
        inner = torch.optim.SGD([parameter], lr=1.0)
        if kind is OsNoiseOptimizer:
            private = OsNoiseOptimizer(
                inner, noise_multiplier=10.0, clip=1.0, denominator=1.0, noise=OsRandomness()
            )
        else:
            private = DPOptimizer(inner, noise_multiplier=10.0, max_grad_norm=1.0, expected_batch_size=1)
        parameter.grad_sample = secret.clone()
        private.step()
        return -parameter.detach()

    torch.manual_seed(7)
    noise = torch.normal(0.0, 10.0, (2,))
    assert torch.allclose(released(DPOptimizer) - noise, secret[0], atol=1e-4)
    errors = [(released(OsNoiseOptimizer) - noise - secret[0]).norm().item() for _ in range(3)]
    assert max(errors) > 1 and len(set(errors)) == 3


# 6: an account that forgets


def test_an_accountant_made_anew_each_round_tells_of_one_round_and_the_ledger_of_all(tmp_path: Path) -> None:
    rounds, reported = 10, []
    path, ceiling = tmp_path / "ledger.sqlite", Ceiling(8.0, 1e-5)
    for number in range(1, rounds + 1):
        accountant = PRVAccountant()
        accountant.history.append((1.0, 0.05, 5))
        reported.append(accountant.get_epsilon(1e-5))
        mechanism = Mechanism(1.0, 0.05, 5)
        Ledger.open(path, ceiling).charge(Charge("run", number, 0, "training", mechanism))
    assert max(reported) == min(reported)
    whole = PRVAccountant()
    whole.history.append((1.0, 0.05, 5 * rounds))
    spent = Ledger.open(path, ceiling).spent()  # every round in a process of its own would do the same
    assert spent.prv == pytest.approx(whole.get_epsilon(1e-5), rel=0.01)
    assert spent.prv > 1.5 * reported[-1]


# 7: preprocessing that looks at what people did


def test_a_catalogue_of_seen_items_lets_one_person_move_everyones_gradient(features) -> None:
    model, draw = build_model("tiny", features.shape[1]), KeyedRandomness("rows")
    everyone, seen, clip = 100, 20, 0.05
    items = draw.integers(seen, everyone * 20).reshape(everyone, 20)
    windows = Windows(items, np.ones(items.shape, np.float32))

    def naive(catalogue: int) -> torch.Tensor:
        """The others' clipped sum, with negatives from the items that anyone bought."""
        shelf, negatives = Shelf(torch.from_numpy(features[:catalogue]), windows), KeyedRandomness("same")
        found = user_gradients(model, lambda: shelf.losses(model, np.arange(everyone), TERMS, negatives))
        rows = torch.cat([g.flatten(1) for g in found], 1)
        return (rows * (clip / rows.norm(dim=1, keepdim=True)).clamp(max=1)).sum(0)

    # One person more, who bought an item that nobody else ever did; their own gradient is not even in it.
    assert (naive(seen + 1) - naive(seen)).norm() > 3 * clip
    grocery = load_scenario("grocery")
    naive_source = Source(events=Path("events.csv"))
    with pytest.raises(PrivateCatalogue, match="read from the events"):
        require_public_catalogue(grocery.model_copy(update={"source": naive_source}))


def test_whitening_on_what_was_bought_tells_who_bought_and_ours_on_the_catalogue_does_not(features) -> None:
    def naive(bought: list[int]) -> Basis:
        return Basis.fit([CatalogueMoments.of(features[bought])], width=4)

    crowd = list(range(20)) * 5
    assert not np.allclose(naive(crowd).projection, naive([*crowd, 35]).projection, atol=1e-3)
    # Ours has no argument that could hold an event: the moments are of raw features of all items.
    assert CatalogueMoments.of.__annotations__.keys() == {"raw", "return"}


# 8: choices made by looking


def test_stopping_early_tells_who_took_part_and_ours_always_takes_the_same_steps(
    features, sequences, monkeypatch
) -> None:
    def naive(losses: list[float]) -> int:
        """Steps until the mean loss of validation users stops falling."""
        rising = [step for step, (now, then) in enumerate(pairwise(losses), 1) if then >= now]
        return rising[0] if rising else len(losses)

    falling = [1.0, 0.9, 0.8, 0.7]
    one_bad_user = [1.0, 0.9, 0.95, 0.7]
    assert naive(falling) != naive(one_bad_user)
    spoiled = Sequences(
        sequences.offsets, sequences.items, sequences.times, np.full_like(sequences.values, np.nan)
    )
    for rows in (sequences, spoiled, first(sequences, 0)):
        assert len(spied(monkeypatch, features, rows)) == 1 + PLAN.local_steps
    for tempting in ("early_stopping", "patience", "best_version"):
        with pytest.raises(ValidationError, match="Extra inputs"):
            LocalTraining(**{tempting: 3})
        with pytest.raises(ValidationError, match="Extra inputs"):
            PrivacyPlan(**{**PLAN.model_dump(), tempting: 3})


# 9: weights


def test_weights_by_size_tell_the_size_and_contract_weights_do_not(features, sequences) -> None:
    def naive(sizes: dict[str, int]) -> dict[str, float]:
        return {name: size / sum(sizes.values()) for name, size in sizes.items()}

    sizes = {"a": 943, "b": 1000, "c": 2000}
    told = naive(sizes)
    others = {name: size for name, size in sizes.items() if name != "a"}
    assert round(told["a"] / (1 - told["a"]) * sum(others.values())) == sizes["a"]
    # Here a weight is a number in the charter, signed before any row is read, and training never sees it.
    assert Signatory.model_fields["weight"].annotation is float
    assert Charter.model_config["frozen"]
    assert "weight" not in LocalTraining.model_fields.keys() | PrivacyPlan.model_fields.keys()
