"""A plan above a ceiling: refused with exit code 3 before any data file is opened, and nothing is spent."""

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clients.config import SiteFolder
from common.errors import PrivacyRefused
from scenarios.experiments.federation import Federation

IN_OPEN = 0x20
EVENT = struct.Struct("iIII")

Make = Callable[..., Federation]


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """Names of the files in ``folder`` that any process opens meanwhile, as the kernel tells them (inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_OPEN) > 0
    names: list[str] = []
    yield names
    try:
        while events := os.read(descriptor, 1 << 16):
            names += parsed(events)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def parsed(events: bytes) -> Iterator[str]:
    while events:
        _, _, _, length = EVENT.unpack_from(events)
        name = events[EVENT.size : EVENT.size + length].rstrip(b"\0").decode()
        events = events[EVENT.size + length :]
        if name.endswith(".csv"):
            yield name


def experiment(folder: Path, ceiling: float, sites: str = "") -> Path:
    platforms = sorted(str(path) for path in folder.glob("*.toml") if path.stem != "experiment")
    lines = [
        'title = "four shops"',
        f"platforms = {platforms}",
        "rounds = 2",
        'systems = ["federated"]',
        sites,
        f'model = {{ size = "tiny", features = 16, encoder = "{folder / "encoder"}" }}',
        f"privacy = {{ epsilons = [0.5], unprotected = false, spare = 0, ceiling = {ceiling} }}",
    ]
    path = folder / "experiment.toml"
    path.write_text("\n".join([*lines, ""]))
    return path


def hanse(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).parent / "hanse"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_nothing_is_opened_and_nothing_is_written(federation: Make, tmp_path: Path) -> None:
    with opened_files(tmp_path) as names:
        finished = hanse("experiment", "run", experiment(tmp_path, 0.4), "--out", tmp_path / "out")
    assert finished.returncode == 3
    assert "a ceiling of 0.4" in finished.stderr
    assert "hint:" in finished.stderr
    assert names == []
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_admitted_run_is_seen_to_open_the_data(federation: Make, tmp_path: Path) -> None:
    """The positive control of the test above, and the whole command on made-up shops."""
    with opened_files(tmp_path) as names:
        finished = hanse(
            "experiment", "run", experiment(tmp_path, 0.5), "--out", tmp_path / "out", "--workers", 1
        )
    assert finished.returncode == 0, finished.stderr
    assert set(names) == {"amber.csv", "herring.csv", "items.csv", "salt.csv", "timber.csv"}
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_a_named_site_goes_on_with_its_ledger(federation: Make, tmp_path: Path) -> None:
    """Two runs of ε ≤ 0.5 at the same sites: the second is charged on top, and a third does not fit."""
    path = experiment(tmp_path, 0.8, 'sites = "named"')
    charges = []
    for number in (1, 2):
        finished = hanse("experiment", "run", path, "--out", tmp_path / f"out{number}", "--workers", 1)
        assert finished.returncode == 0, finished.stderr
        charges.append(len(SiteFolder(tmp_path / "named" / "salt").ledger().entries()))
    assert charges == [2, 4]
    spent = SiteFolder(tmp_path / "named" / "salt").ledger().spent().prv
    assert 0.5 < spent <= 0.8
    finished = hanse("experiment", "run", path, "--out", tmp_path / "out3")
    assert finished.returncode == 3
    assert "4 charges so far" in finished.stderr
    assert len(SiteFolder(tmp_path / "named" / "salt").ledger().entries()) == 4


def test_every_site_refuses_for_itself(federation: Make) -> None:
    """A coordinator that skips the forecast meets the sites: each checks its own ceiling, and spends nothing."""
    founded = federation("run", epsilon=8.0)
    with pytest.raises(PrivacyRefused, match="the sites refuse this round"):
        founded.conduct(lambda outcome: None)
    for site in founded.sites.values():
        assert site.ledger().entries() == ()


def test_a_site_with_a_ceiling_takes_part_in_no_run_without_privacy(federation: Make) -> None:
    """Without privacy there would be nothing to charge, so the site refuses, and the round has no sum."""
    founded = federation("run")
    for site in founded.sites.values():
        with (site.path / "site.toml").open("a") as settings:
            settings.write("[ceiling]\nepsilon = 8.0\ndelta = 1e-5\n")
    with pytest.raises(PrivacyRefused, match="the sites refuse"):
        founded.conduct(lambda outcome: None)
    assert founded.run.latest().round == 0
