import numpy as np
import pytest
import torch

from clients.private_optimizer import OsNoiseOptimizer, drop_non_finite
from common.randomness import OsRandomness

CLIP = 0.7


def optimizer(parameters, noise_multiplier=1.0, denominator=1.0):
    return OsNoiseOptimizer(
        torch.optim.SGD(parameters, lr=1.0),
        noise_multiplier=noise_multiplier,
        clip=CLIP,
        denominator=denominator,
        noise=OsRandomness(),
    )


def clipped_sum(gradients):
    """What is released before noise, for two parameters' gradients of shape (users, ...)."""
    parameters = [torch.nn.Parameter(torch.zeros(g.shape[1:])) for g in gradients]
    stepping = optimizer(parameters)
    drop_non_finite(gradients)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad_sample = gradient
    stepping.clip_and_accumulate()
    return torch.cat([p.summed_grad.flatten() for p in parameters])


def users(count, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(count, *shape, generator=generator) for shape in ((4, 3), (5,))]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6, 1e25, float("inf"), float("nan")])
def test_one_more_user_moves_the_sum_by_at_most_the_clip(scale):
    others, adversary = users(8), users(1, scale, seed=1)
    joined = [torch.cat(pair) for pair in zip(others, adversary, strict=True)]
    moved = (clipped_sum(joined) - clipped_sum(others)).double().norm().item()
    assert moved <= CLIP * (1 + 1e-5)  # float32 sums
    assert np.isfinite(moved)
    if not np.isfinite(scale):
        assert moved == 0


def test_a_single_number_that_is_not_finite_drops_the_whole_user():
    gradients = users(3)
    expected = clipped_sum([g[[0, 2]].clone() for g in gradients])
    gradients[1][1, 2] = float("nan")
    assert torch.allclose(clipped_sum(gradients), expected)


def test_noise_has_the_promised_spread_and_an_empty_batch_gets_it_too():
    parameter = torch.nn.Parameter(torch.zeros(40_000))
    stepping = optimizer([parameter], noise_multiplier=1.5, denominator=10.0)
    parameter.grad_sample = torch.zeros(0, 40_000)
    stepping.step()
    released = parameter.detach()
    assert released.std().item() == pytest.approx(1.5 * CLIP / 10, rel=0.03)
    assert released.mean().item() == pytest.approx(0, abs=4 * 1.5 * CLIP / 10 / 200)


def test_torchs_seed_does_not_repeat_the_noise():
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.zeros(10))
        stepping = optimizer([parameter])
        parameter.grad_sample = torch.zeros(1, 10)
        stepping.step()
        results.append(parameter.detach())
    assert not torch.equal(*results)


def test_a_gradient_cannot_be_used_twice():
    parameter = torch.nn.Parameter(torch.zeros(3))
    stepping = optimizer([parameter])
    parameter.grad_sample = torch.ones(2, 3)
    stepping.step()
    with pytest.raises(ValueError, match="zero_grad"):
        stepping.step()


@pytest.mark.parametrize("wrong", [{"noise_multiplier": 0.0}, {"denominator": 0.0}])
def test_no_noise_or_no_denominator_is_refused(wrong):
    with pytest.raises(ValueError, match="positive"):
        optimizer([torch.nn.Parameter(torch.zeros(1))], **wrong)


def in_parts(rows, size, reused):
    """``rows`` (users, d) as parts of ``size``, each in the same memory, as the buffer gives them."""
    for part in rows.split(size):
        reused[: len(part)] = part
        yield reused[: len(part)]


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_a_batch_in_parts_gives_the_sum_of_the_whole_and_one_noise(size):
    whole, dimension = torch.randn(300, 4000, generator=torch.Generator().manual_seed(5)), 4000
    whole[7] = float("inf")
    whole[8, 3] = float("nan")
    whole[9] *= 1e25  # finite, but not squared
    expected = clipped_sum([whole.clone()])
    parameter = torch.nn.Parameter(torch.zeros(dimension))
    stepping = optimizer([parameter], noise_multiplier=2.0)
    stepping.step_over(in_parts(whole, size, torch.empty(size, dimension)))
    assert torch.allclose(parameter.summed_grad, expected, rtol=1e-4, atol=1e-5)
    noise = -parameter.detach() - parameter.summed_grad  # one step of plain descent at rate 1
    assert noise.std().item() == pytest.approx(2.0 * CLIP, rel=0.05)


def test_a_step_over_nobody_is_noise_and_every_step_starts_anew():
    parameter = torch.nn.Parameter(torch.zeros(4000))
    stepping = optimizer([parameter])
    stepping.step_over([torch.ones(2, 4000)])
    assert parameter.summed_grad.norm().item() == pytest.approx(2 * CLIP, rel=1e-5)
    before = parameter.detach().clone()
    stepping.step_over([])
    assert not parameter.summed_grad.any()
    assert (parameter - before).std().item() == pytest.approx(CLIP, rel=0.05)


def test_a_part_that_was_summed_already_is_refused():
    stepping = optimizer([torch.nn.Parameter(torch.zeros(3))])
    with pytest.raises(ValueError, match="zero_grad"):
        stepping.step_over([torch.ones(2, 3)] * 2)


def test_several_parameters_have_no_parts():
    stepping = optimizer([torch.nn.Parameter(torch.zeros(3)) for _ in range(2)])
    with pytest.raises(ValueError, match="unpack"):
        stepping.step_over([torch.ones(2, 3)])
