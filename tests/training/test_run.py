"""Whole runs: a recipe in, a model out."""

import ast
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sgaudio
from sgaudio.errors import CheckpointError, ConfigError, SgaudioError
from sgaudio.models import save
from sgaudio.training.compose import compose
from sgaudio.training.learner import Learner
from sgaudio.training.recipe import Recipe, recipe_from_mapping
from sgaudio.training.run import Run, train
from sgaudio.training.sources import make_source
from sgaudio.training.state import read_state

from .conftest import RATE, hiss, tone

PLAIN = {"name": "plain"}


@pytest.fixture
def build(values, sounds):
    """A recipe with some options changed, into a folder of a name."""

    def build(output: str = "run", **sections) -> Recipe:
        changed = {name: {**values.get(name, {}), **options} if name != "objective" else options for name, options in sections.items()}
        changed["trainer"] = {**changed.get("trainer", values["trainer"]), "output": str(sounds / output)}
        return recipe_from_mapping({**values, **changed})

    return build


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sgaudio", "train", *map(str, arguments)]


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=cwd)


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def state_of(folder: Path) -> dict:
    return read_state(folder / "state.safetensors", torch.device("cpu"))


def enhances(path: Path) -> bool:
    model = sgaudio.load(path, device="cpu")
    noisy = tone(0.7) + hiss(0.7)
    out = model.enhance(noisy, RATE)
    return out.shape == noisy.shape and bool(np.isfinite(out).all())


def mixtures(sounds: Path) -> str:
    soundfile.write(sounds / "s.wav", tone(1.0), RATE)
    (sounds / "m.tsv").write_text("id\tspeech\tnoise\tsnr_db\tnoise_offset_samples\na\ts.wav\tnoise/deep/a.wav\t5\t0\n")
    return "m.tsv"


def test_the_command_leaves_a_model_that_enhances(recipe_file, sounds):
    done = run(recipe_file, "trainer.logger=tensorboard", cwd=sounds)
    assert done.returncode == 0, done.stderr
    assert enhances(sounds / "run" / "last.safetensors")
    assert [entry["step"] for entry in log_of(sounds / "run") if "step" in entry] == [0, 1]
    assert list((sounds / "run").glob("events.out.tfevents*"))
    again, asked = compose(str(sounds / "run" / "recipe.yaml")), compose(str(recipe_file), ["trainer.logger=tensorboard"])
    assert recipe_from_mapping(again) == recipe_from_mapping(asked)


@pytest.mark.parametrize("objective", [PLAIN, {"name": "two-jobs", "solo": 1, "piece": 0.4, "refresh": 2}])
def test_a_run_that_was_interrupted_gives_the_weights_of_one_that_was_not(build, sounds, objective):
    trainer = {"steps": 5, "accumulate": 2 if objective == PLAIN else 1}
    assert train(build("whole", objective=objective, trainer=trainer)) == 0

    stopped = build("parts", objective=objective, trainer={**trainer, "save_every": 2, "resume": True})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sgaudio.training.learner.Learner.update", killed_at(3))
        with pytest.raises(KeyboardInterrupt):
            train(stopped)
    assert state_of(sounds / "parts")["step"] == 2
    assert train(stopped) == 0

    whole, parts = state_of(sounds / "whole"), state_of(sounds / "parts")
    for name in ("network", "average"):
        assert all(torch.equal(value, parts[name][key]) for key, value in whole[name].items())


def killed_at(step: int):
    from sgaudio.training.learner import Learner

    update = Learner.update

    def patched(self, draw, number, done):
        if number == step:
            raise KeyboardInterrupt
        return update(self, draw, number, done)

    return patched


def test_an_interrupted_run_saves_what_it_has(recipe_file, sounds):
    with subprocess.Popen(command(recipe_file, "trainer.steps=1000000"), stderr=subprocess.PIPE, text=True, cwd=sounds) as going:
        assert going.stderr is not None
        for line in going.stderr:
            if "step 2" in line:
                going.send_signal(signal.SIGTERM)
                break
        going.stderr.read()
    assert going.returncode == 128 + signal.SIGTERM
    assert enhances(sounds / "run" / "last.safetensors")
    assert state_of(sounds / "run")["step"] >= 3


