"""``hanse scenario``: the platforms' declarations, listed, shown, checked and drafted."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import console
from common.arguments import Existing

if TYPE_CHECKING:
    from scenarios.platforms.check import Conformance

app = typer.Typer(help="One platform, one TOML file: list, show, check, new.")

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Scenario = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in scenario, or a TOML file.")]


@app.command("list")
def list_scenarios(as_json: Json = False) -> None:
    """List the scenarios that come with Hanse."""
    from scenarios.platforms.registry import builtin_names, load_scenario

    specs = [load_scenario(name) for name in builtin_names()]
    if as_json:
        console.show_json(
            [{"name": spec.name, "title": spec.title, "licence": spec.licence} for spec in specs]
        )
        return
    for spec in specs:
        console.show(f"{spec.name:<12} {' '.join(spec.description.split()).split('. ')[0].rstrip('.')}.")


@app.command()
def show(scenario: Scenario, as_json: Json = False) -> None:
    """Show a scenario's declaration."""
    from scenarios.platforms.registry import load_scenario, scenario_path

    spec = load_scenario(scenario)
    if as_json:
        console.show_json(spec.model_dump(mode="json"))
    else:
        console.show(scenario_path(scenario).read_text("utf-8").rstrip())


@app.command()
def check(scenario: Scenario, as_json: Json = False) -> None:
    """Read it all: what is kept, dropped, and why."""
    from scenarios.platforms.check import check as examine
    from scenarios.platforms.registry import load_scenario

    spec = load_scenario(scenario)
    with console.progress(f"Reading {spec.name}"):
        found = examine(spec)
    if as_json:
        console.show_json(asdict(found))
    else:
        _tell(found)
    if found.problems:
        raise typer.Exit(1)


@app.command()
def new(
    file: Annotated[
        Path,
        typer.Argument(help="A CSV, Parquet or JSON lines file of events.", click_type=Existing("file")),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="The TOML to write; default: beside FILE.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draft one for your own file."""
    from common.errors import ConfigError, Problem
    from scenarios.platforms.draft import draft

    toml = out or file.with_suffix(".toml")
    if toml.exists():
        raise ConfigError((Problem(str(toml), "exists already", "name another file with --out"),))
    if not toml.parent.is_dir():
        raise ConfigError(
            (Problem(str(toml.parent), "no such folder", "make it, or name another with --out"),)
        )
    text, unknown = draft(file, toml)
    toml.write_text(text, "utf-8")
    for key in unknown:
        why = "no column looks like it" if key.startswith(("columns", "items")) else "no row tells it"
        console.warn(f'{toml}: {key}: {why}: replace "?"')
    if as_json:
        console.show_json({"file": str(toml), "unknown": unknown})
    else:
        console.show(str(toml))
    first = 'replace every "?", then ' if unknown else ""
    console.say(f"next: {first}hanse scenario check {toml}")


def _tell(found: "Conformance") -> None:
    console.show(f"{found.scenario}: {found.users:,} users, {found.items:,} items, {found.events:,} events")
    console.show(f"  over {found.days:,} days; {found.items_never_chosen:,} items were never chosen")
    console.show(
        f"  items merged by equal text: {found.items_merged:,}; without text: {found.items_without_text:,}"
    )
    for reason, count in found.dropped.items():
        console.show(f"  rows dropped: {reason} {count:,}")
    if not found.dropped:
        console.show("  rows dropped: none")
    for name, kinds in (("redacted", found.redacted), ("left after redaction", found.personal_data_left)):
        listed = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items()) or "none"
        console.show(f"  personal data in texts, {name}: {listed}")
    console.show(f"  to learn from: {found.train_events:,} events")
    for name, cut in (("validation", found.validation), ("test", found.test)):
        console.show(f"  {name}: {cut.users_new:,} users meet {cut.events_new:,} new items")
        console.show(f"  {name}: {cut.users_repeat:,} users return to {cut.events_repeat:,} known items")
    for note in found.notes:
        console.show(f"  note: {note}")
    for problem in found.problems:
        console.show(f"  problem: {problem}")
    console.show("  conforms" if not found.problems else "  does not conform")
