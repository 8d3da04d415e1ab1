"""NSF-HiFiGAN: from a mel spectrogram and F0 to a waveform, the vocoder of DiffSinger.

HiFi-GAN's generator (Kong, Kim, Bae 2020, 2010.05646, V1), whose stages also hear a source: the harmonics of F0, as in neural source-filter
models (Wang, Takaki, Yamagishi 2019, 1904.12088). It knows no random numbers: the phases and the noise of the source come as tensors, one
of each for an item, so an item's sound does not depend on its batch.

    F0 -> phase -> sines + noise -> merged source --.---------- strided ----------.
                                                    v                             v
    mel ------------------> first --> [ longer by rate + source --> mean of residual blocks ] x stages --> last -> tanh
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, Registry, check

SLOPE = 0.1  # of the leaky ReLUs, but for the last one
LAST_SLOPE = 0.01
AMPLITUDE = 0.1  # of a sine of the source
VOICED_NOISE, UNVOICED_NOISE = 0.003, AMPLITUDE / 3  # deviations
TURN = 2**48  # steps of a turn, in which phases are added up


@dataclass(frozen=True)
class NSFHiFiGANConfig:
    """Sizes of an `NSFHiFiGAN`; the default one is DiffSinger's at 24 kHz.

    Args:
        sample_rate: in Hz.
        hop: samples a frame.
        bins: of the mel spectrogram.
        channels: before the first stage; each stage has half as many as the one before.
        rates: by which each stage lengthens its input; their product is the hop.
        kernels: of the transposed convolutions, one a stage.
        block_kernels: of the residual blocks, whose mean a stage is.
        dilations: of the convolutions in a block.
        harmonics: of the source, the fundamental included.
        band_limited: whether harmonics from half the sample rate on are left out; published networks heard their aliases.
    """

    sample_rate: Annotated[int, Range(1000, 768_000)] = 24_000
    hop: Annotated[int, Range(1, 2**15)] = 128
    bins: Annotated[int, Range(1, 1024)] = 80
    channels: Annotated[int, Range(2, 4096)] = 512
    rates: Annotated[tuple[int, ...], Range(1, 64)] = (8, 4, 2, 2)
    kernels: Annotated[tuple[int, ...], Range(1, 128)] = (16, 8, 4, 4)
    block_kernels: Annotated[tuple[int, ...], Range(1, 63)] = (3, 7, 11)
    dilations: Annotated[tuple[int, ...], Range(1, 64)] = (1, 3, 5)
    harmonics: Annotated[int, Range(1, 64)] = 9
    band_limited: bool = False

    def __post_init__(self) -> None:
        check(self)
        if math.prod(self.rates) != self.hop:
            raise ConfigError(f"NSFHiFiGANConfig: rates {self.rates} multiply to {math.prod(self.rates)}, expected the hop, {self.hop}")
        if len(self.kernels) != len(self.rates):
            raise ConfigError(f"NSFHiFiGANConfig: {len(self.rates)} rates and {len(self.kernels)} kernels, expected as many")
        for rate, kernel in zip(self.rates, self.kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ConfigError(f"NSFHiFiGANConfig: kernel {kernel} for rate {rate}, expected the rate or an even number more")
        if odd := [stride for stride in self.strides if stride % 2 and stride > 1]:
            raise ConfigError(f"NSFHiFiGANConfig: rates after a stage multiply to {odd[0]}, expected an even number, or 1 after the last")
        if self.channels % 2 ** len(self.rates):
            raise ConfigError(f"NSFHiFiGANConfig: channels is {self.channels}, expected a multiple of {2 ** len(self.rates)}")
        if even := [kernel for kernel in self.block_kernels if kernel % 2 == 0]:
            raise ConfigError(f"NSFHiFiGANConfig: a block's kernel is {even[0]}, expected odd numbers")
        if not self.block_kernels or not self.dilations:
            raise ConfigError("NSFHiFiGANConfig: block_kernels and dilations: expected one number or more of each, got none")

    @property
    def strides(self) -> tuple[int, ...]:
        """Samples of sound a sample of each stage's output."""
        return tuple(math.prod(self.rates[i + 1 :]) for i in range(len(self.rates)))


PUBLISHED = Registry(  # and the numbers that a public file holds
    "published NSF-HiFiGAN",
    {
        "diffsinger-24k": NSFHiFiGANConfig(),  # 13 683 980, if its rates are these
        "openvpi-44k": NSFHiFiGANConfig(44_100, 512, 128, rates=(8, 8, 2, 2, 2), kernels=(16, 16, 4, 4, 4)),  # 14 178 956
    },
)


class Draws(NamedTuple):
    """The random numbers of the source."""

    phases: Tensor  # (batch, harmonics - 1) in turns, 0 to 1: where the overtones start
    noise: Tensor  # (batch, harmonics, sample), normal


