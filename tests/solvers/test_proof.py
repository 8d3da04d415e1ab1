"""What every registered solver must do on every registered process, whatever they are; a new line in either registry is proved as it is.

A pair is in the table, or it is refused as it is recorded, with a message that says why.
"""

import itertools
import math

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import PROCESSES, Process, time_at
from sgaudio.solvers import GRIDS, SOLVERS, linear, proof, record, run
from sgaudio.solvers.plan import Call

BRIDGES = {"bridge-ve", "bridge-vp", "bbed", "brownian-bridge"}
ONLY_ON = {"bridge-ode": BRIDGES, "bridge-sde": BRIDGES, "resshift": {"resshift"}}
PAIRS = [pair for pair in itertools.product(SOLVERS, PROCESSES) if pair[1] in ONLY_ON.get(pair[0], PROCESSES)]
REFUSED = sorted(set(itertools.product(SOLVERS, PROCESSES)) - set(PAIRS))

IN_TIME = {
    "euler",
    "midpoint",
    "heun",
    "rk4",
    "runge-kutta",
    "euler-maruyama",
    "reverse-diffusion",
    "stochastic-heun",
    "predictor-corrector",
}

# Where orders are measured: from a time to another, both away from what is infinite.
BETWEEN = {
    "bbed": (0.97, 0.03),
    "bridge-ve": (0.97, 0.03),
    "bridge-vp": (0.97, 0.03),
    "brownian-bridge": (0.97, 0.03),
    "flowse": (0.95, 0.05),
    "rectified-flow": (0.95, 0.05),
    "vp": (1.0, 0.01),
    "ddpm": (1.0, 0.01),
    "ve": (0.73, 0.27),
    "edm": (1 / 16, 1 / 1600),
    "resshift": (1.0, 0.2),
}
# Steps from which an order shows, where 64 are too few: of a solver, or of a solver on one process.
FROM = {"dpmpp-3m": 256, "deis": 128, ("adams", "bbed"): 256, ("unipc", "bbed"): 256}
FROM |= {("stochastic-heun", "edm"): 128, ("stochastic-heun", "ddpm"): 128}

pairs = pytest.mark.parametrize(("name", "which"), PAIRS)
starts = pytest.mark.parametrize("start", ["mean", "drawn"])


def gentle(process: Process, steps: int, first: float, last: float) -> tuple[float, ...]:
    """Equal steps in log-SNR, of which the first is cut into pieces that grow fourfold: what a method's first steps of lower order cost
    is then nothing beside the rest."""
    times = proof.walk_to("log-snr", process, steps, first, last)
    begin, second = (process.at(time).log_snr for time in times[:2])
    pieces = [second + (begin - second) * (1 - 4.0**-power) for power in range(6, 0, -1)]
    return (first, *(time_at(process, log_snr) for log_snr in pieces), *times[1:])


def even(process: Process, steps: int, first: float, last: float) -> tuple[float, ...]:
    """Equal steps in log-SNR."""
    return proof.walk_to("log-snr", process, steps, first, last)


@pairs
def test_its_error_falls_with_the_order_it_states(name: str, which: str):
    solver, process = SOLVERS[name], PROCESSES[which]()
    if solver.order is None:
        pytest.skip("something in it is biased: its own tests say by how much")
    first, last = BETWEEN.get(which, (1.0, 0.03))
    steps = FROM.get((name, which), FROM.get(name, 64))
    # between the levels of a chain the path is interpolated: its kinks in time take the order from methods in time, but not in sigma
    options = {"coordinate": "sigma"} if which == "ddpm" and name in IN_TIME and solver.order > 1 and name != "stochastic-heun" else {}
    grid = gentle if solver.start is not None and solver.start + 1 < solver.order else even
    coarse, fine = (proof.error(solver, process, grid(process, count, first, last), **options) for count in (steps, 2 * steps))
    assert math.log2(coarse / fine) == pytest.approx(solver.order, abs=0.15)


@pytest.mark.parametrize("name", [name for name in SOLVERS if SOLVERS[name].start is not None])
def test_its_first_steps_cost_at_most_the_order_after_theirs(name: str):
    """On the whole walk: a first step of order p costs an error of order p + 1, once."""
    solver = SOLVERS[name]
    assert solver.order is not None
    assert solver.start is not None
    slope = proof.order(solver, PROCESSES["ouve"](), 128)
    assert slope > min(solver.order, solver.start + 1) - 0.15


