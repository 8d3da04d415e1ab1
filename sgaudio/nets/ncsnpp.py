"""NCSN++: the U-Net of score models, for complex spectrograms, in all its published forms.

Made for images (Song et al. 2021, 2011.13456, appendix H), brought to speech by SGMSE+ (Richter et al. 2023, 2208.05830), smaller and as
a plain denoiser in StoRM (Lemercier et al. 2023, 2212.11851), at 48 kHz with EARS (Richter et al. 2024, 2406.06185). Residual blocks
at 4 to 7 resolutions of frequency and time, each half the one above; a pyramid of the input enters on the way down, a pyramid of outputs is
summed up on the way up (the progressive path); the 48 kHz form has neither.

    inputs ---> first ---> encoder ---> bottleneck ---> decoder
       |                   ^     |                      ^     |
       '-- halved pyramid -'     '-------- kept --------'     '- doubled and summed -> / time, output -> spectrogram

The output is what the network says: no sign, no scaling by the process.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, Registry, check


@dataclass(frozen=True)
class NCSNppConfig:
    """Sizes and form of an `NCSNpp`; the default one is SGMSE+ at 16 kHz.

    Args:
        channels: at the first resolution.
        multipliers: of the channels, one a resolution, the finest first.
        blocks: residual blocks a resolution on the way down; one more on the way up.
        attention: number of bins of the resolutions at which there is self-attention; the bottleneck always has it.
        bins: number of frequency bins, a multiple of 2^(resolutions - 1).
        inputs: real channels: 2 (one spectrogram), 4 (state and noisy) or 6 (state, noisy and an estimate).
        centered: whether the inputs are taken as they are; if not, v becomes 2v - 1.
        progressive: whether there are the pyramids of input and output.
        timed: whether the network is told the time.
        division: whether its output is divided by the time before or after its output layer, or never.
    """

    channels: Annotated[int, Range(4, 512)] = 128
    multipliers: Annotated[tuple[int, ...], Range(1, 16)] = (1, 1, 2, 2, 2, 2, 2)
    blocks: Annotated[int, Range(1, 16)] = 2
    attention: Annotated[tuple[int, ...], Range(1, 4096)] = (16,)
    bins: Annotated[int, Range(1, 4096)] = 256
    inputs: Literal[2, 4, 6] = 4
    centered: bool = True
    progressive: bool = True
    timed: bool = True
    division: Literal["before", "after", "never"] = "before"

    def __post_init__(self) -> None:
        check(self)
        if not self.multipliers or self.bins % self.multiple:
            raise ConfigError(f"NCSNppConfig: {self.bins} bins cannot be halved to {len(self.multipliers)} resolutions")
        if missing := set(self.attention) - set(self.heights):
            raise ConfigError(f"NCSNppConfig: no resolution has {min(missing)} bins, for attention: they have {self.heights}")
        grain = 32 if 2 * max(self.widths) >= 128 else 4  # of the group norms, over two widths put together
        if self.channels % grain:
            raise ConfigError(f"NCSNppConfig: channels is {self.channels}, expected a multiple of {grain}")
        if self.division != "never" and not self.timed:
            raise ConfigError("NCSNppConfig: a network that is not told the time cannot divide by it: division must be 'never'")

    @property
    def multiple(self) -> int:
        """Of what the numbers of bins and frames inside must be multiples."""
        return 2 ** (len(self.multipliers) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each resolution."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def heights(self) -> tuple[int, ...]:
        """Bins of each resolution."""
        return tuple(self.bins // 2**i for i in range(len(self.multipliers)))

    @property
    def takes(self) -> tuple[str, ...]:
        """What the network is called with, in that order."""
        spectrograms = {2: ("noisy",), 4: ("state", "noisy"), 6: ("state", "noisy", "estimate")}[self.inputs]
        return (*spectrograms, "time") if self.timed else spectrograms

    def as_denoiser(self) -> "NCSNppConfig":
        """The same sizes as StoRM's first stage: from the noisy spectrogram alone to the estimate, without time."""
        return replace(self, inputs=2, timed=False, division="never")


PUBLISHED = Registry(  # and the numbers that a public file holds
    "published NCSN++",
    {
        "ncsnpp": NCSNppConfig(),  # 65 590 822
        "ncsnpp-v2": NCSNppConfig(division="never"),  # 65 590 822
        "ncsnpp-48k": NCSNppConfig(bins=768, attention=(), progressive=False, division="after"),  # 64 739 854
        "ncsnpp-m": NCSNppConfig(multipliers=(1, 2, 2, 2), blocks=1, attention=(), inputs=6, centered=False),  # 27 776 038
        "ncsnpp-large": NCSNppConfig(inputs=6, centered=False),  # 65 623 352
        "ncsnpp-12m": NCSNppConfig(channels=96, multipliers=(1, 2, 2, 1), blocks=1, attention=(), inputs=6, centered=False),  # 11 688 614
        "ncsnpp-6m": NCSNppConfig(channels=96, multipliers=(1, 1, 1, 1), blocks=1, attention=(), inputs=6, centered=False),  # 5 225 990
    },
)


