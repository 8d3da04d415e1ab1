"""`sgaudio enhance`: take the noise out of files, folders and pipes."""

import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer

from sgaudio.errors import AudioError, ConfigError

MODEL, SOUND, OUTPUT = "Model", "Sound", "Output"


def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Sound files, folders with all below them, or - for WAV from standard input.", show_default=False
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="OUT", help="A sound file for one file, else a folder; - for WAV to standard output.", show_default=False
        ),
    ],
    model: Annotated[
        str, typer.Option(help="Name (see sgaudio models), path, or hf://owner/repo/file of a model.", rich_help_panel=MODEL)
    ] = "denoise",
    solver: Annotated[str | None, typer.Option(help="See sgaudio solvers; the model's own by default.", rich_help_panel=MODEL)] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the solver; the model's own by default.", rich_help_panel=MODEL)] = None,
    preset: Annotated[
        str | None, typer.Option(help="A way of sampling that the model names, see sgaudio models show.", rich_help_panel=MODEL)
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same sound.", rich_help_panel=MODEL)] = 0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.", rich_help_panel=MODEL)] = "auto",
    dtype: Annotated[
        str, typer.Option(metavar="float32|bfloat16|float16", help="How the network computes.", rich_help_panel=MODEL)
    ] = "float32",
    compile: Annotated[
        bool, typer.Option("--compile", help="Compile an NCSN++ on a GPU: a minute or two at first, then faster.", rich_help_panel=MODEL)
    ] = False,
    batch: Annotated[
        int | None, typer.Option(help="The most windows, of one channel each, in one call of the network.", rich_help_panel=MODEL)
    ] = None,
    strength: Annotated[
        float, typer.Option(metavar="0..1", help="Share of the enhanced sound in the output.", rich_help_panel=SOUND)
    ] = 1.0,
    max_attenuation: Annotated[
        float | None, typer.Option(metavar="DB", help="Lower noise by at most this much.", rich_help_panel=SOUND)
    ] = None,
    high_band: Annotated[
        str,
        typer.Option(
            metavar="follow|drop", help="Above the model's band: follow the gain of the band below, or drop.", rich_help_panel=SOUND
        ),
    ] = "follow",
    nan: Annotated[
        str,
        typer.Option(metavar="zero|fail", help="NaN and infinite samples: replace by zeros, or give the file up.", rich_help_panel=SOUND),
    ] = "zero",
    whole_file: Annotated[
        bool, typer.Option("--whole-file", help="Each sound in one piece, as published code does it.", rich_help_panel=SOUND)
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.", rich_help_panel=OUTPUT)] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave outputs that exist as they are.", rich_help_panel=OUTPUT)
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Spectrograms before and after, of one input.", rich_help_panel=OUTPUT)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Add one line of JSON for each input.", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Take the noise out of speech recordings: length, rate, channels, sample format and tags are kept."""
    _check_terminals(inputs, out)

    from sgaudio import load
    from sgaudio.cli.screen import Screen
    from sgaudio.jobs import Settings, plan, run, total_seconds
    from sgaudio.models.memory import keep_allocations
    from sgaudio.nets import NCSNppConfig

    settings = Settings(
        solver=solver,
        steps=steps,
        preset=preset,
        seed=seed,
        batch=batch,
        strength=strength,
        max_attenuation=max_attenuation,
        high_band=cast(Any, high_band),  # its value, like all, is checked there
        whole_file=whole_file,
        nan=cast(Any, nan),
    )
    tasks, settled = plan(inputs, out, overwrite=overwrite, skip_existing=skip_existing)
    if plot:
        _check_plot(plot, len(tasks) + len(settled), overwrite)
    screen = Screen()
    with ExitStack() as stack:
        log = stack.enter_context(_log(report)) if report else None
        for outcome in settled:
            screen.finished(outcome, log)
        if tasks:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                enhancer = load(model, device=device, dtype=dtype, compile=compile)
            for warning in said:
                screen.say(str(warning.message))
            if enhancer.device.type == "cpu" and isinstance(enhancer.config.network, NCSNppConfig):
                keep_allocations()
            settings.stream(enhancer, enhancer.sample_rate, 1)  # a wrong option is told before anything runs
            stack.enter_context(screen.progress(total_seconds(tasks) if screen.is_terminal else None))
            screen.describe(enhancer, settings, len(tasks), keep_picture=plot is not None)
            for outcome in run(tasks, enhancer, settings, screen.opened, screen.heard):
                screen.finished(outcome, log)
    if plot:
        screen.draw(plot)
    if not screen.summarise():
        raise typer.Exit(1)


def _check_terminals(inputs: list[str], out: str) -> None:
    if "-" in inputs and sys.stdin.isatty():
        raise ConfigError("standard input is a terminal: pipe a WAV into it")
    if out == "-" and sys.stdout.isatty():
        raise ConfigError("standard output is a terminal: pipe it into a program or a file")


def _check_plot(plot: Path, count: int, overwrite: bool) -> None:
    if count != 1:
        raise ConfigError(f"--plot shows one input, there are {count}")
    if plot.suffix.lower() != ".png":
        raise ConfigError(f"--plot {plot}: a name that ends in .png is expected")
    if not plot.parent.is_dir():
        raise ConfigError(f"--plot {plot}: there is no folder {plot.parent}")
    if plot.exists() and not overwrite:
        raise ConfigError(f"{plot}: exists: use --overwrite")


def _log(report: Path) -> TextIO:
    from sgaudio.audio.formats import is_audio

    if is_audio(report):
        raise ConfigError(f"--report {report}: is the name of a sound: a name that ends in .jsonl is expected")
    try:
        return report.open("a", encoding="utf-8")
    except OSError as error:
        raise AudioError(f"{report}: cannot be written ({(error.strerror or '').lower()})") from error
