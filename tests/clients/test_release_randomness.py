"""No generator with a seed reaches a release: read from the source, from the types, and from what a run does."""

import ast
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_overloads, get_type_hints

import click
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from typer.main import get_command

from clients.private_optimizer import OsNoiseOptimizer
from clients.trainer import train
from common.cli import build
from common.deltas import ClippedDelta
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.plan import PrivacyPlan
from common.randomness import KeyedRandomness, OsRandomness
from common.secagg.ring import Ring
from scenarios.experiments.spec import ExperimentSpec

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]
OURS = ("common", "clients", "server", "scenarios")

# What a site runs from a request to its answer, and all that these import.
STARTS = ("clients.site", *(f"common.{area}.{file.stem}" for area in ("privacy", "secagg")
          for file in (ROOT / "common" / area).glob("*.py")))  # fmt: skip

SEEDABLE = re.compile(
    r"""(?:^|\.)(?:
        (?:np|numpy)\.random | random\.\w+ | default_rng | RandomState | rvs | manual_seed(?:_all)? |
        torch\.(?:seed|Generator|default_generator|rand\w*|normal|bernoulli|multinomial|poisson) |
        \w*dropout\w* | init\.\w+ |
        (?:normal|log_normal|uniform|random|bernoulli|exponential|geometric|cauchy)_
    )$""",
    re.X | re.I,
)
# Repeatable on purpose: with privacy off, and the public first parameters of every model.
KEYED = {("clients.round", "randomness"), ("clients.site", "_train"), ("common.model.sequence", "_initial")}


def source(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    found = [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()]
    return found[0] if found and module.partition(".")[0] in OURS else None


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def release_path() -> dict[str, ast.Module]:
    """Every module of ours that the site imports, directly or not, as its syntax tree."""
    found: dict[str, ast.Module] = {}
    left = list(STARTS)
    while left:
        module = left.pop()
        if module not in found and (path := source(module)):
            found[module] = ast.parse(path.read_text("utf-8"))
            left += imported(found[module])
    return found


PATH = release_path()


def seedable(tree: ast.AST) -> set[str]:
    """Names in ``tree`` that a generator with a seed stands behind."""
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    brought = set(imported(tree))
    return {n for n in used if SEEDABLE.search(n)} | {n for n in brought if re.search(r"\brandom\b", n)}


def keyed(module: str, tree: ast.AST) -> set[tuple[str, str]]:
    """The functions of ``tree`` that make a repeatable stream."""
    return {
        (module, function.name)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("KeyedRandomness")
    }


def test_the_walk_reaches_what_makes_a_release() -> None:
    expected = {"clients.round", "clients.trainer", "clients.private_optimizer", "clients.user_gradients",
                "common.model.losses", "common.privacy.sampling", "common.secagg.rounding"}  # fmt: skip
    assert expected <= PATH.keys()


@pytest.mark.parametrize(
    "naive",
    ["torch.manual_seed(0)", "noise = torch.randn(3)", "p.normal_(0, s)", "np.random.normal(size=3)",
     "rng = np.random.default_rng(1)", "import random", "from numpy.random import default_rng",
     "from random import gauss", "torch.empty(3).uniform_()", "torch.nn.Dropout(0.1)", "norm.rvs(3)",
     "g = torch.Generator()", "torch.nn.init.xavier_uniform_(w)", "F.dropout(x)", "random.gauss(0, s)"],
)  # fmt: skip
def test_the_walk_sees_the_usual_ways_to_draw(naive: str) -> None:
    assert seedable(ast.parse(naive))


@pytest.mark.parametrize("module", sorted(PATH))
def test_no_module_on_the_way_to_a_release_draws_from_a_seed(module: str) -> None:
    assert seedable(PATH[module]) == set()


def test_streams_that_repeat_are_made_where_privacy_is_off_and_for_public_parameters_alone() -> None:
    assert set().union(*(keyed(module, tree) for module, tree in PATH.items())) == KEYED


def test_what_adds_noise_asks_for_the_systems_randomness_by_type() -> None:
    """mypy then refuses a keyed stream there, since neither type is the other's kind."""
    assert get_type_hints(OsNoiseOptimizer.__init__)["noise"] is OsRandomness
    private, openly = (get_type_hints(one) for one in get_overloads(train))
    assert (private["privacy"], private["randomness"]) == (PrivacyPlan, OsRandomness)
    assert (openly["privacy"], openly["randomness"]) == (type(None), KeyedRandomness)
    assert not issubclass(KeyedRandomness, OsRandomness)
    assert not issubclass(OsRandomness, KeyedRandomness)


def private_delta(features, sequences):
    terms = LocalTraining(steps=2, bucket=256, expected_batch=64, negatives=16, history=20)
    plan = PrivacyPlan(epsilon=8, delta=1e-3, noise_multiplier=1, sample_rate=0.25, denominator=64, clip=1,
                       rounds=1, local_steps=2, bucket=256)  # fmt: skip
    vector = pack(build_model("tiny", features.shape[1]))
    return train(vector, "tiny", features, sequences, terms, plan, OsRandomness()).values


def seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (the generator that old code shares)
    random.seed(seed)


def test_seeds_of_torch_numpy_and_python_repeat_nothing_that_is_private(features, sequences) -> None:
    deltas = []
    for _ in range(2):
        seed_everything(0)
        deltas.append(private_delta(features, sequences))
    assert (deltas[0] != deltas[1]).mean() > 0.99


def test_whoever_fixes_the_systems_generator_repeats_all_so_that_nothing_else_is_drawn_from(
    features, sequences, monkeypatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    lanes = []
    for seed in (1, 2):
        seed_everything(seed)
        delta = private_delta(features, sequences).clip(-1, 1)
        lanes.append(Ring(1.0).quantise(ClippedDelta(delta, 1.0), 1.0, OsRandomness()).lanes)
    assert np.array_equal(*lanes)


@pytest.mark.parametrize("wrong", [{"privacy": {"seed": 1}}, {"seed": 1}, {"privacy": {"seeds": [1]}}])
def test_an_experiment_has_nowhere_to_put_a_seed_for_noise(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        ExperimentSpec.model_validate({"title": "t", "platforms": ("a", "b", "c"), **wrong})


def test_no_command_takes_a_seed() -> None:
    def options(command: click.Command) -> Iterator[str]:
        yield from (parameter.name or "" for parameter in command.params)
        if isinstance(command, click.Group):
            for below in command.commands.values():
                yield from options(below)

    found = set(options(get_command(build())))
    assert "workers" in found  # the walk reaches commands of groups
    assert not [name for name in found if "seed" in name]
