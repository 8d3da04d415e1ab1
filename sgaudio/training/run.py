"""A training run, top to bottom. Nothing waits for the device but where something is logged.

What a run writes to its folder:

    recipe.yaml             all that was asked for
    log.jsonl               figures, a line each; besides, those of the logger
    last.safetensors        the averaged weights as a model, for `sgaudio enhance --model`
    best.safetensors        the same at the best validation
    state.safetensors       what it needs to go on
"""

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yaml
from torch import Tensor

from sgaudio.audio.files import replacement
from sgaudio.errors import CheckpointError, ConfigError, SgaudioError
from sgaudio.models import Enhancer, load, save
from sgaudio.models.checkpoint import choose_device, config_to_mapping
from sgaudio.training.cleaning import clean_targets
from sgaudio.training.learner import Learner
from sgaudio.training.log import Log
from sgaudio.training.recipe import Recipe, TrainerConfig, recipe_to_mapping
from sgaudio.training.sources import Batch, MixingData, Source, ValidationItem, make_source
from sgaudio.training.state import read_state, write_state
from sgaudio.training.validation import LOSS, validate, validation_loss

SETTLED = 10  # steps after which time is worth counting: the first ones compile


def train(recipe: Recipe, started: float | None = None) -> int:
    """Train by a recipe, and write what came of it to `trainer.output`.

    Args:
        started: from when on the recipe's minutes count, by `time.monotonic`; from now on by default.

    Returns:
        0, or 128 and the number of the signal that ended training early; model and state are saved then too, unvalidated.

    Raises:
        ConfigError, AudioError, CheckpointError: where something that the recipe names is missing or does not fit.
        SgaudioError: where training diverged, or the disk is full.
    """
    started = time.monotonic() if started is None else started
    trainer, output = recipe.trainer, Path(recipe.trainer.output)
    device = choose_device(trainer.device)
    begin_folder(output, recipe)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    fabric = start_fabric(trainer, device)
    device, rank, ranks = fabric.device, fabric.global_rank, fabric.world_size
    log = Log(output, recipe, rank, started)
    torch.manual_seed(trainer.seed)
    mean = partial(fabric.all_reduce, reduce_op="mean") if ranks > 1 else None
    learner = Learner(recipe, device, torch.bfloat16 if device.type == "cuda" else torch.float32, mean)
    source = make_source(
        recipe.data,
        recipe.mixing,
        sample_rate=recipe.model.sample_rate,
        level=recipe.model.level,
        batch=trainer.batch,
        seconds=trainer.seconds,
        device=device,
        rank=rank,
        ranks=ranks,
        seed=trainer.seed,
        clean=make_cleaner(recipe, device),
    )
    items = evenly(source.validation(), recipe.validation.items) if rank == 0 else []
    run = Run(recipe, learner, source, items, output, rank)
    run.resume(device)

    with log, interruption() as ended_by:
        log(f"ready: {source}, on {device}" + (f", one of {ranks}" if ranks > 1 else ""))
        clock = Clock(trainer, started, run.step, run.seconds, fabric.broadcast if ranks > 1 else None)
        while (done := clock.done(run.step, bool(ended_by))) < 1:
            figures = learner.update(run.draw, run.step, done)
            run.watch(figures)
            if run.step % trainer.log_every == 0:
                log.step(run.step, done, run.read(figures))
            run.step += 1
            run.seconds = clock.seconds
            log.progress(run.step, done)
            if run.step % trainer.save_every == 0:
                run.read(figures)
                run.save(log)
            if recipe.validation.every is not None and run.step % recipe.validation.every == 0:
                run.check()
                run.validate(log)
                fabric.barrier()
        run.check()
        run.save(log)
        if ended_by:
            return 128 + ended_by[0]
        if rank == 0:
            run.validate(log, *recipe.validation.steps)
        fabric.barrier()
    return 0


