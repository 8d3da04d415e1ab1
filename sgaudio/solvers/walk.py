"""How a solver is written: as on paper, on symbolic vectors; recording it over a process and a grid gives a plan.

A solver is a function of a `Walk` (and of its own options, with ranges in the annotations) that returns its last state:

    def ddim(walk):
        z = walk.z
        for t, u in walk.steps:
            clean = walk.denoise(z, t)
            z = u.alpha * clean + u.sigma * walk.noise_in(z, clean, t)
        return z

States are written as z = x - kappa y = alpha x_0 + sigma n, so that no solver ever sees the noisy sound y.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process
from sgaudio.registry import bind, nearest
from sgaudio.solvers.grids import checked
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Plan, Row, Sum, without_dead_rows


class Vector:
    """A linear combination of registers: it knows +, - and multiplication by a number, and nothing else."""

    __slots__ = ("terms",)
    __array_ufunc__ = None  # numpy's numbers leave the multiplication to us

    def __init__(self, terms: dict[int, float] | None = None):
        self.terms = {register: coefficient for register, coefficient in (terms or {}).items() if coefficient}

    def __add__(self, other: "Vector") -> "Vector":
        registers = self.terms | other.terms
        return Vector({register: self.terms.get(register, 0.0) + other.terms.get(register, 0.0) for register in registers})

    def __sub__(self, other: "Vector") -> "Vector":
        return self + -1.0 * other

    def __mul__(self, number: float) -> "Vector":
        if not isinstance(number, int | float):
            return NotImplemented
        return Vector({register: coefficient * float(number) for register, coefficient in self.terms.items()})

    __rmul__ = __mul__


class Walk:
    """What a solver sees of the reverse walk: its first state, its steps, the network and the noise.

    `denoise` and `keep` commit a vector to a register of its own, in place: the caller's vector then points at it. A state that is
    committed once a step keeps the registers of a plan from growing with its steps.
    """

    def __init__(self, process: Process, grid: Sequence[float], start: str, network_time: str):
        self._nodes = [process.at(time) for time in grid]
        self._start, self._network_time = start, network_time
        self._rows: list[Row] = []
        self._step, self._target = 0, self._nodes[0]
        self._noisy = Vector({NOISY: 1.0})
        self.z = Vector({START: 1.0}) - self._nodes[0].kappa * self._noisy

    @property
    def steps(self) -> Iterator[tuple[Node, Node]]:
        """The steps of the walk: (node of the state, node it goes to)."""
        for step, (state, target) in enumerate(pairwise(self._nodes)):
            self._step, self._target = step, target
            yield state, target

    def denoise(self, z: Vector, t: Node) -> Vector:
        """The clean estimate from the state z at the node t: one call of the network. Commits z."""
        state = self._commit(z + t.kappa * self._noisy)
        z.terms = (Vector({state: 1.0}) - t.kappa * self._noisy).terms
        told = t if self._network_time == "state" else self._target
        return self._add(Call(self._next, state, told.time))

    def keep(self, vector: Vector) -> Vector:
        """Commit a vector to a register of its own; gives the vector back."""
        vector.terms = {self._commit(vector): 1.0}
        return vector

    def noise(self, purpose: str = "step") -> Vector:
        """Fresh standard normal noise, keyed by this step and its purpose."""
        return self._add(Draw(self._next, self._step, purpose))

    def noise_in(self, z: Vector, clean: Vector, t: Node) -> Vector:
        """The noise in the state: (z - alpha clean) / sigma. At a bridge's start, which has none, it is drawn, or zero."""
        if t.sigma == 0:
            return self.noise("start") if self._start == "drawn" else Vector()
        return (1 / t.sigma) * (z - t.alpha * clean)

    def end(self, z: Vector) -> Plan:
        """The plan of all that was recorded, with the state z at the end of the walk as its result."""
        return without_dead_rows(self._rows, self._commit(z + self._nodes[-1].kappa * self._noisy))

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
    """A solver as the registry holds it: the function, and the order of its error in the size of a step, which the tests measure."""

    function: Callable[..., Vector]
    order: int

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
        grid: times in [0, 1], strictly falling: those at which the network is called, then the end.
        start: what a bridge's first state hides, whose sigma is 0: "mean" (nothing: the walk gives the posterior's mean) or "drawn" (noise:
            the walk gives samples). Other processes take the noise of their start from the caller's state.
        network_time: which time the network is told, that of the "state" it sees or that of the step's "target".
        options: the solver's own.

    Raises:
        ConfigError: on a grid that does not fall, and on an unknown option or a value out of its range.
    """
    function = solver.function if isinstance(solver, Solver) else solver
    name = f"solver {function.__name__.replace('_', '-')!r}"
    for what, value, known in (("start", start, ("mean", "drawn")), ("network_time", network_time, ("state", "target"))):
        if value not in known:
            raise ConfigError(f"{name}: unknown {what} {value!r}: {nearest(str(value), known)}")
    walk = Walk(process, checked(grid), start, network_time)
    return walk.end(function(walk, **bind(function, options, name)))
