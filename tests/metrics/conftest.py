"""Something like speech."""

import numpy as np
import pytest

RATE = 16_000


def voice(seed: int = 0, seconds: float = 2.3, rate: int = RATE) -> np.ndarray:
    """Syllables with harmonics of a gliding pitch, and pauses: float32 (time). Four times 2.3 s are what DNSMOS hears at once."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 40 * np.sin(2 * np.pi * generator.uniform(0.5, 1.5) * time + generator.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tones = sum(generator.uniform(0.3, 1) / harmonic * np.sin(harmonic * phase) for harmonic in range(1, 24))
    syllables = np.clip(np.sin(2 * np.pi * generator.uniform(2, 4) * time + generator.uniform(0, 6)), 0, None)
    return (0.1 * tones * syllables + 1e-4 * generator.standard_normal(len(time))).astype(np.float32)


def noisy(clean: np.ndarray, seed: int = 0, level: float = 0.02) -> np.ndarray:
    return clean + level * np.random.default_rng(seed).standard_normal(clean.shape).astype(np.float32)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Clean, and with noise."""
    clean = voice()
    return clean, noisy(clean)
