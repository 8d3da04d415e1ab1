"""Whole runs: a recipe in, a model out."""

import ast
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sgaudio
from sgaudio.models import save
from sgaudio.training.__main__ import main
from sgaudio.training.recipe import load_recipe

from .conftest import RATE, hiss, tone


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sgaudio.training", *map(str, arguments)]


def log_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def enhances(path: Path) -> bool:
    model = sgaudio.load(path, device="cpu")
    noisy = tone(0.7) + hiss(0.7)
    out = model.enhance(noisy, RATE)
    return out.shape == noisy.shape and bool(np.isfinite(out).all())


def test_a_run_of_two_steps_leaves_a_model_that_enhances(recipe_file, sounds):
    done = subprocess.run(command(recipe_file), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert enhances(sounds / "run" / "model.safetensors")
    assert [entry["step"] for entry in log_of(sounds) if "step" in entry] == [0, 1]


def test_an_interrupted_run_saves_what_it_has(recipe_file, sounds):
    with subprocess.Popen(command(recipe_file, "trainer.steps=1000000"), stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "step 2" in line:
                run.send_signal(signal.SIGTERM)
                break
        run.stderr.read()
    assert run.returncode == 128 + signal.SIGTERM
    assert enhances(sounds / "run" / "model.safetensors")
    assert log_of(sounds)[-1]["steps"] >= 3


def test_a_run_goes_on_from_an_earlier_one_with_cleaned_targets_and_is_validated(recipe_file, sounds):
    soundfile.write(sounds / "s.wav", tone(0.5), RATE)
    (sounds / "m.tsv").write_text("id\tspeech\tnoise\tsnr_db\tnoise_offset_samples\na\ts.wav\tnoise/deep/a.wav\t5\t0\n")
    assert main([str(recipe_file)]) == 0
    model, discriminators = sounds / "run" / "model.safetensors", sounds / "run" / "discriminators.safetensors"
    first = sgaudio.load(model, device="cpu").network.state_dict()
    more = [f"trainer.start={model}", f"trainer.start_discriminators={discriminators}", "optimizer.rate=0", "trainer.save_every=1"]
    more += [f"data.cleaner={model}", "data.target_floor=-20", "data.validation=m.tsv"]
    assert main([str(recipe_file), *more]) == 0
    again = sgaudio.load(model, device="cpu").network.state_dict()
    assert all((first[name] == again[name]).all() for name in first)
    assert [entry["calls"] for entry in log_of(sounds) if "si_sdr" in entry] == [1, 2, 4]


def test_a_budget_of_time_is_kept_to(recipe_file, sounds, monkeypatch):
    monkeypatch.setattr("sgaudio.training.loop.STARTED", time.monotonic() - 59)
    assert main([str(recipe_file), "trainer.steps=null", "trainer.minutes=1", "trainer.reserve=2"]) == 0
    assert log_of(sounds)[-1]["steps"] == 0


def test_a_run_that_diverges_says_so_and_keeps_the_last_model(recipe_file, sounds, capsys):
    assert main([str(recipe_file), "objective={name: plain}", "trainer.steps=1"]) == 0
    path = sounds / "run" / "model.safetensors"
    before, model = path.read_bytes(), sgaudio.load(path, device="cpu")
    next(model.network.parameters()).fill_(float("nan"))
    save(sounds / "broken.safetensors", model, load_recipe(str(recipe_file)).card)
    assert main([str(recipe_file), "objective={name: plain}", f"trainer.start={sounds / 'broken.safetensors'}"]) == 1
    assert "at step 0: training diverged; lower optimizer.rate" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage:"),
        (["gone.yaml"], "training: gone.yaml: no such recipe file"),
        (["FILE", "data.clean=gone"], "gone: no such folder"),
        (["FILE", "trainer.start=gone.safetensors"], "gone.safetensors: no such model file"),
        (["FILE", "trainer.start_discriminators=gone.safetensors"], "gone.safetensors: no such file"),
        (["FILE", "trainer.device=tpu"], "unknown device 'tpu'"),
    ],
)
def test_wrong_use_is_one_clear_line(recipe_file, capsys, arguments, words):
    code = main([str(recipe_file) if argument == "FILE" else argument for argument in arguments])
    lines = capsys.readouterr().err
    assert code in (1, 2)
    assert words in lines
    assert arguments == [] or lines.count("\n") == 1


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
