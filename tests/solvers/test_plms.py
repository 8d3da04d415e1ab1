import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import DDPM, OUVE, VP, BridgeVE, Node, Process, RectifiedFlow
from sgaudio.solvers import SOLVERS, Vector, linear, record, sample
from sgaudio.solvers.plan import Call
from sgaudio.solvers.plms import WEIGHTS, transfer

plms = SOLVERS["plms"]
levels = st.integers(2, 1000).flatmap(lambda level: st.tuples(st.just(level), st.integers(1, level - 1)))

CELLS = """
ouve      linear  plms gauss 9.18e-3 1.27e-3 3.57e-4 5.91e-5  mixture 1.9e-2 1.7e-3 4.7e-4 9.2e-5
ouve      log-snr plms gauss 2.18e-2 1.84e-3 5.40e-4 9.16e-5  mixture 2.5e-2 1.9e-3 5.5e-4 1.3e-4
ouve      angle   plms gauss 2.3e-2 7.0e-3 2.2e-3 1.6e-4  mixture 6.8e-2 2.1e-2 8.1e-4 4.8e-5
bridge-ve linear  plms gauss 3.09e-2 1.06e-2 4.00e-3 1.31e-3  mixture 4.1e-2 2.1e-2 6.0e-3 1.1e-3
bridge-ve log-snr plms gauss 1.76e-2 7.01e-3 1.14e-3 9.13e-5  mixture 7.6e-2 9.1e-3 2.1e-3 2.0e-4
bridge-ve angle   plms gauss 2.1e-2 4.0e-3 5.4e-4 4.7e-5  mixture 4.7e-2 2.3e-2 2.1e-3 5.2e-4
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


@given(levels)
def test_its_transfer_is_diffsinger_s(pair: tuple[int, int]):
    """2202.09778, eq. 11, as DiffSinger writes it: x + (b - a) (x / (root a (root a + root b)) - e / ...), a and b alpha-bar."""
    process = DDPM()
    t, u = (process.at(level / 1000) for level in pair)
    a, b = t.alpha**2, u.alpha**2
    x = 1 + (b - a) / (t.alpha * (t.alpha + u.alpha))
    noise = -(b - a) / (t.alpha * (math.sqrt((1 - b) * a) + math.sqrt((1 - a) * b)))
    assert transfer(Vector({0: 1.0}), Vector({1: 1.0}), t, u).terms == pytest.approx({0: x, 1: noise}, abs=1e-12)


def test_its_transfer_of_the_noise_that_was_found_is_ddim(process: Process):
    got = record(plms, process, (0.7, 0.4), starter="euler")
    known = record(SOLVERS["ddim"], process, (0.7, 0.4))
    x, noisy = torch.tensor([0.3, -1.0], dtype=torch.float64), torch.tensor([0.5, 0.2], dtype=torch.float64)
    torch.testing.assert_close(*(sample(plan, lambda x, time: x.tanh(), x, noisy) for plan in (got, known)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_its_weights_integrate_polynomials_at_equal_steps(count: int):
    for power in range(count):
        got = sum(weight * (-back) ** power for back, weight in enumerate(WEIGHTS[count - 1]))
        assert got == pytest.approx(1 / (power + 1), abs=1e-14)


@pytest.mark.parametrize(("starter", "more"), [("heun", 1), ("runge-kutta", 9), ("euler", 0)])
def test_its_first_steps_cost_so_many_evaluations_more(starter: str, more: int, process: Process):
    assert record(plms, process, (0.9, 0.7, 0.5, 0.3, 0.1, 0.05), starter=starter).evaluations == 5 + more


def test_its_history_begins_after_a_bridge_s_start():
    calls = [(row.step, row.time) for row in record(plms, BridgeVE(), (1.0, 0.75, 0.5, 0.25)).rows if isinstance(row, Call)]
    assert calls == [(0, 1.0), (1, 0.75), (1, 0.5), (2, 0.5)]


def test_its_runge_kutta_start_evaluates_the_middle_twice_and_the_end():
    calls = [row.time for row in record(plms, OUVE(), (0.75, 0.25), starter="runge-kutta").rows if isinstance(row, Call)]
    assert calls == [0.75, 0.5, 0.5, 0.25]


def test_its_runge_kutta_start_carries_each_noise_to_where_the_next_is_found():
    """2202.09778: the classic method, with the transfer in place of its sums."""
    process, x = VP(), torch.tensor([0.3, -1.0], dtype=torch.float64)
    t, m, u = (process.at(time) for time in (0.75, 0.5, 0.25))

    def noise(x: torch.Tensor, t: Node) -> torch.Tensor:
        return (x - t.alpha * torch.tanh(x)) / t.sigma

    def carried(noise: torch.Tensor, u: Node) -> torch.Tensor:
        return u.alpha / t.alpha * x + (u.sigma - u.alpha * t.sigma / t.alpha) * noise

    one = noise(x, t)
    two = noise(carried(one, m), m)
    three = noise(carried(two, m), m)
    four = noise(carried(three, u), u)
    got = sample(record(plms, process, (0.75, 0.25), starter="runge-kutta"), lambda x, time: torch.tanh(x), x)
    torch.testing.assert_close(got, carried((one + 2 * two + 2 * three + four) / 6, u), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("starter", "buffers"), [("heun", 5), ("runge-kutta", 8), ("euler", 5)])
def test_its_buffers_do_not_grow_with_its_steps_however_it_starts(starter: str, buffers: int, process: Process):
    for steps in (8, 40):
        assert record(plms, process, linear(process, steps), starter=starter).buffers == buffers


def test_its_published_end_is_where_its_walk_tends_to(proof):
    """At sigma = 0 the weighted noise is taken out of the state; ours is what the network says."""
    process, times = RectifiedFlow(), (0.9, 0.7, 0.5, 0.3, 0.1)
    mixture = proof.Mixture(process)
    near, published, ours = (
        mixture.walk(plms, (*times, end), **options) for end, options in ((1e-9, {}), (0.0, {"compat": "pndm"}), (0.0, {}))
    )
    torch.testing.assert_close(published, near, rtol=0, atol=1e-8)
    assert (published - ours).abs().max() > 0.01


def test_its_published_end_after_one_step_is_the_plain_estimate(process: Process):
    assert isinstance(record(plms, process, (0.5, 0.0)).rows[-1], Call)
    x, noisy = torch.tensor([0.3, -1.0], dtype=torch.float64), torch.tensor([0.5, 0.2], dtype=torch.float64)
    for starter in ("heun", "runge-kutta", "euler"):
        plan = record(plms, process, (0.5, 0.0), starter=starter, compat="pndm")
        assert plan.evaluations == 1
        torch.testing.assert_close(sample(plan, lambda x, time: x.tanh(), x, noisy), x.tanh(), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"starter": "rk4"}, "solver 'plms': starter is 'rk4', expected one of 'heun', 'runge-kutta', 'euler'"),
        ({"compat": "published"}, "solver 'plms': compat is 'published', expected one of 'none', 'pndm'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(plms, OUVE(), linear(OUVE(), 3), **options)
    assert str(caught.value) == message
