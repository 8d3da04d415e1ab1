"""Mixtures are what was asked for."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.training.data import Rooms
from sgaudio.training.mixing import (
    Crops,
    MixingConfig,
    add_noise,
    clip,
    coloured_noise,
    draw_noise,
    fast_length,
    low_pass,
    mix,
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
def crops() -> Crops:
    """Six items of speech, whose target is half of it, and two noises each; 4000 samples."""
    speech = white(1, 6, 4000) * 1600
    return Crops(torch.cat([speech, speech / 2]).to(torch.int16), (white(2, 6, 4000, seed=1) * 1600).to(torch.int16))


def same(crops: Crops) -> Crops:
    """Speech that is its own target."""
    return crops._replace(speech=crops.speech[:1])


def echo(after: int, share: float = 0.5) -> Rooms:
    """A room with one echo, which is no part of the target."""
    full = torch.zeros(1, 200)
    full[:, 0], full[:, after] = 1, share
    return Rooms(full, (torch.arange(200) < 100).float())


def decibels(signal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(signal.square().sum(-1) / noise.square().sum(-1))


def test_noise_is_added_at_the_asked_ratio():
    speech, noise = white(5, 4000) * 0.1, white(5, 4000, seed=1)
    snr = torch.tensor([[-5.0], [0.0], [7.5], [22.0], [60.0]])
    assert torch.allclose(decibels(speech, add_noise(speech, noise, snr) - speech), snr[:, 0], atol=2e-2)


@pytest.mark.parametrize("rooms", [None, echo(150)])
def test_a_mixture_has_the_asked_ratio_and_level(crops, generator, rooms):
    clean, noisy = mix(same(crops), rooms, MixingConfig(**NOTHING), LEVEL, generator)
    assert torch.allclose(decibels(clean, noisy - clean), torch.tensor(7.0), atol=1e-3)
    assert torch.allclose(noisy.square().mean(-1).sqrt(), torch.tensor(LEVEL), rtol=1e-4)


def test_the_same_seed_gives_the_same_batch(crops):
    config = MixingConfig(untouched=0.3)
    first, again, other = (mix(crops, None, config, LEVEL, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.noisy, other.noisy)


def test_the_target_is_the_cleaned_speech_but_for_untouched_items(crops, generator):
    loud = {**NOTHING, "snr": (90.0, 90.0)}
    clean, noisy = mix(crops, None, MixingConfig(**loud), LEVEL, generator)
    assert torch.allclose(clean, noisy / 2, atol=2e-3)
    clean, noisy = mix(crops, None, MixingConfig(**loud, untouched=1.0, untouched_snr=(90.0, 90.0)), LEVEL, generator)
    assert torch.allclose(clean, noisy, atol=1e-4)


def test_without_noise_a_room_is_all_that_is_heard(crops, generator):
    config = MixingConfig(**NOTHING, reverberant=1.0)
    clean, noisy = mix(Crops(crops.speech[:1], None), echo(150), config, LEVEL, generator)
    speech = crops.speech[0].float()
    gain = clean.norm(dim=-1, keepdim=True) / speech.norm(dim=-1, keepdim=True)
    assert torch.allclose(clean, gain * speech, atol=1e-5)
    assert torch.allclose(noisy[:, 150:], gain * (speech[:, 150:] + 0.5 * speech[:, :-150]), atol=1e-5)
    assert torch.allclose(noisy[:, :150], clean[:, :150], atol=1e-5)  # nothing comes round from the end


def test_only_a_share_of_the_items_is_in_a_room(generator):
    crops = Crops((white(1, 200, 500) * 1600).to(torch.int16), None)
    clean, noisy = mix(crops, echo(150), MixingConfig(**NOTHING, reverberant=0.3), LEVEL, generator)
    dry = (clean - noisy).abs().amax(-1) < 1e-5
    assert 0.6 < dry.float().mean() < 0.8


def test_everything_at_once_is_finite_even_in_silence(crops, generator):
    every = dict.fromkeys(("untouched", "muted", "swelling", "narrow", "clipped", "reverberant"), 1.0)
    for sound in (crops, Crops(torch.zeros_like(crops.speech), torch.zeros_like(crops.noise))):
        clean, noisy = mix(sound, echo(150), MixingConfig(**every), LEVEL, generator)
        assert clean.shape == noisy.shape == (6, 4000)
        assert torch.isfinite(clean).all()
        assert torch.isfinite(noisy).all()


def test_a_narrow_mixture_has_a_narrow_target_and_narrow_noise(crops, generator):
    clean, noisy = mix(same(crops), None, MixingConfig(**{**NOTHING, "narrow": 1.0, "narrow_band": (0.4, 0.6)}), LEVEL, generator)
    for sound in (clean, noisy):
        power = torch.fft.rfft(sound).abs().square()
        assert power[:, 1400:].sum() < 1e-5 * power.sum()


def test_a_second_noise_is_heard_where_there_is_one(generator):
    noises = (white(2, 3, 4000) * 1600).to(torch.int16)
    noises[1, 0] = 0
    plain = {"coloured_alone": 0.0, "coloured_added": 0.0, "noise_equalizer": 0.0, "swelling": 0.0}
    heard = draw_noise(generator, noises, MixingConfig(**plain), torch.ones(3, 2001), 4000)
    first, second = (torch.nn.functional.cosine_similarity(heard, noise.float()) for noise in noises)
    assert first[0] == pytest.approx(1, abs=1e-5)
    assert (second[1:] > 0.1).all()
    assert (first[1:] >= second[1:]).all()


@given(st.integers(1, 10**7))
def test_a_fast_length_is_even_of_small_factors_and_near(least):
    rest = found = fast_length(least)
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    assert rest == 1
    assert found % 2 == 0
    assert least <= found <= max(least + 1, 1.2 * least)


def test_equalizer_stays_in_its_range_and_is_smooth(generator):
    gains = 20 * torch.log10(smooth_gains(generator, 50, 8, 1000, 6.0))
    assert gains.abs().max() <= 6.001
    assert gains.std() > 1
    assert gains.diff().abs().max() <= 12 * 7 / 999 + 1e-3


def test_coloured_noise_has_its_slope(generator):
    spectrum = coloured_noise(generator, (-1.0, -1.0), 200, 4000)
    power = spectrum.abs().square().mean(0)
    assert torch.allclose(torch.fft.irfft(spectrum).square().mean(-1), torch.tensor(1.0), atol=2e-3)
    octave = 10 * torch.log10(power[990:1010].mean() / power[495:505].mean())
    assert octave == pytest.approx(20 * math.log10(0.51 / 0.26) * -1, abs=0.5)


def test_muted_speech_is_silent_for_a_part_only(generator):
    gate = talking(generator, 1.0, 200, 8000)
    assert ((gate >= 0) & (gate <= 1)).all()
    share = (gate == 0).float().mean(-1)
    assert share.max() < 0.8
    assert (share > 0.05).float().mean() > 0.7


def test_a_narrow_item_has_no_high_band(generator):
    gains = low_pass(generator, 1.0, (0.4, 0.6), 20, 1001)
    assert (gains[:, 700:] < 1e-3).all()
    assert (gains[:, :300] > 0.99).all()
    assert torch.equal(low_pass(generator, 0.0, (0.4, 0.6), 3, 1001), torch.ones(3, 1001))


def test_clipping_cuts_peaks_only(generator):
    sound = white(5, 1000)
    clipped = clip(generator, sound, 1.0, (0.5, 0.5))
    limit = 0.5 * sound.abs().amax(-1, keepdim=True)
    assert torch.equal(clipped, sound.clamp(-limit, limit))
    assert torch.equal(clip(generator, sound, 0.0, (0.5, 0.5)), sound)
