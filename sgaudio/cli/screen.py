"""What a person sees of a job, all of it on the standard error: first line, progress, warnings, summary."""

from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sgaudio.audio.files import Reader
from sgaudio.audio.picture import Trace, save_spectrograms
from sgaudio.errors import AudioError
from sgaudio.jobs import Outcome, Settings
from sgaudio.models import Enhancer


class Screen:
    """Follows one job."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._outcomes: list[Outcome] = []
        self._failures: list[str] = []
        self._traces: dict[str, Trace] = {}
        self._started = perf_counter()
        self._done = 0.0  # seconds of sound
        self._first_line = ""

    @property
    def is_terminal(self) -> bool:
        return self.console.is_terminal

    def say(self, line: str) -> None:
        self.console.print(f"enhance: {line}")

    def progress(self, total: float | None) -> AbstractContextManager[Progress]:
        """A bar over `total` seconds of sound, shown on a terminal only."""
        columns = TextColumn("{task.fields[place]}"), BarColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
        self._progress = Progress(*columns, console=self.console, disable=not self.is_terminal, transient=True)
        self._bar = self._progress.add_task("", total=total, place="", speed="")
        self._total = "" if total is None else f" of {total:.0f}"
        self._started = perf_counter()
        return self._progress

    def describe(self, model: Enhancer, settings: Settings, files: int, keep_picture: bool) -> None:
        """Prepare the first line, which is said with the first sound that opens."""
        sampling = model.sampling(settings.solver, settings.steps, settings.preset)
        steps = f"{sampling.steps} step{'s' * (sampling.steps > 1)} of {sampling.solver}"
        self._first_line = f"model {model.name!r} at {_kilohertz(model.sample_rate)} on {model.device}, {steps}, seed {settings.seed}"
        self._model_rate, self._high_band = model.sample_rate, settings.high_band
        self._files, self._keeps_picture = files, keep_picture

    def opened(self, reader: Reader) -> None:
        """A sound is about to be enhanced."""
        if self._keeps_picture:
            self._traces = {"before": Trace(reader.sample_rate), "after": Trace(reader.sample_rate)}
        if not self._first_line:
            return
        line = f"{self._first_line}; {reader.name}"
        line += f" (first of {self._files})" if self._files > 1 else ""
        line += f": {_kilohertz(reader.sample_rate)}, {reader.channels} channel{'s' * (reader.channels > 1)}"
        if reader.sample_rate > self._model_rate:
            what = "follows the gain of the band below" if self._high_band == "follow" else "dropped"
            line += f", above {_kilohertz(self._model_rate // 2)}: {what}"
        self.say(line)
        self._first_line = ""

    def heard(self, sample_rate: int, before: np.ndarray, after: np.ndarray) -> None:
        """A block went in, and one came out."""
        self._done += before.shape[1] / sample_rate
        if self._traces:
            self._traces["before"].push(before)
            self._traces["after"].push(after)
        if self.is_terminal:
            speed = self._done / max(perf_counter() - self._started, 1e-9)
            self._progress.update(
                self._bar, completed=self._done, place=f"{self._done:.0f}{self._total} s", speed=f"{speed:.1f} times real time"
            )

    def finished(self, outcome: Outcome, log: TextIO | None) -> None:
        """One input is settled."""
        self._outcomes.append(outcome)
        if outcome.status == "failed":
            self._failures.append(outcome.reason)
        for warning in outcome.warnings:
            self.say(f"{'standard input' if outcome.input == '-' else outcome.input}: {warning}")
        if log:
            log.write(outcome.to_json() + "\n")
            log.flush()

    def draw(self, path: Path) -> None:
        """Save the picture, where the sound was enhanced."""
        if self._traces and not self._failures:
            try:
                save_spectrograms(path, self._traces, title=Path(self._outcomes[-1].input).name)
            except AudioError as error:
                self._failures.append(str(error))

    def summarise(self) -> bool:
        """Say what was done, and last what failed; whether nothing did."""
        done = [outcome for outcome in self._outcomes if outcome.status == "done"]
        seconds, elapsed = sum(outcome.seconds for outcome in done), perf_counter() - self._started
        line = f"{_files(len(done))} enhanced, {seconds:.1f} s of sound in {elapsed:.1f} s"
        line += f", {seconds / elapsed:.1f} times real time" if seconds else ""
        skipped = Counter(outcome.reason for outcome in self._outcomes if outcome.status == "skipped")
        line += "".join(f"; {count} skipped ({reason})" for reason, count in skipped.items())
        line += f"; {len(self._failures)} failed:" if self._failures else ""
        self.say(line)
        for failure in self._failures:
            self.say(failure)
        return not self._failures


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _kilohertz(rate: int) -> str:
    return f"{rate / 1000:g} kHz"
