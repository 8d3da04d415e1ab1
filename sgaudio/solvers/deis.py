"""DEIS: a polynomial through the noises found in the last states is integrated exactly over the step.

Zhang, Chen 2023, "Fast sampling of diffusion models with exponential integrator", 2204.13902: rho-Adams-Bashforth. For the state
divided by alpha, the probability flow is d(z / alpha) = noise d(sigma / alpha).
"""

from typing import Annotated

import numpy as np

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.adams import POINTS, WEIGHTS, lagrange, weighted
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.plms import noise_at, transfer
from sgaudio.solvers.walk import Vector, Walk


def deis(walk: Walk, order: Annotated[int, Range(1, 4)] = 3) -> Vector:
    """DEIS (rho-Adams-Bashforth): third order, one evaluation a step.

    The first steps use as many noises as there are. The history begins after a step that begins where the state is all noise, or has
    none; a step that ends where sigma is 0 is the plain estimate.

    Args:
        walk: the walk.
        order: number of noises that the polynomial goes through.
    """
    z, history = walk.z, list[tuple[Node, Vector]]()
    for t, u in walk.steps:
        if not walk.is_regular(t) or u.sigma == 0:
            z = hold(walk, z, t, u)
            continue
        history = [(t, noise_at(walk, z, t)), *history[: order - 1]]
        low, high = 1 / t.ratio, 1 / u.ratio
        nodes = np.array([1 / node.ratio for node, _ in history])
        means = [WEIGHTS @ values / 2 for values in lagrange(nodes, low + (high - low) * (POINTS + 1) / 2)]
        z = transfer(z, weighted(means, [noise for _, noise in history]), t, u)
    return z
