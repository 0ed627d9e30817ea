"""``hanse audit``: attack what this version releases."""

from pathlib import Path
from typing import Annotated

import typer

from common import console

app = typer.Typer(help="Attacks on what this version releases, and what they prove about its ε.")


@app.callback()
def audit() -> None:
    """A group, also while it has one command."""


@app.command()
def run(
    out: Annotated[Path, typer.Option(help="Where to write what was found.")] = Path("audit.json"),
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Attack the release path as it is and as broken on purpose; some 90 s of processor time.

    Exit code 3 if the claim is contradicted; 1 if a broken path was not caught, so that nothing is shown.
    """
    import torch

    from scenarios.privacy_audit import audit as whole
    from scenarios.privacy_audit.settings import FULL
    from scenarios.privacy_audit.text import as_text

    torch.set_num_threads(1)  # as at a site
    out.parent.mkdir(parents=True, exist_ok=True)  # now, and not when the work is done
    with console.progress("attacking the release path") as update:
        report = whole.audit(FULL, update)
    report.save(out)
    if as_json:
        console.show_json(report.model_dump())
    else:
        console.show(as_text(report))
    report.judge()
