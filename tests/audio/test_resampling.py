import math

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.audio.level import root_mean_square
from sgaudio.audio.resampling import MARGIN, Resampler, delay, fitted, resample, resample_piece

RATES = [(48_000, 16_000), (16_000, 44_100), (11_025, 16_000), (16_000, 192_000), (16_000, 16_000)]


def resampled(source: int, target: int, signal: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    resampler = Resampler(source, target, len(signal))
    pieces = [resampler.push(block) for block in signal.tensor_split(sorted(c % (signal.shape[-1] + 1) for c in cuts), -1)]
    return torch.cat([*pieces, resampler.push(torch.zeros(len(signal), 0), last=True)], -1)


@settings(max_examples=25)
@given(st.sampled_from(RATES), st.integers(0, 4000), st.lists(st.integers(0, 4000), max_size=6))
def test_the_bits_do_not_depend_on_the_cut(rates, length, cuts):
    signal = torch.rand(2, length, generator=torch.Generator().manual_seed(length))
    assert torch.equal(resampled(*rates, signal, cuts), resampled(*rates, signal, []))


@pytest.mark.parametrize("rates", RATES)
def test_it_is_soxr_at_high_quality(rates):
    signal = torch.rand(1, 5000)
    expected = soxr.resample(signal[0].numpy(), *rates, quality="HQ")
    np.testing.assert_allclose(resampled(*rates, signal, [])[0], expected, atol=1e-6)


@pytest.mark.parametrize("rates", [*RATES, (1_000, 16_000), (44_101, 16_000)])
def test_no_sample_waits_longer_than_the_delay(rates):
    source, target = rates
    resampler, received, step = Resampler(source, target, 1), 0, max(1, source // 7000)
    for sent in range(step, 2 * source, step):
        received += resampler.push(torch.zeros(1, step)).shape[-1]
        assert sent - received * source / target <= delay(source, target)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_level_of_any_finite_signal_is_finite_and_not_zero(scale):
    level = root_mean_square(torch.full((3, 100), scale))
    assert level.shape == (3, 1)
    assert level.isfinite().all()
    assert (level > 0).all()
    if scale >= 1:
        torch.testing.assert_close(level, torch.full((3, 1), scale))


@pytest.mark.parametrize("rates", [*RATES, (44_100, 16_000)])
@settings(max_examples=10)
@given(data=st.data())
def test_a_piece_is_that_piece_of_all_of_it_and_no_more_is_read_than_it_needs(rates, data):
    source, target = rates
    sound = np.random.default_rng(0).standard_normal((2, source)).astype(np.float32)
    read: list[int] = []

    def counted(first: int, last: int) -> np.ndarray:
        read.append(last - first)
        return sound[:, first:last]

    start = data.draw(st.integers(0, target))
    stop = data.draw(st.integers(start, target))
    piece = resample_piece(counted, source, source, target, start, stop)
    np.testing.assert_allclose(piece, resample(sound, source, target)[:, start:stop], atol=0 if source == target else 1e-5)
    more = 0 if source == target else 2 * (MARGIN + 2 / math.gcd(*rates))  # seconds
    assert sum(read) <= (stop - start) * source / target + more * source


def test_what_is_fitted_is_cut_or_followed_by_silence():
    sound = np.ones((2, 3), np.float32)
    assert fitted(sound, 2).tolist() == [[1, 1], [1, 1]]
    assert fitted(sound, 4).tolist() == [[1, 1, 1, 0]] * 2
