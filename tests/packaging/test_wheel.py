"""The wheel by itself: what is in it, and that it runs where there is no checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = folder.glob("hanse-*.whl")
    return path


def test_it_holds_the_four_packages_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"clients", "common", "scenarios", "server"}
    assert {Path(name).suffix for name in names if ".dist-info" not in name} == {
        ".css",
        ".j2",
        ".json",
        ".py",
        ".toml",
        ".typed",
    }


@pytest.mark.slow
def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, which sees this one's dependencies but not this checkout."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(tmp_path / "env" / "bin" / "python"), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )

    where = run("-c", "import common, server; print(common.__file__, server.__file__)").stdout
    assert all(Path(name).is_relative_to(site) for name in where.split())
    hanse = "import sys; from common.cli import main; sys.exit(main())"
    assert "grocery" in run("-c", hanse, "scenario", "list").stdout
    forecast = run("-c", hanse, "experiment", "run", "demo-fast", "--dry-run", "--json").stdout
    assert '"parameters"' in forecast
