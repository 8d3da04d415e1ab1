"""What a run says: lines and a bar for people on the standard error, `log.jsonl` for programs, figures, sound and pictures for a logger."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sgaudio.audio.picture import Trace, draw_spectrograms
from sgaudio.errors import ConfigError
from sgaudio.training.recipe import Recipe
from sgaudio.training.validation import Report


class Log:
    """The log of a run; those of all ranks but the first say nothing. To be used in a `with`.

    Args:
        folder: of the run.
        recipe: what is run.
        rank: of the process.
        started: from when on seconds count, by `time.monotonic`.
    """

    def __init__(self, folder: Path, recipe: Recipe, rank: int, started: float):
        self._started = started
        self._quiet, self._path, self._rate = rank > 0, folder / "log.jsonl", recipe.model.sample_rate
        trainer = recipe.trainer
        self._sound_a_step = trainer.batch * trainer.accumulate * trainer.seconds * trainer.devices * trainer.nodes
        self._logger = None if self._quiet else make_logger(trainer.logger, folder, recipe.card.name)
        self._bar = Progress(
            TextColumn("step {task.fields[step]}"),
            BarColumn(),
            TextColumn("{task.percentage:.1f} %  loss {task.fields[loss]}  {task.fields[speed]} s of sound a second"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=self._quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, step=0, loss="", speed="")
        self._since: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        close = getattr(self._logger, "finalize", None)
        if close:
            close("success")

    def __call__(self, text: str, entry: Mapping[str, Any] | None = None) -> None:
        """A line."""
        if self._quiet:
            return
        entry, seconds = entry or {}, time.monotonic() - self._started
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": round(seconds, 2), "text": text, **entry}) + "\n")
        numbers = "".join(f"  {name} {value:.4g}" for name, value in entry.items() if isinstance(value, float))
        self._bar.console.print(f"{seconds:7.1f} s  {text}{numbers}", highlight=False, markup=False, soft_wrap=True)

    def step(self, step: int, done: float, figures: Mapping[str, float]) -> None:
        """Figures of a step."""
        now = time.monotonic()
        speed = self._sound_a_step * (step - self._since[1]) / (now - self._since[0]) if self._since else 0.0
        self._since = now, step
        loss = next(iter(figures.values()))
        self._bar.update(self._task, loss=f"{loss:.4g}", speed=f"{speed:.0f}")
        self(f"step {step}", {"step": step, "done": done, **figures, "sound a second": speed})
        self._send({**figures, "sound a second": speed}, step)

    def progress(self, step: int, done: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=done, step=step)

    def validation(self, step: int, report: Report, steps: int | None = None) -> None:
        """Scores of a validation, and of the recommended sampling the first sounds."""
        suffix = "" if steps is None else f", {steps} steps"
        self(f"validation{suffix}", {"after": step, "solver steps": steps, **report.scores})
        self._send({f"validation/{name}{suffix}": value for name, value in report.scores.items()}, step)
        self._since = None  # what this took is none of a step's
        if steps is None:
            for heard in report.heard:
                self._show(heard.name, {"noisy": heard.noisy, "estimate": heard.estimate, "clean": heard.clean}, step)

    def _send(self, figures: Mapping[str, float], step: int) -> None:
        if self._logger is not None:
            self._logger.log_metrics(dict(figures), step)

    def _show(self, name: str, sounds: Mapping[str, np.ndarray], step: int) -> None:
        """Sound and spectrograms to the logger."""
        board = getattr(self._logger, "experiment", None)
        if board is None:
            return
        traces = {kind: Trace(self._rate) for kind in sounds}
        for kind, trace in traces.items():
            trace.push(sounds[kind][None])
        picture = draw_spectrograms(traces, name)
        if hasattr(board, "add_audio"):
            for kind, sound in sounds.items():
                board.add_audio(f"{name}/{kind}", np.clip(sound, -1, 1)[None], step, self._rate)
            board.add_figure(name, picture, step)
        else:
            import wandb  # pyright: ignore[reportMissingImports] - an option

            heard = {f"{name}/{kind}": wandb.Audio(np.clip(sound, -1, 1), self._rate) for kind, sound in sounds.items()}
            board.log({**heard, name: wandb.Image(picture)}, step=step)


def make_logger(name: str, folder: Path, run: str) -> Any:
    """The logger of that name, or None.

    Raises:
        ConfigError: where its package is not installed.
    """
    try:
        if name == "tensorboard":
            from lightning.fabric.loggers.tensorboard import TensorBoardLogger

            return TensorBoardLogger(folder, name="", version="")
        if name == "wandb":
            from lightning.pytorch.loggers.wandb import WandbLogger

            return WandbLogger(name=run, save_dir=folder)
    except ImportError as error:
        raise ConfigError(f"trainer.logger is {name!r}, whose package is not installed: {str(error).splitlines()[0]}") from error
    return None
