"""`sgaudio models`: what can be loaded by name, what a model is, and models from published checkpoints."""

from pathlib import Path
from typing import Annotated, Any

import typer

PARTS = ("process", "network", "predictor", "condition", "prediction", "prediction_options")  # of a configuration, some are not in all

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
def show(name: Annotated[str, typer.Argument(help="Name, path, or hf://owner/repo/file of a model.", show_default=False)]) -> None:
    """Show a model: its card, what it is made of, and how it is sampled."""
    from sgaudio.models import describe

    about = describe(name)
    config = about["config"]
    rows = {
        **about["card"],
        **{part: _said(config[part]) for part in PARTS if config.get(part)},
        "parameters": f"{about['parameters'] / 1e6:.1f} million",
        "spectrogram": _said(config["spectrogram"]),
        "sample rate": f"{config['sample_rate']} Hz",
        "sampling": _said(config["sampling"]),
        **{f"preset {preset}": _said(sampling) for preset, sampling in config.get("presets", {}).items()},
        "file": f"{about['file']} ({about['bytes']} bytes)",
        "sha256": about["sha256"],
    }
    for key, value in rows.items():
        typer.echo(f"{key.replace('_', ' ')}: {value}")


@models.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="Published checkpoint of SGMSE+, a bridge, StoRM, BBED or FlowSE.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="NAME.safetensors", help="The model file to write.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="How the model is called; the checkpoint's by default.")] = None,
    task: Annotated[
        str, typer.Option(metavar="TASK", help="denoise, dereverberate, denoise-dereverberate or extend-bandwidth.")
    ] = "denoise",
    stage: Annotated[str, typer.Option(metavar="all|predictor", help="Of StoRM: both stages, or the first by itself.")] = "all",
    summary: Annotated[str | None, typer.Option(help="What the model does, for its card.")] = None,
    training_data: Annotated[str | None, typer.Option(help="What it was trained on, for its card.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of its weights, for its card.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Make a model file of a published checkpoint. Nothing in the checkpoint is run."""
    from sgaudio.models.convert import convert

    card = {"name": name, "task": task, "summary": summary, "training_data": training_data, "licence": licence}
    given = {key: value for key, value in card.items() if value is not None}
    converted = convert(checkpoint, out, overwrite=overwrite, stage=stage, **given)
    for warning in converted.warnings:
        typer.echo(f"convert: {checkpoint}: {warning}", err=True)
    typer.echo(f"convert: {out}: {converted.card.summary}; see sgaudio models show {out}", err=True)


def _said(value: Any) -> str:
    """Plain values in one line."""
    if not isinstance(value, dict):
        return str(value)
    parts = [str(value["name"])] if "name" in value else []
    parts += [f"{key.replace('_', ' ')} {_said(each)}" for key, each in value.items() if key != "name" and each not in ({}, [])]
    return ", ".join(parts)
