"""Whatever happens on the way, a file is wholly the old one or wholly the new one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.files import locked, make_folder, write_atomically

OLD, NEW = b"old" * 1000, b"new" * 1000
STEPS = ("os.fdopen", "os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace")

# Ends the process without notice at the given step of the write.
KILLED = """
import os, pathlib, signal, sys
from common.files import write_atomically
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
exec(f"{sys.argv[2]} = die")
write_atomically(pathlib.Path(sys.argv[1]), b"new" * 1000)
"""


# Says when it holds the lock, and holds it until its input ends.
HOLDER = """
import pathlib, sys
from common.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_new_file_is_there_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert path.stat().st_mode & 0o777 == 0o600
    write_atomically(path, OLD, mode=0o644)
    assert path.read_bytes() == OLD
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "no space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_atomically(path, OLD)

    def fail(*arguments: object, **options: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(type(error)):
            write_atomically(path, NEW)
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_leaves_the_old_file(tmp_path: Path, step: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path), step], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD


def test_it_is_on_the_disk_before_it_has_its_name_and_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        seen.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path else "content")
        sync(descriptor)

    def replaced(source: Path, target: Path) -> Path:
        seen.append("name")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_atomically(path, NEW)
    assert seen == ["content", "name", "folder"]


def test_without_a_folder_there_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "file", NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_by_one_process_alone_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        holder.kill()
    with locked(path, wait=False):
        assert not path.exists()
    with locked(path, wait=False):
        pass


def test_two_files_have_two_locks(tmp_path: Path) -> None:
    with locked(tmp_path / "one"), locked(tmp_path / "other", wait=False):
        assert {path.name for path in tmp_path.iterdir()} == {".one.lock", ".other.lock"}


def test_a_folder_is_made_with_what_is_missing_above_it_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "charters" / "0123" / "finished"
    make_folder(path)
    assert [folder.stat().st_mode & 0o777 for folder in (path, *path.parents[:2])] == [0o700] * 3
    (path / "kept").touch()
    make_folder(path)
    assert (path / "kept").exists()
    with pytest.raises(OSError, match="kept"):
        make_folder(path / "kept" / "below")
