"""How a model's process is walked back: a solver, a grid, their options."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from sgaudio.errors import ConfigError
from sgaudio.processes import Process
from sgaudio.registry import Range, check, check_value, nearest
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


def choose(
    model: str, recommended: Sampling, presets: Mapping[str, Sampling], solver: str | None, steps: int | None, preset: str | Sampling | None
) -> Sampling:
    """A model's recommended sampling, or a preset; with another solver (and its own default options) or number of steps.

    Args:
        model: its name, for messages.

    Raises:
        ConfigError: on an unknown preset.
    """
    check_value(preset, str | Sampling | None, "preset")
    if isinstance(preset, str) and preset not in presets:
        raise ConfigError(f"model {model!r} has no preset {preset!r}: {nearest(preset, presets) if presets else 'it has none'}")
    chosen = presets[preset] if isinstance(preset, str) else preset or recommended
    if solver not in (None, chosen.solver):
        chosen = replace(chosen, solver=solver, solver_options={})
    return chosen if steps is None else replace(chosen, steps=steps)
