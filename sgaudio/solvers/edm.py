"""EDM's sampler: Heun steps in sigma / alpha, before each of which some noise is added.

Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative models", 2206.00364, Algorithm 2, on any
Gaussian path: its image and its sigma are z / alpha and sigma / alpha here.
"""

import math
from typing import Annotated

from sgaudio.registry import Range
from sgaudio.solvers.runge_kutta import TABLEAUS, step_in_sigma
from sgaudio.solvers.walk import Vector, Walk


def edm(
    walk: Walk,
    churn: Annotated[float, Range(0, 1e6)] = 0.0,
    churn_low: Annotated[float, Range(0, 1e9)] = 0.0,
    churn_high: Annotated[float, Range(0, 1e9)] = 1e9,
    churn_noise: Annotated[float, Range(0, 2)] = 1.0,
) -> Vector:
    """EDM's Heun method: second order, two evaluations a step; stochastic for churn > 0.

    A step that ends where sigma is 0 is the plain estimate, and one from where alpha is 0 is DDIM's. Unlike in the paper, noise is never
    raised beyond that of time 1, which the network does not know: the first step of a whole walk adds none.

    Args:
        walk: the walk.
        churn: S_churn of the paper. A step raises sigma / alpha by the part churn / steps, at most sqrt(2) - 1: the second order shows
            only from steps = 2.4 churn on.
        churn_low, churn_high: S_min and S_max, the sigma / alpha between which noise is added.
        churn_noise: S_noise, deviation of the noise that is added; 1 keeps the marginals.
    """
    if churn_low > churn_high:
        walk.refuse(f"churn_low is {churn_low:g}, expected at most churn_high = {churn_high:g}")
    z, part = walk.z, min(churn / (len(walk.nodes) - 1), math.sqrt(2) - 1)
    for t, u in walk.steps:
        if part and t.alpha and churn_low <= 1 / t.ratio <= churn_high:
            raised = walk.at_log_snr(t.log_snr - math.log1p(part))
            if raised.ratio < t.ratio:
                fresh = raised.alpha * math.sqrt(1 / raised.ratio**2 - 1 / t.ratio**2)
                z = (raised.alpha / t.alpha) * z + (churn_noise * fresh) * walk.noise("churn")
                t = raised
        z = step_in_sigma(walk, z, t, u, TABLEAUS["heun"])
    return z
