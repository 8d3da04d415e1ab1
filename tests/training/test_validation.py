"""How well a model does on whole sounds, and by what the best one is chosen."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sgaudio.audio.mixtures import Mixed
from sgaudio.errors import AudioError
from sgaudio.metrics import METRICS
from sgaudio.metrics.metric import Column, Metric
from sgaudio.models import Enhancer
from sgaudio.models.checkpoint import config_from_mapping
from sgaudio.registry import Registry
from sgaudio.training.objective import PlainConfig, make_objective
from sgaudio.training.recipe import ValidationConfig
from sgaudio.training.sources import ValidationItem
from sgaudio.training.validation import Report, validate, validation_loss

from .conftest import MODEL, RATE, hiss, tone

SCORES = {"PESQ-wb": 1.5, "ESTOI": 0.75, "SI-SDR": 5.0}


@pytest.fixture
def enhancer() -> Enhancer:
    torch.manual_seed(0)
    return Enhancer(config_from_mapping(MODEL))


def item(name: str, clean: np.ndarray, noise: np.ndarray | float = 0.0) -> ValidationItem:
    return ValidationItem(name, lambda: Mixed(clean, (clean + noise).astype(np.float32), RATE))


@pytest.fixture
def items() -> list[ValidationItem]:
    """Three tones in hiss, each another."""
    return [item(str(i), tone(0.6, 300.0 * (1 + i)), hiss(0.6)) for i in range(3)]


@pytest.mark.parametrize(
    ("best", "scores", "value"),
    [
        ("PESQ-wb", SCORES, 1.5),
        ("SI-SDR", SCORES, 5.0),
        ("ESTOI", SCORES, 0.75),
        ("PESQ-wb", {"ESTOI": 0.75, "SI-SDR": 5.0}, 5.0),  # the first one of the recipe that there is
        ("PESQ-wb", {"validation loss": 0.1, "ESTOI": 0.75}, 0.75),
        ("LSD", {"LSD": 3.0, **SCORES}, -3.0),
        ("level", {"level": -2.0, **SCORES}, -2.0),
        ("level", {"level": 2.0, **SCORES}, -2.0),
    ],
)
def test_the_best_model_is_chosen_by_the_score_that_is_named(best, scores, value):
    config = ValidationConfig(metrics=("si-sdr", "estoi", "pesq-wb", "lsd", "level"), best=best)
    assert Report(scores, []).value(config) == value


def test_where_no_score_can_be_had_the_loss_chooses():
    assert Report({"validation loss": 0.25}, []).value(ValidationConfig()) == -0.25


def test_without_the_package_of_the_named_score_another_one_chooses(enhancer, items, monkeypatch):
    config = ValidationConfig(metrics=("pesq-wb", "si-sdr"), best="PESQ-wb")
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)  # no module of any metric is there
    report = validate(enhancer, items, config)
    assert set(report.scores) == {"SI-SDR"}
    assert report.value(config) == report.scores["SI-SDR"]


def scoring(monkeypatch, score: Callable[..., dict[str, float]]) -> ValidationConfig:
    """Validation by SI-SDR, as `score` has it."""
    registry = Registry("metric", {**METRICS, "si-sdr": Metric(score, (Column("SI-SDR"),), "")})
    monkeypatch.setattr("sgaudio.training.validation.METRICS", registry)
    return ValidationConfig(metrics=("si-sdr",), best="SI-SDR", pictures=0)


def test_the_score_is_the_mean_over_sounds_less_those_that_have_none(enhancer, items, monkeypatch):
    values = iter([1.0, AudioError("silence"), 4.0])

    def score(*_: object) -> dict[str, float]:
        value = next(values)
        if isinstance(value, AudioError):
            raise value
        return {"SI-SDR": value}

    assert validate(enhancer, items, scoring(monkeypatch, score)).scores == {"SI-SDR": 2.5}


def test_the_first_sounds_are_kept_to_be_heard(enhancer, items):
    report = validate(enhancer, items, ValidationConfig(metrics=("si-sdr",), best="SI-SDR", pictures=2))
    assert [heard.name for heard in report.heard] == ["0", "1"]
    for heard, each in zip(report.heard, items, strict=False):
        sounds = each.load()
        assert np.array_equal(heard.noisy, sounds.noisy)
        assert np.array_equal(heard.clean, sounds.clean)
        assert np.array_equal(heard.estimate, enhancer.enhance(sounds.noisy, RATE))


def test_other_numbers_of_steps_are_tried(enhancer, items):
    config = ValidationConfig(metrics=("si-sdr",), best="SI-SDR")
    one, same, four = (validate(enhancer, items, config, steps) for steps in (None, 1, 4))
    assert one.scores == same.scores
    assert one.scores != four.scores


def loss(enhancer: Enhancer, items: list[ValidationItem], seconds: float = 0.3, **options) -> float:
    objective = make_objective(PlainConfig(**options), enhancer, torch.Generator())
    return validation_loss(enhancer, objective, items, seconds)


def test_the_validation_loss_is_the_same_every_time(enhancer, items):
    first = loss(enhancer, items)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert loss(enhancer, items) == first > 0
    assert torch.equal(torch.get_rng_state(), before)  # training draws what it would have drawn


def test_the_validation_loss_is_that_of_the_objective(enhancer, items):
    assert loss(enhancer, items, loss="denoising") != loss(enhancer, items)


def test_the_validation_loss_hears_the_middles_of_sounds(enhancer):
    sound, noise = tone(0.9), hiss(0.9)
    third = len(sound) // 3
    middle = item("middle", sound[third : 2 * third], noise[third : 2 * third])
    assert loss(enhancer, [item("whole", sound, noise)]) == loss(enhancer, [middle])


def test_the_validation_loss_takes_sounds_that_are_too_short(enhancer):
    sound, noise = tone(0.2), hiss(0.2)
    padded = item("padded", np.pad(sound, (0, RATE // 10)), np.pad(noise, (0, RATE // 10)))
    assert loss(enhancer, [item("short", sound, noise)]) == loss(enhancer, [padded])
