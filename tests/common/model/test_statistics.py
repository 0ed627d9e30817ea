import numpy as np
import pytest

from common.errors import DataError
from common.model.statistics import Basis, CatalogueMoments


@pytest.fixture
def raws():
    rng = np.random.default_rng(2)
    mix = rng.normal(size=(12, 12)) * np.linspace(3, 0.1, 12)
    return [
        (rng.normal(size=(n, 12)) @ mix.T + shift).astype(np.float32) for n, shift in ((300, 5), (50, -2))
    ]


def test_rows_have_unit_norm_and_each_platform_its_own_centre(raws):
    moments = [CatalogueMoments.of(raw) for raw in raws]
    basis = Basis.fit(moments, width=6)
    for raw, own in zip(raws, moments, strict=True):
        features = basis.apply(raw, own.mean)
        assert features.shape == (len(raw), 6)
        assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
        assert np.allclose(((raw - own.mean) @ basis.projection).mean(axis=0), 0, atol=1e-3)


def test_full_whitening_gives_equal_variances(raws):
    own = CatalogueMoments.of(raws[0])
    basis = Basis.fit([own], width=6, power=1.0)
    variances = ((raws[0] - own.mean) @ basis.projection).var(axis=0)
    assert np.allclose(variances, variances[0], rtol=1e-3)


def test_a_large_catalogue_does_not_outweigh_a_small_one(raws):
    small, large = CatalogueMoments.of(raws[1]), CatalogueMoments.of(np.tile(raws[0], (20, 1)))
    basis = Basis.fit([small, large], width=6)
    assert (
        basis.digest
        == Basis.fit([small, CatalogueMoments(1, large.mean, large.second_moment)], width=6).digest
    )


def test_what_is_saved_is_what_is_loaded(raws, tmp_path):
    basis = Basis.fit([CatalogueMoments.of(raws[0])], width=3)
    basis.save(tmp_path / "basis.safetensors")
    loaded = Basis.load(tmp_path / "basis.safetensors")
    assert loaded.digest == basis.digest
    assert np.array_equal(loaded.projection, basis.projection)


def test_impossible_bases_are_refused(raws, tmp_path):
    with pytest.raises(DataError, match="without items"):
        CatalogueMoments.of(raws[0][:0])
    with pytest.raises(DataError, match="12 raw features"):
        Basis.fit([CatalogueMoments.of(raws[0])], width=13)
    (tmp_path / "broken").write_bytes(b"not safetensors")
    for path in (tmp_path / "broken", tmp_path / "missing"):
        with pytest.raises(DataError, match="no readable feature basis"):
            Basis.load(path)
