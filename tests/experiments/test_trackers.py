import logging
from pathlib import Path

import pytest

from common.errors import ConfigError
from scenarios.experiments import trackers
from scenarios.experiments.trackers import tracking


class Failing:
    def __init__(self, folder: Path, name: str) -> None:
        self.calls = 0

    def log(self, step: int, values: trackers.Values) -> None:
        raise ConnectionError("https://user:secret@host refused")

    def close(self) -> None:
        raise AssertionError("a tracker that failed is not touched again")


class Unopenable(Failing):
    def __init__(self, folder: Path, name: str) -> None:
        raise ImportError("No module named 'mlflow'")


def use(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    monkeypatch.setattr(trackers, "TRACKERS", {**trackers.TRACKERS, "mlflow": kind})


def test_tensorboard_writes_an_event_file(tmp_path: Path) -> None:
    with tracking(["tensorboard"], tmp_path, "federated-eps8-1") as log:
        log(1, {"round/seconds": 3.1})
        log(2, {"round/seconds": 2.9})
    events = list((tmp_path / "tensorboard" / "federated-eps8-1").glob("events.out.tfevents.*"))
    assert len(events) == 1
    assert b"round/seconds" in events[0].read_bytes()


def test_a_failing_tracker_warns_once_without_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, Failing)
    with caplog.at_level(logging.WARNING), tracking(["mlflow"], tmp_path, "run") as log:
        for step in range(5):
            log(step, {"loss": 1.0})
    assert [record.message for record in caplog.records] == [
        "tracker mlflow stopped (ConnectionError); training goes on"
    ]


def test_a_missing_extra_is_named_and_the_other_trackers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    use(monkeypatch, Unopenable)
    with caplog.at_level(logging.WARNING), tracking(["mlflow", "tensorboard"], tmp_path, "run") as log:
        log(1, {"round/bytes": 10.0})
    assert "pip install 'hanse[mlflow]'" in caplog.records[0].message
    assert len(caplog.records) == 1
    assert list(tmp_path.glob("tensorboard/run/events*"))


def test_an_unknown_tracker_is_a_configuration_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match="unknown tracker 'tensorbord'"),
        tracking(["tensorbord"], tmp_path, "r"),
    ):
        pass


def test_an_error_in_training_still_closes_the_trackers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Recording:
        def __init__(self, folder: Path, name: str) -> None:
            pass

        def log(self, step: int, values: trackers.Values) -> None:
            pass

        def close(self) -> None:
            closed.append(True)

    use(monkeypatch, Recording)
    with pytest.raises(KeyboardInterrupt), tracking(["mlflow"], tmp_path, "run"):
        raise KeyboardInterrupt
    assert closed == [True]
