"""How a model's process is walked back: a solver, a grid, their options."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from sgaudio.processes import Process
from sgaudio.registry import Range, check
from sgaudio.solvers import SOLVERS, Plan, record
from sgaudio.solvers.grids import Grid, named_grid


@dataclass(frozen=True)
class Sampling:
    """How a model's process is walked back.

    Args:
        solver: its name.
        steps: number of steps.
        grid: name of the grid of times.
        start: of a bridge, "mean" or "drawn".
        network_time: which time the network is told: that of its "state", or of the step's "target", as published bridges are.
        solver_options, grid_options: of the two, where they are not to be the default ones.
    """

    solver: str = "ddim"
    steps: Annotated[int, Range(1, 1000)] = 1
    grid: str = "even"
    start: Literal["mean", "drawn"] = "mean"
    network_time: Literal["state", "target"] = "state"
    solver_options: dict[str, Any] = field(default_factory=dict)
    grid_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    def times(self, process: Process) -> Grid:
        """The grid on a process."""
        return named_grid(self.grid, process, self.steps, self.grid_options)

    def plan(self, process: Process) -> Plan:
        """The table of coefficients (an error here is one of these settings)."""
        options = {"start": self.start, "network_time": self.network_time, **self.solver_options}
        return record(SOLVERS[self.solver], process, self.times(process), **options)
