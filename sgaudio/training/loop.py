"""The training loop, top to bottom. Nothing waits for the device but where something is logged."""

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from sgaudio.audio.files import replacement
from sgaudio.errors import CheckpointError, ConfigError, SgaudioError
from sgaudio.models import Enhancer, load, save
from sgaudio.models.checkpoint import choose_device
from sgaudio.nets import make_network
from sgaudio.training import STARTED
from sgaudio.training.average import follow, warmed
from sgaudio.training.cleaning import clean_targets
from sgaudio.training.data import load_material
from sgaudio.training.discriminators import Adversary
from sgaudio.training.mixing import mix
from sgaudio.training.objective import make_objective
from sgaudio.training.recipe import OptimizerConfig, Recipe, TrainerConfig
from sgaudio.training.validation import load_mixtures, validate

CALLS = (1, 2, 4)  # numbers of steps that are validated
SETTLED = 10  # steps after which time is worth counting: the first ones compile


def train(recipe: Recipe) -> int:
    """Train by a recipe, and write what came of it to `trainer.output`.

    Returns:
        0, or 128 and the number of the signal that ended training early; the model is saved then too, unvalidated.

    Raises:
        ConfigError, AudioError, CheckpointError: where something that the recipe names is missing or does not fit.
        SgaudioError: where training diverged.
    """
    trainer, optimizer_config = recipe.trainer, recipe.optimizer
    device = choose_device(trainer.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    torch.manual_seed(trainer.seed)
    generator = torch.Generator(device).manual_seed(trainer.seed)
    output = Path(trainer.output)
    output.mkdir(parents=True, exist_ok=True)
    log = Log(output / "log.jsonl")

    network = start_network(recipe)
    enhancer = Enhancer(recipe.model, network, recipe.card.name).to(device, dtype)
    average = Enhancer(recipe.model, deepcopy(network), recipe.card.name).to(device, dtype)
    average.network.eval().requires_grad_(False)
    objective = make_objective(recipe.objective, enhancer, generator)
    adversary = objective.adversary
    if adversary is not None and trainer.start_discriminators is not None:
        start_discriminators(adversary, Path(trainer.start_discriminators))

    sample_rate = recipe.model.sample_rate
    mixtures = []
    if recipe.data.validation is not None:
        mixtures = load_mixtures(Path(recipe.data.root) / recipe.data.validation, recipe.data.validation_snr, sample_rate)
    material = load_material(recipe.data, sample_rate, device, make_cleaner(recipe, device))
    length = round(trainer.seconds * sample_rate)
    draw = partial(mix, material, recipe.mixing, trainer.batch, length, recipe.model.level, generator)
    log(f"ready: {material.seconds(sample_rate)}, on {device}", {"recipe": asdict(recipe)})

    optimizer = make_optimizer(network, optimizer_config)
    discriminators_optimizer = None
    if adversary is not None:
        discriminators_optimizer = AdamW(
            adversary.discriminators.parameters(), betas=optimizer_config.discriminators_betas, weight_decay=0.0, fused=True
        )
    if trainer.compile and device.type == "cuda":
        network.parts = torch.compile(network.parts, dynamic=False)  # pyright: ignore[reportArgumentType, reportCallIssue]

    with interruption() as ended_by:
        step, began = 0, time.monotonic()
        while not ended_by and (done := progress(trainer, step, began)) < 1:
            if step <= SETTLED:
                began = time.monotonic()
            set_rate(optimizer, optimizer_config.rate, step, optimizer_config.rise, done, optimizer_config.last)
            clean, noisy = draw()
            loss, figures = objective.loss(clean, noisy, step)
            optimizer.zero_grad()
            loss.backward()
            figures["gradient"] = nn.utils.clip_grad_norm_(network.parameters(), optimizer_config.clip)
            optimizer.step()
            follow(average.network, network, warmed(trainer.average, step))
            if adversary is not None and discriminators_optimizer is not None:
                rise, last = optimizer_config.discriminators_rise, optimizer_config.discriminators_last
                set_rate(discriminators_optimizer, optimizer_config.discriminators_rate, step, rise, done, last)
                figures["discriminators"] = adversary.loss()
                discriminators_optimizer.zero_grad()
                figures["discriminators"].backward()
                discriminators_optimizer.step()
            if step % trainer.log_every == 0:
                log(f"step {step}", {"step": step, "done": done} | read_figures(figures, step))
            step += 1
            if step % trainer.save_every == 0:
                read_figures(figures, step)
                save_all(output, average, recipe, adversary)

    save_all(output, average, recipe, adversary)
    log(f"saved after {step} steps: {output / 'model.safetensors'}", {"steps": step})
    if ended_by:
        return 128 + ended_by[0]
    if mixtures:
        for calls in CALLS:
            log(f"validation, {calls} calls", {"calls": calls, "mixtures": len(mixtures), "si_sdr": validate(average, mixtures, calls)})
    return 0


def progress(trainer: TrainerConfig, step: int, began: float) -> float:
    """How much of the run is done: 0 to 1."""
    parts = []
    if trainer.steps is not None:
        parts.append(1.0 if step >= trainer.steps else step / trainer.steps)
    if trainer.minutes is not None:
        now, end = time.monotonic(), STARTED + 60 * trainer.minutes - trainer.reserve
        parts.append(1.0 if now >= end else (now - began) / (end - began))
    return max(parts)


def set_rate(optimizer: Optimizer, rate: float, step: int, rise: int, done: float, last: float) -> None:
    """A linear rise over the first steps, and half a cosine down to the part `last` of the rate."""
    rate *= min(1.0, (step + 1) / rise) * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done)))
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_optimizer(network: nn.Module, config: OptimizerConfig) -> AdamW:
    """AdamW with a decay of matrices only."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW(groups, betas=config.betas, fused=True)


def start_network(recipe: Recipe) -> nn.Module:
    """A new network, or that of the model to start from."""
    network = make_network(recipe.model.network)
    if recipe.trainer.start is not None:
        model = load(recipe.trainer.start, "cpu")
        if model.config.network != recipe.model.network:
            raise ConfigError(f"trainer.start: {recipe.trainer.start} has another network than the recipe's model")
        network.load_state_dict(model.network.state_dict())
    return network


def start_discriminators(adversary: Adversary, path: Path) -> None:
    """Go on with the discriminators of an earlier run."""
    if not path.is_file():
        raise ConfigError(f"trainer.start_discriminators: {path}: no such file")
    try:
        adversary.discriminators.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"{path}: no discriminators of ours: {str(error).splitlines()[0]}") from error


def make_cleaner(recipe: Recipe, device: torch.device) -> Callable[[Tensor], Tensor] | None:
    """What lowers the noise floor of the targets."""
    if recipe.data.target_floor == 0:
        return None
    cleaner = load(recipe.data.cleaner, str(device), "bfloat16" if device.type == "cuda" else "float32")
    if cleaner.sample_rate != recipe.model.sample_rate:
        raise ConfigError(f"data.cleaner: {cleaner.name} works at {cleaner.sample_rate} Hz, the model at {recipe.model.sample_rate}")
    return lambda sound: clean_targets(cleaner, sound, recipe.data.target_floor)


def save_all(output: Path, average: Enhancer, recipe: Recipe, adversary: Adversary | None) -> None:
    """Write the model, and the discriminators in half precision: whole files or none."""
    with replacement(output / "model.safetensors") as path:
        save(path, average, recipe.card)
    if adversary is not None:
        weights = {name: value.detach().half().cpu().contiguous() for name, value in adversary.discriminators.state_dict().items()}
        with replacement(output / "discriminators.safetensors") as path:
            save_file(weights, path)


def read_figures(figures: dict[str, Tensor], step: int) -> dict[str, float]:
    """Scalars from the device.

    Raises:
        SgaudioError: where one is not finite.
    """
    values = {name: float(value.detach()) for name, value in figures.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise SgaudioError(f"{name} is {value} at step {step}: training diverged; lower optimizer.rate")
    return values


class Log:
    """Lines for people on the standard error, and for programs in a JSON lines file that each run goes on with."""

    def __init__(self, path: Path):
        self._path = path

    def __call__(self, text: str, entry: dict[str, Any]) -> None:
        seconds = time.monotonic() - STARTED
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": round(seconds, 2), **entry}) + "\n")
        numbers = "".join(f"  {name} {value:.4g}" for name, value in entry.items() if isinstance(value, float))
        sys.stderr.write(f"{seconds:7.1f} s  {text}{numbers}\n")


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