class Run:
    """Where a run stands, and what it leaves behind."""

    def __init__(self, recipe: Recipe, learner: Learner, source: Source, items: Sequence[ValidationItem], output: Path, rank: int):
        self.recipe, self.learner, self.source, self.items, self.output, self.rank = recipe, learner, source, items, output, rank
        self.step, self.seconds, self.best = 0, 0.0, -math.inf
        self.model = json.loads(json.dumps(config_to_mapping(recipe.model)))  # as it comes back from a file
        self._validated = -1  # the last step that was
        self._broken = torch.full((), -1, device=learner.enhancer.device)  # the first step whose loss is no number

    def draw(self, number: int) -> Batch:
        """The batch of a number: what a step sees follows from seed, step and rank alone."""
        return self.source.batch(number, self._seeded(number))

    def _seeded(self, number: int) -> torch.Generator:
        seed = blake2b(f"{self.recipe.trainer.seed} {number} {self.rank}".encode(), digest_size=8).digest()
        key = int.from_bytes(seed) >> 1
        torch.manual_seed(key)
        return self.learner.generator.manual_seed(key)

    def watch(self, figures: Mapping[str, Tensor]) -> None:
        """Remember the first step that went wrong, without waiting for the device."""
        bad = ~torch.isfinite(torch.stack([figure.detach().float() for figure in figures.values()])).all()
        self._broken = torch.where(bad & (self._broken < 0), self.step, self._broken)

    def check(self) -> None:
        """
        Raises:
            SgaudioError: where a loss was no number: the step, and what was heard in it.
        """
        step = int(self._broken)
        if step >= 0:
            accumulate = self.recipe.trainer.accumulate
            numbers = range(step * accumulate, (step + 1) * accumulate)
            heard = [name for number in numbers for name in self.source.items(number, self._seeded(number))]
            raise SgaudioError(
                f"training diverged: a loss is not finite at step {step}, which heard {', '.join(dict.fromkeys(heard))}; "
                f"lower optimizer.rate, or look at these sounds. The last good state is in {self.output}"
            )

    def read(self, figures: Mapping[str, Tensor]) -> dict[str, float]:
        """Figures from the device, checked."""
        self.check()
        return {name: float(figure.detach()) for name, figure in figures.items()}

    def save(self, log: Log) -> None:
        """Write model and state: whole files or none."""
        if self.rank:
            return
        about = {"step": self.step, "seconds": self.seconds, "best": self.best if math.isfinite(self.best) else None}
        state = {**about, "model": self.model, **self.learner.state()}
        keep(self.output / "last.safetensors", lambda path: save(path, self.learner.average, self.recipe.card))
        keep(self.output / "state.safetensors", lambda path: write_state(path, state))
        log(f"saved after {self.step} steps: {self.output / 'last.safetensors'}", {"steps": self.step})

    def resume(self, device: torch.device) -> None:
        """Go on where the folder's state ends, if that is asked for and there is one."""
        path = self.output / "state.safetensors"
        if not self.recipe.trainer.resume or not path.is_file():
            return
        state = read_state(path, device)
        if sizes(state["model"]) != sizes(self.model):
            raise CheckpointError(f"{path}: the state of another model than the recipe's: choose another trainer.output")
        self.learner.restore(state)
        self.step, self.seconds = state["step"], state["seconds"]
        self.best = -math.inf if state["best"] is None else state["best"]

    def validate(self, log: Log, *more_steps: int) -> None:
        """Log how the averaged weights do, and keep them where they do best."""
        if self.rank or not self.items:
            return
        average, config = self.learner.average, self.recipe.validation
        if self.step != self._validated:
            report = validate(average, self.items, config)
            report.scores[LOSS] = validation_loss(average, self.learner.objective, self.items, self.recipe.trainer.seconds)
            log.validation(self.step, report)
            self._validated = self.step
            if report.value(config) > self.best:
                self.best = report.value(config)
                keep(self.output / "best.safetensors", lambda path: save(path, average, self.recipe.card))
        for steps in more_steps:
            log.validation(self.step, validate(average, self.items, config, steps), steps)


def sizes(model: Mapping[str, Any]) -> dict[str, Any]:
    """All that a model's weights depend on."""
    return {name: value for name, value in model.items() if name not in ("sampling", "presets", "windows")}


