"""Noisy mixtures and their clean targets, made a batch at a time on the device.

Every function is pure but for the generator that it draws from. Waveforms are (batch, time), full scale at 1; what is
one number an item is (batch, 1).
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from sgaudio.audio.level import root_mean_square
from sgaudio.registry import Range, check
from sgaudio.training.data import Material, Rooms

QUIET = 2e-3  # speech below this root mean square counts as having it: pauses are not mixed with noise below hearing
Share = Annotated[float, Range(0, 1)]
Decibels = Annotated[float, Range(0, 60)]


@dataclass(frozen=True)
class MixingConfig:
    """How speech and noise are varied and mixed. A share is a fraction of the items.

    Args:
        snr: range of the signal-to-noise ratio, in dB.
        cleanest: share of the cleanest speech (see `DataConfig.cleanest`).
        nearly_clean, nearly_clean_snr: share of items at another ratio, in dB.
        untouched, untouched_snr: share of items whose target is the speech as it was heard, noise floor and all, at a ratio in dB:
            clean speech is to come out as it is.
        speech_equalizer, noise_equalizer: smooth random equaliser, up to this many dB up or down.
        muted: share of items whose speech stops for a fifth to four fifths of their time.
        more_noises: chances of a second and a third noise, no louder than the first.
        coloured_alone, coloured_added: share of items with coloured random noise only, or besides.
        colours: range of the exponent of frequency in the amplitude of coloured noise.
        swelling, swell: share of items whose noise slowly changes its level, by up to so many dB up or down.
        reverberant: share of items in a room; their target keeps the early reflections.
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
    narrow: Share = 0.08
    narrow_band: Annotated[tuple[float, float], Range(0, 1)] = (0.4, 0.9)
    clipped: Share = 0.04
    clipped_peak: Annotated[tuple[float, float], Range(0, 1)] = (0.25, 0.75)
    level: Decibels = 3.0

    def __post_init__(self) -> None:
        check(self)


