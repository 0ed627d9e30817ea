"""Fixtures of the privacy tests: a fresh ledger, and a program run in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.privacy.ledger import Ceiling, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger with room for ε = 8 at δ = 1e-5."""
    return Ledger.open(tmp_path / "ledger.sqlite", Ceiling(8.0, 1e-5))


@pytest.fixture
def run_program() -> Callable[..., Any]:
    """Run a Python text with arguments in a new process; its last line of output, parsed as JSON."""

    def run(program: str, *arguments: object) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
