import math

import pytest
import torch

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import GRIDS, SOLVERS, Scheduler, linear, record, sample
from sgaudio.solvers.plan import Call


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
    return normal(1, 1, 4, 3, seed=100 * step + 10 * len(purpose) + repeat)


def network(x: torch.Tensor, time: float) -> torch.Tensor:
    return (0.3 + 0.4 * time) * x


def walked(scheduler: Scheduler, start: torch.Tensor, steps: int) -> torch.Tensor:
    scheduler.set_timesteps(steps, start, noise)
    state = start
    for time in scheduler.timesteps:
        state = scheduler.step(network(scheduler.scale_model_input(state, time), time), time, state)
    return state


@pytest.mark.parametrize("name", [name for name in SOLVERS if name not in ("bridge-ode", "bridge-sde", "resshift")])
def test_the_caller_s_loop_ends_where_the_walk_does(name: str, process: Process):
    start = normal(2, 1, 4, 3)
    plan = record(SOLVERS[name], process, linear(process, 5), start="drawn")
    scheduler = Scheduler(SOLVERS[name], process, start="drawn")
    assert torch.equal(walked(scheduler, start, 5), sample(plan, network, start, start, noise))
    assert scheduler.timesteps == tuple(row.time for row in plan.rows if isinstance(row, Call))


def test_grid_and_solver_have_their_options():
    start, process = normal(2, 1, 4, 3), OUVE()
    scheduler = Scheduler(SOLVERS["ddim"], process, "log-snr", {"last": 0.1}, eta=0.5, network_time="target")
    grid = GRIDS["log-snr"](process, 4, last=0.1)
    plan = record(SOLVERS["ddim"], process, grid, eta=0.5, network_time="target")
    assert torch.equal(walked(scheduler, start, 4), sample(plan, network, start, start, noise))
    assert scheduler.timesteps == grid[1:]


def test_it_can_walk_again_and_with_other_steps():
    scheduler, start = Scheduler(SOLVERS["adams"], BridgeVE()), normal(1, 1, 4, 3)
    first = walked(scheduler, start, 4)
    assert not torch.equal(walked(scheduler, start, 7), first)
    assert torch.equal(walked(scheduler, start, 4), first)


def test_a_step_needs_no_look_at_its_state_before():
    scheduler, start = Scheduler(SOLVERS["dpmpp-2m"], BridgeVE()), normal(1, 1, 4, 3)
    expected = walked(scheduler, start, 4)
    scheduler.set_timesteps(4, start)
    state = start
    for time in scheduler.timesteps:
        state = scheduler.step(network(state, time), time, state)
    assert torch.equal(state, expected)


def scheduled(steps: int = 2) -> tuple[Scheduler, torch.Tensor]:
    scheduler, start = Scheduler(SOLVERS["ddim"], OUVE()), normal(1, 1, 4, 3)
    scheduler.set_timesteps(steps, start)
    return scheduler, start


def test_a_step_before_set_timesteps_is_refused_in_one_clear_line():
    message = r"^scheduler: no walk has begun: call set_timesteps\(steps\) before$"
    scheduler = Scheduler(SOLVERS["ddim"], OUVE())
    for misuse in (lambda: scheduler.step(normal(1), 1.0, normal(1)), lambda: scheduler.timesteps):
        with pytest.raises(ConfigError, match=message):
            misuse()


def test_a_step_too_many_is_refused_in_one_clear_line():
    scheduler, state = scheduled()
    for time in scheduler.timesteps:
        state = scheduler.step(state, time, state)
    with pytest.raises(ConfigError, match=r"^scheduler: all 2 calls of this walk are done: call set_timesteps for another one$"):
        scheduler.step(state, 0.0, state)


def test_a_step_at_another_time_or_from_another_state_is_refused_in_one_clear_line():
    scheduler, state = scheduled()
    with pytest.raises(ConfigError, match=r"^scheduler: got the time 0.5, expected 1: take the timesteps one by one$"):
        scheduler.step(state, 0.5, state)
    scheduler.step(state, 1.0, state)
    with pytest.raises(ConfigError, match=r"^scheduler: got another state than the last step gave: a solver's memory cannot follow"):
        scheduler.scale_model_input(state, 0.03)


def test_wrong_options_tensors_and_grids_are_refused():
    with pytest.raises(ConfigError, match=r"^unknown grid 'lineal': did you mean 'linear'"):
        Scheduler(SOLVERS["ddim"], OUVE(), "lineal")
    with pytest.raises(ConfigError, match=r"^grid 'linear' has no option 'lasst': did you mean 'last'\?$"):
        Scheduler(SOLVERS["ddim"], OUVE(), "linear", {"lasst": 0.1})
    with pytest.raises(ConfigError, match=r"^grid 'linear' has no option 'steps': known: end, first, last$"):
        Scheduler(SOLVERS["ddim"], OUVE(), "linear", {"steps": 3})
    with pytest.raises(ConfigError, match=r"^grid 'explicit' needs the option 'times'$"):
        Scheduler(SOLVERS["ddim"], OUVE(), "explicit")
    with pytest.raises(ConfigError, match=r"^solver 'ddim' has no option 'etta': did you mean 'eta'\?$"):
        Scheduler(SOLVERS["ddim"], OUVE(), etta=0.1).set_timesteps(3)
    scheduler, start = scheduled()
    with pytest.raises(ConfigError, match=r"^sample: the estimate at time 1 has the shape \(1,\), expected \(1, 1, 4, 3\) as the state$"):
        scheduler.step(normal(1), 1.0, start)
    scheduler.set_timesteps(2)
    with pytest.raises(ConfigError, match=r"^sample: this plan needs the noisy sound and got none: pass noisy$"):
        scheduler.scale_model_input(start, 1.0)


def test_an_end_that_is_not_finite_is_reported():
    scheduler, start = Scheduler(SOLVERS["ddim"], OUVE()), normal(1, 1, 4, 3)
    scheduler.set_timesteps(2, start)
    state = scheduler.step(math.nan * start, 1.0, start)
    with pytest.raises(WalkError, match=r"^scheduler: the walk's end is not finite: `sample` tells in which call that begins$"):
        scheduler.step(state, 0.03, state)
