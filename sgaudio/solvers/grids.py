"""Grids: the times of a reverse walk. A grid of N steps lists the N times at which the network is called, then the end.

The end is 0 by default, so that the last step returns a clean estimate. The last time at which the network is called is
above it, for no network is trained at time 0; nor is one of a chain below its first level, 1 / steps, which `last` is raised to.
Any falling list of times is a grid as well.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from numbers import Real
from typing import Annotated, Any, Literal

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, bisect, check_process
from sgaudio.registry import Range, Registry, bind, check_value, plain

Grid = tuple[float, ...]
Spacing = Literal["even", "leading", "trailing"]

FINITE = 1 - 1e-3  # where equal steps in a coordinate begin that is infinite at time 1


def checked(times: Sequence[float]) -> Grid:
    """The times as floats, if they are a grid.

    Raises:
        ConfigError: unless they are at least two numbers, in [0, 1], that fall strictly.
    """
    listed: Any = times.tolist() if hasattr(times, "tolist") else times  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(listed, str) or not isinstance(listed, Iterable):
        raise ConfigError(f"grid: got {times!r}, expected times that fall strictly: a list of them, or what a grid of GRIDS gives")
    listed = list(listed)
    for time in listed:
        if not isinstance(time, Real) or isinstance(time, bool):
            raise ConfigError(f"grid: got the time {time!r}, expected numbers from 0 to 1")
    grid = tuple(map(float, listed))
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
    return _grid(process, steps, first, last, end, lambda part, last: first + (last - first) * part)


def even(process: Process, steps: int, *, first: float = 1.0, end: float = 0.0) -> Grid:
    """Equal steps in time, the last one too: of four steps, 1, 3/4, 1/2, 1/4, then the end."""
    _check(process, steps)
    return linear(process, steps, first=first, last=first + (end - first) * (steps - 1) / steps, end=end)


def cosine(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Short steps at both ends and long ones between: time falls as a squared cosine."""
    return _grid(process, steps, first, last, end, lambda part, last: last + (first - last) * math.cos(math.pi / 2 * part) ** 2)


def log_snr(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Equal steps in log-SNR (Lu et al. 2022, 2206.00927). Where nothing is left of the clean sound at time 1 they begin at 0.999."""
    _check(process, steps)
    if process.at(last).sigma == 0:
        raise ConfigError(f"grid 'log-snr': last is {last:g}, where the log-SNR is infinite: expected a time above 0")
    return _uniform(process, steps, first, last, end, lambda node: node.log_snr)


def angle(process: Process, steps: int, *, first: float = 1.0, last: float = 0.03, end: float = 0.0) -> Grid:
    """Equal steps in the angle atan(alpha / sigma), which is finite everywhere."""
    return _uniform(process, steps, first, last, end, lambda node: node.angle)


def karras(
    process: Process,
    steps: int,
    *,
    first: float = 1.0,
    last: float = 0.03,
    end: float = 0.0,
    rho: Annotated[float, Range(1, 100)] = 7.0,
) -> Grid:
    """Equal steps in the rho-th root of sigma / alpha: the larger rho, the finer the end (Karras et al. 2022, 2206.00364, eq. 5).

    Where nothing is left of the clean sound at time 1 they begin at 0.999.
    """
    return _uniform(process, steps, first, last, end, lambda node: -math.exp(-node.log_snr / rho))


def integer(process: Process, steps: int, *, first: float = 1.0, end: float = 0.0, spacing: Spacing = "even") -> Grid:
    """Levels of a chain, each at most once.

    Args:
        process: a chain: one with `steps` of its own.
        steps: number of calling times, at most that of the levels up to `first`.
        first: the level to start at, as a time. Shallow diffusion of K levels starts at K / process.steps.
        end: as in all grids.
        spacing: of K levels, numbered from 0. "even": K - 1, ..., 0 in steps that are equal up to rounding. "leading": the multiples of
            K // steps down to 0, which begin below K - 1 (DiffSinger). "trailing": K - 1, K - 1 - K / steps, ..., rounded, above 0.

    Raises:
        ConfigError: also on a process that is no chain, on more steps than levels, and on a `first` that is no level.
    """
    _check(process, steps)
    levels = getattr(process, "steps", None)
    if levels is None:
        raise ConfigError(f"grid 'integer': {type(process).__name__} has no levels: expected a chain such as 'ddpm', or another grid")
    count = round(first * levels)
    if not 1 <= count <= levels or abs(first * levels - count) > 1e-9:
        raise ConfigError(f"grid 'integer': first is {first:g}, expected a level of the chain: n / {levels}, for n = 1 to {levels}")
    if not 1 <= steps <= count:
        raise ConfigError(f"grid 'integer': steps is {steps}, expected 1 to {count}, the number of levels from first = {first:g} down")
    called = {
        "even": [round((count - 1) * (1 - index / max(steps - 1, 1))) for index in range(steps)],
        "leading": [count // steps * index for index in reversed(range(steps))],
        "trailing": [round(count * (1 - index / steps)) - 1 for index in range(steps)],
    }[spacing]
    return checked((*((level + 1) / levels for level in called), end))


def explicit(process: Process, steps: int, *, times: tuple[float, ...]) -> Grid:
    """The times as they are listed, the end included."""
    _check(process, steps)
    if len(times) != steps + 1:
        raise ConfigError(f"grid 'explicit': got {len(times)} times for {steps} steps, expected {steps + 1}: the end is one of them")
    return checked(times)


def _check(process: Process, steps: int) -> None:
    check_process("grid", process)
    check_value(plain(steps), Annotated[int, Range(1)], "grid: steps")


def _grid(process: Process, steps: int, first: float, last: float, end: float, place: Callable[[float, float], float]) -> Grid:
    """A grid whose times between first and last are at place(part of the way, last)."""
    _check(process, steps)
    last = max(last, 1 / getattr(process, "steps", math.inf))
    inner = [place(index / (steps - 1), last) for index in range(1, steps - 1)]
    return checked((first, *inner, *([last] if steps > 1 else []), end))


def _uniform(process: Process, steps: int, first: float, last: float, end: float, coordinate: Callable[[Node], float]) -> Grid:
    """Equal steps in a coordinate that grows as time falls; where it is infinite at time 1, they begin at `FINITE` at the latest."""
    _check(process, steps)
    if steps > 2 and first > FINITE and coordinate(process.at(1.0)) == -math.inf:
        return checked((first, *_uniform(process, steps - 1, FINITE, last, end, coordinate)))

    def falling(time: float) -> float:
        return coordinate(process.at(time))

    def place(part: float, last: float) -> float:
        return bisect(falling, falling(first) + (falling(last) - falling(first)) * part, last, first)

    return _grid(process, steps, first, last, end, place)


GRIDS = Registry[Callable[..., Grid]](
    "grid",
    {
        "linear": linear,
        "even": even,
        "cosine": cosine,
        "log-snr": log_snr,
        "angle": angle,
        "karras": karras,
        "integer": integer,
        "explicit": explicit,
    },
)


def named_grid(name: str, process: Process, steps: int, options: Mapping[str, Any]) -> Grid:
    """The grid of a name.

    Raises:
        ConfigError: on an unknown name or option, or a value out of its range, and as the grid.
    """
    return GRIDS[name](process, steps, **bind(GRIDS[name], options, f"grid {name!r}", given=2))
