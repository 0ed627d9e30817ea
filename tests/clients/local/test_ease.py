"""EASE: both closed forms agree, and each is the least-squares solution it claims to be."""

import numpy as np
import pytest
from scipy import sparse

from clients.local import ease
from clients.local.ease import DualEase, ItemWeights, fit_item_model

EVERYONE = np.arange(30)


@pytest.fixture(scope="module")
def history() -> sparse.csr_matrix:
    table = (np.random.default_rng(0).random((30, 50)) < 0.2).astype(np.float32)
    return sparse.csr_matrix(table)


def test_dual_equals_primal(history: sparse.csr_matrix) -> None:
    dual, primal = DualEase.fit(history, 20.0), ItemWeights.ease(history, 20.0)
    np.testing.assert_allclose(dual.scores(EVERYONE), primal.scores(EVERYONE), atol=1e-4)


def test_weights_solve_the_ridge_of_each_item_on_the_others(history: sparse.csr_matrix) -> None:
    weights, dense = ItemWeights.ease(history, 20.0).weights, history.toarray().astype(np.float64)
    assert np.abs(np.diag(weights)).max() == 0
    for item in (0, 17):
        others = np.delete(dense, item, axis=1)
        gram = others.T @ others + 20.0 * np.eye(49)
        expected = np.linalg.solve(gram, others.T @ dense[:, item])
        np.testing.assert_allclose(np.delete(weights[:, item], item), expected, atol=1e-5)


def test_scores_of_some_users_are_their_rows(history: sparse.csr_matrix) -> None:
    model = DualEase.fit(history, 20.0)
    np.testing.assert_allclose(model.scores(np.array([5, 2])), model.scores(EVERYONE)[[5, 2]], atol=1e-6)


def test_a_user_without_history_scores_zero(history: sparse.csr_matrix) -> None:
    empty = sparse.vstack([history, sparse.csr_matrix((1, 50), dtype=np.float32)]).tocsr()
    assert np.abs(DualEase.fit(empty, 20.0).scores(np.array([30]))).max() == 0


def test_the_smaller_side_is_inverted(history: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(fit_item_model(history, 20.0), DualEase)
    assert isinstance(fit_item_model(history.T.tocsr(), 20.0), ItemWeights)
    monkeypatch.setattr(ease, "LARGEST_INVERSE", 10)
    assert sparse.issparse(fit_item_model(history, 20.0).weights)


def test_neighbours_are_shrunk_cosines(history: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "_NEIGHBOURS", 3)
    weights, dense = ItemWeights.neighbours(history).weights.toarray(), history.toarray()
    together, counts = dense.T @ dense, dense.sum(axis=0)
    cosine = together / (np.sqrt(np.outer(counts, counts)) + 10.0)
    np.fill_diagonal(cosine, 0.0)
    for item in range(50):
        kept = np.flatnonzero(weights[:, item])
        np.testing.assert_allclose(weights[kept, item], cosine[kept, item], rtol=1e-5)
        np.testing.assert_allclose(np.sort(weights[kept, item]), np.sort(cosine[:, item])[-3:], rtol=1e-5)
