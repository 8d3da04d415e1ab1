"""Discriminators of a vocoder, and the losses between it and them: HiFi-GAN (Kong, Kim, Bae 2020, 2010.05646, sec. 2.3, 2.4).

Some see the waveform folded at a period, in two dimensions; some see it whole: as it is, halved, and halved again (MelGAN: Kumar et al.
2019, 1910.06711). Losses are sums over all of them, each a mean over its scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check

SLOPE = 0.1  # of the leaky ReLUs
PERIOD_LAYERS = ((32, 3), (8, 3), (2, 3), (1, 3), (1, 1))  # by what the channels are divided, stride
SCALE_LAYERS = (  # by what the channels are divided, kernel, stride, groups
    (8, 15, 1, 1),
    (8, 41, 2, 4),
    (4, 41, 2, 16),
    (2, 41, 4, 16),
    (1, 41, 4, 16),
    (1, 41, 1, 16),
    (1, 5, 1, 1),
)


@dataclass(frozen=True)
class VocoderDiscriminatorsConfig:
    """Sizes of `VocoderDiscriminators`; the default ones are HiFi-GAN's.

    Args:
        periods: in samples, one a discriminator; singing at 44.1 kHz has been trained with 3, 5, 7, 11, 17, 23, 37.
        scales: number of discriminators of the whole, each at half the rate of the one before.
        channels: of the widest layers, a multiple of 128.
    """

    periods: Annotated[tuple[int, ...], Range(1, 1024)] = (2, 3, 5, 7, 11)
    scales: Annotated[int, Range(0, 8)] = 3
    channels: Annotated[int, Range(128, 4096)] = 1024

    def __post_init__(self) -> None:
        check(self)
        if self.channels % 128:
            raise ConfigError(f"VocoderDiscriminatorsConfig: channels is {self.channels}, expected a multiple of 128")
        if not self.periods and not self.scales:
            raise ConfigError("VocoderDiscriminatorsConfig: no periods and no scales, expected at least one discriminator")


class Verdict(NamedTuple):
    """What a discriminator says of a batch."""

    scores: Tensor  # (batch, 1, ...): towards 1 for recorded, towards 0 for generated sound
    features: list[Tensor]  # of its layers, the scores as the last


class VocoderDiscriminators(nn.Module):
    """All of them: waveform (batch, 1, sample) -> one verdict of each."""

    def __init__(self, config: VocoderDiscriminatorsConfig):
        super().__init__()
        self.config = config
        self.periods = nn.ModuleList(PeriodDiscriminator(config, period) for period in config.periods)
        self.scales = nn.ModuleList(ScaleDiscriminator(config, i) for i in range(config.scales))

    def forward(self, waveform: Tensor) -> list[Verdict]:
        """
        Raises:
            ConfigError: on another shape, or fewer samples than the longest period.
        """
        shortest = max(self.config.periods, default=1)
        if waveform.ndim != 3 or waveform.shape[1] != 1 or waveform.shape[2] < shortest:
            expected = f"(batch, 1, sample) with {shortest} samples or more"
            raise ConfigError(f"vocoder discriminators: the waveform is {tuple(waveform.shape)}, expected {expected}")
        verdicts = [discriminator(waveform) for discriminator in self.periods]
        for i, discriminator in enumerate(self.scales):
            waveform = F.avg_pool1d(waveform, 4, 2, padding=2) if i else waveform
            verdicts.append(discriminator(waveform))
        return verdicts


class PeriodDiscriminator(nn.Module):
    """Sees samples a period apart beside each other; its kernels never mix the places inside a period."""

    def __init__(self, config: VocoderDiscriminatorsConfig, period: int):
        super().__init__()
        self.period = period
        widths = [1, *(config.channels // part for part, _ in PERIOD_LAYERS)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (stride, 1), (2, 0)))
            for before, after, (_, stride) in zip(widths, widths[1:], PERIOD_LAYERS, strict=False)
        )
        self.score = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, waveform: Tensor) -> Verdict:
        """(batch, 1, sample), filled up to whole periods by reflection."""
        return verdict(F.pad(waveform, (0, -waveform.shape[-1] % self.period), "reflect").unflatten(-1, (-1, self.period)), self)


class ScaleDiscriminator(nn.Module):
    """Sees the whole; the first one, at the full rate, is held by spectral norm, the others by weight norm."""

    def __init__(self, config: VocoderDiscriminatorsConfig, i: int):
        super().__init__()
        norm = weight_norm if i else spectral_norm
        widths = [1, *(config.channels // part for part, *_ in SCALE_LAYERS)]
        self.layers = nn.ModuleList(
            norm(nn.Conv1d(before, after, kernel, stride, kernel // 2, groups=groups))
            for before, after, (_, kernel, stride, groups) in zip(widths, widths[1:], SCALE_LAYERS, strict=False)
        )
        self.score = norm(nn.Conv1d(widths[-1], 1, 3, padding=1))

    def forward(self, waveform: Tensor) -> Verdict:
        """(batch, 1, sample)"""
        return verdict(waveform, self)


def verdict(x: Tensor, discriminator: PeriodDiscriminator | ScaleDiscriminator) -> Verdict:
    """Through all layers, keeping what each one says."""
    features = []
    for layer in discriminator.layers:
        x = F.leaky_relu(layer(x), SLOPE)
        features.append(x)
    scores = discriminator.score(x)
    return Verdict(scores, [*features, scores])


def discriminator_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Least squares: 1 is wanted for recorded, 0 for generated sound (eq. 1; LSGAN: Mao et al. 2017, 1611.04076)."""
    return total([(1 - r.scores.float()).square().mean() + f.scores.float().square().mean() for r, f in zip(real, fake, strict=True)])


def generator_loss(fake: Sequence[Verdict]) -> Tensor:
    """Least squares: the vocoder wants 1 for what it generated (eq. 2)."""
    return total([(1 - f.scores.float()).square().mean() for f in fake])


def feature_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Twice the mean distance of the features, summed over layers (eq. 4 with its weight); recorded sound gets no gradient."""
    pairs = [pair for r, f in zip(real, fake, strict=True) for pair in zip(r.features, f.features, strict=True)]
    return 2 * total([(r.detach().float() - f.float()).abs().mean() for r, f in pairs])


def total(values: Sequence[Tensor]) -> Tensor:
    """Sum of scalars."""
    return torch.stack(tuple(values)).sum()
