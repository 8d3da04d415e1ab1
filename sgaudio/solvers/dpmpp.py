"""DPM-Solver++: a DDIM step whose clean estimate is carried on, in the log-SNR, to where the step has its weight.

Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2211.01095.

S methods evaluate inside of the step, M methods go back to the estimates of the steps before. A step from where nothing is left of the
clean sound is infinitely long in log-SNR, and so is one to where sigma is 0: both are plain DDIM, and the former is no history for the
next. Stochastic steps aim at less noise than there is at u, and draw the rest.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.ddim import ancestral_deviation, carried, ddim, hold
from sgaudio.solvers.walk import Vector, Walk


def dpmpp_1s(walk: Walk) -> Vector:
    """DPM-Solver++(1S): DDIM by its other name; first order, one evaluation a step."""
    return ddim(walk)


def dpmpp_2s(walk: Walk, middle: Annotated[float, Range(0.01, 1)] = 0.5, eta: Annotated[float, Range(0, 1)] = 0.0) -> Vector:
    """DPM-Solver++(2S): second order, two evaluations a step.

    Algorithm 1 of 2211.01095.

    Args:
        walk: the walk.
        middle: where in the step the second evaluation is, as a share of its length in log-SNR: r_i of the paper.
        eta: how much of the noise is fresh: 0 deterministic, 1 ancestral sampling.
    """

    def ahead(z: Vector, t: Node, u: Node) -> Vector:
        clean, length = walk.denoise(z, t), u.log_snr - t.log_snr
        m = walk.at_log_snr(t.log_snr + middle * length)
        inner = walk.denoise(carried(walk, z, clean, t, m), m)
        return clean + (length / 2 / (m.log_snr - t.log_snr)) * (inner - clean)

    return singlestep(walk, ahead, eta)


def dpmpp_3s(walk: Walk, eta: Annotated[float, Range(0, 1)] = 0.0) -> Vector:
    """DPM-Solver++(3S): third order, three evaluations a step.

    DPM-Solver-3 (Lu et al. 2022, 2206.00927, Algorithm 2) on the clean estimate, evaluated at thirds of the step in log-SNR.

    Args:
        walk: the walk.
        eta: how much of the noise is fresh: 0 deterministic, 1 ancestral sampling.
    """

    def ahead(z: Vector, t: Node, u: Node) -> Vector:
        clean, length = walk.denoise(z, t), u.log_snr - t.log_snr
        one, two = (walk.at_log_snr(t.log_snr + part * length) for part in (1 / 3, 2 / 3))
        first = walk.denoise(carried(walk, z, clean, t, one), one)
        inner = clean + (mean(two.log_snr - t.log_snr) / (one.log_snr - t.log_snr)) * (first - clean)
        second = walk.denoise(carried(walk, z, inner, t, two), two)
        return clean + (mean(length) / (two.log_snr - t.log_snr)) * (second - clean)

    return singlestep(walk, ahead, eta)


def singlestep(walk: Walk, ahead: Callable[[Vector, Node, Node], Vector], eta: float) -> Vector:
    """DDIM steps with the clean estimate that `ahead` carries on from the state at t towards u; the rest of the noise is drawn."""
    z = walk.z
    for t, u in walk.steps:
        if not walk.is_regular(t) or u.sigma == 0:
            z = hold(walk, z, t, u, eta)
            continue
        down, fresh = ancestral(t, u, eta)
        z = carried(walk, z, ahead(z, t, down), t, down)
        if fresh:
            z = z + fresh * walk.noise()
    return z


def dpmpp_2m(walk: Walk) -> Vector:
    """DPM-Solver++(2M): second order, one evaluation a step.

    Algorithm 2 of 2211.01095: the clean estimate is carried on to the middle of the step, along the line through the last two.
    """
    return dpmpp_2m_sde(walk, noise_level=0.0)


def dpmpp_2m_sde(walk: Walk, noise_level: Annotated[float, Range(0, 4)] = 1.0) -> Vector:
    """SDE-DPM-Solver++(2M): second order in mean and variance, one evaluation a step.

    The line of 2M, on the reverse diffusion of any noise level; `adams` with coordinate="log_snr" integrates it exactly.

    Args:
        walk: the walk.
        noise_level: how stochastic the walk is: 0 the probability flow (2M), 1 the reverse of the forward diffusion.
    """
    z, before = walk.z, None
    for t, u in walk.steps:
        clean, length = walk.denoise(z, t), u.log_snr - t.log_snr
        ahead = clean
        if before is not None and math.isfinite(length):
            ahead = clean + (length / (2 * before[1])) * (clean - before[0])
        kept = math.exp(-noise_level * length) if noise_level else 1.0
        z = carried(walk, z, ahead, t, replace(u, sigma=kept * u.sigma))
        if noise_level:
            z = z + (u.sigma * math.sqrt(-math.expm1(-2 * noise_level * length))) * walk.noise()
        before = clean, length
    return z


def dpmpp_3m(walk: Walk, compat: Literal["none", "published"] = "none") -> Vector:
    """DPM-Solver++(3M): third order, one evaluation a step.

    The parabola through the last three estimates is integrated exactly; the first two steps go through those there are.

    Args:
        walk: the walk.
        compat: "published" halves the parabola's square term, as the authors' code and its ports do: that is of second order.
    """
    z, history = walk.z, list[tuple[float, Vector]]()
    for t, u in walk.steps:
        clean, length = walk.denoise(z, t), u.log_snr - t.log_snr
        history = [(t.log_snr, clean), *history[:2]]
        slopes = [(1 / (late - early)) * (new - old) for (late, new), (early, old) in pairwise(history)]
        ahead = clean
        if math.isfinite(length) and slopes:
            first = mean(length)
            ahead = clean + first * slopes[0]
            if len(slopes) == 2:
                bend = (1 / (history[0][0] - history[2][0])) * (slopes[0] - slopes[1])
                second = (length * (1 + first) - 2 * first) * (0.5 if compat == "published" else 1)
                ahead += (first * (history[0][0] - history[1][0]) + second) * bend
        z = carried(walk, z, ahead, t, u)
    return z


def ancestral(t: Node, u: Node, eta: float) -> tuple[Node, float]:
    """u with the noise only that DDIM keeps on its way from t, and the deviation of the noise that it draws."""
    kept = math.sqrt(1 - eta**2 + (eta * t.ratio / u.ratio) ** 2)
    return replace(u, sigma=kept * u.sigma), eta * ancestral_deviation(t, u)


def mean(length: float) -> float:
    """The mean place in a step of some length in log-SNR, under its weight exp(place): the middle, where it is short."""
    return -length / math.expm1(-length) - 1
