"""The command line. Nothing heavy is imported before a command needs it."""

import signal
import sys
from typing import Annotated, NoReturn

import typer

from sgaudio.cli.enhance import enhance
from sgaudio.cli.evaluate import SeveralValues, evaluate
from sgaudio.cli.models import models
from sgaudio.cli.solvers import solvers
from sgaudio.cli.train import train
from sgaudio.errors import SgaudioError

INTERRUPTED, TERMINATED, WRONG_USE = 130, 143, 2
UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of the click that typer uses: its own, or the separate package

app = typer.Typer(name="sgaudio", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(enhance)
app.command(cls=SeveralValues)(evaluate)
app.add_typer(models, name="models")
app.command()(solvers)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(train)


def _version(wanted: bool) -> None:
    if wanted:
        from sgaudio import __version__

        typer.echo(f"sgaudio {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)] = False,
) -> None:
    """Repair and make sound by diffusion."""


def main() -> NoReturn:
    """Run the command line; the exit status is 0, 1 (some inputs failed), 2 (wrong use), 130 (interrupted) or 143 (terminated)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # as on Ctrl-C, what is half written is removed
    try:
        status = app(prog_name="sgaudio", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except UsageError as error:
        status = WRONG_USE
        if message := error.format_message():  # pyright: ignore[reportAttributeAccessIssue]
            typer.echo(f"sgaudio: {message}", err=True)
    except SgaudioError as error:
        status = WRONG_USE
        typer.echo(f"sgaudio: {error}", err=True)
    if status == INTERRUPTED:
        typer.echo("sgaudio: interrupted", err=True)
    sys.exit(status or 0)
