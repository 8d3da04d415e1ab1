"""Discriminators: they tell clean speech from estimates by complex spectra at several resolutions, and know the noisy sound.

After the complex STFT discriminators of EnCodec (Défossez et al. 2022, 2210.13438, sec. 3.4), with compressed magnitudes; hinge loss and
feature matching as in MelGAN (Kumar et al. 2019, 1910.06711, sec. 2.2).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from sgaudio.training.losses import WINDOWS, spectrum

Verdict = tuple[Tensor, list[Tensor]]  # score map (batch, 1, bins, frame) and the features that led to it


class Discriminators(nn.Module):
    """One discriminator a resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Discriminator(window) for window in WINDOWS)

    def forward(self, waveform: Tensor, noisy: Tensor) -> list[Verdict]:
        """Judge waveforms (batch, time); positive scores say: clean speech."""
        return [scale(waveform, noisy) for scale in self.scales]


class Discriminator(nn.Module):
    """Convolutions over bins and frames, strided over bins and dilated over frames."""

    def __init__(self, window: int, channels: int = 32):
        super().__init__()
        self.window = window
        self.layers = nn.ModuleList(
            [
                convolution(6, channels, (9, 3), stride=2),
                convolution(channels, 2 * channels, (9, 3), stride=2),
                convolution(2 * channels, 3 * channels, (9, 3), stride=2, dilation=2),
                convolution(3 * channels, 4 * channels, (9, 3), stride=2, dilation=4),
                convolution(4 * channels, 4 * channels, (3, 3)),
            ]
        )
        self.score = convolution(4 * channels, 1, (3, 3))

    def forward(self, waveform: Tensor, noisy: Tensor) -> Verdict:
        x = torch.cat([compressed(waveform, self.window), compressed(noisy, self.window)], 1).to(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.score(x), features


def convolution(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1) -> nn.Module:
    """Weight-normed convolution over (bins, frame): the stride is over bins, the dilation over frames."""
    padding = (kernel[0] // 2, kernel[1] // 2 * dilation)
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, (stride, 1), padding, (1, dilation)))


def compressed(waveform: Tensor, window: int) -> Tensor:
    """Real and imaginary part with the magnitude to the power 0.4, and the log magnitude: (batch, 3, bins, frame)."""
    found = spectrum(waveform, window)
    magnitude = found.abs().clamp_min(1e-5)
    found = found * magnitude**-0.6
    return torch.stack([found.real, found.imag, (magnitude + 5e-4).log() * 0.3 + 1], 1)


class Adversary:
    """Discriminators at work: what they hear of a step, what the network pays, what they pay.

    Args:
        piece: samples of an item that they hear at a time.
        device, dtype: where, and in what they compute (bfloat16 by autocast).
        generator: on the host, for the choice of the piece.
    """

    def __init__(self, piece: int, device: torch.device, dtype: torch.dtype, generator: torch.Generator):
        self.discriminators = Discriminators().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.piece, self.device, self.dtype, self.generator = piece, device, dtype, generator

    def hear(self, fake: Tensor, real: Tensor, noisy: Tensor) -> None:
        """Take the same random piece of estimates, clean and noisy sound (batch, time)."""
        length = fake.shape[-1]
        piece = min(length, self.piece)
        start = int(torch.randint(length - piece + 1, (), generator=self.generator))
        self._fake, self._real, self._noisy = (waveform[:, start : start + piece] for waveform in (fake, real, noisy))

    def judge(self) -> tuple[Tensor, Tensor]:
        """Adversarial and feature loss of the network; the discriminators get no gradient of it."""
        self.discriminators.requires_grad_(False)
        with torch.no_grad():
            real = self._verdicts(self._real)
        fake = self._verdicts(self._fake)
        self.discriminators.requires_grad_(True)
        return adversarial_loss(fake), feature_loss(real, fake)

    def loss(self) -> Tensor:
        """Loss of the discriminators; the network gets no gradient of it."""
        return discriminator_loss(self._verdicts(self._real), self._verdicts(self._fake.detach()))

    def _verdicts(self, waveform: Tensor) -> list[Verdict]:
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.discriminators(waveform, self._noisy)


def discriminator_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Hinge loss of the discriminators."""
    return mean([F.relu(1 - r.float()).mean() + F.relu(1 + f.float()).mean() for (r, _), (f, _) in zip(real, fake, strict=True)])


def adversarial_loss(fake: Sequence[Verdict]) -> Tensor:
    """What the network pays where the discriminators see through it."""
    return mean([-score.float().mean() for score, _ in fake])


def feature_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Distance of the discriminators' features, relative to their size."""
    return mean(
        [
            (f - r).float().abs().mean() / r.float().abs().mean().clamp_min(1e-3)
            for (_, wanted), (_, found) in zip(real, fake, strict=True)
            for r, f in zip(wanted, found, strict=True)
        ]
    )


def mean(values: Sequence[Tensor]) -> Tensor:
    """Mean of scalars."""
    return torch.stack(tuple(values)).mean()
