"""kill -9 at 200 random instants of a release, through the real site: what left it is always paid for."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.privacy.accountant import epsilon_of
from common.privacy.plan import PrivacyPlan

KILLS = 200

# Brings four sites up to the question for their updates, then forks: each child answers it as one more attempt,
# writes down that its update has left, and is killed somewhere on the way. One line of output: for each kill
# whether that attempt was charged, whether it left, and whether everything that ever left was charged.
KILLING = """
import json, os, random, signal, sys, time
from pathlib import Path
from statistics import median
import numpy as np
from clients.config import SiteFolder
from clients.site import Site
from common.deltas import AdapterDelta
from common.replies import ANSWER
from server.channel import Meter
from server.checkpoint import RunFolder
from server.cohort import Cohort
from server.rounds import hold_round

class Asked(BaseException):
    pass

class Channel:
    def addresses(self):
        return range(len(sites))

    def ask(self, requests, timeout):
        if requests[0].kind == "upload":
            raise Asked(requests[0])
        return {address: sites[address].handle(request) for address, request in requests.items()}

def trained(site, model, number):
    time.sleep(0.004)
    return AdapterDelta(np.full(model.size, 0.25, np.float32))

def attempt(number):
    site._round._request = site._round._request.model_copy(update={"attempt": number})
    assert site.handle(question).kind == ANSWER
    out = os.open(left, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(out, f"{number}\\n".encode())
    os.fsync(out)
    os._exit(0)

home, left, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
Site._train = trained
run = RunFolder(home / "server")
sites = []
for member in run.charter().members:
    folder = SiteFolder(home / member.platform)
    sites.append(Site(folder, folder.engagement(run.charter())))
site = sites[0]
try:
    hold_round(Cohort(Meter(Channel(), 5.0)), run.charter(), run.latest(), run)
except Asked as asked:
    question = asked.args[0]
ledger, states, taken = SiteFolder(home / run.charter().members[0].platform).ledger(), [], []
for number in range(1, kills + 1):
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        attempt(number)
    if number > 5:
        time.sleep(random.uniform(0.0, 1.2 * median(taken)))
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lines = left.read_text().split() if left.exists() else []
    if str(number) in lines:
        taken.append(time.perf_counter() - began)
    charged = [entry.charge.attempt for entry in ledger.entries()]
    states.append([number in charged, str(number) in lines, {int(line) for line in lines} <= set(charged)])
print(json.dumps(states))
"""


@pytest.mark.slow
def test_kill_9_at_any_instant_leaves_nothing_unpaid(
    fleet: Callable[..., Any], tmp_path: Path, plan: PrivacyPlan
) -> None:
    made = fleet(private=True, ceiling=50.0)
    home, left = made.run.path.parent, tmp_path / "left"
    done = subprocess.run(
        [sys.executable, "-c", KILLING, str(home), str(left), str(KILLS)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = json.loads(done.stdout.splitlines()[-1])
    assert len(states) == KILLS
    assert all(paid for *_, paid in states)

    # Kills fell before the charge, between charge and release, and after it: else they would have shown nothing.
    fates = Counter((charged, released) for charged, released, _ in states)
    assert (False, True) not in fates
    assert min(fates[False, False], fates[True, False], fates[True, True]) >= 5, fates

    ledger = made.folders["amber"].ledger()
    released = [plan.per_round] * len(left.read_text().split())
    assert ledger.head()[0] == sum(charged for charged, *_ in states) > len(released)
    assert ledger.spent().prv > epsilon_of(released, 1e-5).prv
