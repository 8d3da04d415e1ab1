"""Band-split diffusion transformer: a small network for complex spectrograms, of a state, the noisy sound and an estimate, and time.

The spectrum is cut into bands, narrow below and wide above (band-split RNN: Luo, Yu 2022, 2209.15174); each band of a frame becomes
one token. Blocks attend over time inside a band, then over bands inside a frame; the time of the diffusion modulates every layer by shift,
scale and gate (DiT: Peebles, Xie 2022, 2212.09748). The output is a complex mask on the noisy sound, or on an estimate where one is
given, plus a complex residual.

    state, noisy -> tokens [band] -> depth x (time attention, feed-forward, band attention, feed-forward) -> mask * noisy + residual
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check

SPEECH_BANDS = (2,) * 16 + (4,) * 8 + (8,) * 8 + (16,) * 7 + (17,)  # 257 bins


@dataclass(frozen=True)
class BandDiTConfig:
    """Sizes of a `BandDiT`.

    Args:
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads; `width / heads` must be even.
        bands: number of frequency bins of each band, from 0 Hz up; their sum is the number of bins.
        kernel: taps of the depth-wise convolution over time, odd.
        expansion: width of the feed-forward layers over `width`.
        inputs: real channels: 2 (the noisy spectrogram alone, without time), 4 (state and noisy) or 6 (state, noisy and an estimate).
    """

    width: Annotated[int, Range(8, 4096)] = 128
    depth: Annotated[int, Range(1, 128)] = 6
    heads: Annotated[int, Range(1, 64)] = 4
    bands: Annotated[tuple[int, ...], Range(1, 4096)] = SPEECH_BANDS
    kernel: Annotated[int, Range(1, 63)] = 5
    expansion: Annotated[int, Range(1, 16)] = 2
    inputs: Literal[2, 4, 6] = 4

    def __post_init__(self) -> None:
        check(self)
        if self.width % (2 * self.heads):
            raise ConfigError(f"BandDiTConfig: width {self.width} over {self.heads} heads is not an even number")
        if self.kernel % 2 == 0:
            raise ConfigError(f"BandDiTConfig: kernel is {self.kernel}, expected an odd number")

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return sum(self.bands)

    @property
    def takes(self) -> tuple[str, ...]:
        """What the network is called with, in that order."""
        return {2: ("noisy",), 4: ("state", "noisy", "time"), 6: ("state", "noisy", "estimate", "time")}[self.inputs]

    @property
    def timed(self) -> bool:
        """Whether the network is told the time."""
        return "time" in self.takes


class BandDiT(nn.Module):
    """From spectrograms, and the time, to the clean spectrogram or whatever else it is trained for.

    The mask acts on the last spectrogram that the network takes: the noisy one, or the estimate, which is what is made anew.
    """

    def __init__(self, config: BandDiTConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.split = BandSplit(config.bands, config.inputs, width)
        self.band = normal(len(config.bands), 1, width, deviation=0.02)
        self.time = TimeEmbedding(width) if config.timed else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width)
        self.merge = BandMerge(config.bands, width, 4)

    def forward(self, *given: Tensor) -> Tensor:
        """
        Args:
            given: what `config.takes` names: complex spectrograms (batch, 1, bins, frame), and the time (batch).

        Returns:
            mask * (noisy or estimate) + residual, complex (batch, 1, bins, frame).

        Raises:
            ConfigError: on another number of inputs or bins than the network is made for.
        """
        config = self.config
        if len(given) != len(config.takes):
            raise ConfigError(f"this BandDiT takes {', '.join(config.takes)}, got {len(given)} inputs")
        spectrograms, time = (given[:-1], given[-1]) if config.timed else (given, None)
        for x in spectrograms:
            if x.shape[-2] != config.bins:
                raise ConfigError(f"this BandDiT is made for {config.bins} frequency bins, got {x.shape[-2]}")
        parts = self.parts(torch.cat([part for x in spectrograms for part in (x.real, x.imag)], 1), time)
        return torch.complex(parts[:, :1], parts[:, 1:2]) * spectrograms[-1] + torch.complex(parts[:, 2:3], parts[:, 3:])

    def parts(self, parts: Tensor, time: Tensor | None) -> Tensor:
        """All of the network on real numbers (what `torch.compile` and autocast see).

        Re, Im of the inputs (batch, inputs, bins, frame), the time (batch) -> Re, Im of mask and residual (batch, 4, bins, frame), float32.
        """
        tokens = self.split(parts) + self.band
        embedding = None if self.time is None else self.time(time)
        rotation = rotary(tokens.shape[2], self.config.width, self.config.heads, tokens)
        for block in self.blocks:
            tokens = block(tokens, embedding, rotation)
        return self.merge(self.norm(tokens)).float()


class BandSplit(nn.Module):
    """(batch, channel, bins, frame) -> tokens (batch, band, frame, width), with weights of its own for each band.

    All bands in one batched matrix product: each is padded to the width of the widest.
    """

    bins: Tensor
    inside: Tensor

    def __init__(self, bands: tuple[int, ...], channels: int, width: int):
        super().__init__()
        widest = max(bands)
        first = [sum(bands[:i]) for i in range(len(bands))]
        bins = torch.tensor([[min(start + j, sum(bands) - 1) for j in range(widest)] for start in first])
        inside = torch.tensor([[float(j < size) for j in range(widest)] for size in bands])
        self.register_buffer("bins", bins.flatten(), persistent=False)
        self.register_buffer("inside", inside[:, :, None], persistent=False)
        self.weight = normal(len(bands), channels * widest, width, deviation=(6 * channels) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(len(bands), 1, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, _, frames = x.shape
        bands, widest, _ = self.inside.shape
        x = x[:, :, self.bins].view(batch, channels, bands, widest, frames) * self.inside
        x = x.permute(2, 0, 4, 1, 3).reshape(bands, batch * frames, channels * widest)
        x = torch.bmm(x, self.weight) + self.bias
        return x.view(bands, batch, frames, -1).transpose(0, 1)


class BandMerge(nn.Module):
    """Tokens (batch, band, frame, width) -> (batch, channel, bins, frame): a small perceptron for each band."""

    back: Tensor

    def __init__(self, bands: tuple[int, ...], width: int, channels: int):
        super().__init__()
        self.channels, self.widest = channels, max(bands)
        back = [band * self.widest + j for band, size in enumerate(bands) for j in range(size)]
        self.register_buffer("back", torch.tensor(back), persistent=False)
        self.weight_in = normal(len(bands), width, 2 * width, deviation=width**-0.5)
        self.bias_in = nn.Parameter(torch.zeros(len(bands), 1, 2 * width))
        self.weight_out = normal(len(bands), 2 * width, channels * self.widest, deviation=0.5 * (2 * width) ** -0.5)
        self.bias_out = nn.Parameter(torch.zeros(len(bands), 1, channels * self.widest))

    def forward(self, x: Tensor) -> Tensor:
        batch, bands, frames, width = x.shape
        x = x.transpose(0, 1).reshape(bands, batch * frames, width)
        x = F.gelu(torch.bmm(x, self.weight_in) + self.bias_in)
        x = torch.bmm(x, self.weight_out) + self.bias_out
        x = x.view(bands, batch, frames, self.channels, self.widest).permute(1, 3, 0, 4, 2)
        return x.reshape(batch, self.channels, bands * self.widest, frames)[:, :, self.back]


class TimeEmbedding(nn.Module):
    """Time of the process (batch) -> (batch, width): sines and cosines of 32 frequencies from 1 to 200, then a perceptron."""

    frequencies: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("frequencies", torch.linspace(0, math.log(200), 32).exp(), persistent=False)
        self.inner = nn.Linear(64, width)
        self.outer = nn.Linear(width, width)

    def forward(self, time: Tensor) -> Tensor:
        angle = time[:, None] * self.frequencies
        return self.outer(F.silu(self.inner(torch.cat([angle.sin(), angle.cos()], -1))))


class Block(nn.Module):
    """Attention over time in each band, then over bands in each frame, each followed by a feed-forward layer."""

    def __init__(self, config: BandDiTConfig):
        super().__init__()
        width = config.width
        self.time_attention = Attention(width, config.heads)
        self.time_feed = FeedForward(width, config.expansion, config.kernel)
        self.band_attention = Attention(width, config.heads)
        self.band_feed = FeedForward(width, config.expansion)
        self.modulation = nn.Linear(width, 12 * width) if config.timed else Bias(12 * width)
        with torch.no_grad():  # a new block is the identity plus its branches: shift and scale 0, gate 1
            self.modulation.bias.copy_(torch.tensor([0.0, 0.0, 1.0]).repeat(4).repeat_interleave(width))
        if isinstance(self.modulation, nn.Linear):
            nn.init.zeros_(self.modulation.weight)

    def forward(self, x: Tensor, embedding: Tensor | None, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Tokens (batch, band, frame, width), embedded time (batch, width) -> tokens."""
        batch, bands, frames, width = x.shape
        scale1, shift1, gate1, scale2, shift2, gate2, scale3, shift3, gate3, scale4, shift4, gate4 = (
            self.modulation(embedding).view(-1, 12, 1, 1, width).unbind(1)
        )
        inner = modulated(x, scale1, shift1).reshape(batch * bands, frames, width)
        x = torch.addcmul(x, gate1, self.time_attention(inner, rotation).view_as(x))
        inner = modulated(x, scale2, shift2).reshape(batch * bands, frames, width)
        x = torch.addcmul(x, gate2, self.time_feed(inner).view_as(x))
        inner = modulated(x, scale3, shift3).transpose(1, 2).reshape(batch * frames, bands, width)
        x = torch.addcmul(x, gate3, self.band_attention(inner).view(batch, frames, bands, width).transpose(1, 2))
        return torch.addcmul(x, gate4, self.band_feed(modulated(x, scale4, shift4)))


