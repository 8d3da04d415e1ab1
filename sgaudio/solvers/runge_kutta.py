"""Runge-Kutta methods: the slope at several places of a step, added up as a tableau says; one routine for every tableau.

    k_j = f(x + h sum_l a_jl k_l, t + c_j h),    x' = x + h sum_j b_j k_j
    (Hairer, Nørsett, Wanner 1993, "Solving ordinary differential equations I", II.1, eq. 1.8)

In `time` they walk on the state x by its velocity: the probability flow as Song et al. 2021, 2011.13456, eq. 13, write it. In `sigma` they
walk on z / alpha by sigma / alpha; its slope there is the noise in the state, which is the coordinate of Karras et al. 2022, 2206.00364, on
any Gaussian path.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node
from sgaudio.registry import Range, Registry, check
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.walk import SMALLEST, Vector, Walk

Coordinate = Literal["time", "sigma"]


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method.

    Args:
        nodes: c, where in the step each slope is taken: 0 its begin, 1 its end.
        stages: a, the strictly lower triangle: for each slope the coefficients of those before it, () for the first.
        weights: b, of the slopes in the step.
        order: of the method.
        lower: weights of an embedded method of one order less, whose difference tells the error: one for each slope and, if it uses it, one
            for the slope at the step's end, which is the first slope of the next step.

    Raises:
        ConfigError: unless the shapes fit, each row sums to its node, and all weights sum to 1.
    """

    nodes: Annotated[tuple[float, ...], Range(0, 1)]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    order: Annotated[int, Range(1, 20)]
    lower: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check(self)
        count = len(self.weights)
        found = [len(row) for row in self.stages]
        if len(self.nodes) != count or found != list(range(count)):
            raise ConfigError(
                f"Tableau: {count} weights, {len(self.nodes)} nodes and rows of {found}, expected rows of 0, 1, 2 ... to a weight"
            )
        if self.lower is not None and len(self.lower) not in (count, count + 1):
            raise ConfigError(f"Tableau: {len(self.lower)} lower weights, expected {count} or {count + 1}")
        rows = [(f"coefficients of row {index}", *row) for index, row in enumerate(zip(self.stages, self.nodes, strict=True))]
        for what, row, expected in (*rows, ("weights", self.weights, 1), ("lower weights", self.lower or (1,), 1)):
            if not math.isclose(sum(row), expected, abs_tol=1e-12):
                raise ConfigError(f"Tableau: the {what} sum to {sum(row):g}, expected {expected:g}")


