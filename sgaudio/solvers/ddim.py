"""DDIM, the family of first order: the clean estimate is held over the step, and the noise found in the state is used again.

Song, Meng, Ermon 2021, "Denoising diffusion implicit models", 2010.02502, eqs. 12 and 16. On a Schrödinger bridge the same
steps are its samplers: eta = 0 is the SB-ODE and eta = 1 the SB-SDE (Jukić et al. 2024, 2407.16074).
"""

import math
from dataclasses import replace
from typing import Annotated, Any

from sgaudio.processes.base import Node
from sgaudio.processes.resshift import ResShift
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
        z = hold(walk, z, t, u, eta)
    return z


def ddpm(walk: Walk) -> Vector:
    """DDPM, ancestral sampling: first order, one evaluation a step, all noise of the reverse diffusion.

    Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic models", 2006.11239, eqs. 6 and 7 with the posterior's own variance: DDIM
    with eta = 1.
    """
    return ddim(walk, eta=1.0)


def resshift(walk: Walk) -> Vector:
    """ResShift's posterior: first order, one evaluation a step; on ResShift alone.

    Yue, Wang, Loy 2023, 2307.12348. Of the noise it draws u.sigma sqrt(1 - (u.sigma / t.sigma)^2) anew: much less than ancestral sampling
    at the start, nearly as much at the clean end.
    """
    if not isinstance(walk.process, ResShift):
        walk.refuse("its posterior is that of ResShift's own chain: use 'ddpm', or 'ddim' with an eta between 0 and 1")
    z = walk.z
    for t, u in walk.steps:
        z = renew(walk, z, t, u, u.sigma * math.sqrt(1 - (u.sigma / t.sigma) ** 2))
    return z


def hold(walk: Walk, z: Any, t: Node, u: Node, eta: float = 0.0) -> Any:
    """One step of DDIM: the state at u. It is finite everywhere, so that other methods begin and end with it where they are not."""
    return renew(walk, z, t, u, eta * ancestral_deviation(t, u))


def renew(walk: Walk, z: Any, t: Node, u: Node, fresh: float) -> Any:
    """One step of the family: of the noise at u, a deviation `fresh` is drawn, the rest is what was in the state (2010.02502, eq. 12)."""
    kept = carried(walk, z, walk.denoise(z, t), t, replace(u, sigma=math.sqrt(u.sigma**2 - fresh**2)))
    return kept + fresh * walk.noise() if fresh else kept


def carried(walk: Walk, z: Any, clean: Any, t: Node, u: Node) -> Any:
    """The state at u, from that at t, if its clean estimate and its noise stay as they are."""
    return u.alpha * clean + u.sigma * walk.noise_in(z, clean, t)


def ancestral_deviation(t: Node, u: Node) -> float:
    """Deviation of the fresh noise that ancestral sampling adds from t to u: 2010.02502, eq. 16 with eta = 1."""
    return u.sigma * math.sqrt(-math.expm1(2 * (t.log_snr - u.log_snr)))
