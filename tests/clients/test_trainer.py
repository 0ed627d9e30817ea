import numpy as np
import pytest
import torch

from clients import trainer
from clients.trainer import SilentFailure, train
from common.data.sequences import Sequences
from common.model.base import load_model
from common.model.layout import flatten, pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.plan import PrivacyPlan
from common.randomness import KeyedRandomness, OsRandomness

TERMS = LocalTraining(steps=3, bucket=256, expected_batch=64, negatives=16, history=20)
PLAN = PrivacyPlan(
    epsilon=8,
    delta=1e-3,
    noise_multiplier=1,
    sample_rate=0.25,
    denominator=64,
    clip=1,
    rounds=1,
    local_steps=3,
    bucket=256,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vector(features):
    return pack(build_model("tiny", features.shape[1]))


def openly(vector, features, sequences, terms=TERMS, *labels):
    return train(vector, "tiny", features, sequences, terms, None, KeyedRandomness("run", *labels)).values


def test_with_privacy_off_a_key_repeats_the_delta_to_the_last_bit(vector, features, sequences):
    first, second = (openly(vector, features, sequences) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.any()
    assert not np.array_equal(first, openly(vector, features, sequences, TERMS, 1))


def test_with_privacy_on_nothing_repeats(vector, features, sequences):
    first, second = (
        train(vector, "tiny", features, sequences, TERMS, PLAN, OsRandomness()).values for _ in range(2)
    )
    assert not np.allclose(first, second)


def test_private_training_refuses_a_known_key(vector, features, sequences):
    with pytest.raises(SilentFailure, match="repeatable noise"):
        train(vector, "tiny", features, sequences, TERMS, PLAN, KeyedRandomness("known"))


def test_every_parameter_moves_though_nobody_is_drawn(vector, features):
    nobody = Sequences.group(0, np.array([], int), *(np.array([], kind) for kind in ("i4", "i8", "f4")))
    delta = train(vector, "tiny", features, nobody, TERMS, PLAN, OsRandomness()).values
    assert (delta != 0).mean() > 0.99  # noise alone: an empty batch is a step


def test_nobody_drawn_with_privacy_off_changes_nothing(vector, features):
    nobody = Sequences.group(0, np.array([], int), *(np.array([], kind) for kind in ("i4", "i8", "f4")))
    assert not openly(vector, features, nobody).any()


@pytest.mark.parametrize("loss", ["softmax", "bce", "mse"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "adagrad"])
def test_every_loss_and_optimiser_learns(loss, optimizer, vector, features, sequences):
    rates = {"sgd": 0.5}
    terms = TERMS.model_copy(
        update={
            "loss": loss,
            "optimizer": optimizer,
            "learning_rate": rates.get(optimizer, 0.01),
            "steps": 15,
        }
    )
    after = vector + openly(vector, features, sequences, terms)
    assert mean_loss(after, features, sequences, terms) < mean_loss(vector, features, sequences, terms)


def mean_loss(vector, features, sequences, terms):
    model = load_model(vector, "tiny", features.shape[1])
    shelf = trainer.Shelf.of(features, sequences, terms.history)
    everyone = np.arange(sequences.users)
    with torch.no_grad():
        return shelf.losses(model, everyone, terms, KeyedRandomness("judge")).mean().item()


def test_private_training_follows_the_plan_whatever_the_terms_say(vector, features, sequences, monkeypatch):
    drawn = []

    def recording(population, rate, randomness):
        drawn.append((population, rate))
        return np.arange(3)

    monkeypatch.setattr(trainer, "poisson_sample", recording)
    train(vector, "tiny", features, sequences, TERMS.model_copy(update={"steps": 7}), PLAN, OsRandomness())
    assert drawn == [(sequences.users, PLAN.sample_rate)] * PLAN.local_steps


def test_a_person_whose_ratings_are_not_numbers_stops_nothing(vector, features, sequences):
    values = sequences.values.copy()
    values[sequences.offsets[5] : sequences.offsets[6]] = np.nan
    spoiled = Sequences(sequences.offsets, sequences.items, sequences.times, values)
    terms = TERMS.model_copy(update={"loss": "mse"})
    delta = train(vector, "tiny", features, spoiled, terms, PLAN, OsRandomness()).values
    assert np.isfinite(delta).all()


def test_a_layer_that_does_not_move_is_a_failure(vector, features, sequences, monkeypatch):
    def torn(model):
        whole = flatten(model)
        model.adapter.project.weight.data = model.adapter.project.weight.data.clone()  # as a move would
        return whole

    monkeypatch.setattr(trainer, "flatten", torn)
    with pytest.raises(SilentFailure, match=r"does not move adapter\.project\.weight"):
        train(vector, "tiny", features, sequences, TERMS, PLAN, OsRandomness())


def test_divergence_is_a_failure(vector, features, sequences):
    terms = TERMS.model_copy(update={"learning_rate": 1e38, "optimizer": "sgd"})
    with pytest.raises(SilentFailure, match="diverged"):
        openly(vector, features, sequences, terms)
