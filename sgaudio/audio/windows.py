"""Cutting an endless signal into overlapping windows at absolute positions, and putting results together again.

Window k covers the samples from k hop to k hop + length. Its outermost `guard` samples on either side are context only; over the
next `fade` samples it takes over from its neighbour with a raised cosine. The first window counts from its first sample; the last
one ends with the signal, and is as short as that makes it, but longer than what it shares with its neighbour: padding it with zeros cost
0.1 PESQ (networks are not used to sound that stops), and the work of a whole window for a sound of a second.

    window k    |guard| fade |      counts fully      | fade |guard|
    window k+1                                  |guard| fade | ...
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class Windows:
    """Geometry of the windows, in samples.

    Args:
        length: of a window.
        guard: context at either end, whose result is dropped.
        fade: length of the cross-fade between neighbours.
    """

    length: Annotated[int, Range(1, 2**26)]
    guard: Annotated[int, Range(0, 2**24)]
    fade: Annotated[int, Range(0, 2**24)]

    def __post_init__(self) -> None:
        check(self)
        if self.hop < self.fade + self.guard:
            raise ConfigError(f"Windows: length {self.length} is too short for guards of {self.guard} and fades of {self.fade}")

    @property
    def hop(self) -> int:
        """Distance of the windows' starts."""
        return self.length - 2 * self.guard - self.fade

    @property
    def overlap(self) -> int:
        """Samples that a window shares with the next."""
        return self.length - self.hop

    def latency(self, group: int = 1) -> int:
        """The longest that a sample waits for its result when windows are taken `group` at a time."""
        return self.length + (group - 1) * self.hop

    def rising(self) -> Tensor:
        """Weight (fade) with which a window comes in; its predecessor goes out with one less this."""
        return 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(self.fade) + 0.5) / max(self.fade, 1))


@dataclass(frozen=True)
class Group:
    """Neighbouring windows, ready to be worked on.

    Args:
        windows: (window, channel, time).
        first: absolute index of the first one.
        last: no window follows; such a group holds one window.
    """

    windows: Tensor
    first: int
    last: bool


class Cutter:
    """Collect blocks and give windows in groups of a fixed size, counted from window 0: nothing depends on where a block ended."""

    def __init__(self, windows: Windows, channels: int, group: int):
        self.windows, self.group = windows, group
        self._waiting = torch.zeros(channels, 0)
        self._next = 0  # absolute index of the window that starts at the first waiting sample

    def push(self, block: Tensor) -> Iterator[Group]:
        """Block (channel, time) -> the groups that are complete: full windows, and the signal goes on after them."""
        self._waiting = torch.cat([self._waiting, block], -1)
        while self._waiting.shape[-1] > self.windows.latency(self.group):
            yield self._take(self.group)

    def flush(self) -> Iterator[Group]:
        """The windows left at the end of the signal; none if there was no sample at all."""
        full = math.ceil((self._waiting.shape[-1] - self.windows.length) / self.windows.hop)
        if full > 0:
            yield self._take(full)
        if self._waiting.shape[-1]:
            yield Group(self._waiting[None], self._next, last=True)

    def _take(self, count: int) -> Group:
        span = self._waiting[:, : self.windows.latency(count)]
        group = Group(span.unfold(-1, self.windows.length, self.windows.hop).transpose(0, 1), self._next, last=False)
        self._waiting = self._waiting[:, count * self.windows.hop :].clone()
        self._next += count
        return group


class OverlapAdd:
    """Put windows, given one after the other, together to a signal: the inverse of `Cutter`."""

    def __init__(self, windows: Windows):
        self.windows = windows
        self._rising = windows.rising()
        self._fading: Tensor | None = None  # the part of the previous window that is still to be cross-faded

    def push(self, window: Tensor, last: bool) -> Tensor:
        """Result of the next window (channel, time) -> the samples (channel, time) that are final now."""
        guard, fade, hop = self.windows.guard, self.windows.fade, self.windows.hop
        if self._fading is not None:
            entering = self._fading + self._rising * (window[:, guard : guard + fade] - self._fading)
            window = torch.cat([window[:, :guard], entering, window[:, guard + fade :]], -1)
        start = 0 if self._fading is None else guard
        self._fading = window[:, hop + guard : hop + guard + fade]
        return window[:, start:] if last else window[:, start : hop + guard]
