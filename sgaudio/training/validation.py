"""How well a model does on whole sounds that it is not trained on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from sgaudio.errors import AudioError
from sgaudio.metrics import METRICS, selected
from sgaudio.models import Enhancer
from sgaudio.training.objective import Objective
from sgaudio.training.recipe import ValidationConfig
from sgaudio.training.sources import ValidationItem

LOSS = "validation loss"
TIMES = (0.25, 0.5, 0.75, 1.0)  # at which the loss is measured


class Heard(NamedTuple):
    """One sound of a validation: float32 (time)."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    estimate: np.ndarray


class Report(NamedTuple):
    """Mean scores by column, and the first sounds."""

    scores: dict[str, float]
    heard: list[Heard]

    def value(self, config: ValidationConfig) -> float:
        """What the best model is chosen by, more is better: where no score could be had, the loss."""
        columns = {column.name: column for name in config.metrics for column in METRICS[name].columns if column.name in self.scores}
        if not columns:
            return -self.scores[LOSS]
        column = columns.get(config.best) or next(iter(columns.values()))
        score = self.scores[column.name]
        return {"highest": score, "lowest": -score, "zero": -abs(score)}[column.best]


def validate(enhancer: Enhancer, items: Sequence[ValidationItem], config: ValidationConfig, steps: int | None = None) -> Report:
    """Enhance all items and score them.

    Args:
        enhancer: whose sampling is used.
        steps: of the solver, where they are not to be the recommended ones.
    """
    names, _ = selected(METRICS, ["all"], {"reference"})
    metrics = [METRICS[name] for name in config.metrics if name in names]
    values: dict[str, list[float]] = {}
    heard: list[Heard] = []
    for item in items:
        sounds = item.load()
        estimate: Any = enhancer.enhance(sounds.noisy, sounds.sample_rate, steps=steps)
        if len(heard) < config.pictures:
            heard.append(Heard(item.name, sounds.clean, sounds.noisy, estimate))
        for metric in metrics:
            try:
                scores = metric(estimate, sounds.clean, sounds.sample_rate)
            except AudioError:  # no value for this sound: silence, or too short
                continue
            for column, score in scores.items():
                values.setdefault(column, []).append(score)
    return Report({column: float(np.mean(found)) for column, found in values.items()}, heard)


@torch.no_grad()
def validation_loss(enhancer: Enhancer, objective: Objective, items: Sequence[ValidationItem], seconds: float) -> float:
    """The objective's loss on the middles of the items, at fixed times and noise."""
    losses = []
    for i, item in enumerate(items):
        sounds = item.load()
        length = round(seconds * sounds.sample_rate)
        middle = max(0, len(sounds.clean) - length) // 2
        clean, noisy = (
            torch.from_numpy(np.pad(sound[middle : middle + length], (0, max(0, length - len(sound)))))[None].to(enhancer.device)
            for sound in (sounds.clean, sounds.noisy)
        )
        generator = torch.Generator(enhancer.device).manual_seed(i)
        times = [TIMES[i % len(TIMES)]]
        losses.append(enhancer.loss(clean, noisy, generator, loss=objective.judge, times=times).item())
    return sum(losses) / len(losses)
