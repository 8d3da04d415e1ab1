"""What every registered solver must do, whatever it is; a new line in the registry is proved by these tests as it is."""

import math

import pytest
import torch

from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import GRIDS, SOLVERS, linear, record, sample
from sgaudio.solvers.plan import Call

solvers = pytest.mark.parametrize("name", SOLVERS)
starts = pytest.mark.parametrize("start", ["mean", "drawn"])


@solvers
@pytest.mark.parametrize(("process", "first"), [(OUVE(), 1.0), (BridgeVE(), 0.97)], ids=["ouve", "bridge-ve"])
def test_its_error_falls_with_the_order_it_states(proof, name: str, process: Process, first: float):
    solver = SOLVERS[name]
    for measure in (proof.gaussian_error, lambda *walk: proof.Mixture(walk[1]).error(walk[0], walk[2])):
        coarse, fine = (measure(solver, process, proof.grid("log-snr", process, steps, first)) for steps in (64, 128))
        assert math.log2(coarse / fine) == pytest.approx(solver.order, abs=0.15)


@solvers
@starts
def test_its_buffers_do_not_grow_with_its_steps(name: str, start: str, process: Process):
    few, many = (record(SOLVERS[name], process, linear(process, steps), start=start) for steps in (8, 40))
    assert many.buffers == few.buffers <= 5


@solvers
@starts
def test_its_evaluations_and_draws_grow_evenly_with_its_steps(name: str, start: str, process: Process):
    four, eight, twelve = (record(SOLVERS[name], process, linear(process, steps), start=start) for steps in (4, 8, 12))
    assert twelve.evaluations - eight.evaluations == eight.evaluations - four.evaluations > 0
    assert len(twelve.draws) - len(eight.draws) == len(eight.draws) - len(four.draws)


@solvers
@starts
def test_a_walk_to_time_zero_returns_what_the_network_said_last(name: str, start: str, process: Process):
    for steps in (1, 2, 5):
        plan = record(SOLVERS[name], process, linear(process, steps), start=start)
        assert plan.rows[-1] == Call(into=plan.result, state=plan.rows[-1].reads[0], time=linear(process, steps)[-2])


@solvers
@pytest.mark.parametrize("kind", ["linear", "cosine", "log-snr", "angle"])
def test_a_state_with_constant_data_stays_on_its_path(proof, name: str, kind: str, process: Process):
    clean, noisy = torch.tensor([0.3, -2.0], dtype=torch.float64), torch.tensor([0.5, 1.0], dtype=torch.float64)
    node, last = process.at(1.0), process.at(0.03)
    plan = record(SOLVERS[name], process, proof.grid(kind, process, 7))
    got = sample(plan, lambda x, time: clean, node.alpha * clean + node.kappa * noisy, noisy, lambda *key: torch.zeros(2))
    torch.testing.assert_close(got, last.alpha * clean + last.kappa * noisy, rtol=0, atol=1e-13)


@solvers
@starts
def test_it_is_finite_from_the_start_to_the_clean_end_on_any_grid(name: str, start: str, process: Process):
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 1, 6, 4, dtype=torch.complex64, generator=generator)
    for kind in ("linear", "cosine", "log-snr", "angle"):
        for steps in (1, 2, 3, 9):
            plan = record(SOLVERS[name], process, GRIDS[kind](process, steps), start=start)
            seen = list[torch.Tensor]()

            def denoise(x: torch.Tensor, time: float, seen: list[torch.Tensor] = seen) -> torch.Tensor:
                seen.append(x)
                return 0.5 * x

            got = sample(plan, denoise, noisy, noisy, lambda *key: torch.randn(1, 1, 6, 4, dtype=torch.complex64, generator=generator))
            assert got.dtype == torch.complex64
            assert got.shape == noisy.shape
            assert all(state.isfinite().all() for state in (*seen, got))
            assert max(state.abs().max() for state in seen) < 20


@solvers
def test_float32_is_enough_for_its_states(proof, name: str, process: Process):
    oracle = proof.Mixture(process)
    plan = record(SOLVERS[name], process, linear(process, 20), start="drawn")
    start = oracle.noisy + process.at(1.0).sigma * oracle.deviates

    def single(x: torch.Tensor, time: float) -> torch.Tensor:
        return oracle.denoise(x.double(), time).float()

    exact = sample(plan, oracle.denoise, start, oracle.noisy, lambda *key: oracle.deviates)
    rounded = sample(plan, single, start.float(), oracle.noisy.float(), lambda *key: oracle.deviates.float())
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=1e-5)
