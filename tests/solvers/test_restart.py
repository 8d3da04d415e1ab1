"""Restart: where it goes back, what that costs, that it keeps the marginals and makes errors smaller."""

import math

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, PROCESSES, VP, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import GRIDS, SOLVERS, linear, record, sample
from sgaudio.solvers.plan import Call

processes = pytest.mark.parametrize("process", [PROCESSES[name]() for name in PROCESSES], ids=PROCESSES)
plain = {"ddim": ("ddim", {}), "heun": ("heun", {"coordinate": "sigma"})}
steps = pytest.mark.parametrize("step", plain)


def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
    return torch.tanh(x) * (1 - time / 2)


def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
    return torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(100 * step + repeat))


def test_it_goes_back_from_low_to_high_and_walks_the_same_steps_again():
    grid = (1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.0)
    plan = record(SOLVERS["restart"], OUVE(), grid, low=0.2, high=0.7, repeats=2, step="ddim")
    assert [row.time for row in plan.rows if isinstance(row, Call)] == [1.0, 0.8, 0.6, 0.4, 0.6, 0.4, 0.6, 0.4, 0.2, 0.1]
    assert plan.draws == ((3, "restart", 0), (3, "restart", 1))


def test_on_a_rectified_flow_it_is_the_paper_s_loop():
    """From time u to t the flow's own noising is x_t = (1 - t)/(1 - u) x_u + sqrt(t^2 - ((1 - t)/(1 - u) u)^2) n."""
    grid, flow = (1.0, 0.7, 0.4, 0.2, 0.0), RectifiedFlow()

    def down(x: torch.Tensor, t: float, u: float) -> torch.Tensor:
        return x + (u - t) / t * (x - denoise(x, t))

    x = down(down(down(noise(99, "start", 0), 1.0, 0.7), 0.7, 0.4), 0.4, 0.2)
    for repeat in range(3):
        growth = (1 - 0.7) / (1 - 0.2)
        x = growth * x + math.sqrt(0.7**2 - (growth * 0.2) ** 2) * noise(2, "restart", repeat)
        x = down(down(x, 0.7, 0.4), 0.4, 0.2)
    plan = record(SOLVERS["restart"], flow, grid, low=0.2, high=0.7, repeats=3, step="ddim")
    torch.testing.assert_close(sample(plan, denoise, noise(99, "start", 0), noise=noise), down(x, 0.2, 0.0), rtol=0, atol=1e-12)


@steps
@pytest.mark.parametrize(
    ("process", "first"),
    [(OUVE(), 1.0), (VP(), 1.0), (BridgeVE(), 0.97), (RectifiedFlow(), 0.97)],
    ids=["ouve", "vp", "bridge-ve", "rectified-flow"],
)
def test_its_moments_have_the_order_of_its_steps(proof, step: str, process: Process, first: float):
    found = proof.order(SOLVERS["restart"], process, 64, first=first, step=step, repeats=2)
    assert found == pytest.approx(SOLVERS[step].order, abs=0.1)


@steps
@pytest.mark.parametrize("process", [OUVE(), VP()], ids=["ouve", "vp"])
def test_it_keeps_the_marginals_as_well_as_its_steps_do(proof, step: str, process: Process):
    solver, options = plain[step]
    grid = proof.walk_to("log-snr", process, 40)
    without = proof.wasserstein(SOLVERS[solver], process, grid, **options)
    for repeats in (1, 4, 16):
        assert proof.wasserstein(SOLVERS["restart"], process, grid, step=step, repeats=repeats) < 1.5 * without


