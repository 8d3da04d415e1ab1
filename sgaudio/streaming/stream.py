"""One engine for files, pipes, arrays and live blocks: a file is a stream that ends.

    block -> resampler -> windows -> function -> overlap-add -> resampler -> high band, dry share -> samples

As many samples come out as went in, each at the place where it went in. The samples do not depend on how the input was cut.
"""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from sgaudio.audio.formats import RATES
from sgaudio.audio.resampling import Resampler, delay
from sgaudio.audio.windows import Cutter, Group, OverlapAdd, Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.streaming.high_band import HOP, LOOK_AHEAD, HighBand

WindowFunction = Callable[[Tensor, Tensor], Tensor]
"""(windows (item, time), absolute index (item) of their first samples) -> results (item, time)."""

MOST_CHANNELS = 1024
Samples = TypeVar("Samples", np.ndarray, Tensor)


class Stream:
    """Push blocks of any length, get the samples that are final.

    Args:
        function: what is done to windows; it never sees a silent one.
        rate: the function's sample rate in Hz.
        windows: how its signal is cut.
        sample_rate: of the blocks, in Hz.
        channels: of the blocks; each is worked on by itself.
        batch: the most items (a window of one channel) in one call of the function.
        wet: share of the function's result in the output; the rest is the input.
        high_band: what happens above half the function's rate: "follow" the gain of the band below, or "drop" it.

    Attributes:
        latency: the longest wait, in samples, between a sample going in and coming out, however the input is cut.
    """

    def __init__(
        self,
        function: WindowFunction,
        rate: int,
        windows: Windows,
        sample_rate: int,
        channels: int = 1,
        *,
        batch: int = 1,
        wet: float = 1.0,
        high_band: Literal["follow", "drop"] = "follow",
    ):
        if not isinstance(sample_rate, Integral) or sample_rate not in RATES:
            raise ConfigError(f"sample_rate is {sample_rate!r}, expected a whole number of Hz, {RATES.start} to {RATES.stop - 1}")
        if not isinstance(channels, Integral) or not 1 <= channels <= MOST_CHANNELS:
            hint = ": sound is (channel, time), transpose it?" if isinstance(channels, Integral) and channels > 1 else ""
            raise ConfigError(f"channels is {channels!r}, expected 1 to {MOST_CHANNELS}{hint}")
        if not isinstance(batch, Integral) or batch < 1:
            raise ConfigError(f"batch is {batch!r}, expected 1 or more")
        self.function, self.rate, self.windows = function, rate, windows
        self.sample_rate, self.channels, self.batch, self.wet = sample_rate, channels, batch, wet
        self.follows = high_band == "follow" and sample_rate > rate
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next block is the first."""
        paths = 2 if self.follows else 1
        self._down = Resampler(self.sample_rate, self.rate, self.channels)
        self._up = Resampler(self.rate, self.sample_rate, paths * self.channels)
        self._cutter = Cutter(self.windows, self.channels, max(1, self.batch // self.channels))
        self._overlap = OverlapAdd(self.windows)
        self._high = HighBand(self.channels)
        self._narrow = torch.zeros(self.channels, 0)  # what went into the windows and is not final yet
        self._dry = torch.zeros(self.channels, 0)  # the input from the next sample to come out
        self._risen = torch.zeros(paths * self.channels, 0)  # back at the input's rate, from the next sample to come out
        self._gains = torch.zeros(self.channels, 0)  # of the high band, one every HOP samples of the function's rate
        self._gains_start = 0  # absolute index of the first gain kept
        self._sent = 0
        self._kind: np.ndarray | Tensor = np.zeros((self.channels, 0), np.float32)  # of the last block

    @property
    def latency(self) -> int:
        there, back = delay(self.sample_rate, self.rate), delay(self.rate, self.sample_rate)
        if self.follows:
            back = max(back, LOOK_AHEAD)
        return there + math.ceil((self.windows.latency(self._cutter.group) + back) * self.sample_rate / self.rate) + 1

    def push(self, block: Samples) -> Samples:
        """Block (channel, time), or (time) for one channel, of any length, also 0 -> the samples that are final, of the same kind.

        Raises:
            AudioError: on another number of channels, or samples that are not finite.
        """
        samples = self._checked(block)
        self._dry = torch.cat([self._dry, samples], -1)
        out = self._advance(self._down.push(samples), last=False)
        self._kind = block[..., :0]
        return _like(out, block)

    def flush(self) -> Any:
        """The end of the signal: all samples that are left, of the kind of the last block, and a stream as new."""
        out, kind = self._advance(self._down.push(torch.zeros(self.channels, 0), last=True), last=True), self._kind
        self.reset()
        return _like(out, kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()

    def _advance(self, narrow: Tensor, last: bool) -> Tensor:
        """Samples at the function's rate -> final samples at the input's rate."""
        self._narrow = torch.cat([self._narrow, narrow], -1)
        pieces = [self._apply(group) for group in self._cutter.push(narrow)]
        if last:
            pieces += [self._apply(group) for group in self._cutter.flush()]
        result = torch.cat(pieces, -1) if pieces else torch.zeros(self.channels, 0)
        before, self._narrow = self._narrow[:, : result.shape[-1]], self._narrow[:, result.shape[-1] :].clone()
        if self.follows:
            self._gains = torch.cat([self._gains, self._high.push(before, result, last)], -1)
            result = torch.cat([result, before])
        self._risen = torch.cat([self._risen, self._up.push(result, last)], -1)
        if last:  # resampling there and back can lose a sample at the very end
            self._risen = torch.nn.functional.pad(self._risen, (0, max(0, self._dry.shape[-1] - self._risen.shape[-1])))
        count = min(self._risen.shape[-1], self._dry.shape[-1])
        if self.follows and not last:
            count = min(count, self._covered() - self._sent)
        return self._mix(max(0, count))

    def _apply(self, group: Group) -> Tensor:
        """A group of windows -> final samples at the function's rate."""
        windows = group.windows.flatten(0, 1)
        starts = (group.first + torch.arange(len(group.windows))).repeat_interleave(self.channels) * self.windows.hop
        results = torch.zeros(windows.shape)
        sounding = (windows != 0).any(-1).nonzero()[:, 0]
        for i in range(0, len(sounding), self.batch):
            part = sounding[i : i + self.batch]
            results[part] = self.function(windows[part], starts[part])
        return torch.cat([self._overlap.push(result, group.last) for result in results.view(group.windows.shape)], -1)

    def _covered(self) -> int:
        """Up to which sample of the output the high band's gain is known."""
        frames = self._gains_start + self._gains.shape[-1] - 1
        return math.floor(max(0, frames) * HOP * self.sample_rate / self.rate)

    def _mix(self, count: int) -> Tensor:
        """The next `count` samples of the output."""
        dry, self._dry = self._dry[:, :count], self._dry[:, count:].clone()
        risen, self._risen = self._risen[:, :count], self._risen[:, count:].clone()
        out = risen[: self.channels]
        if self.follows and count:
            out = out + self._gain(count) * (dry - risen[self.channels :])
        self._sent += count
        return out if self.wet == 1 else torch.lerp(dry, out, self.wet)

    def _gain(self, count: int) -> Tensor:
        """Gain (channel, count) of the high band at the next samples of the output, linear between its frames."""
        place = (self._sent + torch.arange(count, dtype=torch.float64)) * (self.rate / (HOP * self.sample_rate))
        frame = place.floor().long()
        weight = (place - frame).float()
        index = (frame - self._gains_start).clamp(max=self._gains.shape[-1] - 2)
        gain = torch.lerp(self._gains[:, index], self._gains[:, index + 1], weight)
        keep = int(frame[-1]) - self._gains_start
        self._gains, self._gains_start = self._gains[:, keep:].clone(), self._gains_start + keep
        return gain

    def _checked(self, block: np.ndarray | Tensor) -> Tensor:
        is_float = block.dtype.is_floating_point if isinstance(block, Tensor) else block.dtype.kind == "f"
        if not is_float:
            raise AudioError(f"block has samples of {block.dtype}, expected floating point, full scale at 1")
        samples = block.detach().to("cpu", torch.float32) if isinstance(block, Tensor) else torch.from_numpy(np.array(block, np.float32))
        samples = samples[None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or samples.shape[0] != self.channels:
            raise AudioError(f"block has shape {tuple(np.shape(block))}, expected ({self.channels}, time)")
        if not samples.isfinite().all():
            raise AudioError(f"block holds {int((~samples.isfinite()).sum())} samples that are not finite: replace them by zeros")
        return samples


def _like(out: Tensor, block: np.ndarray | Tensor) -> Any:
    """Samples (channel, time) as the same kind of thing as `block`."""
    out = out[0] if block.ndim == 1 else out
    if isinstance(block, Tensor):
        return out.to(block.device, block.dtype)
    return out.numpy().astype(block.dtype, copy=False)
