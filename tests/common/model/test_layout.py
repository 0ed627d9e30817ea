import numpy as np
import pytest
import torch

from common.model.layout import ParamLayout, WrongLayout, flatten, pack, unpack
from common.model.sequence import build_model


def test_offsets_cover_the_vector_without_gap():
    layout = ParamLayout.of(build_model("tiny", 16))
    ends = [offset + size for offset, size in zip(layout.offsets, layout.sizes, strict=True)]
    assert layout.offsets == (0, *ends[:-1])
    assert ends[-1] == layout.size


def test_unpack_then_pack_gives_the_same_vector():
    model = build_model("tiny", 16)
    vector = np.random.default_rng(0).normal(size=ParamLayout.of(model).size).astype(np.float32)
    unpack(vector, model)
    assert np.array_equal(pack(model), vector)


def test_the_digest_tells_sizes_apart():
    first, second = (ParamLayout.of(build_model("tiny", width)).digest for width in (16, 17))
    assert first != second
    assert first == ParamLayout.of(build_model("tiny", 16, seed=5)).digest


@pytest.mark.parametrize(
    "spoil", [lambda v: v[:-1], lambda v: v.astype(np.float64), lambda v: v * np.float32("nan")]
)
def test_a_vector_that_does_not_fit_is_refused(spoil):
    model = build_model("tiny", 16)
    with pytest.raises(WrongLayout):
        unpack(spoil(pack(model)), model)


def test_what_trains_the_flat_parameter_trains_the_model_and_changes_nothing_else():
    model = build_model("tiny", 16)
    frozen = model.block.merge.weight.requires_grad_(False).clone()
    before = pack(model)
    whole = flatten(model)
    assert np.array_equal(whole.detach().numpy(), before)
    with torch.no_grad():
        whole += 1.0
    assert np.array_equal(pack(model), before + 1.0)
    assert torch.equal(model.block.merge.weight, frozen)
