"""The attacks on sums whose members are known, the canaries, and the gradients that the attacker works out."""

from functools import partial

import numpy as np
import pytest
import torch

from clients.trainer import Shelf
from common.model.layout import pack
from common.model.sequence import build_model
from common.randomness import KeyedRandomness
from scenarios.privacy_audit.attacks import inner_product, likelihood_ratio, presence, right_guesses
from scenarios.privacy_audit.cast import Cast, draw_cast
from scenarios.privacy_audit.gradients import clipped_gradients, windows_of
from scenarios.privacy_audit.settings import SIZE, Settings, Unit

SMALL = Settings(
    canaries=24, references=8, guesses=12, items=64, features=32, history=4, rounds=2, local_steps=3
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["user", "interaction"])
def cast(request: pytest.FixtureRequest) -> Cast:
    return draw_cast(SMALL, request.param)


def test_a_user_is_there_by_its_coin_with_the_whole_history() -> None:
    cast = draw_cast(SMALL, "user")
    assert len(cast.coins) == cast.candidates.users == 32
    assert cast.rows.users == cast.coins.sum()
    assert (cast.rows.lengths == SMALL.history).all()
    assert cast.rows.of(0).tolist() == cast.candidates.of(int(np.flatnonzero(cast.coins)[0])).tolist()


def test_an_interaction_is_there_by_its_coin_in_a_history_that_is_there_anyway() -> None:
    cast = draw_cast(SMALL, "interaction")
    assert cast.rows.users == len(cast.coins) == 32
    assert np.array_equal(cast.rows.lengths, SMALL.history - 1 + cast.coins)
    for user in range(32):
        whole = cast.candidates.of(2 * user).tolist()
        assert cast.candidates.of(2 * user + 1).tolist() == whole[1:]
        assert cast.rows.of(user).tolist() == (whole if cast.coins[user] else whole[1:])


def test_coins_are_fair_and_drawn_anew() -> None:
    coins = [draw_cast(SMALL, "user").coins for _ in range(40)]
    assert len({coin.tobytes() for coin in coins}) == 40
    assert 0.4 < np.mean(coins) < 0.6  # 1280 coins: seven standard errors


def test_no_canary_holds_an_item_twice(cast: Cast) -> None:
    assert np.array_equal(cast.candidates.first_occurrences().lengths, cast.candidates.lengths)


def test_the_attacker_knows_each_gradient_as_autograd_gives_it(cast: Cast) -> None:
    terms, draw = SMALL.training, np.random.default_rng(7)
    vector = pack(build_model(SIZE, SMALL.features))
    vector += draw.normal(0, 0.05, vector.shape).astype(np.float32)  # a residual of zero hides most layers
    windows = windows_of(cast.candidates, terms)
    known = clipped_gradients(vector, cast.features, windows, terms, clip=1e3) * 1e3
    model = build_model(SIZE, SMALL.features)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(vector), model.parameters())
    shelf = Shelf.of(cast.features, cast.candidates, terms.history)
    for user in range(0, cast.candidates.users, 5):
        loss = shelf.losses(model, np.array([user]), terms, KeyedRandomness("any")).sum()
        gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
        assert np.abs(known[user] - gradient.numpy()).max() <= 1e-5 * np.abs(known[user]).max()
    clipped = clipped_gradients(vector, cast.features, windows, terms, clip=1e-3)
    assert np.linalg.norm(clipped, axis=1) == pytest.approx(1, abs=1e-5)


def sums(units: Unit, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Signals from three sums of random directions, and the coins that chose them."""
    draw = np.random.default_rng(11)
    versions = 2 if units == "interaction" else 1
    coins = draw.random(200) < 0.5
    gradients = draw.normal(size=(200 * versions, 3000)).astype(np.float32)
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    there = np.stack([coins, ~coins], axis=1)[:, :versions].ravel()
    found = np.stack(
        [
            presence(gradients, gradients[there].sum(0) + noise * draw.normal(size=3000).astype(np.float32))
            for _ in range(3)
        ]
    )
    cast = Cast(gradients, draw_cast(SMALL, "user").candidates, coins, versions)
    return cast.contrast(found), coins


@pytest.mark.parametrize("unit", ["user", "interaction"])
def test_without_noise_everyone_is_told_and_under_much_noise_nobody(unit: Unit) -> None:
    for attack in (inner_product, partial(likelihood_ratio)):
        for noise, least, most in ((0.0, 75, 75), (30.0, 25, 50)):
            signals, coins = sums(unit, noise)
            certainties = attack(signals[:, :150], signals[:, 150:], coins[150:])
            assert least <= right_guesses(certainties, coins[:150], 75) <= most


def test_the_surest_guesses_count_and_no_others() -> None:
    certainties, coins = np.array([5.0, -4.0, 0.1, -0.2]), np.array([True, False, False, True])
    assert [right_guesses(certainties, coins, guesses) for guesses in (1, 2, 3, 4)] == [1, 2, 2, 2]
    assert right_guesses(-certainties, coins, 2) == 0