class NSFHiFiGAN(nn.Module):
    """The generator.

    Args:
        folded: whether weights are plain, as inference wants them, instead of weight-normed, as training does; see `fold`.
    """

    def __init__(self, config: NSFHiFiGANConfig, folded: bool = False):
        super().__init__()
        self.config = config
        self.source = HarmonicSource(config)
        self.first = convolution(config.bins, config.channels, 7)
        self.stages = nn.ModuleList(Stage(config, i) for i in range(len(config.rates)))
        self.last = convolution(config.channels // 2 ** len(config.rates), 1, 7)
        if folded:
            for module in list(self.modules()):
                if parametrize.is_parametrized(module, "weight"):
                    parametrize.remove_parametrizations(module, "weight")

    def forward(self, mel: Tensor, f0: Tensor, draws: Draws, frames: Tensor | None = None) -> Tensor:
        """
        Args:
            mel: log mel spectrogram, in the base it is trained for, (batch, bins, frame).
            f0: (batch, frame) in Hz, 0 where unvoiced.
            draws: of the source; see `draw`.
            frames: (batch), how many of each item's frames are its own, if some are filled up: they then sound as they do alone.

        Returns:
            Waveform (batch, 1, sample), -1 to 1, hop samples a frame; 0 after an item's end.

        Raises:
            ConfigError: on tensors whose shapes do not belong together.
        """
        self._check(mel, f0, draws, frames)
        source = self.source(f0, draws).to(mel.dtype)
        steps = [self.config.hop // stride for stride in self.config.strides]
        valid = [None if frames is None else own(frames * step, mel.shape[-1] * step) for step in (1, *steps)]
        source, x = masked(source, valid[-1]), masked(self.first(masked(mel, valid[0])), valid[0])
        for stage, its_own in zip(self.stages, valid[1:], strict=True):
            x = stage(x, source, its_own)
        return masked(self.last(F.leaky_relu(x, LAST_SLOPE)).tanh(), valid[-1])

    def fold(self) -> "NSFHiFiGAN":
        """A copy with plain weights, for inference: the same sound with less work.

        A copy, because torch cannot remove the norm from one of two networks that were deep-copied, as averages of weights are.
        """
        folded = NSFHiFiGAN(self.config, folded=True).to(self.first.weight).train(self.training)
        paths = {key: key.rpartition(".") for key in folded.state_dict()}
        folded.load_state_dict({key: getattr(self.get_submodule(path), kind).detach() for key, (path, _, kind) in paths.items()})
        return folded

    def _check(self, mel: Tensor, f0: Tensor, draws: Draws, frames: Tensor | None) -> None:
        config = self.config
        if mel.ndim != 3 or mel.shape[1] != config.bins or not mel.shape[2]:
            raise ConfigError(f"NSF-HiFiGAN: the mel spectrogram is {tuple(mel.shape)}, expected (batch, {config.bins}, frame)")
        batch, _, length = mel.shape
        found = {"F0": f0.shape, "the overtones' phases": draws.phases.shape, "the noise": draws.noise.shape}
        expected = [(batch, length), (batch, config.harmonics - 1), (batch, config.harmonics, length * config.hop)]
        if frames is not None:
            found["frames"], expected = frames.shape, [*expected, (batch,)]
        for (name, shape), wanted in zip(found.items(), expected, strict=True):
            if shape != wanted:
                of = f"for {batch} items of {length} frames"
                raise ConfigError(f"NSF-HiFiGAN: {name}: the shape is {tuple(shape)}, expected {wanted} {of}")


class HarmonicSource(nn.Module):
    """F0 (batch, frame) -> the merged source (batch, 1, sample): sines where voiced, noise a little there and more elsewhere.

    The n-th sample of a frame, n from 1 to hop, has the fundamental's phase at the end of the frame before, plus n F0 / sample_rate turns.
    Phases at the ends of frames are added up in integers, which is exact: in any order, on any device, however long the song.
    """

    def __init__(self, config: NSFHiFiGANConfig):
        super().__init__()
        self.config = config
        self.merge = nn.Linear(config.harmonics, 1)

    def forward(self, f0: Tensor, draws: Draws) -> Tensor:
        waves = self.waves(f0, draws)
        merged = (self.merge.weight.mT * waves).sum(1, keepdim=True) + self.merge.bias  # autocast would round a matrix product
        return merged.tanh()

    def waves(self, f0: Tensor, draws: Draws) -> Tensor:
        """What is merged: (batch, harmonics, sample)."""
        hop, rate = self.config.hop, self.config.sample_rate
        f0 = f0.to(torch.promote_types(f0.dtype, torch.float32))
        advance = (f0 * (hop / rate) % 1 * TURN).round().long()
        end = advance.cumsum(-1)
        start = ((end - advance) % TURN).to(f0.dtype) / TURN
        inside = f0[..., None] * (torch.arange(1, hop + 1, device=f0.device, dtype=f0.dtype) / rate)
        phase = ((start[..., None] + inside) % 1).flatten(1)[:, None]

        harmonic = torch.arange(1, self.config.harmonics + 1, device=f0.device, dtype=f0.dtype)[:, None]
        phase = harmonic * phase + F.pad(draws.phases.to(f0), (1, 0))[..., None]
        voiced = (f0[:, None] > 0).to(f0.dtype)
        heard = voiced * (harmonic * f0[:, None] < rate / 2) if self.config.band_limited else voiced
        deviation = voiced * VOICED_NOISE + (1 - voiced) * UNVOICED_NOISE
        heard, deviation = (each.repeat_interleave(hop, -1) for each in (heard, deviation))
        return heard * (AMPLITUDE * (2 * math.pi * phase).sin()) + deviation * draws.noise.to(f0)


class Stage(nn.Module):
    """Longer by a rate, half the channels, the source added, then the mean of residual blocks."""

    def __init__(self, config: NSFHiFiGANConfig, i: int):
        super().__init__()
        width, rate, kernel, stride = config.channels // 2 ** (i + 1), config.rates[i], config.kernels[i], config.strides[i]
        self.lengthen = normed(nn.ConvTranspose1d(2 * width, width, kernel, rate, (kernel - rate) // 2))
        self.hear = nn.Conv1d(1, width, 1) if stride == 1 else nn.Conv1d(1, width, 2 * stride, stride, stride // 2)
        self.blocks = nn.ModuleList(Block(width, kernel, config.dilations) for kernel in config.block_kernels)

    def forward(self, x: Tensor, source: Tensor, valid: Tensor | None) -> Tensor:
        x = masked(self.lengthen(F.leaky_relu(x, SLOPE)) + self.hear(source), valid)
        total = self.blocks[0](x, valid)
        for block in self.blocks[1:]:
            total = total + block(x, valid)
        return total / len(self.blocks)


class Block(nn.Module):
    """Residual pairs of a dilated and a plain convolution: (batch, width, time) -> the same."""

    def __init__(self, width: int, kernel: int, dilations: Sequence[int]):
        super().__init__()
        self.dilated = nn.ModuleList(convolution(width, width, kernel, dilation) for dilation in dilations)
        self.plain = nn.ModuleList(convolution(width, width, kernel) for _ in dilations)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            inner = masked(dilated(F.leaky_relu(x, SLOPE)), valid)
            x = x + masked(plain(F.leaky_relu(inner, SLOPE)), valid)
        return x


L = TypeVar("L", nn.Conv1d, nn.ConvTranspose1d)


def normed(layer: L) -> L:
    """The layer with its weight as a length and a direction (Salimans, Kingma 2016, 1602.07868)."""
    return weight_norm(layer)  # pyright: ignore[reportReturnType]


def convolution(before: int, after: int, kernel: int, dilation: int = 1) -> nn.Conv1d:
    """A weight-normed convolution that keeps the length."""
    return normed(nn.Conv1d(before, after, kernel, padding=dilation * (kernel // 2), dilation=dilation))


def own(lengths: Tensor, longest: int) -> Tensor:
    """Lengths (batch) -> what is inside them, (batch, 1, longest)."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None, None]


def masked(x: Tensor, valid: Tensor | None) -> Tensor:
    """x (batch, channel, time), zero where not valid: as a convolution finds it beyond the end of an item alone."""
    return x if valid is None else x * valid


def published_keys(config: NSFHiFiGANConfig) -> dict[str, str]:
    """Public state-dict keys (MoonInTheRiver/DiffSinger, openvpi), and the keys of the same tensors here where they are not folded.

    Shapes are equal.
    """
    stages, blocks, pairs = range(len(config.rates)), range(len(config.block_kernels)), range(len(config.dilations))
    normed = {"conv_pre": "first"}
    normed |= {f"ups.{i}": f"stages.{i}.lengthen" for i in stages}
    for i in stages:
        for j in blocks:
            for public, ours in (("convs1", "dilated"), ("convs2", "plain")):
                public, ours = f"resblocks.{i * len(blocks) + j}.{public}", f"stages.{i}.blocks.{j}.{ours}"
                normed |= {f"{public}.{k}": f"{ours}.{k}" for k in pairs}
    normed |= {"conv_post": "last"}
    plain = {"m_source.l_linear": "source.merge"} | {f"noise_convs.{i}": f"stages.{i}.hear" for i in stages}
    keys = {f"{public}.{kind}": f"{ours}.{kind}" for public, ours in plain.items() for kind in ("weight", "bias")}
    parts = {"bias": "bias", "weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return keys | {f"{public}.{kind}": f"{ours}.{part}" for public, ours in normed.items() for kind, part in parts.items()}
