"""What systems, slices, metrics and phases are called in a report, and in which order they stand."""

from collections.abc import Iterable
from typing import Final

FEDERATED: Final = "federated"
ZERO_EXCHANGE: Final = "zero-exchange"
LOCAL_ONLY: Final = "local-only"
POOLED: Final = "pooled"
ALONE: Final = "alone"
UNGATED: Final = "federated-ungated"
WARM: Final = "federated-warm"
WARM_UNGATED: Final = "federated-warm-ungated"
FEDERATIONS: Final = (FEDERATED, WARM)
"""Systems that are trained by rounds, under a charter and against ledgers."""
BUILT_ON_ALONE: Final = frozenset({FEDERATED, UNGATED, WARM, WARM_UNGATED, POOLED, "pooled-clipped"})
"""Systems that add a model to what the platform would run alone."""

REFERENCES: Final = (ALONE, ZERO_EXCHANGE, LOCAL_ONLY, POOLED, FEDERATED)
"""Systems others are compared with, each in its form without differential privacy."""

RUN_ALONE: Final = ("popularity", "popularity-7d", "ease", "item-knn", "text", ZERO_EXCHANGE, LOCAL_ONLY)
"""Systems that a platform could run without any other: ``alone`` is what validation makes of them."""

HEADLINE_METRIC: Final = "ndcg@10"
HEADLINE_SLICE: Final = "new"
REPURCHASE: Final = "repurchase"

SYSTEMS: Final = {
    "popularity": ("popularity", "what sold most, all time"),
    "popularity-7d": ("popularity (7 days)", "what sold most in the last seven days"),
    "ease": ("EASE", "what goes with what, from the platform's own rows"),
    "item-knn": ("item-kNN", "what goes with what, where the catalogue is too large for EASE"),
    "text": ("text alone", "the public encoder without any training"),
    "zero-exchange": ("zero-exchange", "public text and local heads together; nothing is exchanged"),
    "local-only": (
        "local-only",
        "zero-exchange and the neural model, trained on the platform's own rows alone",
    ),
    "alone": (
        "standalone choice",
        "chosen on validation for running alone: zero-exchange, with its own model where its own gate opens; "
        "on the test users another may be better",
    ),
    "federated": ("federated", "the standalone choice and the shared model, behind the do-no-harm gate"),
    "federated-ungated": (
        "federated, ungated",
        "the same without the gate: the shared model counts with the weight that validation users chose, maybe 0",
    ),
    "federated-warm": (
        "federated, warm start",
        "federated, its training started from closed-form statistics that are paid from the same ε",
    ),
    "federated-warm-ungated": ("federated, warm start, ungated", "the same without the gate"),
    "pooled": (
        "pooled",
        "ungated, trained on all rows in one place without privacy: the ceiling for this model",
    ),
    "pooled-clipped": ("pooled, clipped", "pooled with per-user clipping and no noise"),
}

SLICES: Final = {
    "new": ("all users", "items new to the user, whole catalogue of this run"),
    "repurchase": ("repurchase", "items the user already knows"),
    "cold-0": ("cold, 0 events", "users without a known event"),
    "cold-1-2": ("cold, 1–2 events", "users with one or two known events"),
    "cold-3-5": ("cold, 3–5 events", "users with three to five known events"),
    "cold-items": ("cold items", "items met at most five times before"),
    "light": ("light users", "the least active third"),
    "heavy": ("heavy users", "the most active third"),
}

METRICS: Final = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "mrr@10": "MRR@10"}


def system_title(name: str) -> str:
    """``text alone`` for ``text``; an unknown name is its own title."""
    return SYSTEMS.get(name, (name, ""))[0]


def slice_title(name: str) -> str:
    """``cold, 0 events`` for ``cold-0``; an unknown name is its own title."""
    return SLICES.get(name, (name, ""))[0]


def task_of(name: str) -> str:
    """The task a slice is measured in, and so whose gate decided for it: all but one are cut from ``new``."""
    return REPURCHASE if name == REPURCHASE else HEADLINE_SLICE


def metric_title(name: str) -> str:
    """``NDCG@10`` for ``ndcg@10``; an unknown name is its own title."""
    return METRICS.get(name, name)


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """``names`` once each: the ``known`` ones in their order, then the others by alphabet."""
    place = {name: index for index, name in enumerate(known)}
    return sorted(set(names), key=lambda name: (place.get(name, len(place)), name))
