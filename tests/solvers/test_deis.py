import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, VP, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import SOLVERS, linear, record, sample
from sgaudio.solvers.plan import NOISY, Call, Sum

deis = SOLVERS["deis"]
falling = st.lists(st.floats(0.05, 0.95), min_size=5, max_size=5, unique_by=lambda time: round(time, 1)).map(
    lambda times: tuple(sorted(times, reverse=True))
)

CELLS = """
ouve      linear  deis gauss 2.68e-2 6.24e-3 1.17e-3 1.17e-4  mixture 4.6e-2 1.1e-2 2.1e-3 1.9e-4
ouve      log-snr deis gauss 3.66e-2 9.38e-3 1.85e-3 1.88e-4  mixture 6.3e-2 1.7e-2 3.4e-3 3.2e-4
ouve      angle   deis gauss 2.4e-2 8.0e-3 2.7e-3 3.7e-4  mixture 4.9e-2 1.1e-2 2.1e-3 5.9e-5
bridge-ve linear  deis gauss 3.15e-2 1.14e-2 4.76e-3 1.73e-3  mixture 4.2e-2 2.1e-2 6.7e-3 1.5e-3
bridge-ve log-snr deis gauss 6.84e-2 1.66e-2 2.96e-3 2.92e-4  mixture 9.4e-2 3.0e-2 6.9e-3 6.0e-4
bridge-ve angle   deis gauss 3.6e-2 8.8e-3 1.8e-3 2.2e-4  mixture 4.9e-2 2.4e-2 6.2e-3 2.5e-4
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


@given(st.sampled_from([RectifiedFlow(), VP(), OUVE()]), falling, st.integers(1, 4))
def test_its_weights_integrate_polynomials_in_sigma_over_alpha(process: Process, times, order: int):
    """With the state divided by alpha: the integral of q^k from one q = sigma / alpha to the next is a sum over the nodes."""
    *nodes, target = (1 / process.at(time).ratio for time in times)
    plan = record(deis, process, times, order=order)
    row, call = plan.rows[-1], next(row for row in reversed(plan.rows) if isinstance(row, Call))
    assert isinstance(row, Sum)
    weights = [weight / process.at(times[-1]).alpha for register, weight in sorted(row.terms) if register not in (NOISY, call.state)]
    assert len(weights) == order
    for power in range(order):
        terms = [weight * node**power for weight, node in zip(weights, nodes[-order:], strict=True)]
        exact = (target ** (power + 1) - nodes[-1] ** (power + 1)) / (power + 1)
        assert sum(terms) == pytest.approx(exact, abs=1e-12 * sum(map(abs, terms)))


def test_through_one_noise_it_is_ddim(process: Process):
    x, noisy = torch.tensor([0.3, -1.0], dtype=torch.float64), torch.tensor([0.5, 0.2], dtype=torch.float64)
    start, times = (noisy, (1.0, 0.7, 0.4, 0.1)) if isinstance(process, BridgeVE) else (x, (0.9, 0.7, 0.4, 0.1))
    plans = (record(deis, process, times, order=1), record(SOLVERS["ddim"], process, times))
    torch.testing.assert_close(*(sample(plan, lambda x, time: x.tanh(), start, noisy) for plan in plans), rtol=0, atol=1e-14)


def test_it_calls_the_network_once_a_step(process: Process):
    for steps in (1, 2, 6):
        assert record(deis, process, linear(process, steps)).evaluations == steps


@pytest.mark.parametrize("order", [0, 5])
def test_a_wrong_order_is_refused_in_one_clear_line(order: int):
    with pytest.raises(ConfigError) as caught:
        record(deis, OUVE(), linear(OUVE(), 3), order=order)
    assert str(caught.value) == f"solver 'deis': order is {order}, expected 1 to 4"
