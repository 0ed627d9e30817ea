"""The file of a published model: safetensors with one flat vector, and nothing that runs."""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.bundle import digest_of
from common.certificate.errors import SwappedModel
from common.certificate.statement import Model
from common.deltas import Floats

TENSOR: Final = "adapter"


def model_file(values: Floats) -> bytes:
    """The file of a model, float32, shape (d,)."""
    return save({TENSOR: np.ascontiguousarray(values)})


def model_of(values: Floats) -> Model:
    """The hashes by which a version is known."""
    file = hashlib.sha256(model_file(values)).hexdigest()
    return Model(values=digest_of(values).hex(), file=file, size=values.size)


def read_model(path: Path) -> bytes:
    """A model's file as it is; nothing in it has been checked.

    Raises:
        SwappedModel: when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise SwappedModel("no model can be read", where=str(path), why=error.strerror or "") from error


def require_file(model: Model, data: bytes, where: str = "") -> Floats:
    """The model in a file, once it is the one that ``model`` tells of.

    Raises:
        SwappedModel: when it is another, or was changed.
    """
    if hashlib.sha256(data).hexdigest() != model.file:
        raise SwappedModel("the model's file is not the certified one", where=where)
    try:
        values: Floats = load(data)[TENSOR]
    except (SafetensorError, KeyError, ValueError) as error:
        raise SwappedModel("the file holds no model", where=where, why=type(error).__name__) from error
    require_values(model, values, where)
    return values


def require_values(model: Model, values: Floats, where: str = "") -> None:
    """Refuse values that are not the certified ones (:class:`SwappedModel`)."""
    if values.dtype != np.float32 or values.shape != (model.size,) or digest_of(values).hex() != model.values:
        raise SwappedModel("the model is not the certified one", where=where)
