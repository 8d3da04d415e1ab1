"""The band above the model's: it follows, smoothed over time, the gain that the model gave to the band just below.

Fricatives and breath reach across the edge of the model's band, and so does most noise: what the model kept below the edge is
kept above, what it removed is removed.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FRAME, HOP = 512, 256  # samples at the model's rate
LOW, HIGH = 0.6, 0.9  # the band that is followed, relative to half the model's rate
SMOOTHING = (1.0, 2.0, 3.0, 2.0, 1.0)  # over frames
LOOK_AHEAD = FRAME // 2 + (len(SMOOTHING) // 2 + 1) * HOP  # samples until the gain at a sample is known: frame, smoothing, interpolation


@dataclass
class HighBand:
    """Gain of the high band over time, from what went into the model and what came out, sample by sample at the model's rate."""

    channels: int

    def __post_init__(self) -> None:
        self._before = torch.zeros(self.channels, FRAME // 2)  # frame 0 is centred on sample 0
        self._after = torch.zeros(self.channels, FRAME // 2)
        self._powers = torch.zeros(self.channels, 2, 0, dtype=torch.float64)  # before and after, of the frames that smoothing still needs
        self._started = False

    def push(self, before: Tensor, after: Tensor, last: bool = False) -> Tensor:
        """Blocks (channel, time) at the model's rate -> gains (channel, frame), 0 to 1, of the frames that are final, `HOP` apart."""
        self._before = torch.cat([self._before, before], -1)
        self._after = torch.cat([self._after, after], -1)
        if last:  # enough frames to reach past the last sample
            self._before, self._after = (F.pad(x, (0, FRAME + HOP)) for x in (self._before, self._after))
        count = max(0, (self._before.shape[-1] - FRAME) // HOP + 1)
        if count == 0:
            return torch.zeros(self.channels, 0)
        powers = torch.stack([band_power(x[:, : (count - 1) * HOP + FRAME]) for x in (self._before, self._after)], 1)
        self._before, self._after = self._before[:, count * HOP :].clone(), self._after[:, count * HOP :].clone()
        margin = len(SMOOTHING) // 2
        if not self._started:
            powers = torch.cat([powers[..., :1]] * margin + [powers], -1)
            self._started = True
        if last:
            powers = torch.cat([powers] + [powers[..., -1:]] * margin, -1)
        powers = torch.cat([self._powers, powers], -1)
        self._powers = powers[..., max(0, powers.shape[-1] - 2 * margin) :].clone()
        if powers.shape[-1] < len(SMOOTHING):
            return torch.zeros(self.channels, 0)
        kernel = torch.tensor(SMOOTHING, dtype=torch.float64).view(1, 1, -1) / sum(SMOOTHING)
        before_power, after_power = F.conv1d(powers.flatten(0, 1)[:, None], kernel).view(self.channels, 2, -1).unbind(1)
        return (after_power / before_power.clamp_min(1e-300)).sqrt().clamp_max(1.0).float()


def band_power(signal: Tensor) -> Tensor:
    """Power (channel, frame) of the followed band in (channel, time), frames of `FRAME` samples, `HOP` apart, Hann window."""
    frames = signal.double().unfold(-1, FRAME, HOP) * torch.hann_window(FRAME)  # float64: no level is too high to square
    spectrum = torch.fft.rfft(frames)[..., int(LOW * FRAME / 2) : int(HIGH * FRAME / 2)]
    return spectrum.abs().square().sum(-1)
