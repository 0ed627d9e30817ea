import pytest
from pydantic import ValidationError

from common.model.training import LocalTraining


@pytest.mark.parametrize(
    "impossible",
    [
        {"bucket": 10, "expected_batch": 11},
        {"value_range": (5, 1)},
        {"history": 1},
        {"learning_rate": 0},
        {"loss": "hinge"},
        {"unknown": 1},
    ],
)
def test_impossible_terms_are_refused(impossible):
    with pytest.raises(ValidationError):
        LocalTraining.model_validate(impossible)


def test_the_rate_comes_from_declared_sizes():
    assert LocalTraining(bucket=512, expected_batch=64).sample_rate == 0.125
