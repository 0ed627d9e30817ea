import pytest
import torch

from common.model.losses import LOSSES, user_losses
from common.model.sequence import TEMPERATURE, build_model
from common.model.training import LocalTraining
from common.model.windows import PADDING

ITEMS = torch.tensor([[1, 2, 3], [4, 5, PADDING], [PADDING] * 3])
VALUES = torch.tensor([[5.0, 1.0, 3.0], [2.0, 4.0, 0.0], [0.0] * 3])
NEGATIVES = torch.arange(20, 30)


def losses(catalogue, items, values, loss):
    model, terms = build_model("tiny", catalogue.shape[1]), LocalTraining(loss=loss, history=3)
    return user_losses(model, torch.from_numpy(catalogue), items, values, NEGATIVES, terms)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_users_loss_depends_on_no_other_user(loss, catalogue):
    together = losses(catalogue, ITEMS, VALUES, loss)
    alone = torch.cat([losses(catalogue, ITEMS[[u]], VALUES[[u]], loss) for u in range(3)])
    assert torch.allclose(together, alone, rtol=1e-5)
    assert together[0] > 0
    assert together[2] == 0  # nobody's loss for nobody's items


def test_only_the_squared_error_looks_at_ratings(catalogue):
    moved = {
        loss: losses(catalogue, ITEMS, VALUES + 1, loss) - losses(catalogue, ITEMS, VALUES, loss)
        for loss in LOSSES
    }
    assert {loss: bool(change.any()) for loss, change in moved.items()} == {
        "softmax": False,
        "bce": False,
        "mse": True,
    }


def test_softmax_with_the_whole_catalogue_is_the_full_softmax():
    hits, misses = torch.tensor([[0.3]]), torch.tensor([[[0.1, -0.2, 0.5]]])
    sampled = LOSSES["softmax"](hits, misses, hits, 1.0)
    full = torch.logsumexp(TEMPERATURE * torch.tensor([0.3, 0.1, -0.2, 0.5]), 0) - TEMPERATURE * 0.3
    assert sampled.item() == pytest.approx(full.item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_ranking_losses_want_the_item_above_the_negatives(loss):
    misses = torch.zeros(1, 1, 4)
    worse, better = (LOSSES[loss](torch.tensor([[hit]]), misses, misses[..., 0], 0.1) for hit in (0.1, 0.2))
    assert better < worse
