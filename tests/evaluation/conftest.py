"""Folders of short sounds, and a table of mixtures of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8_000


def sound(seed: int, frames: int = 4_000) -> np.ndarray:
    """Something that comes and goes, float32 (time)."""
    time = np.arange(frames) / RATE
    return (0.1 * np.random.default_rng(seed).standard_normal(frames) * (1.1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def put(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """clean/, noisy/ and enhanced/ of the names one, deep/two and deep/three; noise.wav, and mixtures.tsv of the clean sounds with it."""
    for seed, name in enumerate(("one", "deep/two", "deep/three")):
        put(tmp_path / "clean" / f"{name}.wav", sound(seed))
        put(tmp_path / "noisy" / f"{name}.wav", sound(seed) + sound(seed + 10))
        put(tmp_path / "enhanced" / f"{name}.wav", sound(seed) + 0.1 * sound(seed + 20))
    put(tmp_path / "noise.wav", sound(30))
    rows = [
        "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples",
        "a\tclean/one.wav\tnoise.wav\t0\t3",
        "b\tclean/deep/two.wav\tnoise.wav\t10\t5",
    ]
    (tmp_path / "mixtures.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path
