"""The samplers of the Schrödinger bridge, as they are meant and as they were published.

Jukić, Korostik, Balam, Ginsburg 2024, "Schrödinger bridge for generative speech enhancement", 2407.16074. On z = x - kappa y they are
DDIM with eta = 0 (ODE) and 1 (SDE), which divides by nothing that vanishes at the bridge's start. The published code divides by
sigma-bar + eps there: it adds the noisy sound some thousand times and takes it away again, which costs its single precision three or four
digits, and leaves (1 - 1/sigma_T) y in the place of the start's noise, whatever eps and the number of steps. `compat` reproduces what it
would be in double precision, to the last digits, on a walk from 1 to 0.0001 in equal steps (the grid "even" with that end). SGMSE tells its
network the time of the step's target, NeMo by default that of its state: this is `network_time` of `record`.
"""

import math
from typing import Literal

from sgaudio.processes.base import Node
from sgaudio.processes.bridge_ve import BridgeVE
from sgaudio.solvers.ddim import ddim
from sgaudio.solvers.walk import Vector, Walk

EPS = 1e-8


def bridge_ode(walk: Walk, compat: Literal["none", "sgmse"] = "none") -> Vector:
    """SB-ODE, the bridge's deterministic sampler: first order, one evaluation a step.

    Args:
        walk: the walk.
        compat: "sgmse": the published rows with their eps, on `BridgeVE`.
    """
    if compat == "none":
        return as_meant(walk, eta=0.0)
    x, whole = walk.x, published_variance(walk)
    for t, u in walk.steps:
        (before, after), (before_u, after_u) = deviations(t, whole), deviations(u, whole)
        clean = walk.denoise(walk.shifted(walk.keep(x), t), t)
        x = (
            before_u * after_u / (before * after + EPS) * x
            + (after_u**2 - after * before_u * after_u / (before + EPS)) / (whole + EPS) * clean
            + (before_u**2 - before * before_u * after_u / (after + EPS)) / (whole + EPS) * walk.noisy
        )
    return walk.shifted(x, walk.nodes[-1])


def bridge_sde(walk: Walk, compat: Literal["none", "sgmse", "nemo"] = "none") -> Vector:
    """SB-SDE, the bridge's stochastic sampler: first order, one evaluation a step.

    Args:
        walk: the walk.
        compat: "sgmse": the published rows with their eps, on `BridgeVE`; the last step drops its noise. "nemo": it keeps it.
    """
    if compat == "none":
        return as_meant(walk, eta=1.0)
    x, whole = walk.x, published_variance(walk)
    for t, u in walk.steps:
        (before, _), (before_u, _) = deviations(t, whole), deviations(u, whole)
        clean = walk.denoise(walk.shifted(walk.keep(x), t), t)
        kept = before_u**2 / (before**2 + EPS)
        x = kept * x + (1 - kept) * clean
        if compat == "nemo" or u is not walk.nodes[-1]:
            x = x + before_u * math.sqrt(1 - kept) * walk.noise()
    return walk.shifted(x, walk.nodes[-1])


def as_meant(walk: Walk, eta: float) -> Vector:
    """DDIM, if the process is a bridge."""
    end = walk.at(1.0)
    if end.alpha or end.sigma:
        walk.refuse(f"it does not start in the noisy sound itself, as a bridge does: use 'ddim' with eta={eta:g}, which is the same step")
    return ddim(walk, eta)


def published_variance(walk: Walk) -> float:
    """Variance of the diffusion without the bridge at time 1 (the paper's sigma_T^2)."""
    if not isinstance(walk.process, BridgeVE):
        walk.refuse("compat reproduces published code on BridgeVE only: use compat 'none'")
    return walk.process.variance


def deviations(t: Node, whole: float) -> tuple[float, float]:
    """Of the diffusion without the bridge, before and after a node, with the published eps (the paper's sigma and sigma-bar)."""
    before = whole * t.kappa
    return math.sqrt(before), math.sqrt(whole - before + EPS)
