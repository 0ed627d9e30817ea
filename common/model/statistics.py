"""One basis for every platform's item features, from whole public catalogues only.

Each platform centres its catalogue; the platforms' covariances are averaged, whatever their sizes; the
leading directions, partly whitened, are the basis. No user's record enters it, so nothing is spent.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import DataError
from common.files import write_atomically

Doubles = NDArray[np.float64]
_EPSILON: Final = 1e-6
_BLOCK: Final = 4096  # items at a time in double precision: a catalogue may be larger than memory


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueMoments:
    """What a platform tells of its catalogue: item count, ``mean`` (R,), ``second_moment`` E[x xᵀ] (R, R)."""

    count: int
    mean: Doubles
    second_moment: Doubles

    @classmethod
    def of(cls, raw: NDArray[np.float32]) -> "CatalogueMoments":
        """From the raw features (n, R) of the full catalogue.

        Raises:
            DataError: if the catalogue is empty.
        """
        if not len(raw):
            raise DataError("a catalogue without items", hint="a platform needs at least one item with text")
        second = np.zeros((raw.shape[1], raw.shape[1]))
        for start in range(0, len(raw), _BLOCK):
            exact = raw[start : start + _BLOCK].astype(np.float64)
            second += exact.T @ exact
        return cls(len(raw), raw.mean(axis=0, dtype=np.float64), second / len(raw))

    @property
    def covariance(self) -> Doubles:
        """E[(x − mean)(x − mean)ᵀ], shape (R, R)."""
        return self.second_moment - np.outer(self.mean, self.mean)


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """A map from raw features (R,) to model features (F,). ``projection``: float32, shape (R, F)."""

    projection: NDArray[np.float32]

    @classmethod
    def fit(cls, moments: Sequence[CatalogueMoments], width: int = 384, power: float = 1.0) -> "Basis":
        """The ``width`` leading directions, each divided by its standard deviation to the ``power``.

        A power of 0 keeps the encoder's own emphasis. 1 whitens fully: what tells near-duplicates apart, a
        package's size say, varies little, and a linear score can then still learn it.

        Raises:
            DataError: if the raw features have fewer than ``width`` directions.
        """
        covariance = np.mean([m.covariance for m in moments], axis=0)
        if covariance.shape[0] < width:
            raise DataError(
                f"{covariance.shape[0]} raw features", why=f"a basis of {width} needs at least as many"
            )
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
        # An eigenvector's sign is arbitrary: its largest entry decides, so that every machine agrees.
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(width)])
        deviations = np.sqrt(np.maximum(values / values[0], _EPSILON))
        return cls((vectors / deviations**power).astype(np.float32))

    def apply(self, raw: NDArray[np.float32], mean: Doubles) -> NDArray[np.float32]:
        """Unit-norm model features (n, F) of raw ones (n, R), centred on their platform's ``mean`` (R,)."""
        centred = (np.asarray(raw) - mean.astype(np.float32)) @ self.projection
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.maximum(norms, _EPSILON), np.float32)

    @property
    def digest(self) -> str:
        """SHA-256 of the basis as saved, in hexadecimal."""
        return hashlib.sha256(self._encoded()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the basis as safetensors, atomically."""
        write_atomically(path, self._encoded(), mode=0o644)

    @classmethod
    def load(cls, path: Path) -> "Basis":
        """Read a saved basis.

        Raises:
            DataError: if there is no readable basis at ``path``.
        """
        try:
            return cls(load(path.read_bytes())["projection"])
        except (OSError, KeyError, SafetensorError) as error:
            raise DataError("no readable feature basis", where=str(path), why=type(error).__name__) from error

    def _encoded(self) -> bytes:
        return save({"projection": np.ascontiguousarray(self.projection)})
