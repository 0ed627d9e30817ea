"""The command ``hanse``: gathers the command groups, and turns every ending into an exit code.

0 done · 1 runtime or data · 2 usage or configuration · 3 refused by the privacy policy · 4 aggregation
aborted · 5 environment · 130 interrupted
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from typing import Annotated, Final

import click
import typer
import typer.core

from common import console
from common.errors import HanseError

GROUP: Final = "hanse.commands"
INTERRUPTED: Final = 130


def main() -> int:
    """Run the command line; the entry point of the installed script."""
    return run(build(), sys.argv[1:])


def build() -> typer.Typer:
    """The whole command: what the entry points of ``hanse.commands`` offer, and ``doctor``.

    An entry point names a Typer app, which becomes a group, or a function, which becomes a command.
    """
    typer.core.HAS_RICH = False  # else typer escapes brackets for Rich, which prints nothing here
    app = typer.Typer(
        name="hanse",
        help="Federated, private training of one shared recommender across independent platforms.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Rich's help takes longer to import than all the rest
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    app.command("doctor")(doctor)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            offered = point.load()
        except (ImportError, AttributeError) as error:
            console.warn(f"the command {point.name} cannot be loaded: {error}", "hanse doctor")
            continue
        if isinstance(offered, typer.Typer):
            app.add_typer(offered, name=point.name, no_args_is_help=True)
        else:
            app.command(point.name)(offered)
    return app


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """The exit code of ``app`` on ``arguments``; whatever is raised has been told on stderr."""
    try:
        code = app(args=list(arguments), prog_name="hanse", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has seen enough; nothing more can be written to it, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        console.say(error.format_message())
        return error.exit_code
    except Exception as error:  # the last net, so that nobody meets a traceback unasked
        if console.debug():
            traceback.print_exc()
        told = _told(error)
        console.complain(told)
        return told.exit_code
    return code if isinstance(code, int) else 0


class Misuse(HanseError):
    """The command line asks for something that is not there."""

    exit_code = 2


def _told(error: Exception) -> HanseError:
    """The error in the words of this project."""
    if isinstance(error, HanseError):
        return error
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        what, _, guess = error.format_message().partition(" Did you mean ")
        hint = f"did you mean {guess.split('?')[0]}?" if guess else ""
        help_command = f"{context.command_path if context else 'hanse'} --help"
        return Misuse(f"{what[:1].lower()}{what[1:].rstrip('.')}", hint=hint or help_command)
    return HanseError(
        f"unexpected {type(error).__name__}", why=str(error), hint="hanse --debug ... shows where"
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        console.show(f"hanse {version('hanse')}")
        raise typer.Exit


def _options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Results, warnings and errors only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    # In the environment, so that the processes started from here know it too.
    for name, wanted in (("HANSE_QUIET", quiet), ("HANSE_DEBUG", debug)):
        if wanted:
            os.environ[name] = "1"


def doctor(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Find what is wrong here, and the remedy."""
    from common.doctor import examine, tell  # imports wait until the command runs

    findings = examine()
    tell(findings, as_json=as_json)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(5)