def mix(material: Material, config: MixingConfig, batch: int, length: int, level: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """A batch of pairs.

    Args:
        material: on the generator's device.
        batch, length: how many, and how long in samples.
        level: root mean square that the mixtures have before they are put off it.

    Returns:
        clean, noisy: (batch, length).
    """
    pair = draw_speech(generator, material, config.cleanest, batch, length)
    untouched = chance(generator, config.untouched, batch)
    pair = torch.where(untouched, pair[:1], pair)
    pair = filtered(pair, smooth_gains(generator, batch, 8, length // 2 + 1, config.speech_equalizer))
    pair = pair * talking(generator, config.muted, batch, length)
    if material.rooms is not None:
        pair = torch.where(chance(generator, config.reverberant, batch), reverberant(generator, pair, material.rooms), pair)
    noise = draw_noise(generator, material.noise, config, batch, length)
    snr = uniform(generator, *config.snr, batch, 1)
    snr = torch.where(chance(generator, config.nearly_clean, batch), uniform(generator, *config.nearly_clean_snr, batch, 1), snr)
    snr = torch.where(untouched, uniform(generator, *config.untouched_snr, batch, 1), snr)

    noisy, clean = add_noise(pair[0], noise, snr), pair[1]
    narrow = low_pass(generator, config.narrow, config.narrow_band, batch, length)
    noisy, clean = filtered(noisy, narrow), filtered(clean, narrow)
    noisy = clip(generator, noisy, config.clipped, config.clipped_peak)
    gain = level / root_mean_square(noisy).clamp_min(1e-4) * gain_of(uniform(generator, -config.level, config.level, batch, 1))
    return clean * gain, noisy * gain


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform random numbers."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def chance(generator: Generator, share: float, batch: int) -> Tensor:
    """True for a random share of the items: (batch, 1)."""
    return uniform(generator, 0, 1, batch, 1) < share


def gain_of(decibels: Tensor) -> Tensor:
    """Amplitude of so many dB."""
    return 10 ** (decibels / 20)


def unit(waveform: Tensor) -> Tensor:
    """Brought to a root mean square of 1; silence stays quiet."""
    return waveform / root_mean_square(waveform).clamp_min(1e-4)


def crops(generator: Generator, sound: Tensor, batch: int, length: int) -> Tensor:
    """Random pieces of a sound, int16 (track, time), that goes round in a circle: float (track, batch, length)."""
    total = sound.shape[-1]
    start = torch.randint(total, (batch, 1), generator=generator, device=generator.device)
    return sound[:, (start + torch.arange(length, device=generator.device)) % total].float() / 32768


def draw_speech(generator: Generator, material: Material, cleanest: float, batch: int, length: int) -> Tensor:
    """Speech as it was heard and as it is to come out: (2, batch, length)."""
    chosen = 0 if material.cleanest is None else round(cleanest * batch)
    pieces = [crops(generator, material.speech, batch - chosen, length)]
    if material.cleanest is not None:
        pieces.append(crops(generator, material.cleanest, chosen, length))
    return torch.cat(pieces, 1).expand(2, batch, length)


def draw_noise(generator: Generator, sound: Tensor, config: MixingConfig, batch: int, length: int) -> Tensor:
    """One to three noises, coloured noise, a smooth equaliser and a slow envelope."""
    noise = unit(crops(generator, sound, batch, length)[0])
    for share in config.more_noises:
        another = unit(crops(generator, sound, batch, length)[0]) * uniform(generator, 0, 1, batch, 1)
        noise = noise + another * chance(generator, share, batch)
    coloured = coloured_noise(generator, config.colours, batch, length)
    kind = uniform(generator, 0, 1, batch, 1)
    added = noise + coloured * uniform(generator, 0, 1, batch, 1)
    noise = torch.where(kind < config.coloured_alone + config.coloured_added, added, noise)
    noise = torch.where(kind < config.coloured_alone, coloured, noise)
    noise = unit(filtered(noise, smooth_gains(generator, batch, 8, length // 2 + 1, config.noise_equalizer)))
    swelling = noise * smooth_gains(generator, batch, 7, length, config.swell)
    return torch.where(chance(generator, config.swelling, batch), swelling, noise)


def coloured_noise(generator: Generator, colours: tuple[float, float], batch: int, length: int) -> Tensor:
    """Random noise whose amplitude is a power of frequency: -1 is brown, 0 white."""
    white = torch.randn(batch, length, generator=generator, device=generator.device)
    frequency = torch.linspace(0.01, 1.01, length // 2 + 1, device=generator.device)
    return unit(filtered(white, frequency ** uniform(generator, *colours, batch, 1)))


def smooth_gains(generator: Generator, batch: int, points: int, size: int, decibels: float) -> Tensor:
    """Straight lines, in dB, through random points up to so many dB up or down: gains (batch, size)."""
    heights = uniform(generator, -decibels, decibels, batch, 1, points)
    return gain_of(F.interpolate(heights, size=size, mode="linear", align_corners=True)[:, 0])


def filtered(waveform: Tensor, gains: Tensor) -> Tensor:
    """Multiply the spectrum of (..., batch, time) with gains (batch, time // 2 + 1)."""
    return torch.fft.irfft(torch.fft.rfft(waveform) * gains, n=waveform.shape[-1])


def talking(generator: Generator, share: float, batch: int, length: int) -> Tensor:
    """1, and for a share of the items 0 over a fifth to four fifths of the length, with short slopes."""
    start = uniform(generator, 0, length, batch, 1)
    end = start + uniform(generator, 0.2, 0.8, batch, 1) * length
    time, slope = torch.arange(length, device=generator.device), 400
    mute = ((time - start) / slope).clamp(0, 1) * ((end - time) / slope).clamp(0, 1)
    return 1 - mute * chance(generator, share, batch)


def reverberant(generator: Generator, pair: Tensor, rooms: Rooms) -> Tensor:
    """Heard (0) in a random room, and target (1) with that room's early reflections only: (2, batch, time)."""
    batch, length = pair.shape[1:]
    room = torch.randint(len(rooms.full), (batch,), generator=generator, device=generator.device)
    responses = torch.stack([rooms.full[room], rooms.early[room]])
    size = length + responses.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(pair, n=size) * torch.fft.rfft(responses, n=size), n=size)[..., :length]


def add_noise(speech: Tensor, noise: Tensor, snr: Tensor) -> Tensor:
    """Speech with noise at a signal-to-noise ratio in dB (batch, 1)."""
    loudness = root_mean_square(speech).clamp_min(QUIET) / root_mean_square(noise).clamp_min(1e-4)
    return speech + noise * loudness * gain_of(-snr)


def low_pass(generator: Generator, share: float, band: tuple[float, float], batch: int, length: int) -> Tensor:
    """Gains (batch, length // 2 + 1) of a low-pass with a random corner; 1 for all but a share of the items."""
    frequency = torch.linspace(0, 1, length // 2 + 1, device=generator.device)
    steep = torch.sigmoid((uniform(generator, *band, batch, 1) - frequency) * 120)
    return torch.where(chance(generator, share, batch), steep, 1.0)


def clip(generator: Generator, waveform: Tensor, share: float, peaks: tuple[float, float]) -> Tensor:
    """Clip a share of the items at a random fraction of their peak."""
    limit = waveform.abs().amax(-1, keepdim=True) * uniform(generator, *peaks, len(waveform), 1)
    limit = torch.where(chance(generator, share, len(waveform)), limit, math.inf)
    return waveform.clamp(-limit, limit)
