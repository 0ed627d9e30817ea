"""``hanse bench``: what this machine reaches, against its references and its bars."""

from typing import Annotated

import typer

from common import console

app = typer.Typer(help="What this machine reaches, against references measured in the same run.")

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def secagg(as_json: Json = False) -> None:
    """Secure aggregation against Flower's SecAgg+, bare AES and memcpy; within a minute."""
    from scenarios.benchmarks.secagg import FULL, measure, told

    with console.progress("measuring secure aggregation") as update:
        measured = measure(FULL, update)
    if as_json:
        console.show_json(measured)
    else:
        console.show(told(measured))


@app.command()
def dp(as_json: Json = False) -> None:
    """Private training against the same without privacy, and against Opacus and torch.func; within a minute."""
    from scenarios.benchmarks.dp import FULL, measure, told

    with console.progress("measuring private training") as update:
        measured = measure(FULL, update)
    if as_json:
        console.show_json(measured)
    else:
        console.show(told(measured))