@pytest.mark.parametrize("process", [OUVE(), VP()], ids=["ouve", "vp"])
def test_an_error_at_high_is_made_smaller_by_a_known_part_at_each_repetition(proof, process: Process):
    """Noised back it grows as alpha does; on Gaussian data the way down changes it as the deviation of the state."""
    variance, grid = 0.04, proof.walk_to("angle", process, 200)
    inside = [time for time in grid if 0.1 <= time <= 0.75]
    high, low = inside[0], inside[-1]
    grown = process.at(high).alpha / process.at(low).alpha
    part = grown * proof.moments(process, low, variance)[1] / proof.moments(process, high, variance)[1]
    assert part < 0.6
    error = proof.end(record(SOLVERS["heun"], process, grid, coordinate="sigma"), process, 1.0, variance).gain
    for repeats in (1, 2, 3):
        found = proof.end(record(SOLVERS["restart"], process, grid, repeats=repeats), process, 1.0, variance).gain
        assert found / error == pytest.approx(part**repeats, rel=1e-3)


@steps
@pytest.mark.parametrize("start", ["mean", "drawn"])
@processes
def test_where_there_is_nothing_to_repeat_it_is_the_plain_walk(step: str, start: str, process: Process):
    solver, options = plain[step]
    for grid, interval in (
        ((1.0, 0.0), {"low": 0.0, "high": 1.0}),
        ((1.0, 0.5, 0.2, 0.0), {"low": 0.3}),
        ((1.0, 0.5, 0.2, 0.0), {"repeats": 0}),
    ):
        expected = record(SOLVERS[solver], process, grid, start=start, **options)
        assert record(SOLVERS["restart"], process, grid, start=start, step=step, **interval) == expected


@steps
@pytest.mark.parametrize("process", [BridgeVE(), RectifiedFlow()], ids=["bridge-ve", "rectified-flow"])
def test_a_start_without_clean_sound_and_the_clean_end_are_not_repeated(step: str, process: Process):
    solver, options = plain[step]
    expected = record(SOLVERS[solver], process, (1.0, 0.5, 0.0), **options)
    assert record(SOLVERS["restart"], process, (1.0, 0.5, 0.0), low=0.0, high=1.0, step=step) == expected
    assert record(SOLVERS["restart"], OUVE(), (1.0, 0.5, 0.0), low=0.0, high=1.0, step=step).draws == ((0, "restart", 0),)


@steps
def test_each_repetition_costs_the_evaluations_of_its_steps(step: str):
    solver, options = plain[step]
    grid = linear(OUVE(), 12)
    inside = sum(0.1 <= time <= 0.75 for time in grid) - 1
    once = record(SOLVERS[solver], OUVE(), grid, **options)
    for repeats in (1, 2, 5):
        plan = record(SOLVERS["restart"], OUVE(), grid, step=step, repeats=repeats)
        assert plan.evaluations == once.evaluations + repeats * inside * SOLVERS[step].order
        assert plan.buffers <= once.buffers + 1


@processes
@pytest.mark.parametrize("start", ["mean", "drawn"])
def test_it_is_finite_from_any_start_on_any_grid(process: Process, start: str):
    noisy = noise(99, "noisy", 0)
    for kind in ("linear", "cosine", "log-snr", "angle"):
        for steps in (1, 2, 3, 9):
            for interval in ({}, {"low": 0.0, "high": 1.0}):
                plan = record(SOLVERS["restart"], process, GRIDS[kind](process, steps), start=start, repeats=2, **interval)
                assert sample(plan, denoise, noisy, noisy, noise).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.5, "high": 0.5}, "solver 'restart' on OUVE: low is 0.5, expected less than high = 0.5: they are times, and 0 is clean"),
        ({"low": -0.1}, "solver 'restart': low is -0.1, expected 0 to 1"),
        ({"high": 1.5}, "solver 'restart': high is 1.5, expected 0 to 1"),
        ({"repeats": -1}, "solver 'restart': repeats is -1, expected 0 to 1000"),
        ({"step": "rk4"}, "solver 'restart': step is 'rk4', expected one of 'ddim', 'heun'"),
    ],
)
def test_an_option_that_is_wrong_is_refused(options: dict[str, object], message: str):
    with pytest.raises(ConfigError) as error:
        record(SOLVERS["restart"], OUVE(), (1.0, 0.0), **options)
    assert str(error.value) == message