TABLEAUS = Registry[Tableau](
    "tableau",
    {
        "euler": Tableau((0,), ((),), (1,), order=1),
        "midpoint": Tableau((0, 1 / 2), ((), (1 / 2,)), (0, 1), order=2),
        "heun": Tableau((0, 1), ((), (1,)), (1 / 2, 1 / 2), order=2),
        "ralston": Tableau((0, 2 / 3), ((), (2 / 3,)), (1 / 4, 3 / 4), order=2),
        "bogacki-shampine": Tableau(  # 1989, "A 3(2) pair of Runge-Kutta formulas"
            nodes=(0, 1 / 2, 3 / 4),
            stages=((), (1 / 2,), (0, 3 / 4)),
            weights=(2 / 9, 1 / 3, 4 / 9),
            order=3,
            lower=(7 / 24, 1 / 4, 1 / 3, 1 / 8),
        ),
        "rk4": Tableau((0, 1 / 2, 1 / 2, 1), ((), (1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), order=4),
        "rk5": Tableau(  # Butcher 1964, "On Runge-Kutta processes of high order"
            nodes=(0, 1 / 4, 1 / 4, 1 / 2, 3 / 4, 1),
            stages=(
                (),
                (1 / 4,),
                (1 / 8, 1 / 8),
                (0, -1 / 2, 1),
                (3 / 16, 0, 0, 9 / 16),
                (-3 / 7, 2 / 7, 12 / 7, -12 / 7, 8 / 7),
            ),
            weights=(7 / 90, 0, 32 / 90, 12 / 90, 32 / 90, 7 / 90),
            order=5,
        ),
        "dormand-prince": Tableau(  # 1980, "A family of embedded Runge-Kutta formulae", RK5(4)7M
            nodes=(0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1),
            stages=(
                (),
                (1 / 5,),
                (3 / 40, 9 / 40),
                (44 / 45, -56 / 15, 32 / 9),
                (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
                (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            ),
            weights=(35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
            order=5,
            lower=(5179 / 57600, 0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40),
        ),
    },
)


def runge_kutta(walk: Walk, tableau: str | Tableau = "bogacki-shampine", coordinate: Coordinate = "time") -> Vector:
    """Runge-Kutta in any tableau: of its order, an evaluation for each of its slopes a step.

    A step that ends where sigma is 0 is the plain estimate; one from where the slope is infinite is DDIM's: from a bridge's start, and
    in "sigma" from wherever alpha is 0. After a bridge's start the slope is still steep: "time" needs short steps there. On a chain the
    velocity jumps at each level: in "time" the error stops falling at about 1 / levels, whatever the order; "sigma" knows no jumps.

    Args:
        walk: the walk.
        tableau: a name of `TABLEAUS`, or a `Tableau`.
        coordinate: "time" walks on the state by its velocity, "sigma" on z / alpha by sigma / alpha.
    """
    method = TABLEAUS[tableau] if isinstance(tableau, str) else tableau
    step = step_in_time if coordinate == "time" else step_in_sigma
    z = walk.z
    for t, u in walk.steps:
        z = step(walk, z, t, u, method)
    return z


def euler(walk: Walk, coordinate: Coordinate = "time") -> Vector:
    """Euler: first order, one evaluation a step; in sigma it is DDIM.

    See `runge_kutta`.
    """
    return runge_kutta(walk, "euler", coordinate)


def midpoint(walk: Walk, coordinate: Coordinate = "time") -> Vector:
    """Midpoint method: second order, two evaluations a step.

    See `runge_kutta`.
    """
    return runge_kutta(walk, "midpoint", coordinate)


def heun(walk: Walk, coordinate: Coordinate = "time") -> Vector:
    """Heun's method: second order, two evaluations a step.

    See `runge_kutta`.
    """
    return runge_kutta(walk, "heun", coordinate)


def rk4(walk: Walk, coordinate: Coordinate = "time") -> Vector:
    """The classical Runge-Kutta method: fourth order, four evaluations a step.

    See `runge_kutta`.
    """
    return runge_kutta(walk, "rk4", coordinate)


def step_in_time(walk: Walk, z: Any, t: Node, u: Node, tableau: Tableau) -> Any:
    """One step by dx/dt: the state at u, less its share of the noisy sound."""
    if t.sigma == 0 or u.sigma == 0:
        return hold(walk, z, t, u)
    length = u.time - t.time
    nodes = _nodes(tableau, t, u, lambda part: walk.at(t.time + part * length))
    x = _add_up(walk, tableau, walk.unshifted(z, t), length, [1.0] * len(nodes), lambda x, index: walk.velocity(x, nodes[index]))
    return walk.shifted(x, u)


def step_in_sigma(walk: Walk, z: Any, t: Node, u: Node, tableau: Tableau) -> Any:
    """One step by d(z / alpha) / d(sigma / alpha) = noise: the state at u, less its share of the noisy sound."""
    if t.ratio <= SMALLEST or u.sigma == 0:
        return hold(walk, z, t, u)
    first, length = 1 / t.ratio, 1 / u.ratio - 1 / t.ratio
    nodes = _nodes(tableau, t, u, lambda part: walk.at_log_snr(-math.log(first + part * length)))

    def noise(z: Any, index: int) -> Any:
        return walk.noise_in(z, walk.denoise(z, nodes[index]), nodes[index])

    return _add_up(walk, tableau, z, t.alpha * length, [node.alpha / t.alpha for node in nodes], noise)


def _nodes(tableau: Tableau, t: Node, u: Node, between: Callable[[float], Node]) -> list[Node]:
    """The nodes of the slopes, and that of the step's end."""
    return [t if part == 0 else u if part == 1 else between(part) for part in (*tableau.nodes, 1)]


def _add_up(walk: Walk, tableau: Tableau, state: Any, length: float, scales: Sequence[float], slope_at: Callable[[Any, int], Any]) -> Any:
    """The state at the step's end; `scales` are the growth of a constant up to each node. Slopes are added to what they are for at once."""
    state = walk.keep(state)
    sums = [scale * state for scale in scales]
    for index in range(len(tableau.nodes)):
        slope = slope_at(sums[index], index)
        for later, row in enumerate((*tableau.stages, tableau.weights)[index + 1 :], index + 1):
            if row[index]:
                sums[later] = walk.keep(sums[later] + (scales[later] * length * row[index]) * slope)
    return sums[-1]
