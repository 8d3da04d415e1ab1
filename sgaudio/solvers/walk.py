"""How a solver is written: as on paper, on symbolic vectors.

A solver is a function of a `Walk` (and of its own options, with ranges in the annotations) that returns its last state:

    def ddim(walk):
        z = walk.z
        for t, u in walk.steps:
            clean = walk.denoise(z, t)
            z = u.alpha * clean + u.sigma * walk.noise_in(z, clean, t)
        return z

Most solvers work on z = x - kappa y = alpha x_0 + sigma n, so that they never see the noisy sound y. Methods in time work on the state x
itself, with `walk.velocity` and `walk.score`, and return `walk.shifted(x, u)`. `record` runs a solver on symbolic vectors, which gives
a table; `Live` runs it on tensors, for the few drivers that are not linear.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any, NoReturn

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope, check_process, sde, time_at

SMALLEST = 2.0**-24  # alpha / sigma below which float32 does not tell the state from noise alone


class Vector:
    """A linear combination of registers: it knows +, - and multiplication by a number, and nothing else."""

    __slots__ = ("terms",)
    __array_ufunc__ = None  # numpy's numbers leave the multiplication to us

    def __init__(self, terms: dict[int, float] | None = None):
        self.terms = {register: coefficient for register, coefficient in (terms or {}).items() if coefficient}

    def __add__(self, other: "Vector") -> "Vector":
        if not isinstance(other, Vector):
            return NotImplemented
        registers = self.terms | other.terms
        return Vector({register: self.terms.get(register, 0.0) + other.terms.get(register, 0.0) for register in registers})

    def __sub__(self, other: "Vector") -> "Vector":
        return self + -1.0 * other

    def __mul__(self, number: float) -> "Vector":
        if not isinstance(number, Real):
            return NotImplemented
        return Vector({register: coefficient * float(number) for register, coefficient in self.terms.items()})

    __rmul__ = __mul__


class Walk(ABC):
    """What a solver sees of the reverse walk: its first state, its steps, the network and the noise.

    `denoise`, `velocity`, `score` and `keep` commit a vector to a register of its own, in place: the caller's vector then points at it. A
    state that is committed once a step keeps the registers of a plan from growing with its steps.

    Args:
        name: of the solver, for messages.
        process, grid: that are walked back.
        x: the state at the grid's first time.
        noisy: the noisy sound.
        start: whether a bridge's first state hides noise: "mean" or "drawn".
    """

    def __init__(self, name: str, process: Process, grid: Sequence[float], x: Any, noisy: Any, start: str):
        check_process(name, process)
        self.name, self.process, self.x, self.noisy = name, process, x, noisy
        self.nodes = [process.at(time) for time in grid]
        for time, node in zip(grid, self.nodes, strict=True):
            if not isinstance(node, Node) or not all(isinstance(number, Real) for number in (node.alpha, node.kappa, node.sigma)):
                self.refuse(f"its node at time {time:g} is {node!r}, expected a Node of numbers")
            if not (node.alpha >= 0 and node.sigma >= 0):
                self.refuse(f"its node at time {time:g} is {node}, expected an alpha and a sigma that are not negative")
        for t, u in pairwise(self.nodes):
            if u.ratio < t.ratio:
                self.refuse(f"its state is noisier at time {u.time:g} than at {t.time:g}, expected time to run from clean sound to noise")
        self._start = start
        self._step, self._target = 0, self.nodes[0]

    @abstractmethod
    def denoise(self, z: Any, t: Node) -> Any:
        """The clean estimate from the state z at the node t: one call of the network. Commits z."""

    @abstractmethod
    def noise(self, purpose: str = "step", repeat: int = 0) -> Any:
        """Fresh standard normal noise, keyed by this step, its purpose and the number of its repetition."""

    @abstractmethod
    def keep(self, vector: Any) -> Any:
        """Commit a vector to a register of its own; gives the vector back."""

    @property
    def z(self) -> Any:
        """The first state, less its share of the noisy sound."""
        return self.shifted(self.x, self.nodes[0])

    @property
    def steps(self) -> Iterator[tuple[Node, Node]]:
        """The steps of the walk: (node of the state, node it goes to)."""
        for step in range(len(self.nodes) - 1):
            yield self.step(step)

    def step(self, index: int) -> tuple[Node, Node]:
        """One step of the walk, for solvers that go over some of them again."""
        self._step, self._target = index, self.nodes[index + 1]
        return self.nodes[index], self._target

    def at(self, time: float) -> Node:
        """The node at any time."""
        return self.process.at(time)

    def at_log_snr(self, log_snr: float) -> Node:
        """The node at a log-SNR, up to that of time 1."""
        return self.process.at(time_at(self.process, log_snr))

    def sde(self, t: Node) -> tuple[float, float, float]:
        """The linear diffusion at a node: rate, pull to the noisy sound, diffusion."""
        return sde(self.process, t.time)

    def slope(self, t: Node) -> Slope:
        """Derivatives of the path at a node."""
        return self.process.slope(t.time)

    def shifted(self, x: Any, t: Node) -> Any:
        """z = x - kappa y."""
        return x - t.kappa * self.noisy if t.kappa else x

    def unshifted(self, z: Any, t: Node) -> Any:
        """x = z + kappa y."""
        return z + t.kappa * self.noisy if t.kappa else z

    def noise_in(self, z: Any, clean: Any, t: Node) -> Any:
        """The noise in the state: (z - alpha clean) / sigma. At a bridge's start, which has none, it is drawn, or zero."""
        if t.sigma == 0:
            return self.noise("start") if self._start == "drawn" else 0.0 * z
        return (1 / t.sigma) * (z - t.alpha * clean)

    def parts(self, x: Any, t: Node) -> tuple[Any, Any]:
        """The clean estimate from the state x, and the noise in it. Commits x."""
        z = self.shifted(x, t)
        clean = self.denoise(z, t)
        if isinstance(x, Vector):
            x.terms = self.unshifted(z, t).terms
        return clean, self.noise_in(z, clean, t)

    def velocity(self, x: Any, t: Node) -> Any:
        """dx/dt of the probability flow: alpha' clean + kappa' y + sigma' noise (Song et al. 2021, 2011.13456, eq. 13, on this path)."""
        clean, noise = self.parts(x, t)
        slope = self.slope(t)
        return slope.alpha * clean + slope.kappa * self.noisy + (slope.variance / (2 * t.sigma)) * noise

    def score(self, x: Any, t: Node) -> Any:
        """Gradient of the log density of the state: -noise / sigma."""
        return (-1 / t.sigma) * self.parts(x, t)[1]

    def is_regular(self, t: Node) -> bool:
        """Whether the reverse diffusion is finite at a node, in float32: it is not where sigma vanishes, or alpha beside it."""
        return t.sigma > 0 and t.ratio > SMALLEST

    def refuse(self, why: str) -> NoReturn:
        """Say that this solver cannot walk this process back, and why."""
        raise ConfigError(f"solver {self.name!r} on {type(self.process).__name__}: {why}")