@pytest.mark.parametrize(("name", "which"), REFUSED)
def test_what_makes_no_sense_is_refused_with_a_reason(name: str, which: str):
    process = PROCESSES[which]()
    with pytest.raises(ConfigError, match=rf"^solver '{name}' on {type(process).__name__}: .*use '"):
        record(SOLVERS[name], process, GRIDS["linear"](process, 4))


@pairs
@starts
def test_its_buffers_do_not_grow_with_its_steps(name: str, which: str, start: str):
    process = PROCESSES[which]()
    few, many = (record(SOLVERS[name], process, linear(process, steps), start=start) for steps in (12, 40))
    assert many.buffers == few.buffers <= 6


@pairs
def test_the_network_is_called_as_often_as_the_plan_says(name: str, which: str):
    process = PROCESSES[which]()
    for steps in (1, 4, 8, 12):
        plan = record(SOLVERS[name], process, linear(process, steps))
        times = list[float]()

        def denoise(x: torch.Tensor, time: float, times: list[float] = times) -> torch.Tensor:
            times.append(time)
            return 0.5 * x

        start = torch.ones(3, dtype=torch.float64)
        run(plan, denoise, start, start, lambda *key: torch.zeros(3, dtype=torch.float64))
        assert times == [row.time for row in plan.rows if isinstance(row, Call)]
        assert len(times) == plan.evaluations
        assert all(0 < time <= 1 for time in times)


@pairs
@starts
def test_a_walk_to_time_zero_returns_what_the_network_said_last(name: str, which: str, start: str):
    process = PROCESSES[which]()
    for steps in (1, 2, 5):
        plan = record(SOLVERS[name], process, linear(process, steps), start=start)
        assert plan.rows[-1] == Call(into=plan.result, state=plan.rows[-1].reads[0], time=linear(process, steps)[-2], step=steps - 1)


@pytest.mark.parametrize(("name", "which"), [(name, which) for name, which in PAIRS if name not in IN_TIME])
@pytest.mark.parametrize("kind", ["linear", "cosine", "log-snr", "angle", "karras"])
def test_a_state_with_constant_data_stays_on_its_path(name: str, which: str, kind: str):
    process = PROCESSES[which]()
    clean, noisy = torch.tensor([0.3, -2.0], dtype=torch.float64), torch.tensor([0.5, 1.0], dtype=torch.float64)
    node, last = process.at(1.0), process.at(0.1)
    plan = record(SOLVERS[name], process, proof.walk_to(kind, process, 7, last=0.1))
    start = noisy if plan.bridge else node.alpha * clean + node.kappa * noisy
    got = run(plan, lambda x, time: clean, start, noisy, lambda *key: torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(got, last.alpha * clean + last.kappa * noisy, rtol=0, atol=1e-12)


@pairs
@starts
def test_it_is_finite_from_the_start_to_the_clean_end_on_any_grid(name: str, which: str, start: str):
    process = PROCESSES[which]()
    oracle = proof.Mixture(process)
    for kind in ("linear", "cosine", "log-snr", "angle", "karras"):
        for steps in (1, 2, 3, 9):
            plan = record(SOLVERS[name], process, GRIDS[kind](process, steps), start=start)
            first = oracle.noisy if plan.bridge else oracle.noisy + process.at(1.0).sigma * oracle.deviates
            got = run(plan, oracle.denoise, first, oracle.noisy, lambda *key: oracle.deviates)
            assert got.isfinite().all()


@pairs
def test_float32_is_enough_for_its_states(name: str, which: str):
    process = PROCESSES[which]()
    oracle = proof.Mixture(process)
    plan = record(SOLVERS[name], process, linear(process, 20), start="drawn")
    start = oracle.noisy if plan.bridge else oracle.noisy + process.at(1.0).sigma * oracle.deviates

    def single(x: torch.Tensor, time: float) -> torch.Tensor:
        return oracle.denoise(x.double(), time).float()

    exact = run(plan, oracle.denoise, start, oracle.noisy, lambda *key: oracle.deviates)
    rounded = run(plan, single, start.float(), oracle.noisy.float(), lambda *key: oracle.deviates.float())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=2e-5)