class NCSNpp(nn.Module):
    """From spectrograms, and the time, to a score, a velocity or the clean spectrogram: to what it was trained for."""

    def __init__(self, config: NCSNppConfig):
        super().__init__()
        self.config = config
        width, resolutions = config.widths[-1], range(len(config.widths))
        self.output = nn.Conv2d(config.inputs, 2, 1)
        self.time = TimeEmbedding(config.channels) if config.timed else None
        self.first = convolution(config.inputs, config.channels, 3)
        self.encoder = nn.ModuleList(Encoder(config, i) for i in resolutions)
        self.bottleneck = nn.ModuleList([Residual(config, width, width, attends=True), Residual(config, width, width)])
        self.decoder = nn.ModuleList(Decoder(config, i) for i in reversed(resolutions))

    def forward(self, *given: Tensor) -> Tensor:
        """
        Args:
            given: what `config.takes` names: complex spectrograms (batch, 1, bins, frame), and the time (batch), greater than 0.

        Returns:
            The network's output, complex (batch, 1, bins, frame).

        Raises:
            ConfigError: on another number of inputs or bins than the network is made for.
        """
        config = self.config
        if len(given) != len(config.takes):
            raise ConfigError(f"this NCSN++ takes {', '.join(config.takes)}, got {len(given)} inputs")
        spectrograms, time = (given[:-1], given[-1]) if config.timed else (given, None)
        for x in spectrograms:
            if x.shape[1:-1] != (1, config.bins):
                expected = f"{config.bins} frequency bins, (batch, 1, {config.bins}, frame)"
                raise ConfigError(f"this NCSN++ is made for {expected}, got {tuple(x.shape)}")
        frames = spectrograms[0].shape[-1]
        parts = torch.cat([part for x in spectrograms for part in (x.real, x.imag)], 1)
        embedding = None if self.time is None else self.time(time)
        parts = self.parts(F.pad(parts, (0, -frames % config.multiple)), time, embedding)[..., :frames]
        return torch.complex(parts[:, :1], parts[:, 1:])

    def compute_in(self, dtype: torch.dtype) -> Self:
        """Round to `dtype`, and compute in it, all but the embedding of the time and the output layer, which are little work."""
        for part in (self.first, self.encoder, self.bottleneck, self.decoder):
            part.to(dtype)
        return self

    @property
    def computes_in(self) -> torch.dtype:
        """The dtype of the weights that do most of the work."""
        return self.first.weight.dtype

    def parts(self, parts: Tensor, time: Tensor | None, embedding: Tensor | None) -> Tensor:
        """All of the network on real numbers (what `torch.compile` and autocast see).

        Re, Im of the inputs (batch, inputs, bins, frame), frames a multiple of the configuration's `multiple`, the time (batch) and what
        `self.time` makes of it, (batch, 4 channels) -> Re, Im of the output (batch, 2, bins, frame).
        """
        x = parts.to(self.computes_in, memory_format=torch.channels_last)  # all that follows is laid out so: faster
        embedding = None if embedding is None else embedding.to(x.dtype)
        x = x if self.config.centered else 2 * x - 1
        pyramid, kept = x, [self.first(x)]
        for level in self.encoder:
            steps, pyramid = level(kept[-1], pyramid, embedding)
            kept += steps
        x = kept[-1]
        for block in self.bottleneck:
            x = block(x, embedding)
        output: Any = None
        for level in self.decoder:
            x, output = level(x, kept, output, embedding)
        output = output.to(self.output.weight.dtype)
        divisor = 1 if time is None else time[:, None, None, None]
        if self.config.division == "before":
            output = output / divisor
        output = self.output(output)
        if self.config.division == "after":
            output = output / divisor
        return output.to(parts.dtype)


class TimeEmbedding(nn.Module):
    """Sines and cosines of log time at random fixed frequencies, then two layers: (batch) -> (batch, 4 channels).

    Random Fourier features: Tancik et al. 2020, 2006.10739. The last activation, which every block would apply, is in it.
    """

    frequencies: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("frequencies", nn.init.normal_(torch.empty(channels), std=16.0))
        self.inner = initialised(nn.Linear(2 * channels, 4 * channels))
        self.outer = initialised(nn.Linear(4 * channels, 4 * channels))

    def forward(self, time: Tensor) -> Tensor:
        angle = time.log()[:, None] * self.frequencies * (2 * math.pi)
        return F.silu(self.outer(F.silu(self.inner(torch.cat([angle.sin(), angle.cos()], -1)))))


