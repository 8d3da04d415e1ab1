"""Sample rate conversion of a stream, by soxr (Rob Sykes' libsoxr, 24-bit quality): the same bits for any cut of the input."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import soxr
import torch
from torch import Tensor

MARGIN = 0.06  # seconds on both sides of a piece that its resampling hears


class Resampler:
    """Convert a stream of blocks from one rate to another; output sample n lies at time n / `target` of the input.

    Args:
        source, target: rates in Hz.
        channels: number of channels.
    """

    def __init__(self, source: int, target: int, channels: int):
        self.source, self.target = source, target
        self._stream = soxr.ResampleStream(source, target, channels, dtype="float32", quality="HQ") if source != target else None

    def push(self, block: Tensor, last: bool = False) -> Tensor:
        """Block (channel, time), float32, any length -> the samples (channel, time) that are due; all of them after the `last` block."""
        if self._stream is None:
            return block
        out = self._stream.resample_chunk(block.T.contiguous().numpy(), last)
        return torch.from_numpy(out).T


@lru_cache
def delay(source: int, target: int) -> int:
    """The longest that a sample stays inside a `Resampler`, in samples at the `source` rate: measured, half a millisecond at a time."""
    resampler, block = Resampler(source, target, 1), torch.zeros(1, max(1, source // 2000))
    sent = received = worst = 0
    for _ in range(3000):
        sent += block.shape[-1]
        received += resampler.push(block).shape[-1]
        worst = max(worst, sent - received * source // target)
    return worst + block.shape[-1]


def resample(waveform: np.ndarray, source: int, target: int) -> np.ndarray:
    """A whole waveform, float32 (time) or (channel, time), from one rate in Hz to another: `time * target / source` samples, rounded."""
    if source == target:
        return waveform
    return np.ascontiguousarray(soxr.resample(waveform.T, source, target, quality="HQ").T)


def resample_piece(read: Callable[[int, int], np.ndarray], samples: int, source: int, target: int, start: int, stop: int) -> np.ndarray:
    """Samples `start` to `stop` of a resampled sound, float32 (..., time), of which no more is read than they need.

    Args:
        read: gives the sound, float32 (..., time), from one of its own samples to before another.
        samples: how many it has.
        source, target: rates in Hz; where they are equal, the piece is exact.
    """
    divisor = math.gcd(source, target)
    own, other = source // divisor, target // divisor  # so many samples last equally long
    margin = 0 if own == other else math.ceil(MARGIN * target / other)
    first, last = max(0, start // other - margin), math.ceil(stop / other) + margin
    sound = read(first * own, min(samples, last * own))
    return fitted(resample(sound, source, target)[..., start - first * other :], stop - start)


def fitted(sound: np.ndarray, length: int) -> np.ndarray:
    """(..., time) cut, or filled up with zeros, to a length."""
    sound = sound[..., :length]
    return np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(0, length - sound.shape[-1])])
