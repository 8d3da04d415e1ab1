"""Noisy mixtures and their clean targets, made a batch at a time on the device.

Every function is pure but for the generator that it draws from. Waveforms are (batch, time), full scale at 1; what is
one number an item is (batch, 1). All that is linear and does not change with time is done to spectra: speech and noise go there and
back once, whatever is asked for.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from sgaudio.registry import Range, check
from sgaudio.training.data import Batch, Rooms

QUIET = 2e-3  # speech below this root mean square counts as having it: pauses are not mixed with noise below hearing
FAINT = 3.0  # the like for recorded noise, in levels of 16 bit: silence stays silent
Share = Annotated[float, Range(0, 1)]
Decibels = Annotated[float, Range(0, 60)]


@dataclass(frozen=True)
class MixingConfig:
    """How speech and noise are varied and mixed. A share is a fraction of the items.

    Args:
        snr: range of the signal-to-noise ratio, in dB.
        cleanest: share of the cleanest speech (see `MixingData`).
        nearly_clean, nearly_clean_snr: share of items at another ratio, in dB.
        untouched, untouched_snr: share of items whose target is the speech as it was heard, noise floor and all, at a ratio in dB:
            clean speech is to come out as it is.
        speech_equalizer, noise_equalizer: smooth random equaliser, up to this many dB up or down.
        muted: share of items whose speech stops for a fifth to four fifths of their time.
        more_noises: chances of a second and a third noise, no louder than the first.
        coloured_alone, coloured_added: share of items with coloured random noise only, or besides.
        colours: range of the exponent of frequency in the amplitude of coloured noise.
        swelling, swell: share of items whose noise slowly changes its level, by up to so many dB up or down.
        reverberant: share of items in a room.
        target: what of the room a target keeps: "early" reflections too (whole for 40 ms, gone after 60), or the "direct" sound alone.
        narrow, narrow_band: share of items with a low-pass, and the range of its corner as a fraction of half the sample rate.
        clipped, clipped_peak: share of items that are clipped, and the range of the clipping level as a fraction of the peak.
        level: the mixture's level is off by up to so many dB up or down.
    """

    snr: tuple[float, float] = (-5.0, 22.0)
    cleanest: Share = 0.5
    nearly_clean: Share = 0.05
    nearly_clean_snr: tuple[float, float] = (35.0, 65.0)
    untouched: Share = 0.0
    untouched_snr: tuple[float, float] = (40.0, 70.0)
    speech_equalizer: Decibels = 3.0
    noise_equalizer: Decibels = 9.0
    muted: Share = 0.12
    more_noises: Annotated[tuple[float, ...], Range(0, 1)] = (0.35, 0.15)
    coloured_alone: Share = 0.08
    coloured_added: Share = 0.12
    colours: tuple[float, float] = (-1.25, 0.25)
    swelling: Share = 0.2
    swell: Decibels = 9.0
    reverberant: Share = 0.0
    target: Literal["early", "direct"] = "early"
    narrow: Share = 0.08
    narrow_band: Annotated[tuple[float, float], Range(0, 1)] = (0.4, 0.9)
    clipped: Share = 0.04
    clipped_peak: Annotated[tuple[float, float], Range(0, 1)] = (0.25, 0.75)
    level: Decibels = 3.0

    def __post_init__(self) -> None:
        check(self)


class Crops(NamedTuple):
    """What a batch is made of, int16 on the device.

    Args:
        speech: (1 or 2, batch, time): as it was heard, and as it is to come out where that is not the same.
        noise: (noises, batch, time), silent where an item has fewer; None for no noise at all.
    """

    speech: Tensor
    noise: Tensor | None


def mix(crops: Crops, rooms: Rooms | None, config: MixingConfig, level: float, generator: Generator) -> Batch:
    """A batch of pairs.

    Args:
        crops, rooms: on the generator's device.
        level: root mean square that the mixtures have before they are put off it.
    """
    batch, length = crops.speech.shape[1:]
    size = fast_length(length if rooms is None else length + rooms.full.shape[-1] - 1)
    bins = size // 2 + 1
    untouched = chance(generator, config.untouched, batch)
    narrow = low_pass(generator, config.narrow, config.narrow_band, batch, bins)

    pair = crops.speech
    pair = torch.where(untouched, pair[:1], pair) if len(pair) > 1 else pair
    pair = pair * (talking(generator, config.muted, batch, length) / 32768)
    spectra = torch.fft.rfft(pair, n=size) * (smooth_gains(generator, batch, 8, bins, config.speech_equalizer) * narrow)
    if rooms is not None:
        spectra = spectra * torch.fft.rfft(responses(generator, config.reverberant, rooms, batch), n=size)
    pair = torch.fft.irfft(spectra, n=size)[..., :length]
    noisy, clean = pair[0], pair[-1]
    if crops.noise is not None:
        noise = draw_noise(generator, crops.noise, config, narrow, size)
        snr = uniform(generator, *config.snr, batch, 1)
        snr = torch.where(chance(generator, config.nearly_clean, batch), uniform(generator, *config.nearly_clean_snr, batch, 1), snr)
        snr = torch.where(untouched, uniform(generator, *config.untouched_snr, batch, 1), snr)
        noisy = add_noise(noisy, noise, snr)
    noisy = clip(generator, noisy, config.clipped, config.clipped_peak)
    gain = level / loudness(noisy).clamp_min(1e-4) * gain_of(uniform(generator, -config.level, config.level, batch, 1))
    return Batch(clean * gain, noisy * gain)


@lru_cache
def fast_length(least: int) -> int:
    """The least even number from `least` on that has no prime factor above 5: Fourier transforms of that size are fast."""
    odd = [3**i * 5**j for i in range(17) for j in range(12)]  # up to 4e7 each
    return min(factor << max(1, (-(-least // factor) - 1).bit_length()) for factor in odd)


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform random numbers."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def chance(generator: Generator, share: float, batch: int) -> Tensor:
    """True for a random share of the items: (batch, 1)."""
    return uniform(generator, 0, 1, batch, 1) < share


def gain_of(decibels: Tensor) -> Tensor:
    """Amplitude of so many dB."""
    return torch.exp(decibels * (math.log(10) / 20))


def loudness(waveform: Tensor) -> Tensor:
    """Root mean square (..., 1); in float32, in which sound at full scale is safe."""
    return torch.linalg.vector_norm(waveform, dim=-1, keepdim=True) / math.sqrt(waveform.shape[-1])


def draw_noise(generator: Generator, noises: Tensor, config: MixingConfig, filter: Tensor, size: int) -> Tensor:
    """One to three noises, coloured noise, a smooth equaliser and a slow envelope: (batch, time).

    Args:
        noises: int16 (noises, batch, time).
        filter: gains of what else it goes through, (batch, size // 2 + 1).
        size: of the Fourier transform, `time` or more.
    """
    count, batch, length = noises.shape
    noises = noises.float()
    levels = torch.cat([torch.ones(1, batch, 1, device=noises.device), uniform(generator, 0, 1, count - 1, batch, 1)])
    noise = (noises * (levels / loudness(noises).clamp_min(FAINT))).sum(0)
    kind = uniform(generator, 0, 1, batch, 1)
    recorded = kind >= config.coloured_alone
    coloured = torch.where(recorded, uniform(generator, 0, 1, batch, 1), 1.0) * (kind < config.coloured_alone + config.coloured_added)
    spectrum = torch.fft.rfft(noise, n=size) * recorded + coloured_noise(generator, config.colours, batch, size) * coloured
    spectrum = spectrum * (smooth_gains(generator, batch, 8, size // 2 + 1, config.noise_equalizer) * filter)
    noise = torch.fft.irfft(spectrum, n=size)[:, :length]
    swelling = smooth_gains(generator, batch, 7, length, config.swell)
    return noise * torch.where(chance(generator, config.swelling, batch), swelling, 1.0)


def coloured_noise(generator: Generator, colours: tuple[float, float], batch: int, size: int) -> Tensor:
    """Random noise whose amplitude is a power of frequency: -1 is brown, 0 white. The spectrum, (batch, size // 2 + 1), of unit noise."""
    frequency = torch.linspace(0.01, 1.01, size // 2 + 1, device=generator.device)
    shape = torch.exp(frequency.log() * uniform(generator, *colours, batch, 1))
    drawn = torch.randn(*shape.shape, 2, generator=generator, device=generator.device)
    spectrum = torch.view_as_complex(drawn) * shape
    spectrum[:, 0] = 0
    power = 2 * torch.view_as_real(spectrum).square().sum((-2, -1))[:, None] / size**2  # Parseval
    return spectrum / power.sqrt()


def smooth_gains(generator: Generator, batch: int, points: int, size: int, decibels: float) -> Tensor:
    """Straight lines, in dB, through random points up to so many dB up or down: gains (batch, size)."""
    heights = uniform(generator, -decibels, decibels, batch, 1, points)
    return gain_of(F.interpolate(heights, size=size, mode="linear", align_corners=True)[:, 0])


def talking(generator: Generator, share: float, batch: int, length: int) -> Tensor:
    """1, and for a share of the items 0 over a fifth to four fifths of the length, with short slopes."""
    start = uniform(generator, 0, length, batch, 1)
    end = start + uniform(generator, 0.2, 0.8, batch, 1) * length
    time, slope = torch.arange(length, device=generator.device), 400
    mute = ((time - start) / slope).clamp(0, 1) * ((end - time) / slope).clamp(0, 1)
    return 1 - mute * chance(generator, share, batch)


def responses(generator: Generator, share: float, rooms: Rooms, batch: int) -> Tensor:
    """Of random rooms, whole (0) and what a target keeps of them (1): (2, batch, time). All but a share of the items are in none."""
    room = torch.randint(len(rooms.full), (batch,), generator=generator, device=generator.device)
    nowhere = torch.zeros_like(rooms.full[0])
    nowhere[0] = 1
    response = torch.where(chance(generator, share, batch), rooms.full[room], nowhere)
    return torch.stack([response, response * rooms.kept])


def add_noise(speech: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Speech with noise at a signal-to-noise ratio in dB (batch, 1)."""
    return speech + noise * (gain_of(-snr) * loudness(speech).clamp_min(QUIET) / loudness(noise).clamp_min(1e-4))


def low_pass(generator: Generator, share: float, band: tuple[float, float], batch: int, bins: int) -> Tensor:
    """Gains (batch, bins) of a low-pass with a random corner; 1 for all but a share of the items."""
    frequency = torch.linspace(0, 1, bins, device=generator.device)
    steep = torch.sigmoid((uniform(generator, *band, batch, 1) - frequency) * 120)
    return torch.where(chance(generator, share, batch), steep, 1.0)


def clip(generator: Generator, waveform: Tensor, share: float, peaks: tuple[float, float]) -> Tensor:
    """Clip a share of the items at a random fraction of their peak."""
    limit = waveform.abs().amax(-1, keepdim=True) * uniform(generator, *peaks, len(waveform), 1)
    limit = torch.where(chance(generator, share, len(waveform)), limit, math.inf)
    return waveform.clamp(-limit, limit)
