"""`hanse site`: what each command prints, where, and how it ends."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.config import CeilingConfig, SiteConfig, SiteFolder
from clients.daemon import SiteSocket
from common.cli import build, run
from common.frame import Frame
from common.privacy.accountant import Mechanism, epsilon_of
from common.privacy.ledger import Charge
from common.privacy.plan import PrivacyPlan
from common.replies import refusal
from scenarios.platforms.registry import load_scenario
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

Make = Callable[..., Any]
INIT = ("--platform", "salt", "--scenario", "salt.toml", "--epsilon", "2.5")
SCENARIO = """
name = "salt"
title = "salt"
description = "made up; its files are never read"
licence = "none"
source = { events = "events.csv" }
columns = { user = "who", item = "what", time = "when" }
items.text = ["what"]
split.by = "leave-last-out"
training = { bucket = 1000, expected_batch = 50 }
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")
    monkeypatch.chdir(tmp_path)
    Path("salt.toml").write_text(SCENARIO)


def hanse(*arguments: str | Path) -> int:
    return run(build(), [str(argument) for argument in arguments])


def test_init_makes_a_site_and_prints_its_public_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("site", "init", "salt", *INIT) == 0
    folder = SiteFolder(Path("salt"))
    key = folder.identity().public_key().public_bytes_raw().hex()
    assert capsys.readouterr().out == f"{key}\n"
    assert folder.user_key() is not None
    assert folder.config().ceiling is not None
    assert folder.config().ceiling.model_dump() == {"epsilon": 2.5, "delta": 1e-5}
    assert hanse("site", "init", "salt", *INIT) == 0
    assert capsys.readouterr() == (f"{key}\n", "")


