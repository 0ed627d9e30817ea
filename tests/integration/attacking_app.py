"""Flower's ServerApp in the hands of an attacker: every attack, one after the other, on one set of sites."""

import json
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from server import attacker  # beside this file in the bundle
from server.app import GridChannel
from server.checkpoint import RunFolder

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Attack, and leave what the sites said and what could be peeled in the run's folder."""
    path = Path(str(context.run_config["run-folder"]))
    folder, channel = RunFolder(path), GridChannel(grid)
    charter, checkpoint = folder.charter(), folder.latest()
    channel.assemble(len(charter.members), 120.0)
    words, guesses = {}, {}
    for number, (name, attack) in enumerate(attacker.ATTACKS.items()):
        checkpoint = checkpoint.retired()  # a model that no other attack used up
        attempt = attacker.Attempt(channel, charter, checkpoint.state.parameters, "salt", 1 + 10 * number)
        guess = attack(attempt)
        words[name] = attempt.words
        guesses[f"{name}.model"] = attempt.model
        if guess is not None:
            guesses[f"{name}.guess"] = guess
    np.savez(path / "guesses.npz", **guesses)
    (path / "words.json").write_text(json.dumps(words))