class Bias(nn.Module):
    """What is left of a linear layer without inputs: the same vector, (1, width), whatever the item."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, nothing: None) -> Tensor:
        return self.bias[None]


def normal(*shape: int, deviation: float) -> nn.Parameter:
    """A parameter that starts normal, of mean zero."""
    return nn.Parameter(nn.init.normal_(torch.empty(shape), std=deviation))


def modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Root-mean-square norm without weights, then the modulation by time."""
    return torch.addcmul(shift, F.rms_norm(x, x.shape[-1:]), 1 + scale)


class Attention(nn.Module):
    """Multi-head self-attention over (batch, position, width); with rotary positions if a rotation is given."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None = None) -> Tensor:
        batch, length, width = x.shape
        query_key, value = self.qkv(x).split([2 * width, width], -1)
        if rotation is not None:
            query_key = rotated(query_key, self.heads, *rotation)
        query, key = query_key.view(batch, length, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        value = value.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.out(x.transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    """Gated feed-forward layer over (..., position, width); `kernel` > 0 adds a depth-wise convolution over the positions.

    The convolution is written as shifted multiply-adds: faster than a grouped `Conv1d`.
    """

    def __init__(self, width: int, expansion: int, kernel: int = 0):
        super().__init__()
        self.inner = nn.Linear(width, 2 * expansion * width)
        self.outer = nn.Linear(expansion * width, width)
        self.taps = normal(kernel, expansion * width, deviation=0.1) if kernel else None

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.inner(x).chunk(2, -1)
        x = F.silu(gate) * value
        if self.taps is not None:
            half, length = len(self.taps) // 2, x.shape[-2]
            padded = F.pad(x, (0, 0, half, half))
            for i, tap in enumerate(self.taps):
                x = torch.addcmul(x, padded[..., i : i + length, :], tap)
        return self.outer(x)


def rotary(length: int, width: int, heads: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine of rotary position embeddings (Su et al. 2021, 2104.09864), base 1000, of query and key: (length, 2 width)."""
    half = width // heads // 2
    rates = 1000.0 ** -(torch.arange(half, device=like.device) / half)
    angle = torch.arange(length, device=like.device)[:, None] * rates
    cosine, sine = angle.cos().to(like.dtype), angle.sin().to(like.dtype)
    return torch.cat([cosine, cosine], -1).repeat(1, 2 * heads), torch.cat([-sine, sine], -1).repeat(1, 2 * heads)


def rotated(x: Tensor, heads: int, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the pairs (i, i + half) of each head in (batch, position, 2 width) by their position's angles.

    On whole rows, before the heads are taken apart: long runs of memory are fast.
    """
    partner = x.unflatten(-1, (2 * heads, 2, -1)).flip(-2).flatten(-3)
    return torch.addcmul(x * cosine, partner, sine)
