"""``hanse experiment`` and ``hanse demo``: compare systems, seeds and ε on one machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common import console

if TYPE_CHECKING:
    from scenarios.experiments.forecast import Forecast
    from scenarios.experiments.runner import Outcome
    from scenarios.experiments.spec import ExperimentSpec

app = typer.Typer(help="Would federation help us, at which ε, at what cost?", no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in experiment, or a TOML file.")]
Out = Annotated[Path | None, typer.Option(help="Where results go; default: a new folder below runs/.")]
DryRun = Annotated[bool, typer.Option(help="Forecast ε, bytes and minutes; reads nothing, spends nothing.")]
Ray = Annotated[bool, typer.Option(help="Flower's simulation engine, a process for each site.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; default: one a processor, four at most.")
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command()
def run(
    experiment: File,
    out: Out = None,
    dry_run: DryRun = False,
    ray: Ray = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Run an experiment and write its report."""
    from scenarios.experiments.forecast import forecast
    from scenarios.experiments.registry import load_experiment
    from scenarios.experiments.runner import run_experiment

    spec = load_experiment(experiment)
    if dry_run:
        _tell_forecast(spec, forecast(spec), as_json=as_json)
        return
    folder = out or _new_folder(Path(experiment).stem)
    _tell_outcome(
        run_experiment(spec, folder, engine="ray" if ray else "process", workers=workers), as_json=as_json
    )


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(help="The folder of a run that was stopped.")],
    ray: Ray = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Go on with a run from the last finished round of every cell."""
    from scenarios.experiments.folder import ExperimentFolder
    from scenarios.experiments.runner import run_experiment

    spec = ExperimentFolder(folder).spec()
    _tell_outcome(
        run_experiment(spec, folder, engine="ray" if ray else "process", workers=workers), as_json=as_json
    )


@app.command()
def utility(
    fast: Annotated[bool, typer.Option(help="A look within seconds: one small crowd, one ε.")] = False,
    out: Out = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """What noise costs: quality against ε for 943 to 100,000 synthetic users; the same --out goes on."""
    from scenarios.experiments.utility.runner import run_study
    from scenarios.experiments.utility.study import FAST, FULL

    outcome = run_study(FAST if fast else FULL, out or _new_folder("utility"), workers)
    if as_json:
        console.show_json({"answer": outcome.report.answer, "report": str(outcome.page)})
        return
    console.show(outcome.report.answer)
    console.show(f"Report: {outcome.page}")


def demo(
    fast: Annotated[bool, typer.Option(help="A first look within a minute: few users, few items.")] = False,
    out: Out = None,
) -> None:
    """Federate three real shops and a video service, and say whether it helps them."""
    minutes = (
        "about a minute" if fast else "2 to 3 minutes; texts are encoded once and kept for the next time"
    )
    console.say("Nothing is downloaded: data and encoder came with the installation.")
    console.say(f"Four platforms train one recommender on this machine. It takes {minutes}.")
    with console.progress("loading PyTorch, Opacus and Flower"):  # some seconds of silence otherwise
        from scenarios.experiments.registry import load_experiment
        from scenarios.experiments.runner import run_experiment

    name = "demo-fast" if fast else "demo"
    outcome = run_experiment(load_experiment(name), out or _new_folder(name))
    _tell_outcome(outcome, as_json=False)
    console.say("Next: hanse scenario new YOUR.csv describes a platform of your own.")


def _new_folder(name: str) -> Path:
    from datetime import UTC, datetime

    return Path("runs") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _tell_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    answer = outcome.report.answer
    if as_json:
        console.show_json({"answer": answer.text, "report": str(outcome.page)})
        return
    for line in (answer.headline, answer.evidence, answer.price):
        console.show(line)
    console.show(f"Report: {outcome.page}")


def _tell_forecast(spec: "ExperimentSpec", forecast: "Forecast", *, as_json: bool) -> None:
    from scenarios.experiments.forecast import as_document, as_text

    if as_json:
        console.show_json(as_document(spec, forecast))
    else:
        console.show(as_text(spec, forecast))
