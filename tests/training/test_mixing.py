"""Mixtures are what was asked for."""

import math

import pytest
import torch

from sgaudio.training.data import Material, Rooms
from sgaudio.training.mixing import (
    MixingConfig,
    add_noise,
    clip,
    coloured_noise,
    crops,
    low_pass,
    mix,
    reverberant,
    smooth_gains,
    talking,
)

LEVEL = 1 / 12
NOTHING = {
    "snr": (7.0, 7.0),
    "nearly_clean": 0.0,
    "speech_equalizer": 0.0,
    "noise_equalizer": 0.0,
    "muted": 0.0,
    "swelling": 0.0,
    "narrow": 0.0,
    "clipped": 0.0,
    "level": 0.0,
}


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def material() -> Material:
    sound = (white(2, 40_000) * 1600).to(torch.int16)
    sound[1] = sound[0] // 2
    return Material(sound, sound[:, :9000] + 1, (white(1, 30_000, seed=1) * 1600).to(torch.int16), None)


def decibels(signal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(signal.square().sum(-1) / noise.square().sum(-1))


def test_noise_is_added_at_the_asked_ratio():
    speech, noise = white(5, 4000) * 0.1, white(5, 4000, seed=1)
    snr = torch.tensor([[-5.0], [0.0], [7.5], [22.0], [60.0]])
    assert torch.allclose(decibels(speech, add_noise(speech, noise, snr) - speech), snr[:, 0], atol=2e-2)


def test_a_mixture_has_the_asked_ratio_and_level(material, generator):
    material = material._replace(speech=material.speech[:1], cleanest=None)
    clean, noisy = mix(material, MixingConfig(**NOTHING), 8, 4000, LEVEL, generator)
    assert torch.allclose(decibels(clean, noisy - clean), torch.tensor(7.0), atol=1e-3)
    assert torch.allclose(noisy.square().mean(-1).sqrt(), torch.tensor(LEVEL), rtol=1e-4)


def test_the_same_seed_gives_the_same_batch(material):
    config = MixingConfig(untouched=0.3)
    first, again, other = (mix(material, config, 4, 3000, LEVEL, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


def test_the_target_is_the_cleaned_speech_but_for_untouched_items(material, generator):
    loud = {**NOTHING, "snr": (90.0, 90.0)}
    clean, noisy = mix(material, MixingConfig(**loud), 6, 3000, LEVEL, generator)
    assert torch.allclose(clean, noisy / 2, atol=2e-3)
    clean, noisy = mix(material, MixingConfig(**loud, untouched=1.0, untouched_snr=(90.0, 90.0)), 6, 3000, LEVEL, generator)
    assert torch.allclose(clean, noisy, atol=1e-4)


def test_everything_at_once_is_finite_even_in_silence(material, generator):
    silent = material._replace(speech=torch.zeros_like(material.speech), noise=torch.zeros_like(material.noise))
    every = dict.fromkeys(("untouched", "muted", "swelling", "narrow", "clipped"), 1.0)
    for sound in (material, silent):
        clean, noisy = mix(sound, MixingConfig(**every), 8, 3000, LEVEL, generator)
        assert clean.shape == noisy.shape == (8, 3000)
        assert torch.isfinite(clean).all()
        assert torch.isfinite(noisy).all()


def test_a_sound_shorter_than_a_crop_goes_round(generator):
    sound = torch.arange(1, 8, dtype=torch.int16)[None]
    (pieces,) = crops(generator, sound, 4, 14) * 32768
    assert torch.equal(pieces[:, 1:], pieces[:, :-1] % 7 + 1)


def test_equalizer_stays_in_its_range_and_is_smooth(generator):
    gains = 20 * torch.log10(smooth_gains(generator, 50, 8, 1000, 6.0))
    assert gains.abs().max() <= 6.001
    assert gains.std() > 1
    assert gains.diff().abs().max() <= 12 * 7 / 999 + 1e-3


def test_coloured_noise_has_its_slope(generator):
    power = torch.fft.rfft(coloured_noise(generator, (-1.0, -1.0), 200, 4000)).abs().square().mean(0)
    octave = 10 * torch.log10(power[990:1010].mean() / power[495:505].mean())
    assert octave == pytest.approx(20 * math.log10(0.51 / 0.26) * -1, abs=0.5)


def test_muted_speech_is_silent_for_a_part_only(generator):
    gate = talking(generator, 1.0, 200, 8000)
    assert ((gate >= 0) & (gate <= 1)).all()
    share = (gate == 0).float().mean(-1)
    assert share.max() < 0.8
    assert (share > 0.05).float().mean() > 0.7


def test_a_narrow_item_has_no_high_band(generator):
    gains = low_pass(generator, 1.0, (0.4, 0.6), 20, 2000)
    assert (gains[:, 700:] < 1e-3).all()
    assert (gains[:, :300] > 0.99).all()
    assert torch.equal(low_pass(generator, 0.0, (0.4, 0.6), 3, 2000), torch.ones(3, 1001))


def test_clipping_cuts_peaks_only(generator):
    sound = white(5, 1000)
    clipped = clip(generator, sound, 1.0, (0.5, 0.5))
    limit = 0.5 * sound.abs().amax(-1, keepdim=True)
    assert torch.equal(clipped, sound.clamp(-limit, limit))
    assert torch.equal(clip(generator, sound, 0.0, (0.5, 0.5)), sound)


def test_a_room_without_walls_changes_nothing(generator):
    impulse = torch.zeros(1, 200)
    impulse[:, 0] = 1
    pair = white(2, 3, 1000)
    assert torch.allclose(reverberant(generator, pair, Rooms(impulse, impulse)), pair, atol=1e-5)


def test_the_target_of_a_room_keeps_early_reflections_only(generator):
    full = torch.zeros(1, 200)
    full[:, 0], full[:, 150] = 1, 0.5
    early = full.clone()
    early[:, 150] = 0
    sound = white(1, 1, 1000).expand(2, 1, 1000)
    heard, target = reverberant(generator, sound, Rooms(full, early))
    assert torch.allclose(target, sound[1], atol=1e-5)
    assert torch.allclose(heard[:, 150:], sound[0, :, 150:] + 0.5 * sound[0, :, :-150], atol=1e-5)
