"""Flower's ServerApp: the round loop of ``server.rounds`` over Flower's grid."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from common.errors import EnvironmentProblem, HanseError
from common.frame import Frame, MalformedFrame
from common.wire import frame_of, request
from server import failure
from server.certify import conclude
from server.checkpoint import RunFolder
from server.outcome import RoundOutcome
from server.rounds import Service, conduct

POLL_SECONDS: Final = 0.05  # Grid.send_and_receive would look every 3 seconds
ASSEMBLY_SECONDS: Final = 120.0

log = logging.getLogger(__name__)

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Hold the rounds that the run folder has left, then certify; why a run stopped is noted there too."""
    if not context.run_config["run-folder"]:
        hint = "sites and a run's folder are made by: hanse experiment run FILE --ray"
        raise EnvironmentProblem("the run configuration names no run-folder", hint=hint)
    path = Path(str(context.run_config["run-folder"]))
    failure.forget(path)
    try:
        folder, channel = RunFolder(path), GridChannel(grid)
        channel.assemble(len(folder.charter().members), ASSEMBLY_SECONDS)
        timeout = float(context.run_config["timeout"])
        conduct(channel, folder, _tell, Service(timeout))
        conclude(channel, folder, timeout)
    except HanseError as error:
        failure.note(path, error)
        raise


@dataclass(frozen=True)
class GridChannel:
    """Frames to SuperNodes and back; one that answers with an error, or too late, has dropped out."""

    grid: Grid

    def assemble(self, platforms: int, patience: float) -> None:
        """Wait until so many SuperNodes are connected.

        Raises:
            EnvironmentProblem: when they are not within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        while len(self.addresses()) < platforms:
            if time.monotonic() > deadline:
                found = len(self.addresses())
                raise EnvironmentProblem(
                    f"{found} of {platforms} platforms are connected after {patience:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def addresses(self) -> Sequence[int]:
        """The SuperNodes that are connected now."""
        return sorted(self.grid.get_node_ids())

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        """The answers that came within ``timeout`` seconds, by SuperNode."""
        deadline = time.monotonic() + timeout
        messages = [request(frame, address, timeout) for address, frame in requests.items()]
        # Flower names each message as it takes it; an error's source is not the SuperNode that was asked.
        waiting = set(self.grid.push_messages(messages))
        asked = {message.metadata.message_id: message.metadata.dst_node_id for message in messages}
        answers: dict[int, Frame] = {}
        while waiting and time.monotonic() < deadline:
            for message in self.grid.pull_messages(waiting):
                waiting.discard(message.metadata.reply_to_message_id)
                answers.update(_answer(message, asked))
            time.sleep(POLL_SECONDS if waiting else 0)
        return answers


def _answer(message: Message, asked: Mapping[str, int]) -> Iterator[tuple[int, Frame]]:
    try:
        yield asked[message.metadata.reply_to_message_id], frame_of(message)
    except (KeyError, MalformedFrame) as error:
        log.warning("an answer is left out: %s", error)


def _tell(outcome: RoundOutcome) -> None:
    seconds = sum(outcome.seconds_by_phase.values())
    log.info("round %d: %d platforms in %.1f s", outcome.number, len(outcome.survivors), seconds)
