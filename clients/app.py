"""Flower's ClientApp: hands each message to the platform's own site and returns its answer.

Flower delivers this file from the coordinator, so nothing in it protects the platform: the site behind the
socket does.
"""

from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from clients.daemon import SiteSocket
from common.wire import ACTION, frame_of, reply, silence

app = ClientApp()


@app.query(ACTION)
def forward(message: Message, context: Context) -> Message:
    """The site's answer; of a failure the coordinator learns only that there was one."""
    try:
        answer = SiteSocket(_socket(context)).ask(frame_of(message), message.metadata.ttl)
        return reply(answer, message)
    except Exception:  # whatever it was, its text must not leave the platform
        return silence(message)


def _socket(context: Context) -> Path:
    """The platform's own choice; in simulation, which has no such choice, the socket of this partition."""
    if "site-socket" in context.node_config:
        return Path(str(context.node_config["site-socket"]))
    sockets = sorted(Path(str(context.run_config["sockets"])).glob("*.sock"))
    return sockets[int(context.node_config["partition-id"])]
