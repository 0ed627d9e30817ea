"""Fixtures that more than one package's tests use."""

import pytest


@pytest.fixture(scope="session")
def task() -> None:
    """Flower names the sender of every message after the task that runs; outside of a run there is none."""
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
