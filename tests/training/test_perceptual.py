"""The perceptual loss orders sounds as PESQ does, and its gradient leads to better ones."""

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.training.perceptual import _ear, perceptual_loss, perceptual_score

RATE = 16_000


def voice(seed: int, seconds: float = 2.5, rate: int = RATE) -> torch.Tensor:
    """Something like speech: a glottal buzz and breath through moving formants, in syllables: (1, time)."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = generator.uniform(90, 240) * (1 + 0.15 * np.sin(2 * np.pi * generator.uniform(0.5, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    sound = np.zeros(len(time))
    formants = [centre * (1 + 0.2 * np.sin(2 * np.pi * generator.uniform(1, 4) * time)) for centre in (600, 1500, 2700, 4200)]
    for order in range(1, 60):
        frequency = order * pitch
        gain = sum(1 / (1 + ((frequency - formant) / 150) ** 2) for formant in formants) / order**0.5
        sound += gain * np.sin(order * phase) * (frequency < 0.45 * rate)
    breath = np.diff(generator.normal(0, 1, len(time) + 1)) * (np.sin(2 * np.pi * 3.1 * time + 2) > 0.7)
    syllables = np.clip(np.sin(2 * np.pi * generator.uniform(2, 4) * time), 0, 1) ** 0.5 * (np.sin(2 * np.pi * 0.7 * time + 1) > -0.6)
    sound = sound * syllables / np.abs(sound).max() + 0.03 * breath
    return torch.from_numpy(0.3 * sound).float()[None]


def noise(kind: str, clean: torch.Tensor, seed: int) -> torch.Tensor:
    """Of the level of the sound."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(clean.shape, generator=generator)
    if kind == "brown":
        spectrum = torch.fft.rfft(drawn)
        drawn = torch.fft.irfft(spectrum / (20 + torch.arange(spectrum.shape[-1])), n=drawn.shape[-1])
    if kind == "bursts":
        drawn = drawn * (torch.rand(clean.shape[-1] // 400 + 1, generator=generator) > 0.8).repeat_interleave(400)[: clean.shape[-1]]
    if kind == "voices":
        drawn = sum(voice(100 + 10 * seed + i).roll(3000 * i, -1) for i in range(3))
    return drawn / drawn.square().mean().sqrt() * clean.square().mean().sqrt()


def test_equal_sounds_lose_nothing():
    clean = voice(0)
    assert perceptual_loss(clean, clean, RATE).item() == pytest.approx(0, abs=1e-7)
    assert perceptual_score(clean, clean, RATE).item() == pytest.approx(4.64, abs=0.01)


def test_level_does_not_count():
    clean = voice(0)
    noisy = clean + 0.1 * noise("white", clean, 0)
    loss = perceptual_loss(noisy, clean, RATE)
    assert perceptual_loss(0.05 * noisy, 3 * clean, RATE).item() == pytest.approx(loss.item(), rel=1e-3)


@pytest.mark.parametrize("kind", ["white", "brown", "bursts", "voices"])
def test_more_noise_loses_more(kind):
    clean = voice(1)
    added = noise(kind, clean, 0)
    losses = [perceptual_loss(clean + 10 ** (-snr / 20) * added, clean, RATE).item() for snr in (40, 30, 20, 10, 0)]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.5


def test_the_loss_is_a_mean_over_the_batch():
    clean = torch.cat([voice(0), voice(1)])
    noisy = clean + 0.2 * torch.cat([noise("white", clean[:1], 0), noise("brown", clean[1:], 0)])
    alone = [perceptual_loss(noisy[i : i + 1], clean[i : i + 1], RATE) for i in range(2)]
    assert perceptual_loss(noisy, clean, RATE).item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-4)
    raw = 4.5 - torch.stack(alone)
    torch.testing.assert_close(perceptual_score(noisy, clean, RATE), 0.999 + 4 / (1 + torch.exp(-1.3669 * raw + 3.8224)))


def test_ranks_are_those_of_pesq():
    pesq = pytest.importorskip("pesq")
    from scipy.stats import spearmanr

    scores, ours = [], []
    for seed in range(3):
        clean = voice(seed)
        sounds = [
            clean + 10 ** (-snr / 20) * noise(kind, clean, seed)
            for kind in ("white", "brown", "bursts", "voices")
            for snr in range(-5, 36, 8)
        ]
        sounds += [clean.clamp(-peak, peak) for peak in (0.02, 0.05, 0.1)]
        for sound in sounds:
            scores.append(pesq.pesq(RATE, clean[0].numpy(), sound[0].numpy(), "wb"))
            ours.append(perceptual_score(sound, clean, RATE).item())
    assert spearmanr(scores, ours).statistic > 0.9
    assert np.abs(np.subtract(scores, ours)).mean() < 0.5


def test_following_the_gradient_raises_pesq():
    pesq = pytest.importorskip("pesq")
    clean = voice(2, 1.5)
    noisy = clean + 0.3 * noise("white", clean, 0)
    estimate = noisy.clone().requires_grad_()
    optimizer = torch.optim.Adam([estimate], 1e-3)
    for _ in range(40):
        optimizer.zero_grad()
        perceptual_loss(estimate, clean, RATE).backward()
        optimizer.step()
    before, after = (pesq.pesq(RATE, clean[0].numpy(), sound.detach()[0].numpy(), "wb") for sound in (noisy, estimate))
    assert after > before + 0.2


@pytest.mark.parametrize("which", ["clean", "estimate", "both", "one sample", "equal"])
def test_silence_has_finite_loss_and_gradient(which):
    clean = voice(0, 1.0)
    estimate = clean.clone() if which == "equal" else clean + 0.1 * noise("white", clean, 0)
    if which in ("clean", "both"):
        clean = torch.zeros_like(clean)
    if which in ("estimate", "both"):
        estimate = torch.zeros_like(estimate)
    if which == "one sample":
        clean, estimate = clean[:, :1], estimate[:, :1]
    estimate.requires_grad_()
    loss = perceptual_loss(estimate, clean, RATE)
    loss.backward()
    assert loss.isfinite()
    assert loss >= 0
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()


def test_other_rates_hear_the_same():
    clean = voice(0, 2.0, 48_000)
    spectrum = torch.fft.rfft(noise("white", clean, 0))
    spectrum[:, spectrum.shape[-1] // 4 :] = 0  # nothing above 6 kHz, so that all is there at 16 kHz
    noisy = clean + 0.3 * torch.fft.irfft(spectrum, n=clean.shape[-1])

    def slower(sound: torch.Tensor) -> torch.Tensor:
        length = sound.shape[-1] // 3
        return torch.fft.irfft(torch.fft.rfft(sound)[:, : length // 2 + 1], n=length) / 3

    at_16 = perceptual_loss(slower(noisy), slower(clean), RATE)
    assert perceptual_loss(noisy, clean, 48_000).item() == pytest.approx(at_16.item(), rel=0.02)


def test_half_precision_around_it_changes_nothing():
    clean = voice(0)
    noisy = clean + 0.1 * noise("white", clean, 0)
    with torch.autocast("cpu", torch.bfloat16):
        loss = perceptual_loss(noisy, clean, RATE)
    assert loss.dtype == torch.float32
    assert loss == perceptual_loss(noisy, clean, RATE)


def test_a_first_use_in_inference_leaves_training_possible():
    clean = voice(0, 1.0)
    _ear.cache_clear()
    with torch.inference_mode():
        perceptual_loss(clean, clean, RATE)
    estimate = (0.9 * clean + 0.1 * clean.roll(5, -1)).requires_grad_()
    perceptual_loss(estimate, clean, RATE).backward()
    assert estimate.grad is not None


def test_wrong_shapes_and_rates_are_refused():
    with pytest.raises(ConfigError, match=r"shapes are \(1, 10\) and \(1, 9\), expected \(batch, time\)"):
        perceptual_loss(torch.zeros(1, 10), torch.zeros(1, 9), RATE)
    with pytest.raises(ConfigError, match=r"shapes are \(10,\)"):
        perceptual_score(torch.zeros(10), torch.zeros(10), RATE)
    with pytest.raises(ConfigError, match="sample rate is 4000 Hz, expected 8000 or more"):
        perceptual_loss(torch.zeros(1, 10), torch.zeros(1, 10), 4000)
