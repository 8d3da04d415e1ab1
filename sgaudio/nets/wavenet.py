"""WaveNet as a denoiser of mel spectrograms: DiffSinger's, of a state, its step and a condition that says what is sung.

DiffSinger (Liu et al. 2022, 2105.02446) took it from DiffWave (Kong et al. 2021, 2009.09761): gated convolutions over time, dilated 1, 2, 4
and so on, as WaveNet's (van den Oord et al. 2016, 1609.03499) but not causal; each layer hears the step and the condition.

    condition --- project, once an utterance ---.
    step -------- sinusoid, two layers -----.    |
    state -> in -> layers x (x + step -> dilated + condition -> gate * filter -> residual, skip) -> sum of skips -> out

The output is what the network says: noise, velocity or data, as it was trained.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class WaveNetConfig:
    """Sizes of a `WaveNet`; the default ones are DiffSinger's, for Opencpop.

    Args:
        bins: of a mel spectrogram.
        condition: channels of the condition.
        channels: of a layer, an even number.
        layers: how many there are.
        cycle: after how many layers the dilation, doubled from layer to layer, begins again at 1.
    """

    bins: Annotated[int, Range(1, 4096)] = 80
    condition: Annotated[int, Range(1, 4096)] = 256
    channels: Annotated[int, Range(4, 4096)] = 256
    layers: Annotated[int, Range(1, 128)] = 20
    cycle: Annotated[int, Range(1, 12)] = 4

    def __post_init__(self) -> None:
        check(self)
        if self.channels % 2:
            raise ConfigError(f"WaveNetConfig: channels is {self.channels}, expected an even number")


class WaveNet(nn.Module):
    """From a state, its step and what the condition was projected to, to noise, a velocity or the clean mel."""

    def __init__(self, config: WaveNetConfig):
        super().__init__()
        self.config = config
        self.first = convolution(config.bins, config.channels)
        self.step = StepEmbedding(config.channels)
        self.condition = nn.ModuleList(convolution(config.condition, 2 * config.channels) for _ in range(config.layers))
        self.layers = nn.ModuleList(Layer(config, 2 ** (i % config.cycle)) for i in range(config.layers))
        self.skip = convolution(config.channels, config.channels)
        self.output = convolution(config.channels, config.bins)
        nn.init.zeros_(self.output.weight)

    def project(self, condition: Tensor) -> Tensor:
        """What the layers hear of the condition, which no step changes: computed once an utterance, for all calls.

        Args:
            condition: (batch, condition, frame).

        Returns:
            (batch, layers, 2 channels, frame).

        Raises:
            ConfigError: on another number of channels than the network is made for.
        """
        if condition.ndim != 3 or condition.shape[1] != self.config.condition:
            expected = f"(batch, {self.config.condition}, frame)"
            raise ConfigError(f"this WaveNet is made for a condition {expected}, got {tuple(condition.shape)}")
        return torch.stack([layer(condition) for layer in self.condition], 1)

    def forward(self, state: Tensor, step: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        """
        Args:
            state: (batch, 1, bins, frame), normalised.
            step: (batch), what the network was trained to be told, any real numbers.
            condition: what `project` made of it, (batch, layers, 2 channels, frame).
            mask: (batch, frame), true where there are frames, false where an item is padded: its output does not depend on its padding, and
                is 0 there. None where nothing is padded.

        Returns:
            (batch, 1, bins, frame).

        Raises:
            ConfigError: on inputs of other shapes, or a condition that was not projected.
        """
        config, (batch, frames) = self.config, (state.shape[0], state.shape[-1])
        for what, found, expected in (
            ("state", state, (batch, 1, config.bins, frames)),
            ("step", step, (batch,)),
            ("projected condition", condition, (batch, config.layers, 2 * config.channels, frames)),
            ("mask", mask, (batch, frames)),
        ):
            if found is not None and found.shape != expected:
                raise ConfigError(f"this WaveNet expects a {what} of shape {expected}, got {tuple(found.shape)}")
        x = F.relu(self.first(state[:, 0]))
        embedding = self.step(step)
        keep = None if mask is None else mask[:, None].to(x.dtype)
        skips = torch.zeros_like(x)
        for layer, heard in zip(self.layers, condition.unbind(1), strict=True):
            x, skip = layer(x, embedding, heard, keep)
            skips = skips + skip
        output = self.output(F.relu(self.skip(skips / config.layers**0.5)))
        return (output if keep is None else output * keep)[:, None]


class StepEmbedding(nn.Module):
    """The sinusoid of a step, then two layers: (batch) -> (batch, channels)."""

    def __init__(self, channels: int):
        super().__init__()
        self.inner = nn.Linear(channels, 4 * channels)
        self.outer = nn.Linear(4 * channels, channels)

    def forward(self, step: Tensor) -> Tensor:
        width, dtype = self.inner.in_features, self.inner.weight.dtype
        angles = step.to(torch.promote_types(dtype, torch.float32))  # in half precision, steps near 1000 are one
        return self.outer(F.mish(self.inner(sinusoid(angles, width).to(dtype))))


class Layer(nn.Module):
    """One gated, dilated convolution: to what is handed on and what is summed up."""

    def __init__(self, config: WaveNetConfig, dilation: int):
        super().__init__()
        self.dilated = convolution(config.channels, 2 * config.channels, 3, dilation)
        self.step = nn.Linear(config.channels, config.channels)
        self.output = convolution(config.channels, 2 * config.channels)

    def forward(self, x: Tensor, embedding: Tensor, heard: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
        """(batch, channel, frame), (batch, channel), (batch, 2 channels, frame), (batch, 1, frame) -> next x, skip, both as x."""
        inner = x + self.step(embedding)[..., None]
        if keep is not None:
            inner = inner * keep  # where the sound ends, the convolution sees the zeros that it would see without padding
        gate, filtered = (self.dilated(inner) + heard).chunk(2, 1)
        residual, skip = self.output(gate.sigmoid() * filtered.tanh()).chunk(2, 1)
        return (x + residual) * 0.5**0.5, skip


def sinusoid(position: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of a position at width / 2 rates, from 1 down to 1 / 10000: (...) -> (..., width), in the position's precision.

    Of "Attention is all you need" (Vaswani et al. 2017, 1706.03762), as tensor2tensor lays it out.
    """
    half = width // 2
    rates = torch.exp(torch.arange(half, device=position.device, dtype=position.dtype) * -(math.log(10000) / (half - 1)))
    angle = position[..., None] * rates
    return torch.cat([angle.sin(), angle.cos()], -1)