@pytest.mark.parametrize(
    ("ceiling", "kept"),
    [(CeilingConfig(epsilon=8, delta=1e-6), "ε = 8 at δ = 1e-06"), (None, "none")],
)
def test_a_ceiling_that_init_does_not_change_is_told(
    ceiling: CeilingConfig | None, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = str(Path("salt.toml").resolve())
    site = SiteFolder.create(Path("salt"), SiteConfig(platform="salt", scenario=scenario, ceiling=ceiling))
    assert hanse("--quiet", "site", "init", "salt", *INIT) == 0
    assert capsys.readouterr().err == (
        f"warning: a site is here and keeps its ceiling: {kept}\n"
        "hint: its owner changes it in salt/site.toml\n"
    )
    assert site.config().ceiling == ceiling


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--platform", "Salt", "--scenario", "x", "--epsilon", "1"), "platform: error: should match"),
        (
            ("--platform", "salt", "--scenario", "x", "--epsilon", "0"),
            "ceiling.epsilon: error: should be above 0",
        ),
        (("--platform", "salt", "--scenario", "x", "--epsilon", "1", "--delta", "1"), "ceiling.delta: error"),
        (("--platform", "salt", "--scenario", "x", "--epsilon", "much"), "error: invalid value"),
        (("--platform", "salt", "--scenario", "x"), "error: missing option"),
    ],
)
def test_impossible_options(options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("site", "init", "salt", *options) == 2
    assert capsys.readouterr().err.startswith(told)
    assert not Path("salt").exists()


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        ("slat.toml", 'slat.toml: error: no such file\nhint: did you mean "salt.toml"?\n'),
        ("grocer", 'error: no scenario "grocer"\nhint: did you mean "grocery"?\n'),
    ],
)
def test_a_scenario_that_is_not_there(scenario: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("site", "init", "salt", "--platform", "salt", "--scenario", scenario, "--epsilon", "1") == 2
    assert capsys.readouterr().err.removeprefix(f"{Path.cwd()}/") == told
    assert not Path("salt").exists()


def test_a_scenarios_file_is_found_from_wherever_the_site_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert hanse("site", "init", "salt", *INIT) == 0
    site = Path("salt").resolve()
    monkeypatch.chdir(tmp_path.parent)
    assert load_scenario(SiteFolder(site).config().scenario).name == "salt"


def test_a_delta_that_promises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """1000^-1.1 = 5.01e-4 is the most for a scenario that declares 1000 users; what the hint says is accepted."""
    for delta in ("0.9", "0.001", "5.02e-4"):
        assert hanse("site", "init", "salt", *INIT, "--delta", delta) == 2
        what, hint = capsys.readouterr().err.splitlines()
        assert what.startswith(f"ceiling.delta: error: {float(delta):g} is too large for 1000 users")
        assert hint == "hint: --delta 0.0001 or less"
        assert not Path("salt").exists()
    for delta in ("5.01e-4", "0.0001"):
        assert hanse("site", "init", delta, *INIT, "--delta", delta) == 0


@pytest.mark.parametrize("folder", ["salt.toml", "salt.toml/site"])
def test_a_file_in_the_way(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("site", "init", folder, *INIT) == 2
    assert capsys.readouterr().err == (
        f"{folder}: error: no site can be made here: a file is in the way\n"
        "hint: name a folder that is not there yet, below one that is\n"
    )
    assert Path("salt.toml").read_text() == SCENARIO


def test_a_folder_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clients.config.write_atomically", full)
    assert hanse("site", "init", "salt", *INIT) == 5
    assert capsys.readouterr().err.startswith(
        "salt: error: no site can be made here: No space left on device"
    )


def test_a_folder_of_another_site(capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("site", "init", "salt", *INIT) == 0
    assert hanse("site", "init", "salt", *INIT[:1], "amber", *INIT[2:]) == 2
    assert "a site with other settings is here" in capsys.readouterr().err


def test_the_ledger_in_words_and_for_programs(capsys: pytest.CaptureFixture[str], plan: PrivacyPlan) -> None:
    hanse("site", "init", "salt", *INIT)
    book = SiteFolder(Path("salt")).ledger()
    for number in (1, 2):
        book.charge(Charge("run", number, 1, "training", plan.per_round))
    book.charge(Charge("run", 1, 1, "statistics", Mechanism(4.0, 1.0, 1)))
    capsys.readouterr()

    assert hanse("site", "ledger", "salt", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    training = epsilon_of([plan.per_round] * 2, 1e-5).prv
    statistics = epsilon_of([Mechanism(4.0, 1.0, 1)], 1e-5).prv
    assert told == {
        "unit": "all records of one account on one platform",
        "adjacency": "add/remove one user",
        "delta": 1e-5,
        "accountant": "PRV",
        "epsilon_prv": book.spent().prv,
        "epsilon_pld": book.spent().pld,
        "epsilon_rdp": book.spent().rdp,
        "epsilon_if_aggregation_fails": book.spent().prv,
        "ceiling": 2.5,
        "left": 2.5 - book.spent().prv,
        "releases": 3,
        "kinds": [
            {"release": "training", "charges": 2, "epsilon": training},
            {"release": "statistics", "charges": 1, "epsilon": statistics},
        ],
        "next_plan": None,
        "peers": 0,
        "rollback_detectable": False,
    }
    assert max(training, statistics) < told["epsilon_prv"] < training + statistics
    assert hanse("site", "ledger", "salt") == 0
    words = capsys.readouterr().out
    assert f"ε = {told['epsilon_prv']:.3f} at δ = 1e-05 (PRV; PLD says {told['epsilon_pld']:.3f}; " in words
    assert f"{2.5 - told['epsilon_prv']:.3f} is left" in words
    assert "3 releases" in words
    assert f"kind     statistics: 1 release, ε = {statistics:.3f} by itself" in words
    assert "next     no private charter is pinned here" in words


def test_a_ledger_without_peers_says_that_it_could_be_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    hanse("site", "init", "salt", *INIT)
    capsys.readouterr()
    assert hanse("site", "ledger", "salt") == 0
    assert (
        "rollback no peer was ever shown this ledger: put back to an earlier state" in capsys.readouterr().out
    )


def test_the_ledger_tells_what_the_charter_would_still_cost(
    fleet: Make, capsys: pytest.CaptureFixture[str], plan: PrivacyPlan
) -> None:
    """Of three rounds one is held: two are left. Under a ceiling of 0.3 they do not fit, and that is told."""
    made = fleet(private=True)
    hold_round(Cohort(Meter(made.tape(), 5.0)), made.charter, made.run.latest(), made.run)
    folder = made.folders["salt"]
    assert hanse("site", "ledger", folder.path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    whole = plan.forecast()
    assert told["next_plan"] == {
        "charter": "first-convoy",
        "rounds": 3,
        "rounds_left": 2,
        "accountant": "PRV",
        "epsilon_prv": whole.prv,
        "epsilon_pld": whole.pld,
        "epsilon_rdp": whole.rdp,
        "fits": True,
    }
    assert (told["releases"], told["peers"], told["rollback_detectable"]) == (1, 3, True)

    settings = folder.path / "site.toml"
    settings.write_text(settings.read_text().replace("epsilon = 8.0", "epsilon = 0.3"))
    assert hanse("site", "ledger", folder.path) == 0
    words = capsys.readouterr().out
    assert (
        f"2 of 3 rounds left, after which ε = {whole.prv:.3f}; more than the ceiling: it is refused" in words
    )
    assert "rollback 3 peers were shown this ledger" in words


def test_a_ledger_older_than_what_peers_were_shown(fleet: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """The site's own memory of what it signed shows a copied-back file, unless that was put back too."""
    made = fleet(private=True)
    file = made.folders["salt"].path / "ledger.sqlite"
    made.folders["salt"].ledger()
    copy = file.read_bytes()
    for _ in range(2):
        hold_round(Cohort(Meter(made.tape(), 5.0)), made.charter, made.run.latest(), made.run)
        made.next_model()
    file.write_bytes(copy)
    assert hanse("site", "ledger", made.folders["salt"].path) == 3
    assert "not the ledger that this site showed its peers: they expect entry 2" in capsys.readouterr().err


def test_a_ledger_without_charges(capsys: pytest.CaptureFixture[str]) -> None:
    hanse("site", "init", "salt", *INIT)
    capsys.readouterr()
    assert hanse("site", "ledger", "salt", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["epsilon_prv"], told["releases"]) == (0.0, 0)


def test_no_site_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("salt").mkdir()
    assert hanse("site", "ledger", "salt") == 2
    assert "salt/site.toml: error: no such file" in capsys.readouterr().err


def test_a_site_without_a_ceiling_has_no_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    SiteFolder.create(Path("salt"), SiteConfig(platform="salt", scenario="salt.toml"))
    assert hanse("site", "ledger", "salt") == 3
    assert "keeps no ledger" in capsys.readouterr().err


def test_a_ledger_that_was_edited(capsys: pytest.CaptureFixture[str]) -> None:
    hanse("site", "init", "salt", *INIT)
    SiteFolder(Path("salt")).ledger()
    (Path("salt") / "ledger.sqlite").write_bytes(b"not a database" * 100)
    assert hanse("site", "ledger", "salt") == 3
    assert "error:" in capsys.readouterr().err


def test_a_ceiling_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--platform", "salt", "--scenario", "salt.toml", "--epsilon", "inf")
    assert hanse("site", "init", "salt", *options) == 2
    assert "epsilon" in capsys.readouterr().err
    assert not Path("salt").exists()


def test_without_a_charter_it_does_not_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    hanse("site", "init", "salt", *INIT)
    assert hanse("site", "run", "salt") == 2
    assert "no charter is pinned here" in capsys.readouterr().err


def test_with_a_key_that_others_can_read_it_does_not_run(
    fleet: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    folder = fleet().folders["salt"]
    (folder.path / "site.key").chmod(0o644)
    assert hanse("site", "run", folder.path) == 5
    assert "others can read the site's key" in capsys.readouterr().err


def test_one_process_at_a_time_runs_a_site(
    fleet: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each would have a socket of its own."""
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    folder = fleet().folders["salt"]
    with folder.alone():
        assert hanse("site", "run", folder.path, "--socket", tmp_path / "other.sock") == 5
    assert "another process runs this site" in capsys.readouterr().err
    assert not (tmp_path / "other.sock").exists()


def test_it_answers_until_it_is_told_to_stop(fleet: Make, tmp_path: Path) -> None:
    """A process of its own, ended as a service manager ends it: exit 130, and the socket is gone."""
    folder = fleet().folders["salt"]
    socket = SiteSocket(tmp_path / "run" / "salt.sock")
    command = [sys.executable, "-c", "from common.cli import main; raise SystemExit(main())"]
    asked = ["site", "run", str(folder.path), "--socket", str(socket.path)]
    process = subprocess.Popen([*command, *asked])
    try:
        while not socket.listens():
            assert process.poll() is None
            time.sleep(0.02)
        assert refusal(socket.ask(Frame("share"), 10.0)).reason == "OutOfTurn"
        process.terminate()
        assert process.wait(20) == 130
        assert not socket.path.exists()
    finally:
        process.kill()
        process.wait()
