"""``hanse site``: make a platform's site, run it, and read its ledger."""

import json
from pathlib import Path
from typing import Annotated

import typer

from common import console
from common.arguments import Existing

app = typer.Typer(help="A platform's own process: its data, keys and privacy ledger.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="The site's folder.")]
SiteThere = Annotated[
    Path,
    typer.Argument(help="The site's folder.", click_type=Existing("folder", "hanse site init makes a site")),
]


@app.command()
def init(
    folder: Folder,
    platform: Annotated[str, typer.Option(help="The platform's name on the roster.")],
    scenario: Annotated[str, typer.Option(help="A built-in scenario, or a scenario's TOML file.")],
    epsilon: Annotated[float, typer.Option(help="The most ever to be spent on one person.")],
    delta: Annotated[
        float, typer.Option(help="The δ at which ε is counted; far below 1 / number of users.")
    ] = 1e-5,
) -> None:
    """Make a site: its settings, its signing key, and the secret that hashes user identifiers."""
    from clients.config import SiteConfig, SiteFolder, require_small_delta
    from common.config import checked
    from scenarios.platforms.registry import anchored

    ceiling = {"epsilon": epsilon, "delta": delta}
    settings = {"platform": platform, "scenario": anchored(scenario, Path.cwd()), "ceiling": ceiling}
    config = checked(settings, SiteConfig)
    require_small_delta(config)
    site = SiteFolder.create(folder, config)
    if (kept := site.config().ceiling) != config.ceiling:
        most = f"ε = {kept.epsilon:g} at δ = {kept.delta:g}" if kept else "none"
        hint = f"its owner changes it in {folder / 'site.toml'}"
        console.warn(f"a site is here and keeps its ceiling: {most}", hint)
    site.hash_users()
    typer.echo(site.identity().public_key().public_bytes_raw().hex())


@app.command()
def run(
    folder: SiteThere,
    socket: Annotated[Path | None, typer.Option(help="Where to listen; default: in the folder.")] = None,
) -> None:
    """Answer the coordinator's requests under the charter pinned last, until interrupted."""
    import signal

    import torch

    from clients.config import SiteFolder
    from clients.daemon import SiteDaemon, listening
    from clients.site import Site

    torch.set_num_threads(1)  # the same sums on every machine, whatever its cores
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = SiteFolder(folder)
    site = Site(place, place.latest())
    with place.alone(), listening(socket or folder / "run" / "site.sock") as listener:
        SiteDaemon(site.handle, listener).serve()


@app.command()
def ledger(
    folder: SiteThere, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """What the site has spent, what its ceiling leaves, and what the next plan would cost."""
    from clients.config import SiteFolder
    from clients.statement import as_document, as_text, statement

    found = statement(SiteFolder(folder))
    typer.echo(json.dumps(as_document(found)) if as_json else as_text(found))
