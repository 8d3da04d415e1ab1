"""Losses on waveforms, and how losses are weighed against each other."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOWS = (256, 512, 1024, 2048)  # samples


def spectrum(waveform: Tensor, window: int) -> Tensor:
    """Short-time spectrum of (batch, time), Hann window of unit energy, hop a quarter: complex (batch, bins, frame)."""
    shape = torch.hann_window(window, device=waveform.device)
    return torch.stft(waveform, window, window // 4, window=shape / shape.square().sum().sqrt(), return_complex=True)


def multi_resolution_loss(estimate: Tensor, clean: Tensor, quiet_penalty: float) -> Tensor:
    """Distance of the log magnitudes, and half of that of their square roots, at several resolutions (Yamamoto et al. 2020, 1910.11480).

    The logarithm makes quiet sound count. Where the clean sound is quiet, what is louder than it costs `quiet_penalty` times more on top:
    an adversary would buy liveliness with grain in the pauses.

    Args:
        estimate, clean: waveforms (batch, time) at the level of training.
    """
    total = torch.zeros((), device=clean.device)
    for window in WINDOWS:
        found, wanted = spectrum(estimate, window).abs(), spectrum(clean, window).abs()
        excess = (found + 5e-4).log() - (wanted + 5e-4).log()
        logarithmic = (excess.abs() + quiet_penalty * F.relu(excess) * (wanted < 0.01)).mean()
        total = total + logarithmic + 0.5 * ((found + 1e-6).sqrt() - (wanted + 1e-6).sqrt()).abs().mean()
    return total / len(WINDOWS)


class GradientBalance:
    """Weigh losses by the gradients that arrive at the estimate, as EnCodec does (Défossez et al. 2022, 2210.13438, sec. 3.4).

    Each loss gets the weight with which its gradient has the norm of the first loss's, times its share. Weights stay on the device.
    """

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def __call__(self, losses: Mapping[str, Tensor], shares: Mapping[str, float], estimate: Tensor, refresh: bool) -> Tensor:
        """The weighed sum.

        Args:
            losses: scalars by name, the first one the measure.
            shares: by name, relative to the first.
            estimate: on which all of them depend.
            refresh: measure again, and go half of the way to what was found.
        """
        if refresh or losses.keys() - self.weights.keys():
            self._measure(losses, estimate)
        return torch.stack([shares[name] * self.weights[name] * loss for name, loss in losses.items()]).sum()

    def _measure(self, losses: Mapping[str, Tensor], estimate: Tensor) -> None:
        norms = {name: torch.linalg.vector_norm(torch.autograd.grad(loss, estimate, retain_graph=True)[0]) for name, loss in losses.items()}
        first = next(iter(norms.values()))
        for name, norm in norms.items():
            found = first / norm.clamp_min(1e-9)
            self.weights[name] = torch.lerp(self.weights[name], found, 0.5) if name in self.weights else found
