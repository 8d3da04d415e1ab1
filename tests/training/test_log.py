"""What a run says, to people, programs and a logger."""

import json
import sys
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from sgaudio.errors import ConfigError
from sgaudio.training.log import Log
from sgaudio.training.recipe import Recipe, recipe_from_mapping
from sgaudio.training.validation import Heard, Report

from .conftest import RATE, hiss, tone

REPORT = Report({"ESTOI": 0.75, "validation loss": 0.5}, [Heard("a", tone(0.5), tone(0.5) + hiss(0.5), 9 * tone(0.5))])


@pytest.fixture
def recipe(values):
    """A recipe with a logger."""

    def recipe(logger: str) -> Recipe:
        return recipe_from_mapping({**values, "trainer": {**values["trainer"], "logger": logger, "batch": 4, "accumulate": 3}})

    return recipe


def say_everything(log: Log) -> None:
    log("ready")
    log.step(0, 0.0, {"loss": 2.0, "gradient": 0.25})
    log.progress(1, 0.1)
    log.step(10, 0.5, {"loss": 1.0, "gradient": 0.5})
    log.validation(10, REPORT)
    log.validation(10, REPORT, 4)


def test_lines_for_programs_hold_what_was_said(recipe, tmp_path, monkeypatch, capsys):
    now = iter([100.0, 100.0, 101.0, 107.0, 108.0, 110.0, 111.0, 112.0])
    with Log(tmp_path, recipe("none"), 0, 98.0) as log, monkeypatch.context() as patch:
        patch.setattr("sgaudio.training.log.time.monotonic", lambda: next(now))
        say_everything(log)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {"seconds": 2.0, "text": "ready"},
        {"seconds": 3.0, "text": "step 0", "step": 0, "done": 0.0, "loss": 2.0, "gradient": 0.25, "sound a second": 0.0},
        # ten steps of three times four items of half a second, in seven seconds
        {
            "seconds": 10.0,
            "text": "step 10",
            "step": 10,
            "done": 0.5,
            "loss": 1.0,
            "gradient": 0.5,
            "sound a second": pytest.approx(60 / 7),
        },
        {"seconds": 12.0, "text": "validation", "after": 10, "solver steps": None, "ESTOI": 0.75, "validation loss": 0.5},
        {"seconds": 13.0, "text": "validation, 4 steps", "after": 10, "solver steps": 4, "ESTOI": 0.75, "validation loss": 0.5},
    ]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "    2.0 s  ready"
    assert captured.err.splitlines()[3] == "   12.0 s  validation  ESTOI 0.75  validation loss 0.5"


def test_lines_of_a_run_that_goes_on_come_after_those_that_are_there(recipe, tmp_path):
    for text in ("first", "second"):
        with Log(tmp_path, recipe("none"), 0, 0.0) as log:
            log(text)
    assert [json.loads(line)["text"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == ["first", "second"]


def test_all_ranks_but_the_first_say_nothing(recipe, tmp_path, capsys):
    with Log(tmp_path, recipe("tensorboard"), 1, 0.0) as log:
        say_everything(log)
    assert list(tmp_path.glob("**/*tfevents*")) == []
    assert not (tmp_path / "log.jsonl").exists()
    assert capsys.readouterr() == ("", "")


def test_tensorboard_shows_figures_and_lets_sounds_be_heard_and_seen(recipe, tmp_path):
    with Log(tmp_path, recipe("tensorboard"), 0, 0.0) as log:
        say_everything(log)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = tmp_path.glob("events.out.tfevents*")
    found = EventAccumulator(str(events)).Reload()
    figures = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    assert figures["loss"] == [(0, 2.0), (10, 1.0)]
    assert figures["gradient"] == [(0, 0.25), (10, 0.5)]
    assert figures["validation/ESTOI"] == [(10, 0.75)]
    assert figures["validation/ESTOI, 4 steps"] == [(10, 0.75)]
    assert set(found.Tags()["audio"]) == {"a/noisy", "a/estimate", "a/clean"}
    for tag in found.Tags()["audio"]:
        (sound,) = found.Audio(tag)  # of the recommended sampling only
        assert sound.sample_rate == RATE
        assert sound.length_frames == RATE // 2
        heard = soundfile.read(BytesIO(sound.encoded_audio_string))[0]
        assert heard == pytest.approx(np.clip(getattr(REPORT.heard[0], tag.removeprefix("a/")), -1, 1), abs=1e-3)
    (picture,) = found.Images("a")
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert min(picture.width, picture.height) > 100


def test_a_logger_that_is_not_installed_is_one_clear_line(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError) as error:
        Log(tmp_path, recipe("wandb"), 0, 0.0)
    assert str(error.value).startswith("trainer.logger is 'wandb', whose package is not installed: ")
    assert "\n" not in str(error.value)


def test_wandb_is_given_figures_sounds_and_pictures(recipe, tmp_path, monkeypatch):
    figures, shown = [], []
    board = SimpleNamespace(log=lambda values, step: shown.append((values, step)))
    logger = SimpleNamespace(experiment=board, log_metrics=lambda values, step: figures.append((values, step)))
    monkeypatch.setattr("sgaudio.training.log.make_logger", lambda *_: logger)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Audio=lambda sound, rate: (sound.shape, rate), Image=type))
    with Log(tmp_path, recipe("wandb"), 0, 0.0) as log:
        log.validation(10, REPORT)
    assert figures == [({"validation/ESTOI": 0.75, "validation/validation loss": 0.5}, 10)]
    sound = ((RATE // 2,), RATE)
    assert shown == [({"a/noisy": sound, "a/estimate": sound, "a/clean": sound, "a": Figure}, 10)]
