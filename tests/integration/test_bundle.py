"""What ``flwr run`` ships: whole packages for the coordinator, the shim alone for the platforms, nothing else."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from scenarios.experiments.flower import project

LOADED = """
import importlib, sys
folder, app = sys.argv[1:]
sys.path.insert(0, folder)
importlib.import_module(app)
ours = [m for n, m in sys.modules.items() if n.split(".")[0] in ("clients", "common", "server", "scenarios")]
print(len(ours), [m.__name__ for m in ours if not (m.__file__ or "").startswith(folder)])
print(sorted({"torch", "opacus", "polars", "transformers"} & set(sys.modules)))
"""

BUILD = """
import sys
from pathlib import Path
from flwr.cli.build import build_fab_from_disk
sys.stdout.buffer.write(build_fab_from_disk(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as Flower packs and unpacks it."""
    folder = tmp_path_factory.mktemp("bundle")
    command = [sys.executable, "-c", BUILD, str(project())]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    zipfile.ZipFile(BytesIO(packed)).extractall(folder)
    return folder


def test_it_holds_code_and_nothing_else(bundle: Path) -> None:
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    shipped = {name for name in files if name not in ("pyproject.toml", ".info/CONTENT")}
    assert {name.split("/")[0] for name in shipped} == {"clients", "common", "server"}
    assert all(name.endswith(".py") for name in shipped)
    assert {name for name in shipped if name.startswith("clients/")} == {
        "clients/__init__.py",
        "clients/app.py",
        "clients/daemon.py",
    }


def load(bundle: Path, app: str) -> list[str]:
    """What importing ``app`` from the bundle brings in: our modules, those of ours from elsewhere, heavy ones."""
    command = [sys.executable, "-P", "-c", LOADED, str(bundle), app]
    finished = subprocess.run(command, cwd=bundle.parent, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()


def test_the_coordinator_runs_from_it_alone(bundle: Path) -> None:
    ours, _ = load(bundle, "server.app")
    assert ours.endswith("[]")


def test_the_shim_is_light_and_needs_seven_files(bundle: Path) -> None:
    assert load(bundle, "clients.app") == ["7 []", "[]"]
