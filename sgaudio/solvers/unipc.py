"""UniPC: predict, evaluate, correct in the log-SNR.

Zhao, Bai, Rao, Zhou, Lu 2023, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion models", 2302.04867,
on the clean estimate, with B(h) = exp(h) - 1. The coefficients that it solves for are those of exponential Adams methods, a predictor
through p estimates and a corrector through p + 1; those through two estimates it does not solve for, but sets to 1/2.
"""

from collections.abc import Sequence
from typing import Literal

from sgaudio.processes.base import Node
from sgaudio.solvers.adams import Estimate, integral, multistep
from sgaudio.solvers.walk import Vector, Walk


def unipc(walk: Walk, order: Literal[2, 3] = 2, compat: Literal["none", "lower-order-end"] = "none") -> Vector:
    """UniPC-2 (B_2): third order, one evaluation a step.

    A step from where nothing is left of the clean sound is infinitely long in log-SNR: the history begins after it.

    Args:
        walk: the walk.
        order: number of estimates that the predictor goes through; the corrector goes through one more.
        compat: "lower-order-end" lets the order fall to 1 with the last step, as published: the whole is then of second order.
    """
    return multistep(walk, half_rule, order, order + 1, falling=compat == "lower-order-end")


def half_rule(t: Node, u: Node, estimates: Sequence[Estimate]) -> Vector:
    """The integral over the step from t to u; through two estimates it is the line's value in the middle, times the step."""
    if len(estimates) != 2:
        return integral(t, u, estimates, "log_snr", 0.0)
    (late, new), (early, old) = estimates
    ahead = (t.log_snr + u.log_snr) / 2 - late.log_snr
    return (u.ratio - t.ratio) * (new + (ahead / (late.log_snr - early.log_snr)) * (new - old))
