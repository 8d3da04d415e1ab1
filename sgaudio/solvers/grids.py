"""Grids: the times of a reverse walk. A grid of N steps lists the N times at which the network is called, then the end.

The end is 0 by default, so that the last step returns a clean estimate. The last time at which the network is called is
above it, for no network is trained at time 0. Any falling list of times is a grid as well.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process
from sgaudio.registry import Registry

Grid = tuple[float, ...]


def checked(times: Sequence[float]) -> Grid:
    """The times as floats, if they are a grid.

    Raises:
        ConfigError: unless they are at least two, in [0, 1], and fall strictly.
    """
    grid = tuple(float(time) for time in times)
    if len(grid) < 2:
        raise ConfigError(f"grid: got {len(grid)} times, expected at least 2: one at which the network is called, and the end")
    for time in grid:
        if not 0 <= time <= 1:
            raise ConfigError(f"grid: got the time {time:g}, expected 0 to 1")
    for before, after in pairwise(grid):
        if after >= before:
            raise ConfigError(f"grid: got the time {after:g} after {before:g}, expected times that fall strictly, the end included")
    return grid


def linear(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Equal steps in time.

    Args (of all grids):
        process: whose times these are.
        steps: number of calling times, 1 or more; a single one is `first`.
        first, last: the first and the last time at which the network is called.
        end: the time at which the walk ends, 0 for a clean estimate.

    Returns:
        steps + 1 times that fall strictly.

    Raises:
        ConfigError: on fewer than 1 step, and on times that do not fall.
    """
    return _grid(steps, first, last, end, lambda part: first + (last - first) * part)


def even(process: Process, steps: int, *, first: float = 1.0, end: float = 0.0) -> Grid:
    """Equal steps in time, the last one too: of four steps, 1, 3/4, 1/2, 1/4, then the end."""
    return linear(process, steps, first=first, last=first + (end - first) * (steps - 1) / max(steps, 1), end=end)


def cosine(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Short steps at both ends and long ones between: time falls as a squared cosine."""
    return _grid(steps, first, last, end, lambda part: last + (first - last) * math.cos(math.pi / 2 * part) ** 2)


def log_snr(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Equal steps in log-SNR (Lu et al. 2022, 2206.00927). At a bridge's start, where it is infinite, they begin 0.001 after it."""
    if process.at(first).alpha == 0 and steps > 1:
        return checked((first, *log_snr(process, steps - 1, first=first - 1e-3, last=last, end=end)))
    if process.at(last).sigma == 0:
        raise ConfigError(f"grid 'log-snr': last is {last:g}, where the log-SNR is infinite: expected a time above 0")
    return _grid(steps, first, last, end, _uniform(process, lambda node: node.log_snr, first, last))


def angle(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Equal steps in the angle atan(alpha / sigma), which is finite everywhere."""
    return _grid(steps, first, last, end, _uniform(process, lambda node: node.angle, first, last))


def explicit(process: Process, steps: int, *, times: tuple[float, ...]) -> Grid:
    """The times as they are listed, the end included."""
    if len(times) != steps + 1:
        raise ConfigError(f"grid 'explicit': got {len(times)} times for {steps} steps, expected {steps + 1}: the end is one of them")
    return checked(times)


def _grid(steps: int, first: float, last: float, end: float, place: Callable[[float], float]) -> Grid:
    if steps < 1:
        raise ConfigError(f"grid: steps is {steps}, expected 1 or more")
    inner = [place(index / (steps - 1)) for index in range(1, steps - 1)]
    return checked((first, *inner, *([last] if steps > 1 else []), end))


def _uniform(process: Process, coordinate: Callable[[Node], float], first: float, last: float) -> Callable[[float], float]:
    """The time at a part of the way from first to last in a coordinate that grows as time falls, by bisection."""
    low, high = coordinate(process.at(first)), coordinate(process.at(last))

    def place(part: float) -> float:
        wanted, early, late = low + (high - low) * part, last, first
        for _ in range(64):
            middle = (early + late) / 2
            early, late = (early, middle) if coordinate(process.at(middle)) < wanted else (middle, late)
        return (early + late) / 2

    return place


GRIDS = Registry[Callable[..., Grid]](
    "grid", {"linear": linear, "even": even, "cosine": cosine, "log-snr": log_snr, "angle": angle, "explicit": explicit}
)
