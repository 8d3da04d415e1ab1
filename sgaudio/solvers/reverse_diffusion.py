"""The reverse diffusion, step by step in time.

The diffusion dx = (A x + B y) dt + g dw of a process is walked back by

    dx = (A x + B y - (1 + e)/2 g^2 score) dt + sqrt(e) g dw,      e the noise level

(e = 0: the probability flow, e = 1: the reverse of the forward diffusion; Song et al. 2021, "Score-based generative modeling
through stochastic differential equations", 2011.13456, eqs. 6, 13 and 46). Where A or g is infinite, at a bridge's start and at a clean
end, a step is one of DDIM, which is exact for the estimate it has.
"""

import math
from typing import Annotated, Any, Literal

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.walk import Vector, Walk

Compat = Literal["none", "sgmse", "sgmse-2022"]
Discretisation = Literal["interval", "kernel"]


def euler_maruyama(walk: Walk, noise_level: Annotated[float, Range(0, 4)] = 1.0) -> Vector:
    """Euler-Maruyama on the reverse diffusion: first order, one evaluation a step.

    Args:
        walk: the walk.
        noise_level: how stochastic the walk is: 0 the probability flow, 1 the reverse of the forward diffusion.
    """
    z = walk.z
    for t, u in walk.steps:
        if not walk.is_regular(t) or u.sigma == 0:
            z = hold(walk, z, t, u, eta=1.0 if noise_level else 0.0)
            continue
        x, length = walk.unshifted(z, t), t.time - u.time
        x = x - length * drift(walk, x, t, noise_level)
        if noise_level:
            x = x + (walk.sde(t)[2] * math.sqrt(noise_level * length)) * walk.noise()
        z = walk.shifted(x, u)
    return z


def stochastic_heun(walk: Walk) -> Vector:
    """Stochastic Heun on the reverse diffusion: weak second order, two evaluations a step.

    The drifts at both ends of an Euler-Maruyama step are averaged. The noise is the same in both; its variance is the mean of the ends'
    (Kloeden, Platen 1992, "Numerical solution of stochastic differential equations", section 15.1: additive noise).
    """
    z = walk.z
    for t, u in walk.steps:
        if not walk.is_regular(t) or u.sigma == 0:
            z = hold(walk, z, t, u, eta=1.0)
            continue
        x, length, begin, end = walk.unshifted(z, t), t.time - u.time, walk.sde(t)[2], walk.sde(u)[2]
        first, noise = drift(walk, x, t), math.sqrt(length * (begin**2 + end**2) / 2) * walk.noise()
        second = drift(walk, x - length * first + noise, u)
        z = walk.shifted(x - (length / 2) * (first + second) + noise, u)
    return z


def drift(walk: Walk, x: Any, t: Node, noise_level: float = 1.0) -> Any:
    """dx/dt of the reverse diffusion, less its noise. Commits x."""
    score, (rate, pull, diffusion) = walk.score(x, t), walk.sde(t)
    return rate * x + pull * walk.noisy - ((1 + noise_level) / 2 * diffusion**2) * score


def reverse_diffusion(walk: Walk, discretisation: Discretisation = "interval", compat: Compat = "none") -> Vector:
    """Reverse diffusion, the predictor of SGMSE+: first order, one evaluation a step.

    Args:
        walk: the walk.
        discretisation: of the forward diffusion, which is then reversed: "interval", its coefficients held over the step, or "kernel", its
            exact transition (2011.13456, eq. 46).
        compat: "none": a step to time 0 is the clean estimate. "sgmse": the last step is a step like the others less its noise, as in
            SGMSE+ since 2024. "sgmse-2022": so it is, and each of N steps is 1/N long whatever the grid, as in SGMSE+ before and in StoRM.
    """
    z = walk.z
    for t, u in walk.steps:
        z = predict(walk, z, t, u, discretisation, compat)
    return z


def predict(walk: Walk, z: Any, t: Node, u: Node, discretisation: Discretisation = "interval", compat: Compat = "none") -> Any:
    """One step of `reverse_diffusion`: the state at u."""
    if not walk.is_regular(t) or (u.sigma == 0 and compat == "none"):
        return hold(walk, z, t, u, eta=1.0)
    # the forward step x_t = x_u + rate x_u + pull y + deviation n
    if discretisation == "kernel":
        if compat == "sgmse-2022":
            walk.refuse("an exact kernel has no step of length 1/N: use discretisation 'interval', or compat 'sgmse'")
        kept = t.alpha / u.alpha
        rate, pull, variance = kept - 1, t.kappa - kept * u.kappa, -(t.sigma**2) * math.expm1(2 * (t.log_snr - u.log_snr))
    else:
        length = 1 / (len(walk.nodes) - 1) if compat == "sgmse-2022" else t.time - u.time
        rate, pull, diffusion = walk.sde(t)
        rate, pull, variance = rate * length, pull * length, diffusion**2 * length
    x = walk.unshifted(z, t)
    x = x + variance * walk.score(x, t) - rate * x - pull * walk.noisy
    if compat == "none" or u is not walk.nodes[-1]:
        x = x + math.sqrt(variance) * walk.noise()
    return walk.shifted(x, u)
