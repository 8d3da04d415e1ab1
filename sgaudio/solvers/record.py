"""Recording: a solver is run once over a process and a grid, on symbolic vectors, and what it does becomes a plan for `sample`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process
from sgaudio.registry import bind, check_value
from sgaudio.solvers.grids import checked
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Plan, Row, Sum, without_dead_rows
from sgaudio.solvers.walk import Vector, Walk


class Recording(Walk):
    """A walk on symbolic vectors."""

    def __init__(self, name: str, process: Process, grid: Sequence[float], start: str, network_time: str):
        super().__init__(name, process, grid, Vector({START: 1.0}), Vector({NOISY: 1.0}), start)
        if self._bridge:
            self.x = Vector({NOISY: 1.0})  # the same sound: what is added of one and taken away of the other never meets a rounding
        self._network_time = network_time
        self._rows: list[Row] = []

    def denoise(self, z: Vector, t: Node) -> Vector:
        state = self._commit(self.unshifted(z, t))
        z.terms = self.shifted(Vector({state: 1.0}), t).terms
        told = t if self._network_time == "state" else self._target
        return self._add(Call(self._next, state, told.time, self._step))

    def keep(self, vector: Vector) -> Vector:
        vector.terms = {self._commit(vector): 1.0}
        return vector

    def noise(self, purpose: str = "step", repeat: int = 0) -> Vector:
        return self._add(Draw(self._next, self._step, purpose, repeat))

    def plan(self, function: Callable[..., Vector], options: Mapping[str, Any]) -> Plan:
        """The plan of all that a solver does."""
        try:
            with np.errstate(all="raise", under="ignore"):
                z = function(self, **options)
        except ConfigError:
            raise
        except (ArithmeticError, ValueError) as error:
            where = f"in the step from time {self.nodes[self._step].time:g}"
            self.refuse(f"{error} {where}: use another grid, or make the step with `hold` where a formula is infinite")
        if not isinstance(z, Vector):
            self.refuse(f"it returned a {type(z).__name__}, expected its last state, a vector")
        try:
            return without_dead_rows(self._rows, self._commit(self.unshifted(z, self.nodes[-1])), self._bridge)
        except ConfigError as error:
            self.refuse(str(error))

    @property
    def _bridge(self) -> bool:
        """Whether the walk starts in the noisy sound itself."""
        return self.nodes[0].alpha == self.nodes[0].sigma == 0

    @property
    def _next(self) -> int:
        return 2 + len(self._rows)

    def _add(self, row: Row) -> Vector:
        self._rows.append(row)
        return Vector({row.into: 1.0})

    def _commit(self, vector: Vector) -> int:
        if list(vector.terms.values()) != [1.0]:
            vector = self._add(Sum(self._next, tuple(sorted(vector.terms.items()))))
        (register,) = vector.terms
        return register


@dataclass(frozen=True)
class Solver:
    """A solver as the registry holds it: the function, and what the tests measure of it.

    Args:
        function: of a `Walk`.
        order: with which its error falls in the size of a step, of mean and variance where it is stochastic; None where it does not fall,
            because something in it is biased.
        start: order of its first steps, where they are of a lower one: the whole is then of order start + 1 at most, on many steps.
    """

    function: Callable[..., Vector]
    order: int | None
    start: int | None = None

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]


def record(
    solver: Solver | Callable[..., Vector],
    process: Process,
    grid: Sequence[float],
    *,
    start: str = "mean",
    network_time: str = "state",
    **options: Any,
) -> Plan:
    """Run a solver once over a process and a grid, on symbolic vectors: what it does becomes a plan for `sample`.

    Args:
        solver: an entry of `SOLVERS`, or a function of a `Walk`.
        process: anything with the methods of `Process`.
        grid: times in [0, 1], strictly falling: those at which the network is called, then the end. A grid that begins below 1 is a warm
            start: the caller's state is then one of that time.
        start: what a bridge's first state hides, whose sigma is 0: "mean" (nothing: the walk gives the posterior's mean) or "drawn" (noise:
            the walk gives samples). Other processes take the noise of their start from the caller's state.
        network_time: which time `denoise` is told, that of the "state" it sees or that of the step's "target", as published bridges are.
            The latter is for networks that predict the clean sound itself: any other prediction is read at the state's time.
        options: the solver's own.

    Raises:
        ConfigError: on a grid that does not fall, on an unknown option or a value out of its range, and on a process that the solver
            cannot walk back.
    """
    function = solver.function if isinstance(solver, Solver) else solver
    if not inspect.isroutine(function):
        raise ConfigError(f"record: the solver is {solver!r}, expected an entry of SOLVERS, or a function of a walk")
    name = function.__name__.replace("_", "-")
    check_value(start, Literal["mean", "drawn"], f"solver {name!r}: start")
    check_value(network_time, Literal["state", "target"], f"solver {name!r}: network_time")
    return Recording(name, process, checked(grid), start, network_time).plan(function, bind(function, options, f"solver {name!r}"))
