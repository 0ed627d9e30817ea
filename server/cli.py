"""``hanse verify``: recompute what the coordinator says."""

import json
from pathlib import Path
from typing import Annotated

import typer

verify = typer.Typer(help="Recompute what the coordinator says.", no_args_is_help=True)


@verify.command("round")
def verify_round(
    folder: Annotated[Path, typer.Argument(help="The folder with the round's bundle.")],
    site: Annotated[Path, typer.Option(help="Your own site's folder: its charter and its tickets.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say whether a round's result is the sum of what its survivors signed, and the step from it."""
    from dataclasses import asdict

    from common.errors import AggregationAborted
    from server.verify import verify_round as recompute

    try:
        verdict = recompute(folder, site)
    except AggregationAborted as error:
        if as_json:
            typer.echo(json.dumps({"holds": False, "reason": type(error).__name__, "told": str(error)}))
        raise
    if as_json:
        typer.echo(json.dumps({"holds": True, **asdict(verdict)}))
        return
    typer.echo(f"round {verdict.round} holds: its result is the sum of {', '.join(verdict.survivors)}")
    typer.echo(f"model    {verdict.model} ({_known(known=verdict.model_received)} in the next round)")
    typer.echo(f"average  {verdict.average}")
    if not verdict.moments_followed:
        typer.echo(
            "the optimiser's moments before the step are taken as told: put the round before beside it"
        )


def _known(*, known: bool) -> str:
    return "this site received it" if known else "not yet seen at this site"
