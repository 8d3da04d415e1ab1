"""A constant delay is found to the sample, where there is one."""

import numpy as np
import pytest

from sgaudio.evaluation.delay import constant_delay

from .conftest import RATE, sound


def shifted(waveform: np.ndarray, delay: int) -> np.ndarray:
    """Earlier by `delay` samples, filled up with zeros."""
    out = np.roll(waveform, -delay, 1)
    out[:, len(out[0]) - delay if delay > 0 else 0 : len(out[0]) if delay > 0 else -delay] = 0
    return out


@pytest.mark.parametrize("delay", [0, 1, -1, 37, -400, 3_999])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_delay_is_found_under_noise_and_after_a_filter(delay, noise):
    clean = np.stack([sound(0, 16_000), sound(1, 16_000)])
    dull = 0.5 * clean + 0.3 * shifted(clean, 1) + noise * sound(2, 16_000)
    assert constant_delay(shifted(dull, -delay), clean, RATE) in (delay, delay - 1)
    assert constant_delay(shifted(clean + noise * sound(2, 16_000), -delay), clean, RATE) == delay


def test_no_delay_is_claimed_where_none_stands_out():
    clean = sound(0)[None]
    for other in (sound(1)[None], 0 * clean, np.full_like(clean, np.nan)):
        assert constant_delay(other, clean, RATE) is None
    assert constant_delay(clean, 0 * clean, RATE) is None