class Clock:
    """How much of a run is done. Several devices go by the first one's, and ask it where they log.

    Args:
        trainer: of the recipe.
        started: from when on its minutes count.
        step, seconds: where the run stands.
        agree: gives all devices what the first one says.
    """

    def __init__(self, trainer: TrainerConfig, started: float, step: int, seconds: float, agree: Callable[[Any], Any] | None):
        self._trainer, self._started, self._agree = trainer, started, agree
        self._first, self._before = step, seconds
        self._began, self._done = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Of learning so far, those of earlier sittings included."""
        return self._before + time.monotonic() - self._began

    def done(self, step: int, ended: bool) -> float:
        """0 to 1; 1 also where the run is to end now."""
        if step <= self._first + SETTLED:
            self._began = time.monotonic()
        if self._agree is None:
            return 1.0 if ended else self._part(step)
        if step % self._trainer.log_every == 0:
            self._done = self._agree(1.0 if ended else self._part(step))
        steps = self._trainer.steps
        return self._done if steps is None else max(self._done, min(1.0, step / steps))

    def _part(self, step: int) -> float:
        trainer, parts = self._trainer, []
        if trainer.steps is not None:
            parts.append(min(1.0, step / trainer.steps))
        if trainer.minutes is not None:
            now, end = time.monotonic(), self._started + 60 * trainer.minutes - trainer.reserve - self._before
            parts.append(1.0 if now >= end else (self._before + now - self._began) / (self._before + end - self._began))
        return max(parts)


def start_fabric(trainer: TrainerConfig, device: torch.device) -> Any:
    """Processes for all devices, through Lightning: they are started here, or by torchrun or SLURM.

    Started here, the others run the resolved recipe of the run's folder.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise ConfigError(f"training needs {error.name}, which is not installed: pip install 'sgaudio[train]'") from error
    several = trainer.devices * trainer.nodes > 1
    if several and torch.distributed.is_initialized():
        raise ConfigError(
            "trainer.devices: the runs of a sweep share a process, in which several devices serve one run: start them one by one"
        )
    found = torch.cuda.device_count() if device.type == "cuda" else trainer.devices
    if trainer.devices > found:
        raise ConfigError(f"trainer.devices is {trainer.devices}, this machine has {found}")
    fabric = Fabric(accelerator=device.type, devices=trainer.devices, num_nodes=trainer.nodes, strategy="ddp" if several else "auto")
    with patch("sys.argv", [sys.argv[0], "train", str(Path(trainer.output) / "recipe.yaml")]):
        fabric.launch()
    return fabric


def begin_folder(output: Path, recipe: Recipe) -> None:
    """Make the folder of a run, with its recipe.

    Raises:
        ConfigError: where it holds another run already, or cannot be made.
    """
    if (output / "state.safetensors").exists() and not recipe.trainer.resume:
        raise ConfigError(f"{output}: holds a run already: trainer.resume=true goes on with it, or choose another trainer.output")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{output}: cannot be made ({error.strerror})") from error
    keep(output / "recipe.yaml", lambda path: path.write_text(resolved(recipe), encoding="utf-8"))


def resolved(recipe: Recipe) -> str:
    """All that a recipe says, as YAML that makes the same recipe."""
    values = json.loads(json.dumps(recipe_to_mapping(recipe)))  # lists for tuples
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def evenly(items: Sequence[ValidationItem], count: int) -> list[ValidationItem]:
    """So many of them at the most, spread over all: neighbours may be of one speaker."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def keep(path: Path, write: Callable[[Path], object]) -> None:
    """Write a whole file or none.

    Raises:
        SgaudioError: where there is no room for it: what was there before is still there.
    """
    try:
        with replacement(path) as temporary:
            write(temporary)
    except (OSError, RuntimeError) as error:  # safetensors has an error of its own
        raise SgaudioError(f"{path}: cannot be written ({str(error).splitlines()[0]}): what was saved before is kept") from error


def make_cleaner(recipe: Recipe, device: torch.device) -> Callable[[Tensor], Tensor] | None:
    """What lowers the noise floor of the targets."""
    data = recipe.data
    if not isinstance(data, MixingData) or data.target_floor == 0:
        return None
    cleaner: Enhancer = load(data.cleaner, str(device), "bfloat16" if device.type == "cuda" else "float32")
    if cleaner.sample_rate != recipe.model.sample_rate:
        raise ConfigError(f"data.cleaner: {cleaner.name} works at {cleaner.sample_rate} Hz, the model at {recipe.model.sample_rate}")
    return lambda sound: clean_targets(cleaner, sound, data.target_floor)


@contextmanager
def interruption() -> Iterator[Sequence[int]]:
    """Catch SIGINT and SIGTERM: the list that is given holds the signal that came. A second one acts as ever."""
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        restore()
