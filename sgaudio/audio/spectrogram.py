"""Compressed complex spectrograms: the domain in which the models work.

The magnitude is raised to an exponent and scaled, the phase kept: c(X) = factor |X|^exponent e^{i angle X}
(Welker, Richter, Gerkmann 2022, 2203.17004; Richter et al. 2022, 2208.05830). Frame j is centred on sample j hop.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check

FLOOR = 1e-8  # below this magnitude compression is linear: finite slopes, exactly invertible


@dataclass(frozen=True)
class Spectrogram:
    """Short-time Fourier transform with a compressed magnitude; `inverse` undoes `forward` exactly.

    Args:
        window: length of the analysis and synthesis window in samples, even.
        hop: distance of the frames in samples; at most half a window.
        exponent: of the magnitude; 1 leaves it as it is.
        factor: scale after compression.
        shape: of the window, periodic: "sqrt_hann" or "hann".
    """

    window: Annotated[int, Range(2, 2**16)] = 512
    hop: Annotated[int, Range(1, 2**15)] = 256
    exponent: Annotated[float, Range(0.05, 1)] = 0.5
    factor: Annotated[float, Range(1e-6, 1e6)] = 1.0
    shape: Literal["sqrt_hann", "hann"] = "sqrt_hann"

    def __post_init__(self) -> None:
        check(self)
        if self.window % 2 or 2 * self.hop > self.window:
            raise ConfigError(f"Spectrogram: window {self.window} and hop {self.hop}: expected an even window of at least two hops")

    @property
    def bins(self) -> int:
        """Number of frequencies, 0 to half the sample rate."""
        return self.window // 2 + 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (..., time), longer than half a window -> compressed spectrogram (..., bins, frame), complex."""
        flat = waveform.reshape(-1, waveform.shape[-1])
        spectrum = torch.stft(flat, self.window, self.hop, window=self._window(flat), return_complex=True)
        magnitude = spectrum.abs().clamp_min(FLOOR)
        compressed = spectrum * (self.factor * magnitude.pow(self.exponent - 1))
        return compressed.reshape(*waveform.shape[:-1], *compressed.shape[-2:])

    def inverse(self, spectrogram: Tensor, length: int) -> Tensor:
        """Compressed spectrogram (..., bins, frame) -> waveform (..., length)."""
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:]) / self.factor
        magnitude = flat.abs().clamp_min(FLOOR**self.exponent)
        spectrum = flat * magnitude.pow(1 / self.exponent - 1)
        window = self._window(magnitude)[:, None]
        waveform = self._sum(torch.fft.irfft(spectrum, self.window, dim=-2) * window, length)  # torch.istft would wait for the device
        waveform = waveform / self._sum(window.square().expand(1, -1, spectrum.shape[-1]), length)
        return F.pad(waveform, (0, length - waveform.shape[-1])).reshape(*spectrogram.shape[:-2], length)

    def _sum(self, frames: Tensor, length: int) -> Tensor:
        """(batch, window, frame), each a hop later than the one before -> (batch, time), from the middle of the first on."""
        whole, half = self.window + self.hop * (frames.shape[-1] - 1), self.window // 2
        return F.fold(frames, (1, whole), (1, self.window), stride=(1, self.hop))[:, 0, 0, half : half + length]

    def _window(self, like: Tensor) -> Tensor:
        window = torch.hann_window(self.window, dtype=like.dtype, device=like.device)
        return window.sqrt() if self.shape == "sqrt_hann" else window
