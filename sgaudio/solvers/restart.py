"""Restart: part of the walk is gone over again from fresh noise, which makes the errors made before it smaller.

Xu, Deng, Cheng, Tian, Liu, Jaakkola 2023, "Restart sampling for improving generative processes", 2306.14878, Algorithm 1, on any
Gaussian path.
"""

import math
from typing import Annotated, Any, Literal

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.runge_kutta import TABLEAUS, step_in_sigma
from sgaudio.solvers.walk import Vector, Walk


def restart(
    walk: Walk,
    low: Annotated[float, Range(0, 1)] = 0.1,
    high: Annotated[float, Range(0, 1)] = 0.75,
    repeats: Annotated[int, Range(0, 1000)] = 1,
    step: Literal["ddim", "heun"] = "heun",
) -> Vector:
    """Restart: a deterministic walk that is noised back from low to high and goes on from there again.

    From the lowest of the grid's nodes in [low, high] the state is noised back to the highest of them, and their steps are walked again:
    each repetition costs the evaluations of these steps. A grid with fewer than two nodes there is walked once, plainly.

    Args:
        walk: the walk.
        low, high: times, the interval that is repeated. Nodes at which alpha or sigma is 0 do not count.
        repeats: how often it is repeated.
        step: of the walk: "ddim" (first order, one evaluation) or "heun" in sigma / alpha (second order, two), as in the paper.
    """
    if low >= high:
        walk.refuse(f"low is {low:g}, expected less than high = {high:g}: they are times, and 0 is clean")
    inside = [index for index, node in enumerate(walk.nodes) if low <= node.time <= high and walk.is_regular(node)] or [0]
    first, last = inside[0], inside[-1]
    z = _down(walk, walk.z, 0, last, step)
    for repeat in range(repeats if first < last else 0):
        z = _down(walk, _noised(walk, z, walk.nodes[last], walk.nodes[first], repeat), first, last, step)
    return _down(walk, z, last, len(walk.nodes) - 1, step)


def _down(walk: Walk, z: Any, first: int, last: int, step: str) -> Any:
    """The steps of the grid from one node to another."""
    for index in range(first, last):
        t, u = walk.step(index)
        z = hold(walk, z, t, u) if step == "ddim" else step_in_sigma(walk, z, t, u, TABLEAUS["heun"])
    return z


def _noised(walk: Walk, z: Any, u: Node, t: Node, repeat: int) -> Any:
    """The state at the later time t, given that at u: the forward process, whose mean grows as alpha does."""
    growth = t.alpha / u.alpha
    return growth * z + math.sqrt(t.sigma**2 - (growth * u.sigma) ** 2) * walk.noise("restart", repeat)
