"""A ledger that cannot be written, through the command line and through real sites: exit code 3, no release."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.config import CeilingConfig, SiteConfig, SiteFolder
from clients.site import Site
from common.cli import build, run
from common.errors import PrivacyRefused
from common.privacy import ledger_file
from common.privacy.accountant import Mechanism, epsilon_of
from common.privacy.errors import LedgerUnavailable
from common.privacy.ledger import Charge
from scenarios.experiments.spec import ExperimentSpec
from server.rounds import conduct

NOBODY = 65534

# The command line in a process of its own that can write no byte to any file, as on a full disk.
FULL = """
import resource, signal, sys
from common.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
sys.argv = ["hanse", "site", "ledger", sys.argv[1]]
raise SystemExit(main())
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents anybody may pass."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Everything in the folder belongs to who asks, and none of it can be changed; root becomes nobody."""
    root = os.geteuid() == 0
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        if root:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(0o500 if path.is_dir() else 0o400)
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o700 if path.is_dir() else 0o600)


def hanse(*arguments: str | Path) -> int:
    return run(build(), [str(argument) for argument in arguments])


def made(folder: Path, scenario: str = "salt.toml") -> SiteFolder:
    limit = CeilingConfig(epsilon=8.0, delta=1e-5)
    return SiteFolder.create(folder, SiteConfig(platform="salt", scenario=scenario, ceiling=limit))


@pytest.mark.slow
def test_a_full_disk_ends_the_command_with_3(tmp_path: Path) -> None:
    site = made(tmp_path / "salt")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(site.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "the ledger cannot be used, so nothing may be released" in done.stderr
    assert not site.has_ledger()


def test_a_read_only_folder_without_a_ledger_ends_the_command_with_3(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = made(open_folder / "salt")
    with read_only(site.path):
        assert hanse("site", "ledger", site.path) == 3
    assert "the ledger cannot be used" in capsys.readouterr().err


def test_a_read_only_ledger_can_still_be_read(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = made(open_folder / "salt")
    site.ledger()
    with read_only(site.path):
        assert hanse("site", "ledger", site.path) == 0
        with pytest.raises(LedgerUnavailable):
            site.ledger().admit([Mechanism(1.0, 0.01, 1)])
    assert "spent    ε = 0.000" in capsys.readouterr().out


def test_a_run_at_a_read_only_site_ends_with_3_before_any_row_is_read(
    shops: Callable[..., ExperimentSpec], open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The data are gone: whoever reads them fails otherwise."""
    privacy = {"epsilons": [0.5], "unprotected": False, "ceiling": 8.0}
    spec = shops(open_folder, systems=("federated",), sites=str(open_folder / "named"), privacy=privacy)
    for data in open_folder.glob("*.csv"):
        data.unlink()
    made(open_folder / "named" / "salt", spec.platforms[2]).ledger()
    experiment = open_folder / "experiment.toml"
    experiment.write_text(
        f"""
        title = "four shops"
        platforms = {list(spec.platforms)}
        systems = ["federated"]
        rounds = 2
        sites = "{spec.sites}"
        model = {{ size = "tiny", features = 16, encoder = "{spec.model.encoder}" }}
        privacy = {{ epsilons = [0.5], unprotected = false, ceiling = 8.0 }}
        """
    )
    epsilon_of([Mechanism(1.0, 0.1, 1)], 1e-5)  # what is loaded at first use may be root's alone to read
    with read_only(open_folder):
        assert hanse("experiment", "run", experiment, "--out", open_folder / "out") == 3
    told = capsys.readouterr().err
    assert "named/salt/ledger.sqlite: error: the ledger cannot be used" in told


def test_a_disk_that_fills_up_in_a_run_stops_it_with_3(
    fleet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, plan: Any
) -> None:
    """SQLite is allowed not one page more than each file has; the first charge that needs one is refused."""
    trained: list[int] = []
    fleet_made = fleet(private=True, ceiling=50.0)
    monkeypatch.setattr(Site, "_train", lambda site, model, number: trained.append(number))
    opened = sqlite3.connect

    def full(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = opened(*arguments, **options)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        return connection

    for folder in fleet_made.folders.values():
        folder.ledger()
    monkeypatch.setattr(ledger_file.sqlite3, "connect", full)
    paid = []
    for folder in fleet_made.folders.values():
        ledger, number = folder.ledger(), 0
        with pytest.raises(LedgerUnavailable, match="full"):
            while True:
                ledger.charge(Charge("earlier", number, 1, "counts", Mechanism(50.0, 0.01, 1)))
                number += 1
        paid.append(number)
    with pytest.raises(PrivacyRefused, match="the sites refuse this round: LedgerUnavailable") as refused:
        conduct(fleet_made.tape(), fleet_made.run, lambda outcome: None)
    assert refused.value.exit_code == 3
    assert trained == []
    assert [folder.ledger().head()[0] for folder in fleet_made.folders.values()] == paid
