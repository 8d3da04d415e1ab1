import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Node, Process
from sgaudio.solvers import SOLVERS, linear, record
from sgaudio.solvers.plan import Call, Plan, Sum

FOUR = st.tuples(st.floats(0.7, 0.95), st.floats(0.5, 0.65), st.floats(0.3, 0.45), st.floats(0.03, 0.2))
unipc = SOLVERS["unipc"]

CELLS = """
ouve      linear  unipc compat=lower-order-end         gauss 8.78e-3 2.72e-3 8.49e-4 1.75e-4  mixture 1.7e-2 2.0e-3 3.7e-4 9.8e-5
ouve      log-snr unipc compat=lower-order-end         gauss 4.87e-3 1.69e-3 2.43e-4 1.96e-5  mixture 2.5e-2 3.0e-3 4.5e-4 2.1e-5
ouve      angle   unipc compat=lower-order-end         gauss 3.9e-2 1.5e-2 5.6e-3 1.4e-3  mixture 5.4e-2 1.6e-2 9.9e-3 1.2e-3
ouve      linear  unipc order=3 compat=lower-order-end gauss 1.07e-2 2.54e-3 8.71e-4 1.80e-4  mixture 1.7e-2 5.2e-3 5.3e-4 1.2e-4
ouve      log-snr unipc order=3 compat=lower-order-end gauss 9.07e-3 6.04e-4 1.06e-4 1.56e-5  mixture 2.7e-2 1.3e-3 8.6e-5 1.4e-5
ouve      angle   unipc order=3 compat=lower-order-end gauss 3.8e-2 1.5e-2 5.6e-3 1.4e-3  mixture 5.3e-2 1.6e-2 1.2e-2 7.8e-4
ouve      linear  unipc                                gauss 2.01e-2 3.63e-3 6.36e-4 6.96e-5  mixture 2.2e-2 3.6e-3 9.1e-4 8.2e-5
ouve      log-snr unipc                                gauss 8.63e-3 1.85e-3 2.59e-4 1.71e-5  mixture 2.4e-2 3.8e-3 5.4e-4 3.0e-5
ouve      angle   unipc                                gauss 6.4e-2 2.8e-2 8.5e-3 1.2e-3  mixture 1.2e-1 5.2e-2 1.4e-2 1.4e-3
bridge-ve linear  unipc compat=lower-order-end         gauss 4.30e-2 1.80e-2 7.30e-3 2.15e-3  mixture 5.8e-2 2.9e-2 1.3e-2 2.9e-3
bridge-ve log-snr unipc compat=lower-order-end         gauss 5.86e-2 7.11e-3 1.23e-3 2.10e-4  mixture 8.5e-2 2.0e-2 3.8e-3 3.2e-4
bridge-ve angle   unipc compat=lower-order-end         gauss 4.7e-2 1.5e-2 4.7e-3 8.7e-4  mixture 7.1e-2 2.8e-2 1.1e-2 1.4e-3
bridge-ve linear  unipc order=3 compat=lower-order-end gauss 4.30e-2 1.79e-2 7.33e-3 2.17e-3  mixture 5.8e-2 2.8e-2 1.2e-2 2.8e-3
bridge-ve log-snr unipc order=3 compat=lower-order-end gauss 5.86e-2 5.91e-3 1.18e-3 2.21e-4  mixture 8.5e-2 1.8e-2 2.7e-3 2.5e-4
bridge-ve angle   unipc order=3 compat=lower-order-end gauss 4.7e-2 1.5e-2 4.7e-3 8.9e-4  mixture 7.1e-2 2.8e-2 1.0e-2 1.2e-3
bridge-ve linear  unipc                                gauss 6.16e-3 1.60e-3 1.77e-3 1.12e-3  mixture 4.7e-2 1.9e-2 3.3e-3 9.6e-4
bridge-ve log-snr unipc                                gauss 1.76e-2 4.54e-3 5.74e-4 3.36e-5  mixture 4.8e-2 1.5e-2 7.4e-4 3.8e-5
bridge-ve angle   unipc                                gauss 1.4e-2 8.3e-3 2.2e-3 2.2e-4  mixture 5.7e-2 2.8e-2 3.2e-3 7.9e-4
ouve      linear  unipc order=3                        gauss 2.46e-2 3.75e-3 4.24e-4 1.82e-5
ouve      log-snr unipc order=3                        gauss 9.52e-3 4.59e-4 4.18e-5 1.70e-6
bridge-ve linear  unipc order=3                        gauss 4.63e-3 8.53e-3 4.14e-3 1.41e-3
bridge-ve log-snr unipc order=3                        gauss 3.92e-2 4.46e-3 1.71e-4 7.04e-5
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


def weights(plan: Plan) -> list[list[float]]:
    """Of predictor, corrector, predictor, ... predictor: the coefficients of the estimates, newest first."""
    calls = [made.into for made in reversed(plan.rows) if isinstance(made, Call)]
    rows = [dict(row.terms) for row in plan.rows if isinstance(row, Sum)]
    return [[terms[call] for call in calls if call in terms] for terms in rows]


def solved(t: Node, u: Node, at: list[Node]) -> list[float]:
    """What the paper solves for: weights with which exp(place) is integrated over the step for 1, place, place^2 ..."""
    length = u.log_snr - t.log_snr
    moments = [-math.expm1(-length)]
    for power in range(1, len(at)):
        moments.append(length**power - power * moments[-1])
    places = np.array([node.log_snr - t.log_snr for node in at])
    return list(u.alpha * np.linalg.solve(np.vander(places, increasing=True).T, moments))


@given(st.sampled_from([OUVE(), BridgeVE()]), FOUR)
def test_its_predictor_through_two_is_that_of_dpmpp_2m(process: Process, times):
    ours, theirs = (weights(record(solver, process, times))[-1] for solver in (unipc, SOLVERS["dpmpp-2m"]))
    assert ours == pytest.approx(theirs, abs=1e-12)


@given(st.sampled_from([OUVE(), BridgeVE()]), FOUR)
def test_its_other_coefficients_solve_the_paper_s_system(process: Process, times):
    """The predictor through three, the correctors through three and four."""
    a, b, c, d = (process.at(time) for time in times)
    got = weights(record(unipc, process, (*times, 0.02), order=3))
    for row, known in ((3, solved(b, c, [c, b, a])), (4, solved(c, d, [c, b, a])), (5, solved(c, d, [d, c, b, a]))):
        assert got[row] == pytest.approx(known, abs=1e-10 * max(map(abs, known)))


@given(st.sampled_from([OUVE(), BridgeVE()]), st.tuples(st.floats(0.1, 0.9), st.floats(0.02, 0.08)))
def test_its_first_corrector_takes_half_of_each_end(process: Process, times):
    t, u = process.at(times[0]), process.at(times[0] - times[1])
    half = -u.alpha * math.expm1(t.log_snr - u.log_snr) / 2
    assert weights(record(unipc, process, (t.time, u.time, 0.01)))[1] == pytest.approx([half, half], rel=1e-12)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [1, 2, 2, 3, 2, 3, 2, 3, 2]),
        ({"order": 3}, [1, 2, 2, 3, 3, 4, 3, 4, 3]),
        ({"compat": "lower-order-end"}, [1, 2, 2, 3, 2, 3, 2, 3, 1]),
        ({"order": 3, "compat": "lower-order-end"}, [1, 2, 2, 3, 3, 4, 2, 3, 1]),
    ],
    ids=str,
)
def test_it_goes_through_so_many_estimates(options: dict, counts: list[int], process: Process):
    """Of predictors and correctors in turn, from the first step on."""
    plan = record(unipc, process, (0.9, 0.7, 0.5, 0.3, 0.1, 0.05), **options)
    assert [len(row) for row in weights(plan)] == counts


def test_its_history_begins_after_a_bridge_s_start():
    assert [len(row) for row in weights(record(unipc, BridgeVE(), (1.0, 0.8, 0.6, 0.4)))] == [1, 1, 2, 2]


def test_it_calls_the_network_once_a_step(process: Process):
    for steps in (1, 2, 6):
        assert record(unipc, process, linear(process, steps)).evaluations == steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 4}, "solver 'unipc': order is 4, expected one of 2, 3"),
        ({"compat": "yes"}, "solver 'unipc': compat is 'yes', expected one of 'none', 'lower-order-end'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(unipc, OUVE(), linear(OUVE(), 3), **options)
    assert str(caught.value) == message
