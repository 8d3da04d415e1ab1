"""`sgaudio models`: what can be loaded by name."""

from typing import Annotated

import typer

models = typer.Typer()


@models.callback(invoke_without_command=True)
def models_or_list(context: typer.Context) -> None:
    """List the models that lie inside the package, or show one."""
    if not context.invoked_subcommand:
        list_models()


@models.command("list")
def list_models() -> None:
    """List the models that lie inside the package."""
    from rich.console import Console
    from rich.table import Table

    from sgaudio.models import describe, shipped

    table = Table("name", "sample rate", "solver", "steps", "size", "what it does", box=None, pad_edge=False)
    for name in shipped():
        about = describe(name)
        sampling = about["config"]["sampling"]
        rate, size = f"{about['config']['sample_rate']} Hz", f"{about['bytes'] / 1e6:.1f} MB"
        table.add_row(name, rate, sampling["solver"], str(sampling["steps"]), size, about["card"]["summary"])
    Console(highlight=False, markup=False).print(table)


@models.command()
def show(name: Annotated[str, typer.Argument(help="Name or path of a model.", show_default=False)]) -> None:
    """Show a model's card: licence, training data, recipe, and how it is sampled."""
    from sgaudio.models import describe

    about = describe(name)
    sampling = about["config"]["sampling"]
    rows = {
        **about["card"],
        "sample rate": f"{about['config']['sample_rate']} Hz",
        "solver": f"{sampling['solver']}, steps: {sampling['steps']}",
        "file": f"{about['file']} ({about['bytes']} bytes)",
        "sha256": about["sha256"],
    }
    for key, value in rows.items():
        typer.echo(f"{key.replace('_', ' ')}: {value}")
