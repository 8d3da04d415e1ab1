"""Exponential Adams methods: a polynomial through the clean estimates is integrated exactly over the step.

With z = alpha x_0 + sigma n, r = alpha / sigma and e the noise level, every reverse walk on a Gaussian path obeys

    d(z / sigma) = -e (z / sigma) dr / r + (1 + e) x_0(r) dr + sqrt(2 e / r) dw

(e = 0: the probability flow, e = 1: the reverse of the forward diffusion; Zhang, Chen 2023, 2204.13902; Xue et al. 2023,
2309.05019). Over a step from r to R the estimate x_0(q) is replaced by the polynomial, in a coordinate c(q), through
the last estimates:

    z' = sigma' ((r/R)^e z / sigma + sum_j w_j D_j + sqrt(1 - (r/R)^2e) n),    w_j = (1 + e) int_r^R (q/R)^e l_j(c(q)) dq

In c = log q the predictors are those of UniPC (Zhao et al. 2023, 2302.04867) and SA-Solver; the angle c = atan q is finite at both
ends, so that also the first estimate of a bridge, at r = 0, takes part.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.walk import Vector, Walk

Coordinate = Literal["angle", "log_snr", "sigma"]
Estimate = tuple[Node, Vector]
Rule = Callable[[Node, Node, Sequence[Estimate]], Vector]

# For each coordinate: c(q), and the variable s(q) in which the integrand is smooth, with its inverse and derivative q(s), q'(s).
COORDINATES = {
    "angle": (np.arctan, np.arcsinh, np.sinh, np.cosh),
    "log_snr": (np.log, np.log, np.exp, np.exp),
    "sigma": (np.reciprocal, np.log, np.exp, np.exp),
}
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(48)


def adams(
    walk: Walk,
    predictor: Annotated[int, Range(1, 4)] = 2,
    corrector: Annotated[int, Range(0, 5)] = 3,
    coordinate: Coordinate = "angle",
    noise_level: Annotated[float, Range(0, 4)] = 0.0,
) -> Vector:
    """Exponential Adams in the angle: third order, one evaluation a step.

    Predict, evaluate, correct; what was corrected is not evaluated again. The first steps use as many estimates as there are. A step
    that ends where sigma is 0 is the plain estimate.

    Args:
        walk: the walk.
        predictor: number of estimates that the predictor goes through.
        corrector: number of estimates that the corrector goes through, the newest included; 0 for none.
        coordinate: what the polynomial is in: "angle" atan(alpha / sigma), "log_snr", or "sigma" for sigma / alpha. The last two
            are infinite at a bridge's start, and begin after it.
        noise_level: how stochastic the walk is: 0 the probability flow, 1 the reverse of the forward diffusion.
    """

    def rule(t: Node, u: Node, estimates: Sequence[Estimate]) -> Vector:
        return integral(t, u, estimates, coordinate, noise_level)

    return multistep(walk, rule, predictor, corrector, noise_level, from_start=coordinate == "angle")


def multistep(
    walk: Walk, rule: Rule, predictor: int, corrector: int, noise_level: float = 0.0, *, from_start: bool = False, falling: bool = False
) -> Vector:
    """Predict, evaluate, correct, with any rule for the integral.

    Args:
        walk: the walk.
        rule: (t, u, estimates, newest first) -> sum_j w_j D_j of the module's head.
        predictor, corrector, noise_level: as for `adams`.
        from_start: whether the rule holds where nothing is left of the clean sound, r = 0; else the history begins after that step.
        falling: whether the order falls at the end: the last step uses one estimate, the one before it two, and so on.
    """
    z, carried, history = walk.z, None, list[Estimate]()
    for left, (t, u) in zip(range(len(walk.nodes) - 1, 0, -1), walk.steps, strict=True):
        clean = walk.denoise(z, t)
        history = [(t, clean), *history]
        if carried is not None and corrector:
            z = walk.keep(carried + t.sigma * rule(history[1][0], t, history[: min(corrector, left + 2) if falling else corrector]))
        if u.sigma == 0:
            z = u.alpha * clean
            continue
        decay = (t.ratio / u.ratio) ** noise_level
        carried = (u.sigma * decay) * (walk.noise_in(z, clean, t) + t.ratio * clean)
        if noise_level:
            carried += (u.sigma * math.sqrt(1 - decay**2)) * walk.noise()
        z = carried + u.sigma * rule(t, u, history[: min(predictor, left) if falling else predictor])
        if t.ratio == 0 and not from_start:
            carried, history = None, []
    return z


def integral(t: Node, u: Node, estimates: Sequence[Estimate], coordinate: Coordinate, noise_level: float) -> Vector:
    """sum_j w_j D_j over the step from t to u: the weights of the module's head, by Gauss-Legendre."""
    if len(estimates) == 1:
        return (u.ratio - t.ratio * (t.ratio / u.ratio) ** noise_level) * estimates[0][1]
    place, smooth, q_of, derivative = COORDINATES[coordinate]
    low, high = smooth(t.ratio), smooth(u.ratio)
    part = (POINTS + 1) / 2  # to the fourth power: q^e is not smooth at a bridge's start, q = 0
    s = low + (high - low) * part**4
    q = q_of(s)
    density = WEIGHTS / 2 * 4 * part**3 * (high - low) * derivative(s) * (1 + noise_level) * (q / u.ratio) ** noise_level
    polynomials = lagrange(place(np.array([node.ratio for node, _ in estimates])), place(q))
    return weighted([density @ polynomial for polynomial in polynomials], [estimate for _, estimate in estimates])


def lagrange(nodes: np.ndarray, places: np.ndarray) -> Iterator[np.ndarray]:
    """The polynomials that are 1 at one node and 0 at the others, each at all places."""
    for index, node in enumerate(nodes):
        others = np.delete(nodes, index)
        yield np.prod((places[:, None] - others) / (node - others), axis=1)


def weighted(weights: Iterable[Any], vectors: Iterable[Vector]) -> Vector:
    """sum_j w_j v_j."""
    first, *others = (float(weight) * vector for weight, vector in zip(weights, vectors, strict=True))
    return sum(others, first)
