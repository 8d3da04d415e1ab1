"""A differentiable loss that hears like PESQ: ITU-T P.862 (2001), wide band as in P.862.2, where it can be written for tensors.

The steps are those of P.862, sec. 10.2: level, spectrum on a Bark scale, partial compensation of a filter and of the gain, loudness, masked
differences, two disturbances, their norms over bands and time. Left out is what serves telephone lines: the alignment in time. Bands and
thresholds come from formulas (Schroeder, Atal, Hall 1979; Terhardt 1979) instead of tables. A loss of this kind: Martín-Doñas et al. 2018
(PMSQE); with this sum of disturbances, so that weights carry over: Richter et al. 2024 (2409.10753).

On 432 sounds (voices and noises at -5 to 15 dB: noisy, enhanced, clipped, coded, ...) its rank correlation with PESQ-wb is 0.99, and the
score lies 0.1 beside it on average.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.errors import ConfigError

SYMMETRIC, ASYMMETRIC = 0.1, 0.0309  # weights of the disturbances in the score
LOWEST_RATE = 8_000  # Hz
BANDS, HIGHEST = 49, 8_000.0  # bands and their upper end in Hz
SPEECH_POWER = 1e7  # to which sound is brought
SPEECH_BAND = 350.0, 3250.0  # Hz, in which its power is measured
GAIN, CORNER = 10.0, 100.0  # of the wide band's high-pass: power gain (that with which scores come closest to PESQ's), Hz
QUIET = 1e-10  # power below which sound is not raised further
CAP = 45.0  # of the disturbance in a frame


class Ear(NamedTuple):
    """What does not depend on the sound: from power spectra to bands; one value a band is (band, 1).

    Args:
        speech: (bin) shares of bins in the power of speech.
        bands: (band, bin) to power densities, where 0 dB of sound pressure is 1.
        threshold: of hearing.
        exponent: of the loudness.
        loudness: what makes a tone of 1 kHz and 40 dB one sone.
        width: of all bands, in Bark.
    """

    speech: Tensor
    bands: Tensor
    threshold: Tensor
    exponent: Tensor
    loudness: float
    width: float


def perceptual_loss(estimate: Tensor, clean: Tensor, sample_rate: int) -> Tensor:
    """How far PESQ's raw score lies below its best, 4.5: a mean over the batch, 0 or more.

    Args:
        estimate, clean: (batch, time), at any level.
        sample_rate: in Hz; 16 kHz is PESQ's own, sound above 8 kHz does not count.

    Raises:
        ConfigError: on other shapes, or a rate below 8 kHz.
    """
    return _lost(estimate, clean, sample_rate).mean()


def perceptual_score(estimate: Tensor, clean: Tensor, sample_rate: int) -> Tensor:
    """About what PESQ would say: (batch), 1.04 to 4.64, by P.862.2's mapping. For arguments and errors see `perceptual_loss`."""
    return 0.999 + 4 * torch.sigmoid(1.3669 * (4.5 - _lost(estimate, clean, sample_rate)) - 3.8224)


def _lost(estimate: Tensor, clean: Tensor, sample_rate: int) -> Tensor:
    """The weighed disturbances: (batch)."""
    if estimate.shape != clean.shape or estimate.ndim != 2:
        raise ConfigError(f"perceptual loss: shapes are {tuple(estimate.shape)} and {tuple(clean.shape)}, expected (batch, time) twice")
    if sample_rate < LOWEST_RATE:
        raise ConfigError(
            f"perceptual loss: sample rate is {sample_rate} Hz, expected {LOWEST_RATE} or more: set objective.perceptual to 0"
        )
    with torch.autocast(estimate.device.type, enabled=False):  # powers span more than 16 bits hold
        ear = _ear(sample_rate, estimate.device)
        found, wanted = (_densities(sound.float(), ear, sample_rate) for sound in (estimate, clean))
        wanted = wanted * _filter_between(found, wanted, ear)
        found = found * _gain_between(found, wanted, ear)
        louder = _loudness(found, ear), _loudness(wanted, ear)
        excess = louder[0] - louder[1]
        heard = excess.sign() * F.relu(excess.abs() - 0.25 * torch.minimum(*louder))
        added = ((found + 50) / (wanted + 50)) ** 1.2
        asymmetry = torch.where(added < 3, 0, added.clamp_max(12))
        importance = ((wanted.sum(-2) + 1e5) / 1e7) ** 0.04
        symmetric = _over_bands(heard, 2, ear)
        asymmetric = _over_bands(heard * asymmetry, 1, ear)
        return SYMMETRIC * _over_time(symmetric / importance) + ASYMMETRIC * _over_time(asymmetric / importance)