def test_two_devices_learn_what_one_learns_from_the_sound_of_both(recipe_file, sounds, build):
    options = ["trainer.devices=2", "trainer.steps=3", "objective={name: plain}", "~objective.solo", "~objective.piece"]
    done = run(recipe_file, *options, cwd=sounds)
    assert done.returncode == 0, done.stderr
    assert "one of 2" in done.stderr

    recipe = build(objective=PLAIN, trainer={"steps": 3, "accumulate": 2})
    torch.manual_seed(recipe.trainer.seed)
    learner = Learner(recipe, torch.device("cpu"), torch.float32)
    common = {"sample_rate": RATE, "level": recipe.model.level, "batch": recipe.trainer.batch, "seconds": recipe.trainer.seconds}
    sources = [make_source(recipe.data, recipe.mixing, **common, device=torch.device("cpu"), rank=rank, ranks=2) for rank in range(2)]
    both = [Run(recipe, learner, source, [], sounds, rank) for rank, source in enumerate(sources)]
    for step in range(3):
        learner.update(lambda number: both[number % 2].draw(number // 2), step, step / 3)
    found = state_of(sounds / "run")["network"]
    for name, weight in learner.enhancer.network.state_dict().items():
        assert torch.allclose(found[name], weight, rtol=1e-4, atol=1e-5), name


def test_a_run_starts_from_an_earlier_one_with_cleaned_targets_and_is_validated(build, sounds):
    data = {"validation": mixtures(sounds)}
    assert train(build("first")) == 0
    first = sounds / "first"
    start = {"init_from": str(first / "last.safetensors"), "init_discriminators": str(first / "state.safetensors"), "save_every": 1}
    recipe = build("second", data={**data, "cleaner": start["init_from"], "target_floor": -20.0}, trainer=start, optimizer={"rate": 0.0})
    assert train(replace(recipe, validation=replace(recipe.validation, steps=(2,), every=1))) == 0
    weights = [sgaudio.load(sounds / name / "last.safetensors", device="cpu").network.state_dict() for name in ("first", "second")]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    validations = [entry for entry in log_of(sounds / "second") if "SI-SDR" in entry]
    assert [entry["solver steps"] for entry in validations] == [None, None, 2]
    assert all(-1 <= entry["ESTOI"] <= 1 for entry in validations)
    assert validations[0]["validation loss"] > 0
    assert enhances(sounds / "second" / "best.safetensors")


def test_a_budget_of_time_is_kept_to(build, sounds):
    minutes = {"steps": None, "minutes": 1.0, "reserve": 2.0}
    assert train(build(trainer=minutes), started=time.monotonic() - 59) == 0
    assert state_of(sounds / "run")["step"] == 0
    assert train(build("other", trainer={**minutes, "minutes": 0.05})) == 0  # which begins now
    assert state_of(sounds / "other")["step"] > 0


def test_a_run_may_go_on_for_another_way_of_sampling(build):
    assert train(build(trainer={"steps": 1})) == 0
    assert train(build(model={"sampling": {"solver": "ddim", "steps": 3}}, trainer={"steps": 2, "resume": True})) == 0


def test_a_run_that_diverges_names_step_and_sounds_and_keeps_the_last_state(build, sounds):
    train(build(objective=PLAIN, trainer={"steps": 1}))
    path = sounds / "run" / "last.safetensors"
    model = sgaudio.load(path, device="cpu")
    next(model.network.parameters()).fill_(float("nan"))
    save(sounds / "broken.safetensors", model, build().card)
    before = (sounds / "run" / "state.safetensors").read_bytes()
    broken = build(objective=PLAIN, trainer={"init_from": str(sounds / "broken.safetensors"), "output": "run"})
    (sounds / "run" / "state.safetensors").rename(sounds / "aside")
    with pytest.raises(SgaudioError, match=r"not finite at step 0, which heard .*a\.wav.*; lower optimizer\.rate"):
        train(broken)
    assert not (sounds / "run" / "state.safetensors").exists()
    assert (sounds / "aside").read_bytes() == before


def test_a_full_disk_is_named_and_what_was_saved_is_kept(build, sounds, monkeypatch):
    assert train(build(trainer={"steps": 1})) == 0
    before = (sounds / "run" / "state.safetensors").read_bytes()

    def full(path, state):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sgaudio.training.run.write_state", full)
    with pytest.raises(SgaudioError, match=r"state.safetensors: cannot be written \(.*No space left on device\): what was saved before"):
        train(build(trainer={"steps": 2, "resume": True}))
    assert (sounds / "run" / "state.safetensors").read_bytes() == before


def test_a_folder_that_holds_a_run_is_not_overwritten(build):
    assert train(build(trainer={"steps": 1})) == 0
    with pytest.raises(ConfigError, match=r"holds a run already: trainer\.resume=true"):
        train(build(trainer={"steps": 1}))


def test_the_state_of_another_model_is_refused(build, values):
    assert train(build(trainer={"steps": 1})) == 0
    network = {**values["model"]["network"], "width": 16}
    with pytest.raises(CheckpointError, match="another model than the recipe's"):
        train(build(model={"network": network}, trainer={"steps": 2, "resume": True}))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"data": {"clean": "gone"}}, "gone: no such folder"),
        ({"trainer": {"init_from": "gone.safetensors"}}, "gone.safetensors: no such model file"),
        ({"trainer": {"init_from": "denoise"}}, "denoise has another network"),
        ({"trainer": {"init_discriminators": "gone.safetensors"}}, "gone.safetensors: no such file"),
        ({"trainer": {"frozen": ["predictor"]}}, "no stage 'predictor': the model has none"),
        ({"trainer": {"device": "tpu"}}, "unknown device 'tpu'"),
        ({"objective": PLAIN, "trainer": {"init_discriminators": "x"}}, "for an objective with an adversary"),
        ({"objective": {**PLAIN, "perceptual": 1.0}}, "perceptual is for sound at 16000 Hz"),
    ],
)
def test_wrong_use_is_one_clear_line(build, sections, words):
    with pytest.raises(SgaudioError) as error:
        train(build(**sections))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_random_numbers_without_a_key_are_drawn_in_training_only():
    package = Path(sgaudio.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        if package / "training" in path.parents:
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and "torch.randn" in ast.unparse(function):
                found.add(function.name)
    assert found <= {"random_noise"}  # the model's loss draws with it
