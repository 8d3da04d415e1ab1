"""Log-spectral distance and level: what they must give by their definition."""

import numpy as np
import pytest

from sgaudio.metrics import METRICS

from .conftest import RATE, voice


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_a_gain_is_its_decibels_as_distance_and_as_level(gain):
    sound = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    decibels = 20 * np.log10(gain)
    assert METRICS["lsd"](gain * sound, sound, RATE)["LSD"] == pytest.approx(abs(decibels), abs=1e-3)
    assert METRICS["level"](gain * sound, sound, RATE)["level"] == pytest.approx(decibels, abs=1e-4)


def test_the_level_is_that_of_the_words_not_of_the_pauses():
    clean = voice()
    speaks = np.abs(clean) > 1e-2
    pauses = np.convolve(speaks, np.ones(2 * RATE // 50), "same") == 0
    hissing = clean + pauses * 0.005 * np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    assert pauses.mean() > 0.2
    assert METRICS["level"](hissing, clean, RATE)["level"] == pytest.approx(0, abs=0.01)


def test_silence_in_the_estimate_costs_at_most_the_depth():
    clean = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    estimate = np.where(np.arange(RATE) < 10, clean, 0)
    assert 60 < METRICS["lsd"](estimate, clean, RATE)["LSD"] < 80


def test_words_in_the_last_half_of_a_frame_have_a_level():
    clean = np.where(np.arange(16_100) < 16_000, 0, voice()[:16_100])
    assert METRICS["level"](0.5 * clean, clean, RATE)["level"] == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize("frames", [1, 100, 600])
def test_short_sounds_have_values(frames):
    sound = voice()[3000 : 3000 + frames]
    assert METRICS["lsd"](sound, sound, RATE) == {"LSD": 0.0}
    assert METRICS["level"](sound, sound, RATE) == {"level": 0.0}
