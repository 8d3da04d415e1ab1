"""Every recipe of the house learns: its objective, its optimizer and its model, the networks made tiny, fit one batch by heart."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sgaudio.models import Regenerator
from sgaudio.training.compose import compose, recipes
from sgaudio.training.learner import Learner
from sgaudio.training.objective import make_objective
from sgaudio.training.recipe import Recipe, recipe_from_mapping, recipe_to_mapping
from sgaudio.training.sources import Batch

FOLDERS = ("data.root=mine", "data.clean=clean")  # what recipes leave to the user; noise is `noise` if not said otherwise
SECONDS = 0.128
START, SEED = 0, 5  # of the weights; of what a batch draws
TINY = {
    "ncsnpp": {"channels": 8, "multipliers": [1, 1, 1], "blocks": 1, "attention": []},
    "band-dit": {"width": 8, "depth": 1, "heads": 2},
}
LEARNS = {  # rate, steps, and the part that may be left of what silence and the new network cost: well above what was seen
    "score-matching": (1e-2, 31, 0.6),
    "regeneration": (8e-3, 61, 0.85),
    "denoising": (5e-3, 41, 0.4),
    "flow-matching": (2e-3, 41, 0.65),
    "data-prediction": (3e-3, 61, 0.35),
    "reconstruction": (4e-3, 31, 0.3),
    "two-jobs": (4e-3, 13, 0.65),
}
fitted: dict[str, list[tuple[float, float]]] = {}  # what was and is left, of recipes that differ in data and words alone


def tiny(name: str) -> tuple[str, Recipe]:
    """The loss of a recipe, and the recipe, with tiny networks and at one rate that is high from the first step."""
    values = compose(name, FOLDERS if name.startswith("folder/") else ())
    recipe_from_mapping(values)  # as large as it is, it is one
    objective = values["objective"]
    loss = objective.get("loss", objective["name"])
    model = {option: value for option, value in values["model"].items() if option != "presets"}
    for stage in model.keys() & {"network", "predictor"}:
        model[stage] = {**model[stage], **TINY[model[stage]["name"]]}
    if loss == "two-jobs":
        objective = {**objective, "solo": 0, "ramp": 1}
    optimizer = {**values["optimizer"], "rate": LEARNS[loss][0], "rise": 1, "last": 1.0}
    trainer = {"output": "here", "steps": 1, "batch": 2, "seconds": SECONDS, "device": "cpu"}
    changed = {"model": model, "objective": objective, "optimizer": optimizer, "trainer": trainer, "data": {"name": "mixing"}, "mixing": {}}
    return loss, recipe_from_mapping({**values, **changed, "validation": {}})


def pairs(rate: int) -> Batch:
    """Two breathy vowels in noise, (2, time)."""
    time = torch.arange(round(SECONDS * rate)) / rate
    pitch = torch.tensor([[220.0], [330.0]])
    vowel = sum(torch.sin(2 * torch.pi * k * pitch * time) / k for k in range(1, 8))
    breath, noise = torch.randn(2, 2, len(time), generator=torch.Generator().manual_seed(0))
    clean = 0.1 * vowel * (1 + torch.sin(2 * torch.pi * 4 * time)) + 0.005 * breath
    return Batch(clean, clean + 0.03 * noise)


def costs(learner: Learner, batch: Batch) -> list[float]:
    """How far estimates are from the clean sound, by each stage or job."""
    config, found = learner.recipe.objective, []
    stages = [{"loss_options": {"weight": weight}} for weight in (1.0, 0.0)] if "regeneration" in vars(config).values() else [{}]
    for options in stages:
        objective = make_objective(replace(config, **options), learner.enhancer, learner.generator.manual_seed(SEED))
        figures = objective.loss(*batch, 0)[1]
        found += [value.item() for name, value in figures.items() if name.endswith(("loss", "reconstruction", "multi_resolution"))]
    return found


def silent(spectrogram: Tensor, *_: Any) -> Tensor:
    """Estimates that are silent."""
    return torch.zeros_like(spectrogram).requires_grad_()


def fit(loss: str, recipe: Recipe) -> list[tuple[float, float]]:
    """What the new network costs, or silence if that is less, and what the network costs that has seen one batch many times."""
    torch.manual_seed(START)
    learner = Learner(recipe, torch.device("cpu"), torch.float32)
    batch = pairs(recipe.model.sample_rate)

    def draw(_: int) -> Batch:
        learner.generator.manual_seed(SEED)
        return batch

    before = costs(learner, batch)
    with pytest.MonkeyPatch.context() as patch:
        for stage in ("denoise", "first_stage") if isinstance(learner.enhancer, Regenerator) else ("denoise",):
            patch.setattr(learner.enhancer, stage, silent)
        before = [min(pair) for pair in zip(before, costs(learner, batch), strict=True)]
    for step in range(LEARNS[loss][1]):
        learner.update(draw, step, 0.0)
    return list(zip(before, costs(learner, batch), strict=True))


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_fits_one_batch(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loss, recipe = tiny(name)
    values = recipe_to_mapping(recipe)
    key = json.dumps([values[section] for section in ("model", "objective", "optimizer")], sort_keys=True)
    if key not in fitted:
        fitted[key] = fit(loss, recipe)
    for before, after in fitted[key]:
        assert after < LEARNS[loss][2] * before
