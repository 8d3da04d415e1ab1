"""Synthetic sound and a tiny model: enough to train on in a second."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

RATE = 8000
HERE = {"device": "cpu", "logger": "none"}
MODEL = {
    "sample_rate": RATE,
    "network": {"name": "band-dit", "width": 8, "depth": 1, "heads": 2, "bands": [1, 8, 8, 16]},
    "process": {"name": "bridge-ve", "k": 2.6, "c": 0.1},
    "spectrogram": {"window": 64, "hop": 32},
    "windows": {"length": 4096, "guard": 256, "fade": 512},
    "sampling": {"solver": "ddim", "steps": 1, "solver_options": {"eta": 1.0}},
}


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def tone(seconds: float, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    """Something like a voice: a tone that comes and goes."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.1 * np.sin(2 * np.pi * frequency * time) * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)


def hiss(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.05, round(seconds * rate)).astype(np.float32)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Folders of files `clean` and `noise`."""
    for folder, sound in {"clean": tone(2), "noise": hiss(2)}.items():
        (tmp_path / folder / "deep").mkdir(parents=True)
        soundfile.write(tmp_path / folder / "deep" / "a.wav", sound, RATE)
    return tmp_path


@pytest.fixture
def values(sounds: Path) -> dict:
    """A recipe of two steps on these folders, as plain values."""
    card = {"name": "tiny", "summary": "", "training_data": "tones", "licence": "CC0", "recipe": "here"}
    return {
        "card": card,
        "model": MODEL,
        "data": {"name": "mixing", "root": str(sounds), "clean": "clean", "noise": "noise", "held_out": 0},
        "objective": {"name": "two-jobs", "solo": 1, "piece": 0.4},
        "trainer": {
            "output": str(sounds / "run"),
            "steps": 2,
            "batch": 2,
            "seconds": 0.5,
            "device": "cpu",
            "log_every": 1,
            "logger": "none",
        },
    }


@pytest.fixture
def recipe_file(values: dict, sounds: Path) -> Path:
    path = sounds / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
