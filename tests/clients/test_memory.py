"""The protocol's memory on disk: whole, never emptier, and the same for processes at the same time."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from clients.memory import MemoryFile, MemoryUnavailable
from common.secagg.errors import MemoryCorrupt, RoundReplayed
from common.secagg.memory import Memory
from common.secagg.terms import RoundSpec

SPEC = RoundSpec("run", "train", 1, 1, b"n" * 16, ("amber", "salt", "timber"), b"m" * 32)


def stored(path: Path) -> Memory:
    return Memory.from_json(path.read_text())


def test_a_change_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "memory.json")
    file.update(lambda memory: memory.admit(SPEC))
    assert stored(file.path) == Memory.empty().admit(SPEC)
    file.update(lambda memory: memory.released(SPEC))
    assert stored(file.path) == Memory.empty().admit(SPEC).released(SPEC)
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_refused_change_leaves_it_as_it_was(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "memory.json")
    file.update(lambda memory: memory.admit(SPEC))
    before = file.path.read_bytes()
    with pytest.raises(RoundReplayed):
        file.update(lambda memory: memory.admit(SPEC))
    assert file.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"{}", b"null"])
def test_damage_is_not_taken_for_empty(tmp_path: Path, content: bytes) -> None:
    file = MemoryFile(tmp_path / "memory.json")
    file.path.write_bytes(content)
    with pytest.raises(MemoryCorrupt):
        file.update(lambda memory: memory.admit(SPEC))
    assert file.path.read_bytes() == content


def test_one_that_has_begun_and_is_missing_was_lost(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "memory.json", begun=True)
    with pytest.raises(MemoryUnavailable, match="lost") as caught:
        file.update(lambda memory: memory.admit(SPEC))
    assert "no part" in caught.value.hint
    assert not file.path.exists()
    MemoryFile(file.path).begin()
    file.update(lambda memory: memory.admit(SPEC))
    MemoryFile(file.path).begin()
    assert file.read() == Memory.empty().admit(SPEC)


@pytest.mark.parametrize("spoil", ["not text", "a folder", "no folder"])
def test_what_cannot_be_read_or_written_is_unavailable(tmp_path: Path, spoil: str) -> None:
    file = MemoryFile(tmp_path / "there" / "memory.json")
    if spoil != "no folder":
        file.path.parent.mkdir()
    if spoil == "not text":
        file.path.write_bytes(b"\xff\xfe")
    if spoil == "a folder":
        file.path.mkdir()
    with pytest.raises(MemoryUnavailable) as caught:
        file.update(lambda memory: memory.admit(SPEC))
    assert caught.value.exit_code == 4


def admit(path: Path, number: int) -> None:
    MemoryFile(path).update(
        lambda memory: memory.admit(replace(SPEC, run=f"run-{number}", nonce=bytes([number] * 16)))
    )


def test_no_change_is_lost_between_processes(tmp_path: Path) -> None:
    """Two charters at one site share what it has seen of its peers' ledgers."""
    context = multiprocessing.get_context("fork")
    path = tmp_path / "witnesses.json"
    processes = [context.Process(target=admit, args=(path, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(stored(path).last) == 8
