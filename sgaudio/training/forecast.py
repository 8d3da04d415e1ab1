"""What a run will take, before it begins: `sgaudio train RECIPE --dry-run`."""

import math
import time
from dataclasses import replace

import torch

from sgaudio.models.checkpoint import choose_device
from sgaudio.training.learner import Learner
from sgaudio.training.recipe import Recipe
from sgaudio.training.sources import Batch

COPIES = 5  # of every number that is learnt, in float32: weight, gradient, two moments, average
STEPS = 3  # that are timed


def forecast(recipe: Recipe) -> list[str]:
    """Lines about parameters, memory and time, by a few steps on noise: on a GPU with the whole batch, on a CPU with one item."""
    trainer, device = recipe.trainer, choose_device(recipe.trainer.device)
    is_gpu = device.type == "cuda"
    batch = trainer.batch if is_gpu else 1
    shown = replace(recipe, trainer=replace(trainer, compile=False, graphs=False, accumulate=1))
    learner = Learner(shown, device, torch.bfloat16 if is_gpu else torch.float32)
    parameters = sum(weight.numel() for weight in learner.enhancer.network.parameters())
    length = round(trainer.seconds * recipe.model.sample_rate)
    sound = torch.randn(2, batch, length, generator=learner.generator.manual_seed(0), device=device) * recipe.model.level

    def draw(number: int) -> Batch:
        learner.generator.manual_seed(number)
        return Batch(*sound)

    learner.update(draw, 0, 0.0)
    if is_gpu:
        torch.cuda.synchronize()
    began = time.monotonic()
    for step in range(1, STEPS + 1):
        learner.update(draw, step, 0.0)
    if is_gpu:
        torch.cuda.synchronize()
    seconds = (time.monotonic() - began) / STEPS * trainer.batch / batch * trainer.accumulate
    lines = [
        f"parameters: {parameters / 1e6:.2f} million; with gradients, moments and average {COPIES * 4 * parameters / 1e9:.2f} GB",
        f"a step: {seconds:.2f} s on this {device.type}, not compiled, without what its sound takes",
    ]
    if is_gpu:
        lines.insert(1, f"memory: {torch.cuda.max_memory_allocated() / 1e9:.1f} GB at the most, without the sound")
    steps = min(
        math.inf if trainer.steps is None else trainer.steps,
        math.inf if trainer.minutes is None else max(0.0, 60 * trainer.minutes - trainer.reserve) // seconds,
    )
    return [*lines, f"the run: {steps:.0f} steps, about {steps * seconds / 3600:.1f} h"]
