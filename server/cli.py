"""``hanse verify`` and ``hanse model``: hold what the coordinator says against evidence, publish what holds."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from common.arguments import Existing

if TYPE_CHECKING:
    import click

    from common.errors import HanseError


class _FileIsEnough(TyperGroup):
    """``hanse verify FILE`` is ``hanse verify certificate FILE``."""

    def parse_args(self, ctx: "click.Context", args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["certificate", *args]
        return super().parse_args(ctx, args)


verify = typer.Typer(
    help="Hold a certificate, or a round, against its evidence.", no_args_is_help=True, cls=_FileIsEnough
)
model = typer.Typer(
    help="Publish model versions whose certificates hold, and look at them.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
KnownCharter = Annotated[
    Path | None,
    typer.Option(
        help="The charter that you know to be the platforms': their keys come from it.",
        click_type=Existing("file"),
    ),
]
Registered = Annotated[
    Path,
    typer.Option(
        help="The registry's folder.",
        click_type=Existing("folder", "name the registry with --registry; hanse model publish makes one"),
    ),
]


@verify.command("certificate")
def verify_certificate(
    file: Annotated[Path, typer.Argument(help="The certificate.", click_type=Existing("file"))],
    model: Annotated[
        Path | None,
        typer.Option(help="The model's file, to be held against it.", click_type=Existing("file")),
    ] = None,
    charter: KnownCharter = None,
    as_json: AsJson = False,
) -> None:
    """Say, offline, whether a model version's certificate holds; every fault is named."""
    from common.certificate.certificate import Certificate
    from common.certificate.check import faults
    from common.certificate.model_file import read_model
    from common.errors import HanseError

    try:
        certificate = Certificate.load(file)
        found = faults(certificate, charter=_digest(charter), model=read_model(model) if model else None)
    except HanseError as error:
        found = (error,)
    if as_json:
        told = [{"reason": type(fault).__name__, "told": str(fault)} for fault in found]
        typer.echo(json.dumps({"holds": not found, "faults": told}))
    if found:
        _complain_of(found)
    if not as_json:
        from server.summary import lines

        for line in lines(certificate, charter=charter is not None, model=model is not None):
            typer.echo(line)


@verify.command("round")
def verify_round(
    folder: Annotated[
        Path, typer.Argument(help="The folder with the round's bundle.", click_type=Existing("folder"))
    ],
    site: Annotated[
        Path,
        typer.Option(
            help="Your own site's folder: its charter and its tickets.", click_type=Existing("folder")
        ),
    ],
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


@model.command("publish")
def publish(
    run: Annotated[
        Path,
        typer.Argument(
            help="A folder with certificate.json and model.safetensors.", click_type=Existing("folder")
        ),
    ],
    registry: Annotated[
        Path, typer.Option(help="The registry's folder; made if need be.", metavar="FOLDER")
    ] = Path("registry"),
    charter: KnownCharter = None,
    audit: Annotated[
        Path | None,
        typer.Option(
            help="What hanse audit run wrote.", click_type=Existing("file", "hanse audit run writes one")
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a run's version under the next number, if its certificate holds and no audit contradicts it."""
    from common.certificate.certificate import Certificate
    from common.certificate.model_file import read_model
    from common.charter import SignedCharter
    from common.privacy.audit_report import AuditReport
    from server.registry import CERTIFICATE, MODEL, Registry

    manifest = Registry(registry).publish(
        Certificate.load(run / CERTIFICATE),
        read_model(run / MODEL),
        charter=SignedCharter.load(charter) if charter else None,
        audit=AuditReport.load(audit) if audit else None,
    )
    told = f"version {manifest.version} of {manifest.run} is published"
    typer.echo(json.dumps(manifest.model_dump()) if as_json else told)


@model.command("list")
def list_versions(registry: Registered = Path("registry"), as_json: AsJson = False) -> None:
    """Every published version."""
    from server.registry import Registry

    shelf = Registry(registry)
    found = [shelf.manifest(number) for number in shelf.versions()]
    if as_json:
        typer.echo(json.dumps([manifest.model_dump() for manifest in found]))
        return
    for manifest in found:
        typer.echo(f"{manifest.version:4}  {manifest.run}  {manifest.values[:16]}")


@model.command("show")
def show(
    number: Annotated[int, typer.Argument(help="The version.")],
    registry: Registered = Path("registry"),
    as_json: AsJson = False,
) -> None:
    """A version's card or manifest, once its files are what was published."""
    from server.registry import CARD, Registry

    shelf = Registry(registry)
    shelf.load(number)
    told = (shelf.folder(number) / CARD).read_text("utf-8").rstrip()
    typer.echo(json.dumps(shelf.manifest(number).model_dump()) if as_json else told)


def _digest(charter: Path | None) -> bytes | None:
    from common.charter import SignedCharter

    return None if charter is None else SignedCharter.load(charter).verified().digest()


def _complain_of(found: "Iterable[HanseError]") -> None:
    """Tell every fault; the last by raising it, so that the exit code is the gravest one's."""
    from common import console
    from common.errors import PrivacyRefused

    *others, gravest = sorted(found, key=lambda fault: isinstance(fault, PrivacyRefused))
    for fault in others:
        console.complain(fault)
    raise gravest
