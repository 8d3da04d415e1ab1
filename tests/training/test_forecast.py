"""A forecast says what a run will take."""

import re
from dataclasses import replace

import pytest

from sgaudio.models.checkpoint import CLASSES
from sgaudio.training.forecast import COPIES, STEPS, forecast
from sgaudio.training.learner import Learner
from sgaudio.training.recipe import Recipe, recipe_from_mapping


@pytest.fixture
def recipe(values) -> Recipe:
    return recipe_from_mapping({**values, "objective": {"name": "plain"}})


def asking(recipe: Recipe, **trainer) -> Recipe:
    return replace(recipe, trainer=replace(recipe.trainer, **trainer))


def a_step(lines: list[str]) -> float:
    """Seconds, rounded to hundredths."""
    found = re.fullmatch(r"a step: (\d+\.\d\d) s on this cpu, not compiled, without what its sound takes", lines[1])
    assert found, lines
    return float(found[1])


def test_parameters_are_those_of_the_network_with_all_copies_that_training_keeps(recipe):
    count = sum(weight.numel() for weight in CLASSES[type(recipe.model)].new_network(recipe.model).parameters())
    gigabytes = 4 * COPIES * count / 1e9
    assert forecast(recipe)[0] == f"parameters: {count / 1e6:.2f} million; with gradients, moments and average {gigabytes:.2f} GB"


def timed(monkeypatch, seconds: float) -> list[int]:
    """Updates take so long, by a clock of their own; the numbers of those that are made."""
    now, steps = [0.0], []

    def update(self, draw, step, done):
        assert draw(step).clean.shape[0] == 1  # one item, on a CPU
        steps.append(step)
        now[0] += seconds if step else 1000.0  # the first one is not counted

    monkeypatch.setattr(Learner, "update", update)
    monkeypatch.setattr("sgaudio.training.forecast.time.monotonic", lambda: now[0])
    return steps


def test_steps_are_told_in_hours(recipe, monkeypatch):
    steps = timed(monkeypatch, 0.5)
    lines = forecast(asking(recipe, steps=7200, batch=4, accumulate=3))
    assert steps == list(range(STEPS + 1))
    assert a_step(lines) == 6.0  # four items of half a second, three times
    assert lines[2:] == ["the run: 7200 steps, about 12.0 h"]


def test_minutes_are_told_in_steps(recipe, monkeypatch):
    timed(monkeypatch, 0.5)
    lines = forecast(asking(recipe, steps=None, minutes=8.0, batch=4))
    assert a_step(lines) == 2.0
    assert lines[2:] == ["the run: 225 steps, about 0.1 h"]  # half a minute is kept for the end


def test_a_run_with_both_limits_ends_at_the_nearer_one(recipe, monkeypatch):
    timed(monkeypatch, 0.5)
    assert forecast(asking(recipe, steps=100, minutes=8.0, batch=4))[2].startswith("the run: 100 steps,")
    assert forecast(asking(recipe, steps=1000, minutes=8.0, batch=4))[2].startswith("the run: 225 steps,")
