"""Any solver in the shape that people know from diffusers: the loop is the caller's.

scheduler = Scheduler(SOLVERS["adams"], BridgeVE())
scheduler.set_timesteps(5, noisy)
state = noisy
for time in scheduler.timesteps:
    estimate = network(scheduler.scale_model_input(state, time), time)
    state = scheduler.step(estimate, time, state)
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes.base import Process
from sgaudio.registry import bind
from sgaudio.solvers.grids import GRIDS, named_grid
from sgaudio.solvers.plan import Call, Plan
from sgaudio.solvers.record import Solver, record
from sgaudio.solvers.sample import Interpreter, Noise, check_start
from sgaudio.solvers.walk import Vector


class Scheduler:
    """A solver that is driven from outside, call by call.

    Args:
        solver: an entry of `SOLVERS`, or a function of a `Walk`.
        process: that is walked back.
        grid: name of the grid of times.
        grid_options: of the grid, where they are not to be the default ones.
        options: those of `record`: the solver's own, and start and network_time.

    Raises:
        ConfigError: on an unknown grid, or an option that it does not have.
    """

    def __init__(
        self,
        solver: Solver | Callable[..., Vector],
        process: Process,
        grid: str = "linear",
        grid_options: Mapping[str, Any] | None = None,
        **options: Any,
    ):
        self.solver, self.process, self.options = solver, process, options
        self.grid, self.grid_options = grid, bind(GRIDS[grid], grid_options or {}, f"grid {grid!r}", given=2)
        self._plan: Plan | None = None

    def set_timesteps(self, steps: int, noisy: Tensor | None = None, noise: Noise | None = None) -> None:
        """Begin a walk.

        Args:
            steps: of the grid.
            noisy, noise: of this walk, as for `sample`.

        Raises:
            ConfigError: as the grid and `record`.
        """
        self._plan = record(self.solver, self.process, named_grid(self.grid, self.process, steps, self.grid_options), **self.options)
        self._noisy, self._noise = noisy, noise
        self._walk: Interpreter | None = None
        self._call: Call | None = None
        self._state: Tensor | None = None

    @property
    def timesteps(self) -> tuple[float, ...]:
        """What the network is told of the time in each call, in order; a solver may call more than once a step."""
        return tuple(call.time for call in self._begun.calls)

    def scale_model_input(self, sample: Tensor, t: float) -> Tensor:
        """The state that the network has to see at t.

        Raises:
            ConfigError: as `step`.
        """
        return self._due(sample, t).state

    def step(self, estimate: Tensor, t: float, sample: Tensor) -> Tensor:
        """Take the network's clean estimate at t, and give the state of the next call, or after the last one the walk's end.

        Args:
            estimate: of the state's shape.
            t: the next of `timesteps`.
            sample: the start of the walk, then what the last step gave.

        Raises:
            ConfigError: out of turn: before `set_timesteps`, after the last call, at another time, or from another state, for what was
                changed between two steps would be lost; on an estimate that does not match the state; and on a start as `sample`.
            WalkError: if the walk's end is not finite.
        """
        walk = self._due(sample, t)
        walk.answer(estimate)
        self._call = walk.advance()
        self._state = walk.result if self._call is None else walk.state
        if self._call is None and not torch.isfinite(self._state).all():
            raise WalkError("scheduler: the walk's end is not finite: `sample` tells in which call that begins")
        return self._state

    @property
    def _begun(self) -> Plan:
        if self._plan is None:
            raise ConfigError("scheduler: no walk has begun: call set_timesteps(steps) before")
        return self._plan

    def _due(self, sample: Tensor, t: float) -> Interpreter:
        plan = self._begun
        if self._walk is None:
            check_start(plan, sample, self._noisy, self._noise)
            self._walk, self._state = Interpreter(plan, sample, self._noisy, self._noise), sample
            self._call = self._walk.advance()
        if self._call is None:
            raise ConfigError(f"scheduler: all {plan.evaluations} calls of this walk are done: call set_timesteps for another one")
        if t != self._call.time:
            raise ConfigError(f"scheduler: got the time {t}, expected {self._call.time:g}: take the timesteps one by one")
        if sample is not self._state:
            raise ConfigError("scheduler: got another state than the last step gave: a solver's memory cannot follow a change from outside")
        return self._walk
