from dataclasses import dataclass

import numpy as np
import pytest

from clients.features import FeatureCache
from common.errors import DataError, EnvironmentProblem


@dataclass
class Counting:
    """Stands for an encoder: counts how often it is asked."""

    digest: str = "aa" * 32
    layers: tuple[int, ...] = (1, 2)
    width: int = 3
    value: float = 0.5
    asked: int = 0

    def encode(self, texts, progress=None):
        self.asked += 1
        return np.full((len(texts), 2, 3), self.value, np.float32)


def test_a_catalogue_is_encoded_once_and_mapped_afterwards(tmp_path):
    cache, encoder = FeatureCache(tmp_path), Counting()
    first, second = (cache.load(encoder, ["milk", "bread"]) for _ in range(2))
    assert encoder.asked == 1
    assert isinstance(second, np.memmap)
    assert second.shape == (2, 6)
    assert not second.flags.writeable
    assert np.array_equal(first, second)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_the_address_is_the_content(tmp_path):
    cache = FeatureCache(tmp_path)
    paths = {
        cache.path(Counting(), ["milk", "bread"]),
        cache.path(Counting(), ["bread", "milk"]),
        cache.path(Counting(), ["milkbread"]),
        cache.path(Counting(), ["milk", "bread", ""]),
        cache.path(Counting(digest="bb" * 32), ["milk", "bread"]),
    }
    assert len(paths) == 5
    assert cache.path(Counting(), ["milk", "bread"]) in paths


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_and_not_kept(value, tmp_path):
    with pytest.raises(DataError, match="2 items have features that are NaN or infinite"):
        FeatureCache(tmp_path).load(Counting(value=value), ["milk", "bread"])
    assert not list(tmp_path.rglob("*.npy"))


def test_a_file_spoiled_on_disk_is_refused(tmp_path):
    cache, encoder = FeatureCache(tmp_path), Counting()
    path = cache.path(encoder, ["milk"])
    cache.load(encoder, ["milk"])
    np.save(path, np.full((1, 6), np.nan, np.float32))
    with pytest.raises(DataError, match="NaN"):
        cache.load(encoder, ["milk"])
    np.save(path, np.zeros((1, 5), np.float32))
    with pytest.raises(DataError, match="features of shape"):
        cache.load(encoder, ["milk"])
    path.write_bytes(b"")
    with pytest.raises(DataError, match="unreadable features"):
        cache.load(encoder, ["milk"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "features").write_text("a file where the folder should be")
    with pytest.raises(EnvironmentProblem) as caught:
        FeatureCache(tmp_path / "features").load(Counting(), ["milk"])
    assert "HANSE_CACHE" in caught.value.hint


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path))
    assert FeatureCache().folder == tmp_path / "features"
