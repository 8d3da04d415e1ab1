"""Logarithmic mel spectrograms: what singing models make and vocoders hear.

A Hann window, magnitudes, triangles of unit area on the mel scale of Slaney's Auditory Toolbox (1998; librosa's default), a logarithm with
a floor. DiffSinger (Liu et al. 2022, 2105.02446) lays frame k on sample k hop, with silence outside; HiFi-GAN (Kong, Kim, Bae 2020,
2010.05646) on sample (k + 1/2) hop, with reflections outside.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, Registry, check

LINEAR = 200 / 3  # Hz a mel, up to 1000 Hz
KNEE = 15.0  # mel at 1000 Hz
RATIO = math.log(6.4) / 27  # a mel, above it


@dataclass(frozen=True)
class MelSpectrogram:
    """From waveform to log mel spectrogram, differentiable, as precise as the waveform.

    Args:
        sample_rate: in Hz.
        window: length of the Hann window in samples.
        hop: distance of the frames in samples.
        bins: number of triangles.
        fmin, fmax: where the first begins and the last ends, in Hz.
        base: of the logarithm.
        floor: magnitudes below it count as it.
        frames: "on hops" (k hop, zeros outside) or "between hops" ((k + 1/2) hop, reflections outside).
    """

    sample_rate: Annotated[int, Range(1000, 768_000)] = 24_000
    window: Annotated[int, Range(2, 2**16)] = 512
    hop: Annotated[int, Range(1, 2**15)] = 128
    bins: Annotated[int, Range(1, 1024)] = 80
    fmin: Annotated[float, Range(0)] = 30.0
    fmax: Annotated[float, Range(0)] = 12_000.0
    base: Literal["log10", "ln"] = "log10"
    floor: Annotated[float, Range(1e-30, 1)] = 1e-6
    frames: Literal["on hops", "between hops"] = "on hops"

    def __post_init__(self) -> None:
        check(self)
        if not self.fmin < self.fmax <= self.sample_rate / 2:
            expected = f"fmin below fmax, and this at most half the sample rate, {self.sample_rate / 2:g}"
            raise ConfigError(f"MelSpectrogram: fmin {self.fmin:g} and fmax {self.fmax:g} Hz: expected {expected}")
        if self.hop > self.window:
            raise ConfigError(f"MelSpectrogram: hop is {self.hop}, expected at most the window, {self.window}")
        if not (found := slaney_filters(self).any(1)).all():
            empty = int((~found).nonzero()[0])
            raise ConfigError(f"MelSpectrogram: mel bin {empty} of {self.bins} holds no frequency: use fewer bins or a longer window")

    @property
    def padding(self) -> tuple[int, int]:
        """Samples put before and after the sound."""
        if self.frames == "on hops":
            return self.window // 2, self.window // 2
        return (self.window - self.hop) // 2, (self.window - self.hop + 1) // 2

    @property
    def shortest(self) -> int:
        """Samples that a sound must have."""
        return 1 if self.frames == "on hops" else max(self.hop, self.padding[1] + 1)

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (..., time) -> log mel spectrogram (..., bins, frame).

        There are 1 + time // hop frames on hops, time // hop between them.

        Raises:
            ConfigError: on fewer samples than reflections need.
        """
        if waveform.shape[-1] < self.shortest:
            raise ConfigError(f"mel: the sound has {waveform.shape[-1]} samples, expected {self.shortest} or more")
        window, filters = _constants(self, waveform.dtype, waveform.device)
        flat = waveform.reshape(-1, waveform.shape[-1])
        flat = F.pad(flat, self.padding, "constant" if self.frames == "on hops" else "reflect")
        with torch.autocast(waveform.device.type, enabled=False):  # it would round what the floor is to tell apart
            spectrum = torch.stft(flat, self.window, self.hop, window=window, center=False, return_complex=True)
            mel = (filters @ spectrum.abs()).clamp_min(self.floor)
        mel = mel.log10() if self.base == "log10" else mel.log()
        return mel.reshape(*waveform.shape[:-1], *mel.shape[-2:])


def slaney_filters(config: MelSpectrogram) -> Tensor:
    """The triangles: float64 (bins, window // 2 + 1), of unit area over Hz."""
    low, high = _mel(config.fmin), _mel(config.fmax)
    edges = _hertz(torch.linspace(low, high, config.bins + 2, dtype=torch.float64))
    frequencies = torch.arange(config.window // 2 + 1, dtype=torch.float64) * (config.sample_rate / config.window)
    first, middle, last = (edges[i : i + config.bins, None] for i in range(3))
    rising, falling = (frequencies - first) / (middle - first), (last - frequencies) / (last - middle)
    return torch.minimum(rising, falling).clamp_min(0) * (2 / (last - first))


@lru_cache(maxsize=32)
def _constants(config: MelSpectrogram, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Window and filters, made once for all that they depend on."""
    with torch.inference_mode(False):  # training may use them later
        window = torch.hann_window(config.window, dtype=torch.float64)
        return window.to(dtype).to(device), slaney_filters(config).to(dtype).to(device)


def _mel(frequency: float) -> float:
    """Hz to Slaney's mel: linear up to 1000 Hz, logarithmic above."""
    return frequency / LINEAR if frequency < KNEE * LINEAR else KNEE + math.log(frequency / (KNEE * LINEAR)) / RATIO


def _hertz(mel: Tensor) -> Tensor:
    """The inverse of `_mel`."""
    return torch.where(mel < KNEE, mel * LINEAR, KNEE * LINEAR * ((mel - KNEE) * RATIO).exp())


PUBLISHED = Registry(
    "published mel spectrogram",
    {
        "diffsinger-24k": MelSpectrogram(),  # Opencpop, M4Singer
        "popcs-24k": MelSpectrogram(floor=1e-10),
        "diffspeech-22k": MelSpectrogram(22_050, 1024, 256, fmin=80.0, fmax=7600.0, floor=1e-10),
        "openvpi-44k": MelSpectrogram(44_100, 2048, 512, 128, 40.0, 16_000.0, "ln", 1e-5, "between hops"),
    },
)
