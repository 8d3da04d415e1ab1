"""The model that lies in the package, on a real recording: a voice in a restaurant, 48 kHz."""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

import sgaudio

NOISY = Path(__file__).parents[2] / "egs" / "quickstart" / "noisy.wav"
SPEECH, PAUSE = slice(4_100, 7_000), slice(7_200, 7_800)  # milliseconds


@pytest.fixture(scope="module")
def model():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield sgaudio.load("denoise", device="cpu")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sounds(model):
    """Before and after, (time), and their rate."""
    noisy, rate = sgaudio.read(NOISY)
    return noisy[0], model.enhance(noisy[0], rate), rate


def level(sound: np.ndarray, rate: int, part: slice, low: float, high: float) -> float:
    """Level of a band (Hz) in a part, in dB."""
    piece = sound[part.start * rate // 1000 : part.stop * rate // 1000].astype(np.float64)
    spectrum, frequency = np.fft.rfft(piece * np.hanning(len(piece))), np.fft.rfftfreq(len(piece), 1 / rate)
    return 10 * np.log10(np.mean(np.abs(spectrum[(frequency >= low) & (frequency < high)]) ** 2) + 1e-12)


def test_the_noise_is_gone_and_the_voice_is_not(sounds):
    before, after, rate = sounds
    assert after.shape == before.shape
    assert level(after, rate, PAUSE, 100, 8_000) < level(before, rate, PAUSE, 100, 8_000) - 25
    assert abs(level(after, rate, SPEECH, 100, 1_000) - level(before, rate, SPEECH, 100, 1_000)) < 3


def test_above_the_models_band_the_noise_goes_too(sounds):
    before, after, rate = sounds
    assert level(after, rate, PAUSE, 8_500, 14_000) < level(before, rate, PAUSE, 8_500, 14_000) - 20


def test_speech_that_is_clean_already_keeps_its_brightness(model, sounds):
    _, clean, rate = sounds  # what came out once goes in again: speech without noise
    again = model.enhance(clean, rate)
    loud = [slice(start, start + 100) for start in range(4_100, 6_900, 100)]
    for low, high in ((300, 8_000), (8_500, 14_000)):
        levels = np.array([[level(sound, rate, part, low, high) for part in loud] for sound in (clean, again)])
        strong = levels[0] > levels[0].max() - 25
        assert np.abs(levels[1] - levels[0])[strong].max() < 3


def test_clean_speech_comes_out_nearly_untouched_by_pesq(model, sounds):
    pesq = pytest.importorskip("pesq", reason="pesq is built from source: pip install '.[metrics]' where there is a compiler").pesq
    _, clean, rate = sounds
    reference, again = (soxr.resample(sound, rate, 16_000) for sound in (clean, model.enhance(clean, rate)))
    assert pesq(16_000, reference, again, "wb") > 4.0


def test_four_stochastic_steps_give_the_same_bits_twice_and_for_any_cut(model):
    noisy, rate = sgaudio.read(NOISY)
    piece = noisy[:, : 2 * rate]
    first, again = (model.enhance(piece, rate, steps=4, seed=5) for _ in range(2))
    with model.stream(rate, steps=4, seed=5) as stream:
        cut = np.concatenate([*(stream.push(piece[:, i : i + 7_001]) for i in range(0, piece.shape[1], 7_001)), stream.flush()], -1)
    assert np.array_equal(first, again)
    assert np.array_equal(first, cut)
    assert not np.array_equal(first, model.enhance(piece, rate, steps=4, seed=6))
