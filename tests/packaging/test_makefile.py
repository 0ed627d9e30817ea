"""``make setup`` on a machine that lacks something: what is missing and what to do, in two lines."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHONS = {
    "too old": 'case "$1" in --version) echo "Python 3.10.2";; *) exit 1;; esac',
    "without venv": f'case "$2" in *venv*) exit 1;; *) exec {sys.executable} "$@";; esac',
    # Makes an environment whose pip finds no compiler.
    "without a compiler": """
        if [ "$1" = -m ]; then
            mkdir -p "$3/bin"
            printf '#!/bin/sh\\necho "error: command gcc failed" >&2\\nexit 1\\n' > "$3/bin/python"
            chmod +x "$3/bin/python"
        else
            exec PYTHON "$@"
        fi""".replace("PYTHON", sys.executable),
}


@pytest.mark.parametrize(
    ("lacking", "error", "hint"),
    [
        ("too old", "Python 3.10.2 is too old: Hanse needs Python 3.11", "make PYTHON="),
        ("without venv", "no 'venv' module", "apt-get install python3-venv"),
        ("without a compiler", "the installation failed", "apt-get install build-essential"),
    ],
)
def test_what_is_missing_is_named_with_the_remedy(
    tmp_path: Path, lacking: str, error: str, hint: str
) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{PYTHONS[lacking]}\n")
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "demo", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode != 0
    assert error in made.stderr
    assert hint in made.stderr
    assert "Traceback" not in made.stderr
    assert not (tmp_path / ".venv" / ".ready").exists()
