"""The same rounds under ``flwr run .``: Flower's simulation engine between the coordinator and the sites.

Ray hands a message to any idle actor, so no actor can be a site: each is a process behind its own socket.
Everything of Flower's lives in the run's folder and is gone, or at rest, when the run is over.
"""

import json
import os
import shutil
import socket
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from clients.daemon import SiteSocket
from common.errors import EnvironmentProblem
from common.files import write_atomically
from scenarios.experiments.processes import Processes
from server import failure
from server.checkpoint import Checkpoint, RunFolder
from server.rounds import Watch

START_SECONDS: Final = 120.0
_CONNECTION: Final = "hanse"
_PACKAGES: Final = ("clients", "common", "server")


def conduct_under_flower(folder: RunFolder, sites: Mapping[str, Path], watch: Watch) -> Checkpoint:
    """Hold every round that is left, as ``server.rounds.conduct`` does; ``sites`` are folders by platform.

    Raises:
        EnvironmentProblem: without a checkout or Ray, or when a process does not start or ends too early.
        HanseError: why the coordinator stopped, with its own exit code.
    """
    failure.forget(folder.path)
    with afloat(folder, sites) as (home, processes):
        processes.start("flwr-run", home.run(len(sites)), home.stage(project()))
        _follow(folder, watch, processes)
    if reason := failure.noted(folder.path):
        raise reason
    return _finished(folder, home)


@contextmanager
def afloat(folder: RunFolder, sites: Mapping[str, Path]) -> Iterator[tuple["FlowerHome", Processes]]:
    """A SuperLink and a process for each site, ready for a bundle; all gone when the context ends.

    Raises:
        EnvironmentProblem: without Ray, or when a process does not start.
    """
    _require_ray()
    # Ray's own sockets lie below its folder, and a socket's address holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hanse-", ignore_cleanup_errors=True) as scratch:
        home = FlowerHome(folder.path.resolve() / "flower", Path(scratch), _free_port())
        with Processes(home.path / "logs", home.environment()) as processes:
            processes.start("superlink", home.superlink())
            for name, site in sites.items():
                processes.start(name, home.site(name, site))
            home.write_configuration(folder.path)
            _await(lambda: all(SiteSocket(home.socket(name)).listens() for name in sites), processes, *sites)
            _await(home.answers, processes, "superlink")
            yield home, processes


@dataclass(frozen=True)
class FlowerHome:
    """Flower's folder inside a run's folder, and the commands that use it."""

    path: Path
    scratch: Path
    port: int

    def environment(self) -> dict[str, str]:
        """This process's environment, with Flower at home here, and silent."""
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        search = os.pathsep.join([sysconfig.get_path("scripts"), inherited.get("PATH", "")])
        return inherited | {
            "PATH": search,
            "FLWR_HOME": str(self.path),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "RAY_TMPDIR": str(self.scratch),
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def socket(self, platform: str) -> Path:
        """Where a platform's site listens."""
        return self.path / "sockets" / f"{platform}.sock"

    def site(self, platform: str, folder: Path) -> list[str]:
        """The command that starts a platform's site."""
        command = [_program("hanse"), "site", "run", str(folder.resolve())]
        return [*command, "--socket", str(self.socket(platform))]

    def superlink(self) -> list[str]:
        """The command that starts a SuperLink on loopback alone."""
        place = ["--insecure", "--host", "127.0.0.1", "--port", str(self.port)]
        engine = ["--simulation", "--disable-runtime-dependency-installation"]
        return [_program("flower-superlink"), *place, *engine]

    def answers(self) -> bool:
        """Whether the SuperLink accepts connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def write_configuration(self, run_folder: Path) -> None:
        """Tell ``flwr`` where the SuperLink is, and the apps where the run's folder and the sockets are."""
        connection: dict[str, str | bool] = {"address": f"127.0.0.1:{self.port}", "insecure": True}
        write_atomically(self.path / "config.toml", _toml(f"superlink.{_CONNECTION}", connection))
        run = {"run-folder": str(run_folder.resolve()), "sockets": str(self.path / "sockets")}
        write_atomically(self.path / "run.toml", _toml("", run))

    def stage(self, checkout: Path) -> Path:
        """A copy of what the bundle is made of: in a checkout Flower would visit every file, environments too."""
        app = self.path / "app"
        shutil.rmtree(app, ignore_errors=True)
        for package in _PACKAGES:
            shutil.copytree(checkout / package, app / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(checkout / "pyproject.toml", app)
        return app

    def run(self, platforms: int) -> list[str]:
        """The command that sends the bundle to the SuperLink and follows the run to its end."""
        engine = f"num-supernodes={platforms} init-args-num-cpus={platforms} client-resources-num-cpus=1"
        options = ["--stream", "--run-config", str(self.path / "run.toml"), "--federation-config", engine]
        return [_program("flwr"), "run", ".", _CONNECTION, *options]


def project() -> Path:
    """The checkout that ``flwr run`` bundles.

    Raises:
        EnvironmentProblem: when this is an installed package without a checkout.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file():
        hint = "clone the project and install it from there, or run without Flower's engine"
        raise EnvironmentProblem("flwr run needs a checkout", where=str(root), hint=hint)
    return root


def _require_ray() -> None:
    if find_spec("ray") is None:
        raise EnvironmentProblem("Flower's engine needs Ray", hint="pip install 'hanse[ray]'")


def _program(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(ready: Callable[[], bool], processes: Processes, *names: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        processes.require(*names)
        if time.monotonic() > deadline:
            what = f"{', '.join(names)} did not start within {START_SECONDS:.0f} s"
            raise EnvironmentProblem(what, hint=f"see {processes.logs}")
        time.sleep(0.1)


def _follow(folder: RunFolder, watch: Watch, processes: Processes) -> None:
    """Pass on every round once it is on disk, until the run is over."""
    told, over = folder.latest().round, False
    while not over:
        over = processes.ended("flwr-run")
        outcomes = folder.latest().outcomes
        for outcome in outcomes[told:]:
            watch(outcome)
        told = len(outcomes)
        time.sleep(0 if over else 0.2)


def _finished(folder: RunFolder, home: FlowerHome) -> Checkpoint:
    checkpoint, rounds = folder.latest(), folder.charter().rounds
    if checkpoint.round < rounds:
        what = f"Flower's run ended after {checkpoint.round} of {rounds} rounds"
        raise EnvironmentProblem(what, hint=f"see {home.path / 'logs'}")
    return checkpoint


def _toml(table: str, values: Mapping[str, str | bool]) -> bytes:
    # A JSON string or truth value reads the same in TOML.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "\n".join([f"[{table}]" if table else "", *lines, ""]).encode()
