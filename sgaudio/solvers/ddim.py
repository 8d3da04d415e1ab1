"""DDIM, the family of first order: the clean estimate is held over the step, and the noise found in the state is used again.

Song, Meng, Ermon 2021, "Denoising diffusion implicit models", 2010.02502, eqs. 12 and 16. On a Schrödinger bridge the same
steps are its samplers: eta = 0 is the SB-ODE and eta = 1 the SB-SDE (Jukić et al. 2024, 2407.16074).
"""

import math
from typing import Annotated

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.walk import Vector, Walk


def ddim(walk: Walk, eta: Annotated[float, Range(0, 1)] = 0.0) -> Vector:
    """DDIM: first order, one evaluation a step; the bridge's own sampler.

    Args:
        walk: the walk.
        eta: how much of the noise is fresh: 0 deterministic, 1 ancestral sampling (DDPM).
    """
    z = walk.z
    for t, u in walk.steps:
        clean = walk.denoise(z, t)
        fresh = eta * ancestral_deviation(t, u)
        z = u.alpha * clean + math.sqrt(u.sigma**2 - fresh**2) * walk.noise_in(z, clean, t) + fresh * walk.noise()
    return z


def ancestral_deviation(t: Node, u: Node) -> float:
    """Deviation of the fresh noise that ancestral sampling adds from t to u: 2010.02502, eq. 16 with eta = 1."""
    return u.sigma * math.sqrt(-math.expm1(2 * (t.log_snr - u.log_snr)))
