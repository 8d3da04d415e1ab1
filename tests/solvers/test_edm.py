"""EDM's sampler: its algorithm as it is printed, its limits, and the order of its moments."""

import math
from itertools import pairwise

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import EDM, OUVE, PROCESSES, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import GRIDS, SOLVERS, linear, record, sample
from sgaudio.solvers.plan import Call, Plan

processes = pytest.mark.parametrize("process", [PROCESSES[name]() for name in PROCESSES], ids=PROCESSES)
starts = pytest.mark.parametrize("start", ["mean", "drawn"])


def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
    return torch.tanh(x) * (1 - time / 2)


def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
    return torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(step))


def algorithm_2(x: torch.Tensor, sigmas, churn: float, low: float, high: float, deviation: float) -> torch.Tensor:
    """Algorithm 2 of 2206.00364, line by line, for a network that is told sigma / 80."""
    steps = len(sigmas) - 1
    for i in range(steps):
        gamma = min(churn / steps, math.sqrt(2) - 1) if low <= sigmas[i] <= high else 0
        epsilon = deviation * noise(i, "churn", 0)
        raised = sigmas[i] + gamma * sigmas[i]
        x_hat = x + math.sqrt(raised**2 - sigmas[i] ** 2) * epsilon
        d = (x_hat - denoise(x_hat, raised / 80)) / raised
        x = x_hat + (sigmas[i + 1] - raised) * d
        if sigmas[i + 1] != 0:
            d_prime = (x - denoise(x, sigmas[i + 1] / 80)) / sigmas[i + 1]
            x = x_hat + (sigmas[i + 1] - raised) * (d / 2 + d_prime / 2)
    return x


@pytest.mark.parametrize(
    ("churn", "low", "high", "deviation"),
    [(0.0, 0.0, 1e9, 1.0), (1.0, 0.0, 1e9, 1.0), (40.0, 0.05, 50.0, 1.003), (2.5, 1.0, 30.0, 1.0)],
)
def test_on_edm_s_own_process_it_is_the_paper_s_algorithm(churn: float, low: float, high: float, deviation: float):
    sigmas = (52.0, 40.0, 21.0, 6.0, 1.5, 0.3, 0.02, 0.0)
    start = 52 * noise(99, "start", 0)
    options = {"churn": churn, "churn_low": low, "churn_high": high, "churn_noise": deviation}
    plan = record(SOLVERS["edm"], EDM(), [sigma / 80 for sigma in sigmas], **options)
    got = sample(plan, denoise, start, noise=noise)
    torch.testing.assert_close(got, algorithm_2(start, sigmas, churn, low, high, deviation), rtol=0, atol=1e-11)


@processes
@starts
def test_without_churn_it_is_heun_s_method_in_sigma(process: Process, start: str):
    grid = linear(process, 6)
    assert record(SOLVERS["edm"], process, grid, start=start) == record(SOLVERS["heun"], process, grid, start=start, coordinate="sigma")


def times(plan: Plan) -> list[float]:
    return [row.time for row in plan.rows if isinstance(row, Call)]


@processes
def test_noise_is_never_raised_beyond_that_of_time_1(process: Process):
    grid = (1.0, 0.9, 0.5, 0.0)
    plan = record(SOLVERS["edm"], process, grid, churn=1e6)
    assert times(plan)[0] == 1.0
    assert all(time <= 1 for time in times(plan))
    assert [draw for draw in plan.draws if draw[1] == "churn"] == [(1, "churn", 0), (2, "churn", 0)]


def test_a_walk_that_begins_later_is_raised_from_its_first_step_on():
    plan = record(SOLVERS["edm"], OUVE(), (0.6, 0.3, 0.0), churn=1.0)
    assert plan.draws == ((0, "churn", 0), (1, "churn", 0))
    assert OUVE().at(times(plan)[0]).ratio == pytest.approx(OUVE().at(0.6).ratio / math.sqrt(2))  # churn / steps is 1/2, over the limit


def test_noise_is_added_between_the_two_limits_only():
    grid, process = linear(OUVE(), 12), OUVE()
    low, high = (1 / process.at(time).ratio for time in (grid[8], grid[3]))
    plan = record(SOLVERS["edm"], process, grid, churn=2.0, churn_low=low, churn_high=high)
    assert [step for step, *_ in plan.draws] == [3, 4, 5, 6, 7, 8]


def test_its_moments_have_the_known_errors_and_second_order(proof):
    """OUVE, from 1 to 0.03 in equal steps, churn 20; the error of a variance is counted relative to the deviation."""

    def error(steps: int) -> float:
        grid, squares = proof.walk_to("linear", OUVE(), steps), list[float]()
        plan = record(SOLVERS["edm"], OUVE(), grid, churn=20.0)
        for variance in proof.VARIANCES:
            end, (mean, deviation) = proof.end(plan, OUVE(), 1.0, variance), proof.moments(OUVE(), 0.03, variance)
            first_mean, first_deviation = proof.moments(OUVE(), 1.0, variance)
            found = (end.gain * first_deviation) ** 2 + end.noise_variance
            squares.append((end.offset + end.gain * first_mean - mean) ** 2 + ((found - deviation**2) / deviation) ** 2)
        return math.sqrt(sum(squares) / len(squares))

    errors = [error(steps) for steps in (64, 128, 256, 512)]
    assert errors == [pytest.approx(known, rel=2e-3) for known in (2.89e-3, 7.63e-4, 1.97e-4, 5.00e-5)]
    slopes = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert slopes == [pytest.approx(known, abs=6e-3) for known in (1.92, 1.95, 1.98)]


@pytest.mark.parametrize(("process", "first"), [(BridgeVE(), 0.97), (RectifiedFlow(), 0.97)], ids=["bridge-ve", "rectified-flow"])
def test_churn_keeps_second_order_if_it_does_not_grow_with_the_steps(proof, process: Process, first: float):
    assert proof.order(SOLVERS["edm"], process, 64, first=first, churn=10.0) == pytest.approx(2, abs=0.1)
    grids = [proof.walk_to("log-snr", process, steps, first) for steps in (64, 128)]
    coarse, fine = (proof.error(SOLVERS["edm"], process, grid, churn=0.2 * len(grid)) for grid in grids)
    assert math.log2(coarse / fine) < 1.5


@processes
@starts
def test_it_is_finite_from_any_start_on_any_grid(process: Process, start: str):
    noisy = noise(99, "noisy", 0)
    for kind in ("linear", "cosine", "log-snr", "angle"):
        for steps in (1, 2, 3, 9):
            for churn in (0.0, 1e-13, 20.0):
                plan = record(SOLVERS["edm"], process, GRIDS[kind](process, steps), start=start, churn=churn)
                assert sample(plan, denoise, noisy, noisy, noise).isfinite().all()


def test_limits_that_leave_nothing_between_them_are_refused():
    with pytest.raises(ConfigError) as error:
        record(SOLVERS["edm"], OUVE(), (1.0, 0.0), churn_low=2.0, churn_high=1.0)
    assert str(error.value) == "solver 'edm' on OUVE: churn_low is 2, expected at most churn_high = 1"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("churn", -1.0, "0 to 1e+06"), ("churn_low", -1.0, "0 to 1e+09"), ("churn_high", -1.0, "0 to 1e+09"), ("churn_noise", 3.0, "0 to 2")],
)
def test_a_number_out_of_its_range_is_refused(option: str, value: float, expected: str):
    with pytest.raises(ConfigError) as error:
        record(SOLVERS["edm"], OUVE(), (1.0, 0.0), **{option: value})
    assert str(error.value) == f"solver 'edm': {option} is {value!r}, expected {expected}"
