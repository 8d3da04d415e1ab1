import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import SOLVERS, Vector, linear, record
from sgaudio.solvers.adams import COORDINATES, integral
from sgaudio.solvers.plan import Call, Draw, Sum

steps = st.tuples(st.floats(0.02, 0.85), st.floats(0.02, 0.1)).map(lambda pair: (pair[0] + pair[1], pair[0]))
adams, ddim = SOLVERS["adams"], SOLVERS["ddim"]

CELLS = """
ouve      linear  adams corrector=0 coordinate=log_snr noise_level=1.0             moments 8.2e-2 2.8e-2 6.8e-3 1.0e-3
ouve      log-snr adams corrector=0 coordinate=log_snr noise_level=1.0             moments 5.1e-2 2.1e-2 5.2e-3 8.0e-4
ouve      angle   adams corrector=0 coordinate=log_snr noise_level=1.0             moments 2.6e-1 1.5e-1 5.3e-2 9.6e-3
ouve      linear  adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 1.2e-1 1.6e-2 4.2e-3 4.0e-4
ouve      log-snr adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 7.1e-2 5.6e-3 8.6e-4 1.1e-4
ouve      angle   adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 9.4e-1 4.9e-1 1.2e-1 9.0e-3
ouve      linear  adams corrector=0 coordinate=log_snr noise_level=0.25            moments 4.02e-2 1.12e-2 2.63e-3 4.07e-4
ouve      log-snr adams corrector=0 coordinate=log_snr noise_level=0.25            moments 2.23e-2 8.26e-3 2.09e-3 3.29e-4
ouve      angle   adams corrector=0 coordinate=log_snr noise_level=0.25            moments 1.5e-1 6.7e-2 2.1e-2 3.6e-3
bridge-ve linear  adams corrector=0 coordinate=log_snr noise_level=1.0             moments 7.0e-2 3.8e-2 1.3e-2 2.4e-3
bridge-ve log-snr adams corrector=0 coordinate=log_snr noise_level=1.0             moments 3.1e-2 1.5e-2 5.8e-3 9.3e-4
bridge-ve angle   adams corrector=0 coordinate=log_snr noise_level=1.0             moments 6.7e-2 4.4e-2 1.5e-2 2.6e-3
bridge-ve linear  adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 2.3e-1 1.0e-1 2.4e-2 2.1e-3
bridge-ve log-snr adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 6.4e-2 4.1e-2 4.1e-3 3.1e-4
bridge-ve angle   adams predictor=3 corrector=0 coordinate=log_snr noise_level=1.0 moments 2.3e-1 9.9e-2 1.7e-2 1.2e-3
bridge-ve linear  adams corrector=0 coordinate=log_snr noise_level=0.25            moments 1.96e-2 9.93e-3 2.96e-3 3.99e-4
bridge-ve log-snr adams corrector=0 coordinate=log_snr noise_level=0.25            moments 2.13e-2 7.87e-3 2.65e-3 4.16e-4
bridge-ve angle   adams corrector=0 coordinate=log_snr noise_level=0.25            moments 3.1e-2 1.8e-2 6.0e-3 1.0e-3
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


@given(steps, st.floats(0, 1))
def test_through_one_estimate_it_is_ddim_at_any_noise_level(times, eta: float):
    """The exponential step of noise level e is DDIM with exp(-2 e h) = 1 - eta^2 (1 - exp(-2 h)), h the step in log-SNR."""
    for process in (OUVE(), BridgeVE()):
        h = process.at(times[1]).log_snr - process.at(times[0]).log_snr
        level = max(0.0, -math.log1p(eta**2 * math.expm1(-2 * h)) / (2 * h))
        one = record(ddim, process, times, eta=eta)
        other = record(adams, process, times, predictor=1, corrector=0, noise_level=level)
        assert _last(other) == pytest.approx(_last(one), abs=2e-7 if eta < 1e-3 else 1e-9)


def _last(plan) -> dict[int | str, float]:
    noise = {row.into for row in plan.rows if isinstance(row, Draw)}
    row = plan.rows[-1]
    assert isinstance(row, Sum)
    terms = dict(row.terms)
    return {"noise": sum(terms.pop(register, 0.0) for register in noise)} | {register: terms.get(register, 0.0) for register in (0, 1, 2)}


def test_through_two_in_the_log_snr_it_is_the_exact_form_of_dpmpp_2m():
    """2211.01095, appendix: the integral of the linear interpolant in closed form."""
    process, times = OUVE(), (0.9, 0.6, 0.4)
    t, u = process.at(0.6), process.at(0.4)
    before, h = t.log_snr - process.at(0.9).log_snr, u.log_snr - t.log_snr
    linear_weight = u.alpha * (h + math.expm1(-h)) / before
    plan = record(adams, process, times, predictor=2, corrector=0, coordinate="log_snr")
    first, second = (row.into for row in plan.rows if isinstance(row, Call))
    row = dict(plan.rows[-1].terms)
    assert row[first] == pytest.approx(-linear_weight, rel=1e-12)
    assert row[second] == pytest.approx(-u.alpha * math.expm1(-h) + linear_weight, rel=1e-12)


@given(
    st.sampled_from([OUVE(), BridgeVE()]),
    st.lists(st.floats(0.03, 1), min_size=4, max_size=4, unique_by=lambda time: round(time, 2)).map(
        lambda times: sorted(times, reverse=True)
    ),
    st.sampled_from(sorted(COORDINATES)),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_its_weights_integrate_a_constant_and_the_coordinate_s_polynomials(process: Process, times, coordinate: str, level: float):
    """A constant is integrated to its closed form; polynomials in the coordinate as a fine quadrature integrates them."""
    nodes = [process.at(time) for time in times]
    if nodes[0].ratio == 0 and coordinate != "angle":
        return
    *known, t, u = nodes
    place = COORDINATES[coordinate][0]
    stencil = [t, *reversed(known)]
    weights = integral(t, u, [(node, Vector({index: 1.0})) for index, node in enumerate(stencil)], coordinate, level).terms  # pyright: ignore
    assert sum(weights.values()) == pytest.approx(u.ratio - t.ratio * (t.ratio / u.ratio) ** level, rel=1e-9)

    points, shares = np.polynomial.legendre.leggauss(200)
    q = t.ratio + (u.ratio - t.ratio) * ((points + 1) / 2) ** 4
    density = 2 * (u.ratio - t.ratio) * ((points + 1) / 2) ** 3 * shares * (1 + level) * (q / u.ratio) ** level
    middle = place(u.ratio)
    for power in (1, 2):
        exact = float(density @ (place(q) - middle) ** power)
        got = sum(weights.get(index, 0.0) * (place(node.ratio) - middle) ** power for index, node in enumerate(stencil))
        size = sum(abs(weight) for weight in weights.values()) * max(abs(place(node.ratio) - middle) ** power for node in stencil)
        assert got == pytest.approx(exact, abs=1e-8 * size)


@pytest.mark.parametrize("level", [0.25, 1.0, 2.0])
def test_any_noise_level_keeps_the_marginals(proof, level: float, process: Process):
    assert proof.wasserstein(adams, process, proof.grid("log-snr", process, 200), noise_level=level) < 1e-4


def test_it_calls_the_network_once_a_step_and_draws_once_a_step_if_stochastic(process: Process):
    for count in (1, 2, 6):
        grid = (*linear(process, count)[:-1], 0.01)
        assert record(adams, process, grid).evaluations == count
        assert record(adams, process, grid).draws == ()
        assert record(adams, process, grid, noise_level=0.5).draws == tuple((step, "step", 0) for step in range(count))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predictor": 0}, "solver 'adams': predictor is 0, expected 1 to 4"),
        ({"corrector": 6}, "solver 'adams': corrector is 6, expected 0 to 5"),
        ({"coordinate": "time"}, "solver 'adams': coordinate is 'time', expected one of 'angle', 'log_snr', 'sigma'"),
        ({"noise_level": -1.0}, "solver 'adams': noise_level is -1.0, expected 0 to 4"),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(adams, OUVE(), linear(OUVE(), 3), **options)
    assert str(caught.value) == message