def convolution(before: int, after: int, size: int = 1, dilation: int = 1) -> nn.Conv1d:
    """A convolution over frames that keeps their number; started as the public code does (He et al. 2015, 1502.01852)."""
    layer = nn.Conv1d(before, after, size, padding=dilation * (size // 2), dilation=dilation)
    nn.init.kaiming_normal_(layer.weight)
    return layer


PUBLISHED_PARTS = {
    r"^first": "input_projection",
    r"^step\.inner": "mlp.0",
    r"^step\.outer": "mlp.2",
    r"^condition\.(\d+)": r"residual_layers.\1.conditioner_projection",
    r"^layers": "residual_layers",
    r"dilated": "dilated_conv",
    r"\.step": ".diffusion_projection",
    r"skip": "skip_projection",
    r"output": "output_projection",
}


def published_keys(config: WaveNetConfig) -> dict[str, str]:
    """Keys of a public denoiser (MoonInTheRiver/DiffSinger, openvpi/DiffSinger) and of the same tensors here.

    Shapes are equal. In a public checkpoint a prefix stands before them, `model.denoise_fn.` or the like.
    """
    with torch.device("meta"):
        ours = WaveNet(config).state_dict()
    keys = {}
    for key in ours:
        public = key
        for pattern, replacement in PUBLISHED_PARTS.items():
            public = re.sub(pattern, replacement, public)
        keys[public] = key
    return keys