def _densities(sound: Tensor, ear: Ear, sample_rate: int) -> Tensor:
    """Power a Bark at the level of speech: (batch, band, frame)."""
    window = round(0.032 * sample_rate)
    sound = F.pad(sound, (0, max(0, window - sound.shape[-1])))
    shape = torch.hann_window(window, device=sound.device)
    spectrum = torch.stft(sound, window, window // 2, window=shape, center=False, return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)
    level = (ear.speech @ power).mean(-1)[:, None, None]
    return ear.bands @ (power * (SPEECH_POWER / (level + QUIET)))


def _filter_between(found: Tensor, wanted: Tensor, ear: Ear) -> Tensor:
    """By how much each band is stronger on average, up to 20 dB, where the clean sound is no pause: (batch, band, 1)."""
    audible = 100 * ear.threshold
    active = (wanted * (wanted > audible)).sum(-2, keepdim=True) > 1e7
    frames = active.sum(-1, keepdim=True).clamp_min(1)
    means = [(density * (active & (density > audible))).sum(-1, keepdim=True) / frames for density in (found, wanted)]
    return ((means[0] + 1000) / (means[1] + 1000)).clamp(0.01, 100)


def _gain_between(found: Tensor, wanted: Tensor, ear: Ear) -> Tensor:
    """By how much each frame is weaker, smoothed by a recursion over time that is written as its impulse response: (batch, 1, frame)."""
    powers = [(density * (density > ear.threshold)).sum(-2, keepdim=True) + 5e3 for density in (found, wanted)]
    ratio = powers[1] / powers[0]
    memory = 0.2 ** torch.arange(7, -1, -1, device=ratio.device, dtype=ratio.dtype)
    memory = torch.cat([memory[:1], 0.8 * memory[1:]])  # sums to 1
    return F.conv1d(F.pad(ratio, (7, 0), mode="replicate"), memory[None, None]).clamp(3e-4, 5)


def _loudness(density: Tensor, ear: Ear) -> Tensor:
    """Zwicker's, in sone a Bark; nothing below the threshold."""
    above = (density / ear.threshold).clamp_min(1)
    return ear.loudness * (2 * ear.threshold) ** ear.exponent * ((0.5 + 0.5 * above) ** ear.exponent - 1)


def _over_bands(disturbance: Tensor, order: int, ear: Ear) -> Tensor:
    """P.862's norm over a Bark scale: (batch, band, frame) -> (batch, frame)."""
    total = ear.width * disturbance.shape[-2]
    return (total * _root((disturbance.abs() * ear.width).pow(order).sum(-2) / total, order)).clamp_max(CAP)


def _over_time(disturbance: Tensor) -> Tensor:
    """Order 6 inside of a third of a second, where a moment spoils all, and order 2 among them: (batch, frame) -> (batch)."""
    frames = disturbance.shape[-1]
    padded = F.pad(disturbance, (0, max(20, math.ceil(frames / 10) * 10 + 10) - frames))
    syllables = _root(padded.unfold(-1, 20, 10).pow(6).mean(-1), 6)
    return _root(syllables.square().mean(-1), 2)


def _root(value: Tensor, order: int) -> Tensor:
    """A root with a finite slope at 0, where it is 0."""
    tiny = 1e-4**order
    return value if order == 1 else (value + tiny) ** (1 / order) - tiny ** (1 / order)


def _bark(frequency: Tensor) -> Tensor:
    """Of a frequency in Hz (Schroeder, Atal, Hall 1979, with P.862's slope at 0)."""
    return 6 * torch.asinh(frequency / 600)


@lru_cache
@torch.inference_mode(False)  # a first use in validation must not leave what training cannot use
def _ear(sample_rate: int, device: torch.device) -> Ear:
    window = round(0.032 * sample_rate)
    frequency = torch.arange(window // 2 + 1, dtype=torch.float64) * sample_rate / window
    edges = torch.linspace(0, float(_bark(torch.tensor(HIGHEST))), BANDS + 1, dtype=torch.float64)
    edges = edges[1 : int((edges < _bark(frequency[-1])).sum()) + 1]  # neither the steady part nor what the rate does not hold
    ends = 600 * torch.sinh(edges / 6)
    half = frequency[1] / 2
    low, high = torch.maximum(frequency - half, ends[:-1, None]), torch.minimum(frequency + half, ends[1:, None])
    shares = F.relu(high - low) / (2 * half)
    centre = (ends[:-1] + ends[1:]) / 2
    width = float(edges[1] - edges[0])

    kilohertz = centre / 1000
    threshold = 3.64 * kilohertz**-0.8 - 6.5 * torch.exp(-0.6 * (kilohertz - 3.3) ** 2) + 1e-3 * kilohertz**4  # dB (Terhardt 1979)
    threshold = 10 ** (threshold / 10)
    exponent = 0.23 * (6 / (_bark(centre) + 2)).clamp(1, 2) ** 0.15

    time = torch.arange(window, dtype=torch.float64) / sample_rate
    shape = torch.hann_window(window, dtype=torch.float64)
    tone = torch.fft.rfft(shape * 29.54 * torch.sin(2 * math.pi * 1000 * time)).abs().square()  # 40 dB of sound pressure (P.862, 10.2.1.3)
    scale = 1e4 / (shares @ tone).max()
    heard = (2 * threshold) ** exponent * ((0.5 + 0.5 * (scale * (shares @ tone) / threshold).clamp_min(1)) ** exponent - 1)
    loudness = 1 / float(heard.sum() * width)

    speech = ((frequency >= SPEECH_BAND[0]) & (frequency <= SPEECH_BAND[1])).double() * 2 / (window * shape.square().sum())
    high_pass = GAIN * frequency**4 / (frequency**4 + CORNER**4)
    speech, bands, threshold, exponent = (
        each.to(device, torch.float32) for each in (speech, scale * shares * high_pass, threshold[:, None], exponent[:, None])
    )
    return Ear(speech, bands, threshold, exponent, loudness, width)
