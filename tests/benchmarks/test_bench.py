"""``hanse bench secagg``: the same measuring in small sizes, its keys, its table and its bars."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from scenarios.benchmarks import cli, secagg
from scenarios.benchmarks.convoy import Convoy, hold, narrow, wide
from scenarios.benchmarks.secagg import BARS, FULL, Sizes, measure, told
from scenarios.benchmarks.timing import clocked, interleaved, ratios, turns

SMALL = Sizes(short=40_000, long=50_000, many=12, huge=400_000, secrets=20, repeats=1, few=1)


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return measure(SMALL, lambda done, total: None)


def test_the_keys_are_these(measured: dict[str, Any]) -> None:
    numbers = {"prg_fraction_of_aes", "shamir_split_ms", "shamir_combine_ms", "peak_memory_ratio"}
    tables = {
        "client_speedup_vs_flower": {"10x1M", "10x10M"},
        "server_speedup_vs_flower": {"10x1M_drop10", "50x1M_drop10"},
        "upload_ratio_fp32": {"u32", "u16"},
    }
    assert all(isinstance(measured[key], float) and measured[key] > 0 for key in numbers)
    assert {key: set(measured[key]) for key in tables} == tables
    assert all(value > 0 for key in tables for value in measured[key].values())
    assert json.loads(json.dumps(measured)) == measured


def test_what_does_not_depend_on_the_moment(measured: dict[str, Any]) -> None:
    assert 1 < measured["upload_ratio_fp32"]["u32"] < 1.05
    assert 0.5 < measured["upload_ratio_fp32"]["u16"] < 0.55
    assert {side: set(both) for side, both in measured["peak_memory"].items()} == {
        "u32": {"site", "coordinator"},
        "u16": {"site", "coordinator"},
    }


def test_the_table_has_every_bar_and_says_what_fails(measured: dict[str, Any]) -> None:
    text = told(measured)
    assert all(bar.what in text for bar in BARS)
    slow = {**measured, "shamir_split_ms": 6.0, "prg_fraction_of_aes": 0.4}
    failing = [line for line in told(slow).splitlines() if line.endswith("NO")]
    assert {"masks against", "Shamir, 100 platforms, split"} <= {
        next(
            (start for start in ("masks against", "Shamir, 100 platforms, split") if line.startswith(start)),
            "",
        )
        for line in failing
    }
    assert {(bar.path, bar.bar) for bar in BARS} == {
        (("prg_fraction_of_aes",), 0.5),
        (("client_speedup_vs_flower", "10x1M"), 6),
        (("client_speedup_vs_flower", "10x10M"), 8),
        (("server_speedup_vs_flower", "10x1M_drop10"), 15),
        (("server_speedup_vs_flower", "50x1M_drop10"), 40),
        (("upload_ratio_fp32", "u32"), 1.001),
        (("upload_ratio_fp32", "u16"), 0.51),
        (("shamir_split_ms",), 5),
        (("shamir_combine_ms",), 5),
        (("peak_memory_ratio",), 3),
    }


def test_the_command_prints_a_table_or_json(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[Sizes] = []
    monkeypatch.setattr(secagg, "measure", lambda size, update: sizes.append(size) or measured)
    assert json.loads(CliRunner().invoke(cli.app, ["secagg", "--json"]).stdout) == measured
    assert CliRunner().invoke(cli.app, ["secagg"]).stdout == told(measured) + "\n"
    assert sizes == [FULL, FULL]


def test_the_measured_round_is_a_right_one() -> None:
    for ring in (wide(), narrow(1000)):
        held = hold(Convoy(4, 1000, ring), {1})
        assert sorted(held.vectors) == ["port-000", "port-002", "port-003"]
        mean = ring.dequantise(held.quorum.collect_releases(held.released).unmask())
        assert (mean.platforms, mean.weight) == (3, 3 * int(0.25 * ring.weight_units) / ring.weight_units)


def test_turns_alternate_and_the_first_does_not_count() -> None:
    order: list[str] = []
    seconds = iter([9.0, 1.0, 3.0, 2.0])

    def first() -> float:
        order.append("first")
        return next(seconds)

    took = interleaved(3, {"first": first, "second": clocked(lambda: order.append("second"))})
    assert order == ["first", "second"] * 4
    assert took["first"] == 2.0


def test_a_ratio_is_taken_within_a_turn_and_the_median_over_the_turns() -> None:
    """A turn in which the machine was three times slower must not change the ratio."""
    seconds = {"ours": iter([9.0, 2.0, 6.0, 2.2]), "theirs": iter([1.0, 1.0, 3.0, 1.0])}
    counted = turns(3, {name: lambda taken=taken: next(taken) for name, taken in seconds.items()})
    assert ratios(counted, "theirs") == {"ours": 2.0, "theirs": 1.0}


def test_an_action_is_timed_by_the_clock_that_is_given() -> None:
    ticks = iter([10.0, 12.5])
    assert clocked(lambda: None, lambda: next(ticks))() == 2.5
