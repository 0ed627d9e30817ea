"""The digest of the code follows its files' names and bytes, and nothing else."""

import shutil
from pathlib import Path

import pytest

import common.provenance
from common.provenance import PACKAGES, _of, code_digest

ROOT = Path(common.provenance.__file__).parents[1]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_copy_elsewhere_is_the_same_code(copied: Path) -> None:
    (copied / "scenarios").mkdir()
    (copied / "scenarios" / "other.py").write_text("of no matter")
    (copied / "common" / "py.typed").write_text("nor this")
    assert _of(copied) == code_digest()
    assert len(bytes.fromhex(code_digest())) == 32


@pytest.mark.parametrize("package", PACKAGES)
def test_another_byte_name_or_file_is_other_code(copied: Path, package: str) -> None:
    first = next((copied / package).rglob("*.py"))
    content = first.read_bytes()
    seen = {code_digest()}
    for change in (
        lambda: first.write_bytes(content + b"\n"),
        lambda: first.write_bytes(content) and first.rename(first.with_name("renamed.py")),
        lambda: first.write_bytes(content),
    ):
        change()
        _of.cache_clear()
        seen.add(_of(copied))
    assert len(seen) == 4
