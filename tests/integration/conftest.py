"""A small federation from scratch: four made-up shops and an encoder of a few thousand random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scenarios.experiments.federation import Federation, found
from scenarios.experiments.ground import stand, survey
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec, Model, Privacy

SHOPS = ("amber", "herring", "salt", "timber")
WORDS = ("red", "blue", "large", "small", "fresh", "dried", "fine", "coarse")

SCENARIO = """
name = "{name}"
title = "{name}"
description = "made up"
licence = "none"
source = {{ events = "{name}.csv", items = "items.csv" }}
columns = {{ user = "who", item = "what", time = "when" }}
items.text = ["what"]
split.by = "leave-last-out"
training = {{ steps = 2, bucket = 32, expected_batch = 8, negatives = 16 }}
"""


def make_encoder(folder: Path) -> None:
    """A BERT of two layers with random weights, saved as a published one would be."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel

    padding, unknown = "[PAD]", "[UNK]"
    vocabulary = {word: number for number, word in enumerate((padding, unknown, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def make_shop(folder: Path, name: str) -> Path:
    """A scenario's TOML beside its events: 24 people who buy ten items each of 64."""
    draw = np.random.default_rng(SHOPS.index(name))
    items = [f"{first} {second}" for first in WORDS for second in WORDS]
    lines = [
        f"user-{user},{items[item]},2026-01-{day + 1:02}"
        for user in range(24)
        for day, item in enumerate(draw.permutation(len(items))[:10])
    ]
    (folder / f"{name}.csv").write_text("\n".join(["who,what,when", *lines, ""]))
    (folder / "items.csv").write_text("\n".join(["what", *items, ""]))
    path = folder / f"{name}.toml"
    path.write_text(SCENARIO.format(name=name))
    return path


@pytest.fixture
def federation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Federation]:
    """Makes a federation of the shops in a folder of the given name; two with one seed are alike."""
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    make_encoder(tmp_path / "encoder")
    spec = ExperimentSpec(
        title="four shops",
        platforms=tuple(str(make_shop(tmp_path, name)) for name in SHOPS),
        rounds=3,
        model=Model(size="tiny", features=16, encoder=str(tmp_path / "encoder")),
        privacy=Privacy(ceiling=0.5, spare=3),
    )
    ground = stand(spec, survey(spec))

    def make(name: str, epsilon: float | None = None) -> Federation:
        return found(ground, Cell("federated", 1, epsilon), tmp_path / name)

    return make
