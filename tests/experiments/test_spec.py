"""What an experiment may not ask for, each with its line and its reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from common.config import load_toml
from common.errors import ConfigError
from scenarios.experiments.spec import ExperimentSpec

PLATFORMS = ("grocery", "drugstore", "fresh", "video")


def spec(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"title": "t", "platforms": PLATFORMS, **fields})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"platforms": PLATFORMS[:2]}, "2 platforms: secure aggregation with 1 assumed colluders needs at l"),
        ({"platforms": PLATFORMS[:3], "colluders": 2}, "needs at least 4"),
        ({"platforms": (*PLATFORMS, "video")}, "a platform is named twice"),
        ({"systems": ("pooled", "pooled")}, "a system is named twice"),
        ({"systems": ("centralised",)}, "systems"),
        ({"seeds": (1, 2, 1)}, "a seed is named twice"),
        ({"seeds": ()}, "seeds"),
        ({"seeds": (0,)}, "seeds"),
        ({"seeds": (1001,)}, "seeds"),
        ({"rounds": 0}, "rounds"),
        ({"rounds": 2.5}, "rounds"),
        ({"colluders": -1}, "colluders"),
        ({"trackers": ("tensorboard", "tensorboard")}, "a tracker is named twice"),
        ({"trackers": ("paper",)}, "trackers"),
        ({"model": {"size": "huge"}}, "size"),
        ({"model": {"features": 0}}, "features"),
        ({"privacy": {"epsilons": (8, 8.0)}}, "an epsilon is named twice"),
        ({"privacy": {"epsilons": (1, 1.0000001)}}, "an epsilon is named twice"),
        ({"privacy": {"epsilons": (0,)}}, "epsilons"),
        ({"privacy": {"epsilons": (float("inf"),)}}, "epsilons"),
        ({"privacy": {"epsilons": (float("nan"),)}}, "epsilons"),
        ({"privacy": {"delta": 0}}, "delta"),
        ({"privacy": {"delta": 1}}, "delta"),
        ({"privacy": {"clip": 0}}, "clip"),
        ({"privacy": {"repeats": 0}}, "repeats"),
        ({"privacy": {"spare": -1}}, "spare"),
        ({"privacy": {"ceiling": float("inf")}}, "ceiling"),
        ({"server": {"average": 1.0}}, "average"),
        ({"limits": {"users": 0}}, "users"),
        ({"sites": "named"}, "named sites take part in private runs alone"),
        ({"sites": "named", "privacy": {"unprotected": False}}, "set privacy.ceiling"),
        ({"robust": {}}, "norm_bound"),
        ({"robust": {"norm_bound": 1, "statistic": "median"}}, "4 platforms are too few for groups"),
        ({"robust": {"norm_bound": 1, "rollback": 0.1}}, "needs the scenario of a public data set"),
        ({"public": "own.toml"}, "and public a rollback"),
        ({"public": "video", "robust": {"norm_bound": 1, "rollback": 0.1}}, "takes part itself"),
        ({"remark": ""}, "remark"),
    ],
    ids=str,
)
def test_what_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        spec(**fields)


def test_what_may_be_left_out() -> None:
    asked = spec()
    assert asked.systems == ("local-only", "federated", "pooled", "pooled-clipped")
    assert asked.sites is None
    assert spec(sites="named", privacy={"unprotected": False, "ceiling": 9}).sites == "named"
    assert spec(sites="named", systems=("pooled",), privacy={"ceiling": 9}).sites == "named"
    assert spec(privacy={"epsilons": ()}).privacy.epsilons == ()


def test_a_specification_survives_its_file(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> None:
    asked = shops(tmp_path)
    assert ExperimentSpec.model_validate_json(asked.model_dump_json()) == asked
    assert json.loads(asked.model_dump_json())["rounds"] == 2


def test_every_mistake_in_the_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(
        'title = "t"\nplatforms = ["grocery", "drugstore", "fresh"]\nround = 3\n\n[privacy]\nepsilons = [8, -1]\n'
        'delta = "small"\n[model]\nsize = "huge"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_toml(path, ExperimentSpec)
    told = {problem.where.rsplit(":", 1)[1]: problem for problem in caught.value.problems}
    assert set(told) == {"3", "6", "7", "9"}
    assert told["3"].hint == 'did you mean "rounds"?'
    assert "privacy.epsilons" in told["6"].what
