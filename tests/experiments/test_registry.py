"""Finding experiments by name or by file."""

from pathlib import Path

import pytest

from common.errors import ConfigError, Problem
from scenarios.experiments.registry import load_experiment

FILE = """
title = "mine"
platforms = ["grocery", "shops/mine.toml", "drugstore"]
sites = "named"
privacy = { unprotected = false, ceiling = 9 }
"""


@pytest.mark.parametrize("name", ["demo", "demo-fast", "four-platforms"])
def test_those_that_come_with_the_project(name: str) -> None:
    spec = load_experiment(name)
    assert spec.platforms == ("grocery", "drugstore", "fresh", "video")
    assert spec.sites is None


def test_the_full_one_repeats_what_noise_makes_uncertain() -> None:
    full = load_experiment("four-platforms")
    assert full.privacy.repeats >= 3
    assert full.limits.users is None


def test_paths_count_from_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "shops").mkdir(parents=True)
    (tmp_path / "mine" / "shops" / "mine.toml").touch()
    (tmp_path / "mine" / "experiment.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    spec = load_experiment("mine/experiment.toml")
    assert spec.platforms == ("grocery", str(tmp_path / "mine" / "shops" / "mine.toml"), "drugstore")
    assert spec.sites == str(tmp_path / "mine" / "named")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("demo-fsat", 'did you mean "demo-fast"?'),
        ("four-platform", 'did you mean "four-platforms"?'),
        ("xyz", "known: demo, demo-fast, four-platforms"),
    ],
)
def test_an_unknown_name_is_told_with_a_near_one(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_experiment(name)
    (problem,) = caught.value.problems
    assert problem.what == f'no experiment "{name}"'
    assert problem.hint == hint


def test_a_missing_file_is_told_with_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(FILE)
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "experimnt.toml")
    assert caught.value.problems[0].hint == 'did you mean "experiment.toml"?'


def test_every_platform_that_is_not_there_is_told_with_its_place_and_what_to_do(tmp_path: Path) -> None:
    """The experiment's own file is never what was meant."""
    path = tmp_path / "mind.toml"
    path.write_text(
        'title = "mine"\nplatforms = [\n  "mine.toml",\n  "grocer",\n  "shops/hats.toml",\n  "video",\n]\n'
    )
    (tmp_path / "shops").mkdir()
    (tmp_path / "shops" / "hat.toml").touch()
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    draft = "hanse scenario new drafts a scenario; a path counts from the experiment's folder"
    assert caught.value.problems == (
        Problem(f"{path}:2", f"platforms.0: no such file: {tmp_path / 'mine.toml'}", draft),
        Problem(
            f"{path}:2",
            'platforms.1: no scenario "grocer"',
            'did you mean "grocery"? or a file that ends in .toml',
        ),
        Problem(
            f"{path}:2",
            f"platforms.2: no such file: {tmp_path / 'shops/hats.toml'}",
            'did you mean "hat.toml"?',
        ),
    )


def test_a_public_scenario_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "mine"\nplatforms = ["grocery", "drugstore", "fresh"]\npublic = "open.toml"\n'
        "robust = { norm_bound = 1, rollback = 0.1 }\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_experiment(path)
    (problem,) = caught.value.problems
    assert problem.where == f"{path}:3"
    assert problem.what == f"public: no such file: {tmp_path / 'open.toml'}"
