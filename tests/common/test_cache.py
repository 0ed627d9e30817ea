"""The cache: folders appear whole or not at all, whoever makes them."""

from pathlib import Path

import pytest

from common.cache import cache_folder, keep, made_once
from common.errors import EnvironmentProblem


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "deep"))
    folder = cache_folder("sources")
    assert folder == tmp_path / "deep" / "sources"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_is_filled_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "a").write_text("x")

    for _ in range(2):
        assert (made_once(tmp_path / "made", fill) / "a").read_text() == "x"
    assert len(calls) == 1


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        made_once(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_faster_of_two_wins(tmp_path: Path) -> None:
    target = tmp_path / "made"

    def fill_while_another_finishes(folder: Path) -> None:
        (folder / "a").write_text("slow")
        target.mkdir()
        (target / "a").write_text("fast")

    assert (made_once(target, fill_while_another_finishes) / "a").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [target]


def test_a_real_failure_to_write_is_told(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(EnvironmentProblem, match="the cache cannot be written: No space left"):
        made_once(tmp_path / "made", full)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentProblem, match="the cache cannot be written") as caught:
        cache_folder("sources")
    assert "HANSE_CACHE" in caught.value.hint


def test_one_file_is_kept_or_its_failure_told(tmp_path: Path) -> None:
    keep(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"
    with pytest.raises(EnvironmentProblem, match="the cache cannot be written") as caught:
        keep(tmp_path / "file" / "below", b"x")
    assert "HANSE_CACHE" in caught.value.hint
