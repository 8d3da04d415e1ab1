"""`sgaudio train`: exit codes and what is said."""

import signal
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
import yaml

from sgaudio.cli import main

MODEL = {
    "sample_rate": 8000,
    "network": {"name": "band-dit", "width": 8, "depth": 1, "heads": 2, "bands": [1, 8, 8, 16]},
    "process": {"name": "bridge-ve"},
    "spectrogram": {"window": 64, "hop": 32},
    "windows": {"length": 4096, "guard": 256, "fade": 512},
}


@pytest.fixture
def folder(tmp_path):
    """A recipe of one step, and its sound."""
    for name in ("clean", "noise"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    values = {
        "card": {"name": "tiny", "summary": "", "training_data": "", "licence": "CC0", "recipe": "here"},
        "model": MODEL,
        "data": {"name": "mixing", "clean": "clean", "noise": "noise"},
        "objective": {"name": "plain"},
        "trainer": {"output": "run", "steps": 1, "batch": 2, "seconds": 0.5, "device": "cpu", "logger": "none"},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(values))
    return tmp_path


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def train(folder, monkeypatch, capfd):
    """The command, in this process and that folder."""
    monkeypatch.chdir(folder)

    def train(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["sgaudio", "train", *arguments])
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGTERM, handler)
        return Done(ended.value.code, *capfd.readouterr())  # pyright: ignore[reportArgumentType] - the code is a number

    return train


def test_without_a_recipe_all_are_listed(train):
    done = train()
    assert done.returncode == 0
    assert {"folder/bridge", "voicebank_demand/sgmse", "packs/denoise"} <= set(done.stdout.split())


def test_a_dry_run_says_what_it_would_take_and_leaves_nothing(train, folder):
    done = train("tiny.yaml", "trainer.steps=1000", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "steps: 1000" in done.stdout
    assert "million; with gradients" in done.stdout
    assert "the run: 1000 steps, about" in done.stdout
    assert not (folder / "run").exists()


def test_a_sweep_trains_into_numbered_folders(train, folder):
    done = train("tiny.yaml", "-m", "trainer.seed=1,2", "trainer.logger=none")
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "0" / "last.safetensors").is_file()
    assert (folder / "run" / "1" / "last.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["folder/brigde"], "did you mean 'folder/bridge'"),
        (["tiny.yaml", "trainer.stepz=3"], "no option 'stepz': did you mean 'steps'"),
        (["tiny.yaml", "data.clean=gone"], "gone: no such folder"),
        (["tiny.yaml", "trainer.init_from=denoise"], "denoise has another network"),
        (["tiny.yaml", "data.clean=["], "data.clean=["),
        (["voicebank_demand/sgmse", "data.root=.", "trainer.device=cpu"], "train.tsv: no such table"),
    ],
)
def test_wrong_use_is_one_line_and_exits_2(train, arguments, words):
    done = train(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("sgaudio: ")
    assert done.stderr.count("\n") == 1


def test_a_run_that_fails_exits_1(train, folder):
    soundfile.write(folder / "noise" / "b.wav", np.full(8000, 0.1), 8000)
    (folder / "noise" / "b.wav").write_bytes((folder / "noise" / "b.wav").read_bytes()[:20])
    done = train("tiny.yaml")
    assert done.returncode == 1
    assert "b.wav" in done.stderr
    assert "Traceback" not in done.stderr
