"""One task after the other: read, enhance, write, in blocks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from sgaudio.audio.files import Reader, writing
from sgaudio.errors import AudioError, SgaudioError
from sgaudio.jobs.outcome import Outcome
from sgaudio.jobs.plan import Task
from sgaudio.models import Enhancer
from sgaudio.registry import check

OnOpen = Callable[[Reader], None]
"""Called with a sound that is about to be enhanced."""
OnBlock = Callable[[int, np.ndarray, np.ndarray], None]
"""Called with sample rate, a block (channel, time) that went in, and one, of another length, that came out."""


@dataclass(frozen=True)
class Settings:
    """How a job enhances: the options of `Enhancer.stream`, and what happens to samples that are no numbers.

    Args:
        nan: "zero" replaces NaN and infinite samples and counts them, "fail" gives the file up.
    """

    solver: str | None = None
    steps: int | None = None
    preset: str | None = None
    seed: int = 0
    batch: int | None = None
    strength: float = 1.0
    max_attenuation: float | None = None
    high_band: Literal["follow", "drop"] = "follow"
    whole_file: bool = False
    nan: Literal["zero", "fail"] = "zero"

    def __post_init__(self) -> None:
        check(self)

    def stream(self, model: Enhancer, sample_rate: int, channels: int):
        """The model's stream with these settings.

        Raises:
            ConfigError: where the model does not take them.
        """
        options: dict[str, Any] = asdict(self)
        del options["nan"]
        if self.batch is None:
            options["batch"] = model.default_batch
        return model.stream(sample_rate, channels, **options)


def run(
    tasks: Sequence[Task],
    model: Enhancer,
    settings: Settings,
    on_open: OnOpen = lambda reader: None,
    on_block: OnBlock = lambda rate, before, after: None,
) -> Iterator[Outcome]:
    """Work through the tasks, and say of each what became of it. Only a broken pipe or an interruption ends the job."""
    sampling = model.sampling(settings.solver, settings.steps, settings.preset)
    for task in tasks:
        outcome = Outcome(task.source, task.target, model=model.name, solver=sampling.solver, steps=sampling.steps, seed=settings.seed)
        started = perf_counter()
        try:
            _enhance(task, model, settings, outcome, on_open, on_block)
            outcome.times_real_time = outcome.seconds / max(perf_counter() - started, 1e-9)
        except BrokenPipeError:
            raise
        except Exception as error:
            outcome.status, outcome.reason = "failed", _line(task, error)
        yield outcome


def total_seconds(tasks: Sequence[Task]) -> float | None:
    """Length of all sounds by their headers, in seconds; None where one does not say. What cannot be read has none."""
    total = 0.0
    for task in tasks:
        source = Path(task.source)
        if task.source == "-" or (source.exists() and not source.is_file()):  # a pipe can be read only once
            return None
        try:
            with Reader(task.source) as reader:
                if reader.frames is None:
                    return None
                total += reader.frames / reader.sample_rate
        except AudioError:
            continue
    return total


def _enhance(task: Task, model: Enhancer, settings: Settings, outcome: Outcome, on_open: OnOpen, on_block: OnBlock) -> None:
    with Reader(task.source) as reader:
        rate = outcome.sample_rate = reader.sample_rate
        outcome.channels = reader.channels
        stream = settings.stream(model, rate, reader.channels)
        on_open(reader)
        if task.target != "-":
            Path(task.target).parent.mkdir(parents=True, exist_ok=True)
        with writing(task.target, rate, reader.channels, reader.format, reader.tags, reader.frames) as writer:
            replaced = frames = 0
            for block in reader.blocks():
                replaced += _make_finite(block, settings, frames / rate)
                frames += block.shape[1]
                samples = stream.push(block)
                writer.write(samples)
                on_block(rate, block, samples)
            samples = stream.flush()
            writer.write(samples)
            on_block(rate, samples[:, :0], samples)
            if task.target != "-" and not task.replaces and Path(task.target).exists():
                raise AudioError(f"{task.target}: appeared while it was being made: kept as it is")
        outcome.seconds = frames / rate
        outcome.warnings += reader.warnings + writer.warnings
    if replaced:
        outcome.warnings.append(f"NaN or infinite samples replaced by zeros: {replaced}")
    if writer.clamped:
        outcome.warnings.append(f"samples beyond full scale clamped: {writer.clamped}")


def _make_finite(block: np.ndarray, settings: Settings, start: float) -> int:
    """Replace what is no number in a block (channel, time) that starts at `start` seconds; how many there were."""
    odd = ~np.isfinite(block)
    count = int(np.count_nonzero(odd))
    if count and settings.nan == "fail":
        raise AudioError(f"NaN or infinite samples, {count} in the first block that has some, at {start:.1f} s: use --nan zero")
    block[odd] = 0
    return count


def _line(task: Task, error: Exception) -> str:
    """One line that names the file and the cause."""
    if isinstance(error, SgaudioError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        where = error.filename or ("standard output" if task.target == "-" else task.target)
        text = f"{where}: {error.strerror.lower()}"
    else:
        text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    named = text.startswith((task.source, task.target, "standard "))
    return text if named else f"{task.source}: {text}"
