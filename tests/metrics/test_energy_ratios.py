"""SI-SDR, SI-SIR and SI-SAR against their definition, solved as least squares in float64."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import AudioError
from sgaudio.metrics import METRICS

from .conftest import RATE


def definition(estimate, clean, noise) -> dict[str, float]:
    """Le Roux et al. 2018: the target is the multiple of the clean sound nearest to the estimate; the interference is what of the error
    the span of clean sound and noise can explain; the artifacts are the rest."""
    estimate, clean, noise = (np.asarray(sound, np.float64) for sound in (estimate, clean, noise))

    def nearest(sound, *basis):
        matrix = np.stack(basis, 1)
        return matrix @ np.linalg.lstsq(matrix, sound, rcond=None)[0]

    target = nearest(estimate, clean)
    interference = nearest(estimate - target, clean, noise)
    artifacts = estimate - target - interference
    energies = {"SI-SDR": estimate - target, "SI-SIR": interference, "SI-SAR": artifacts}
    return {name: 10 * math.log10(np.sum(target**2) / np.sum(part**2)) for name, part in energies.items()}


@given(
    seed=st.integers(0, 2**32),
    scale=st.floats(1e-3, 1e3),
    shares=st.tuples(st.floats(-1, 1), st.floats(0.01, 1), st.floats(0.01, 1)),
    offset=st.floats(-0.5, 0.5),
)
def test_the_ratios_are_the_definition_at_any_scale(seed, scale, shares, offset):
    clean, other, artifact = np.random.default_rng(seed).standard_normal((3, 2000)).astype(np.float32)
    clean = clean + np.float32(offset)
    noise = other + np.float32(shares[0]) * clean  # not orthogonal to the clean sound
    estimate = (scale * (clean + shares[1] * noise + shares[2] * artifact)).astype(np.float32)
    found = METRICS["si-sdr"](estimate, clean, RATE) | METRICS["si-sir"](estimate, clean, RATE, noise=noise)
    assert found == pytest.approx(definition(estimate, clean, noise), abs=1e-6)
    ratios = {name: 10 ** (-value / 10) for name, value in found.items()}
    assert ratios["SI-SDR"] == pytest.approx(ratios["SI-SIR"] + ratios["SI-SAR"], rel=1e-9)


def test_orthogonal_noise_gives_its_ratio():
    time = np.arange(8000) / RATE
    clean, noise = np.sin(2 * np.pi * 100 * time), 0.1 * np.cos(2 * np.pi * 100 * time)
    assert METRICS["si-sdr"](clean + noise, clean, RATE)["SI-SDR"] == pytest.approx(20, abs=1e-4)


def test_a_perfect_estimate_has_a_hundred_decibels(pair):
    clean, sound = pair
    assert METRICS["si-sdr"](clean, clean, RATE) == {"SI-SDR": 100.0}
    assert METRICS["si-sir"](clean, clean, RATE, noise=sound - clean) == {"SI-SIR": 100.0, "SI-SAR": 100.0}


def test_noise_that_is_a_copy_of_the_speech_cannot_be_told_from_it(pair):
    clean, sound = pair
    with pytest.raises(AudioError, match="SI-SIR: the noise is a copy of the reference"):
        METRICS["si-sir"](sound, clean, RATE, noise=2 * clean)