class Encoder(nn.Module):
    """One resolution on the way down: blocks, then, but for the coarsest, half the resolution, where the pyramid of the input enters."""

    def __init__(self, config: NCSNppConfig, i: int):
        super().__init__()
        before, width = (config.channels, *config.widths)[i : i + 2]
        attends, halves = config.heights[i] in config.attention, i < len(config.widths) - 1
        befores = [before] + [width] * (config.blocks - 1)
        self.blocks = nn.ModuleList(Residual(config, before, width, attends=attends) for before in befores)
        self.down = Residual(config, width, width, Halving()) if halves else None
        self.combine = convolution(config.inputs, width, 1) if halves and config.progressive else None
        self.halving = Halving()

    def forward(self, x: Tensor, pyramid: Tensor, embedding: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """(batch, channel, bins, frame) and the input at that resolution -> all that the decoder will see, the input at the next one."""
        kept = []
        for block in self.blocks:
            x = block(x, embedding)
            kept.append(x)
        if self.down is not None:
            x = self.down(x, embedding)
            if self.combine is not None:
                pyramid = self.halving(pyramid)
                x = x + self.combine(pyramid)
            kept.append(x)
        return kept, pyramid


class Decoder(nn.Module):
    """One resolution on the way up: blocks, each beside what the encoder kept, a share of the output, then twice the resolution."""

    def __init__(self, config: NCSNppConfig, i: int):
        super().__init__()
        kept, width, before = (config.channels, *config.widths, config.widths[-1])[i : i + 3]
        attends = config.heights[i] in config.attention
        befores = [before + width] + [2 * width] * (config.blocks - 1) + [width + kept]
        self.blocks = nn.ModuleList(
            Residual(config, before, width, attends=attends and block == config.blocks) for block, before in enumerate(befores)
        )
        contributes = config.progressive or i == 0
        self.share = nn.Sequential(group_norm(width), nn.SiLU(), convolution(width, config.inputs, 3, 1e-10)) if contributes else None
        self.up = Residual(config, width, width, Doubling()) if i else None
        self.doubling = Doubling()

    def forward(self, x: Tensor, kept: list[Tensor], output: Tensor | None, embedding: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, channel, bins, frame), what the encoder kept (the last ones are taken from it), the output so far -> x and output."""
        for block in self.blocks:
            x = block(torch.cat([x, kept.pop()], 1), embedding)
        if self.share is not None:
            share = self.share(x)
            output = share if output is None else self.doubling(output) + share
        if self.up is not None:
            x = self.up(x, embedding)
        return x, output


class Residual(nn.Module):
    """The residual block of BigGAN (Brock et al. 2019, 1809.11096), plain or resampling, told the time; then, maybe, self-attention."""

    def __init__(self, config: NCSNppConfig, before: int, after: int, resampling: nn.Module | None = None, attends: bool = False):
        super().__init__()
        self.resampling = resampling
        self.norm1 = group_norm(before)
        self.conv1 = convolution(before, after, 3)
        self.shift = initialised(nn.Linear(4 * config.channels, after)) if config.timed else None
        self.norm2 = group_norm(after)
        self.conv2 = convolution(after, after, 3, scale=1e-10)
        self.skip = convolution(before, after, 1) if before != after or resampling else None
        self.attention = Attention(after) if attends else None

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        inner = F.silu(self.norm1(x), inplace=True)
        if self.resampling is not None:
            inner, x = self.resampling(inner), self.resampling(x)
        inner = self.conv1(inner)
        if self.shift is not None:
            inner.add_(self.shift(embedding)[:, :, None, None])
        inner = self.conv2(F.silu(self.norm2(inner), inplace=True))
        x = inner.add_(x if self.skip is None else self.skip(x)).mul_(0.5**0.5)
        return x if self.attention is None else self.attention(x)


class Attention(nn.Module):
    """Self-attention with one head over all bins and frames: (batch, channel, bins, frame) -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = group_norm(width)
        self.query, self.key, self.value = Mixing(width, 0.1), Mixing(width, 0.1), Mixing(width, 0.1)
        self.out = Mixing(width, 1e-10)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(x).flatten(2).transpose(1, 2)[:, None]
        inner = F.scaled_dot_product_attention(self.query(inner), self.key(inner), self.value(inner))
        return (x + self.out(inner)[:, 0].transpose(1, 2).view_as(x)) * 0.5**0.5


class Mixing(nn.Module):
    """A linear layer over the last axis, its weights (in, out)."""

    def __init__(self, width: int, scale: float):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(width, width)), nn.Parameter(torch.empty(width))
        initialised(self, scale)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)


