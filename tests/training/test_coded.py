"""Coded copies sound like what was coded, lie where it lay, and are the same every time."""

import numpy as np
import pytest
import soundfile

from sgaudio.errors import ConfigError
from sgaudio.training import coded as module
from sgaudio.training.coded import CODECS, coded, coded_copies

EVERY = [(kind, level) for kind, codec in CODECS.items() for level in codec.levels]


def voice(seconds: float, rate: int) -> np.ndarray:
    """A vowel that glides, comes and goes, and some breath: int16 (time)."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 1.7 * time)) / rate
    sound = sum(np.sin(order * phase) / order for order in range(1, 15)) * np.sin(np.pi * 2.3 * time) ** 2
    breath = np.random.default_rng(1).normal(0, 0.02, len(time))
    return np.rint((sound + breath) * 8000).astype(np.int16)


def lag(one: np.ndarray, other: np.ndarray) -> int:
    size = 2 * len(one)
    spectra = [np.fft.rfft(sound.astype(float), size) for sound in (one, other)]
    at = int(np.fft.irfft(spectra[1] * spectra[0].conj(), size).argmax())
    return at if at < len(one) else at - size


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("kind", "level"), EVERY)
def test_a_coded_sound_is_another_at_the_same_place(kind, level, rate):
    sound = voice(1, rate)
    heard = coded(sound, rate, kind, level)
    assert heard.dtype == np.int16
    assert heard.shape == sound.shape
    assert abs(lag(sound, heard)) <= 1
    assert 0.9 < correlation(sound, heard) < 0.99999


@pytest.mark.parametrize("kind", CODECS)
def test_higher_levels_lose_more(kind):
    sound = voice(2, 16_000)
    likeness = [correlation(sound, coded(sound, 16_000, kind, level)) for level in CODECS[kind].levels]
    assert likeness[0] > likeness[-1]


def test_mp3_of_few_bits_is_late_without_alignment():
    assert module.delay("mp3", 0.95, 16_000) == 1105  # 576 of the encoder, 529 of the decoder
    assert module.delay("vorbis", 0.9, 16_000) == 0


def test_copies_are_the_same_for_a_seed_and_vary_from_piece_to_piece(monkeypatch):
    monkeypatch.setattr(module, "PIECE", 0.5)
    sound = np.tile(voice(0.5, 16_000), 8)
    copies = coded_copies(sound, 16_000, ("mp3", "opus"), 3)
    assert copies.dtype == np.int16
    assert copies.shape == (2, len(sound))
    np.testing.assert_array_equal(copies, coded_copies(sound, 16_000, ("mp3", "opus"), 3))
    assert (copies != coded_copies(sound, 16_000, ("mp3", "opus"), 4)).any()
    for copy in copies:
        assert abs(lag(sound, copy)) <= 1
        assert len(np.unique(copy.reshape(8, -1), axis=0)) > 1


@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.parametrize("length", [0, 1, 100])
def test_short_sounds_keep_their_length(kind, length):
    sound = np.full(length, 1000, np.int16)
    assert coded_copies(sound, 16_000, (kind,), 0).shape == (1, length)


@pytest.mark.parametrize("kind", CODECS)
def test_silence_stays_silent_and_full_scale_does_not_wrap(kind):
    assert np.abs(coded(np.zeros(16_000, np.int16), 16_000, kind, CODECS[kind].levels[-1])).max() <= 1
    loud = (np.sign(voice(1, 16_000).astype(float)) * 32767).astype(np.int16)
    assert correlation(loud, coded(loud, 16_000, kind, CODECS[kind].levels[-1])) > 0.5


def test_an_unknown_codec_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown codec 'mp4': did you mean 'mp3'"):
        coded_copies(voice(0.1, 16_000), 16_000, ("mp4",), 0)


def test_a_codec_that_was_not_built_in_is_named(monkeypatch):
    monkeypatch.setattr(soundfile, "available_subtypes", lambda container: {})
    with pytest.raises(ConfigError, match=r"codec 'opus': libsndfile .* built without it"):
        coded(voice(0.1, 16_000), 16_000, "opus", 0.93)
