"""The platform's item features on disk: encoded once per encoder and catalogue, then memory-mapped."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.cache import cache_folder, keep
from common.errors import DataError
from common.model.encoder import Encoder, Progress


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Raw features by content: a file is named by the digest of encoder, layers and every text in order."""

    folder: Path = field(default_factory=partial(cache_folder, "features"))

    def load(
        self, encoder: Encoder, texts: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Features of ``texts``, float32, (n, layers · width), read-only and mapped from the file.

        Raises:
            DataError: if a feature is NaN or infinite, or the file is not what it says.
            EnvironmentProblem: if the folder cannot be written.
        """
        path = self.path(encoder, texts)
        if not path.exists():
            _write(path, encoder.encode(texts, progress).reshape(len(texts), -1))
        return self._mapped(path, (len(texts), len(encoder.layers) * encoder.width))

    def path(self, encoder: Encoder, texts: Sequence[str]) -> Path:
        """Where these features are, or will be."""
        digest = hashlib.sha256(b"hanse/features/1" + bytes.fromhex(encoder.digest))
        for text in texts:
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return self.folder / f"{digest.hexdigest()}.npy"

    def _mapped(self, path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
        try:
            features = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(
                "unreadable features", where=str(path), why=str(error), hint="delete the file"
            ) from error
        if features.shape != shape or features.dtype != np.float32:
            raise DataError(f"features of shape {features.shape}", where=str(path), why=f"{shape} expected")
        _refuse_non_finite(features, path)
        return np.asanyarray(features)


def _write(path: Path, features: NDArray[np.float32]) -> None:
    _refuse_non_finite(features, path)
    content = io.BytesIO()
    np.save(content, features, allow_pickle=False)
    keep(path, content.getvalue())


def _refuse_non_finite(features: NDArray[np.float32], path: Path) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise DataError(
            f"{len(broken)} items have features that are NaN or infinite, the first is item {broken[0]}",
            where=str(path),
            hint="check its text, or delete the file to encode again",
        )