class Resampling(nn.Module):
    """A smooth change of resolution by two, with zeros outside: taps (1, 3, 3, 1) on both axes (Zhang 2019, 1904.11486).

    A depth-wise convolution; where the network is compiled, sums of shifted copies, which the compiler merges with what is around them.
    """

    kernel: Tensor

    def __init__(self):
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", taps[:, None] * taps, persistent=False)


class Halving(Resampling):
    """(batch, channel, bins, frame) -> half the bins and frames."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return HalvedSums.apply(x)
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


class Doubling(Resampling):
    """(batch, channel, bins, frame) -> twice the bins and frames."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return DoubledSums.apply(x)
        channels = x.shape[1]
        return F.conv_transpose2d(x, 4 * self.kernel.expand(channels, 1, 4, 4), stride=2, padding=1, groups=channels)


class HalvedSums(Function):
    """`Halving` as sums, whose gradient is a sum as well: a quarter of `Doubling`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return halved(halved(x.mT).mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return DoubledSums.apply(gradients[0]) / 4


class DoubledSums(Function):
    """`Doubling` as sums, whose gradient is four times `Halving`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return doubled(doubled(x.mT).mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return 4 * HalvedSums.apply(gradients[0])


def halved(x: Tensor) -> Tensor:
    """Half as many frames."""
    x = F.pad(x, (1, 1))
    return (x[..., :-3:2] + 3 * (x[..., 1:-2:2] + x[..., 2:-1:2]) + x[..., 3::2]) / 8


def doubled(x: Tensor) -> Tensor:
    """Twice as many frames."""
    wide = F.pad(x, (1, 1))
    return torch.stack([3 * x + wide[..., :-2], 3 * x + wide[..., 2:]], -1).flatten(-2) / 4


class GroupNorm(nn.GroupNorm):
    """The norm of all blocks.

    Where the network is compiled: by sums over each channel, which lies scattered in memory as all others do, so that whole rows are read;
    and never in more than the precision of the input but for the sums.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            return super().forward(input)
        grouped = input.shape[0], self.num_groups, -1
        variances, means = torch.var_mean(input.to(torch.promote_types(input.dtype, torch.float32)), (2, 3), correction=0)
        means = means.view(grouped)
        mean = means.mean(-1, keepdim=True)
        variance = variances.view(grouped).mean(-1, keepdim=True) + (means - mean).square().mean(-1, keepdim=True)
        scale = self.weight.view(grouped[1:]) * (variance + self.eps).rsqrt()
        shift = self.bias.view(grouped[1:]) - mean * scale
        every = *input.shape[:2], 1, 1
        return (input * scale.view(every) + shift.view(every)).to(input.dtype)


L = TypeVar("L", nn.Conv2d, nn.Linear, Mixing)


def group_norm(width: int) -> GroupNorm:
    """The norm of so many channels."""
    return GroupNorm(min(width // 4, 32), width, eps=1e-6)


def convolution(before: int, after: int, size: int, scale: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the shape."""
    return initialised(nn.Conv2d(before, after, size, padding=size // 2), scale)


def initialised(layer: L, scale: float = 1.0) -> L:
    """The layer, started uniform with variance `scale` over the mean of its inputs and outputs, without bias, as in the public code."""
    nn.init.xavier_uniform_(layer.weight, gain=scale**0.5)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


PUBLISHED_LAYERS = {
    "norm1": "GroupNorm_0",
    "conv1": "Conv_0",
    "shift": "Dense_0",
    "norm2": "GroupNorm_1",
    "conv2": "Conv_1",
    "skip": "Conv_2",
    "combine": "Conv_0",
    "norm": "GroupNorm_0",
    "query": "NIN_0",
    "key": "NIN_1",
    "value": "NIN_2",
    "out": "NIN_3",
}


def published_keys(config: NCSNppConfig) -> dict[str, str | None]:
    """Public state-dict keys (sp-uhh/sgmse, sp-uhh/storm), in their order, and the keys of the same tensors here.

    None stands for what public denoisers hold but never use. Shapes are equal.
    """
    with torch.device("meta"):
        ours = NCSNpp(config).state_dict()
        timed = NCSNpp(replace(config, timed=True)).state_dict()
    keys: dict[str, str | None] = {}
    numbers: dict[str, int] = {}
    for key in timed:
        path, _, kind = key.rpartition(".")
        part, _, layer = path.rpartition(".")
        if part == "time" and not config.timed:
            continue
        inner = PUBLISHED_LAYERS.get(layer, "")
        module = "output_layer" if path == "output" else f"all_modules.{numbers.setdefault(part if inner else path, len(numbers))}"
        if kind == "frequencies" or inner.startswith("NIN"):
            kind = "b" if kind == "bias" else "W"
        keys[".".join(filter(None, (module, inner, kind)))] = key if key in ours else None
    return keys
