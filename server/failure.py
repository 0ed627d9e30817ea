"""Why a run stopped, as a file in its folder: how the reason leaves a coordinator in another process."""

import json
from pathlib import Path
from typing import Final

from common.charter import CharterInvalid
from common.errors import AggregationAborted, EnvironmentProblem, HanseError, PrivacyRefused
from common.files import write_atomically

_FILE: Final = "failure.json"
_CLASSES: Final = {
    kind.exit_code: kind for kind in (CharterInvalid, PrivacyRefused, AggregationAborted, EnvironmentProblem)
}


def forget(folder: Path) -> None:
    """Remove the reason of an earlier attempt."""
    (folder / _FILE).unlink(missing_ok=True)


def note(folder: Path, error: HanseError) -> None:
    """Keep the reason; an error of ours holds no secret and no row of data."""
    reason = {"code": error.exit_code, "what": error.what, "where": error.where, "why": error.why}
    write_atomically(folder / _FILE, json.dumps({**reason, "hint": error.hint}).encode())


def noted(folder: Path) -> HanseError | None:
    """The reason as an error with the same exit code and the same words; None when none was noted."""
    path = folder / _FILE
    if not path.exists():
        return None
    reason = json.loads(path.read_bytes())
    kind = _CLASSES.get(reason["code"], HanseError)
    return kind(reason["what"], where=reason["where"], why=reason["why"], hint=reason["hint"])
