"""Noise of one Brownian path: more steps then refine a walk instead of drawing another.

The step noise of a reverse diffusion is an increment of Brownian motion in a clock that runs with alpha / sigma. Keyed by the number of its
step, it is new for each grid; taken from one path, it is that path seen more or less closely. The path is built as Lévy did, from the
ends of the clock inwards: between two places where it is known it has, in the middle,

    W(m) = ((b - m) W(a) + (m - a) W(b)) / (b - a) + sqrt((m - a) (b - m) / (b - a)) n,        n normal, the middle's own
    (Karatzas, Shreve 1991, "Brownian motion and stochastic calculus", 2.3)

so that an increment is a sum of few normals, with coefficients that are worked out on the host.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Process, check_process
from sgaudio.registry import Range, bind
from sgaudio.solvers.grids import checked
from sgaudio.solvers.sample import KEY, Noise, check_function
from sgaudio.solvers.walk import Vector

END = 0  # the normal of the path's end; the tree's middles are numbered as a heap, from 1


def brownian_path(
    normal: Noise,
    process: Process,
    grid: Sequence[float],
    *,
    variance: Annotated[float, Range(1e-12, 1e12)] = 0.04,
    depth: Annotated[int, Range(1, 31)] = 16,
) -> Noise:
    """A source of noise whose "step" noises are the increments of one path, whatever the grid, each scaled to variance 1.

    In the clock (alpha / sigma)^2 / (variance (alpha / sigma)^2 + 1), the precision of what a state says of Gaussian data of that variance,
    a coarse and a fine walk stay together best. All other noises are those of `normal`.

    Args:
        normal: the source of the normals, (step, purpose, repeat) -> noise, such as `keyed_noise`. A middle of the tree is asked for by its
            number and the purpose "path", up to 2 depth of them a step.
        process, grid: of the plan.
        variance: of the data, per value.
        depth: of the tree. The grid's times are read to the nearest of its 2^depth + 1 places, so that increments are exactly independent.

    Raises:
        ConfigError: on what is no grid, on an option out of its range, on a grid too fine for the tree, and from the source on a step that
            the grid does not have.
    """
    bind(brownian_path, {"variance": variance, "depth": depth}, "brownian_path", given=3)
    check_process("brownian_path", process)
    check_function("brownian_path: normal", normal, *KEY)
    grid = checked(grid)
    places = [_place(math.sqrt(variance) * process.at(time).ratio, depth) for time in grid]
    for step, (begin, end) in enumerate(pairwise(places)):
        if begin == end:
            times = f"{grid[step]:g} and {grid[step + 1]:g}"
            raise ConfigError(f"brownian_path: the times {times} are one place in a tree of depth {depth}: expected a deeper one")

    def noise(step: int, purpose: str, repeat: int = 0) -> Tensor:
        if (purpose, repeat) != ("step", 0):
            return normal(step, purpose, repeat)
        if not 0 <= step < len(places) - 1:
            raise ConfigError(f"brownian_path: got step {step} of a grid of {len(places) - 1} steps: pass the grid of the plan")
        way = _path(places[step + 1], depth) - _path(places[step], depth)
        (first, coefficient), *others = ((1 / math.hypot(*way.terms.values())) * way).terms.items()
        total = coefficient * normal(first, "path", 0)
        for middle, coefficient in others:
            total = total + coefficient * normal(middle, "path", 0)
        return total

    return noise


def _place(ratio: float, depth: int) -> int:
    """The place of a clock reading q^2 / (q^2 + 1): they crowd at both ends, where equal steps in log-SNR are short in the clock."""
    root = math.sqrt(ratio)
    return round((root / (root + 1) if math.isfinite(root) else 1.0) * 2**depth)


def _length(low: float, high: float) -> float:
    """Of the clock between two places from 0 to 1, at which it reads p^4 / (p^4 + (1 - p)^4); nothing cancels at either end."""
    if low + high > 1:
        low, high = 1 - high, 1 - low
    before, after = (place**4 / (place**4 + (1 - place) ** 4) for place in (low, high))
    return after - before


def _path(place: int, depth: int) -> Vector:
    """The path at a place, as a combination of the tree's normals."""
    whole = 2**depth
    low, high, before, after, middle = 0, whole, Vector(), Vector({END: 1.0}), 1
    while low < place < high:
        there = (low + high) // 2
        left, right = _length(low / whole, there / whole), _length(there / whole, high / whole)
        own = Vector({middle: math.sqrt(left * right / (left + right))})
        value = (right / (left + right)) * before + (left / (left + right)) * after + own
        if place < there:
            high, after, middle = there, value, 2 * middle
        else:
            low, before, middle = there, value, 2 * middle + 1
    return before if place == low else after
