"""Level of a piece of sound, and bringing it to the level that a network was trained on."""

from collections.abc import Callable

from torch import Tensor

from sgaudio.registry import Registry

SILENCE = 1e-7  # root mean square below which sound is not raised further (-140 dB of full scale)


def root_mean_square(waveform: Tensor) -> Tensor:
    """Root mean square over time of (..., time): (..., 1). Any finite float32 signal has a finite one (computed in float64)."""
    precise = waveform if waveform.device.type == "mps" else waveform.double()
    return precise.square().mean(-1, keepdim=True).sqrt().clamp_min(SILENCE).to(waveform.dtype)


def peak(waveform: Tensor) -> Tensor:
    """Largest magnitude over time of (..., time): (..., 1)."""
    return waveform.abs().amax(-1, keepdim=True).clamp_min(SILENCE)


LEVELS = Registry[Callable[[Tensor], Tensor]]("level", {"rms": root_mean_square, "peak": peak})
