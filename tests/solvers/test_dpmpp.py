import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, VE, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import SOLVERS, linear, record
from sgaudio.solvers.plan import Call, Draw, Plan, Sum

THREE = st.tuples(st.floats(0.5, 0.95), st.floats(0.25, 0.45), st.floats(0.03, 0.2))

CELLS = """
ouve      linear  dpmpp-2s                  gauss 4.62e-2 9.50e-3 2.60e-3 4.41e-4  mixture 7.5e-2 1.6e-2 4.5e-3
ouve      log-snr dpmpp-2s                  gauss 4.87e-2 1.15e-2 3.19e-3  mixture 8.1e-2 2.2e-2 6.5e-3
ouve      angle   dpmpp-2s                  gauss 6.8e-2 2.1e-2 7.3e-3  mixture 1.1e-1 3.4e-2 8.3e-3
ouve      linear  dpmpp-3s                  gauss 1.59e-2 3.08e-4 1.09e-4 9.53e-6  mixture 1.1e-1 9.1e-3 1.6e-3
ouve      log-snr dpmpp-3s                  gauss 1.59e-2 1.63e-4 1.17e-4  mixture 1.1e-1 1.1e-2 2.1e-3
ouve      angle   dpmpp-3s                  gauss 1.6e-2 4.0e-3 7.5e-4  mixture 1.1e-1 2.5e-2 4.0e-3
ouve      linear  dpmpp-2m                  gauss 1.31e-2 4.19e-3 1.06e-3 1.74e-4  mixture 2.3e-2 5.8e-3 1.9e-3 3.2e-4
ouve      log-snr dpmpp-2m                  gauss 2.21e-3 2.16e-3 6.38e-4 1.07e-4  mixture 3.4e-2 8.0e-3 2.0e-3 3.3e-4
ouve      angle   dpmpp-2m                  gauss 5.9e-2 2.8e-2 9.7e-3 1.7e-3  mixture 1.1e-1 4.8e-2 1.5e-2 1.7e-3
ouve      linear  dpmpp-3m                  gauss 2.29e-2 5.14e-3 7.98e-4 7.92e-5  mixture 5.5e-2 1.8e-2 8.9e-4 7.8e-5
ouve      log-snr dpmpp-3m                  gauss 1.21e-2 2.93e-3 6.12e-4 8.65e-5  mixture 2.1e-2 5.7e-3 8.1e-4 8.4e-5
ouve      angle   dpmpp-3m                  gauss 6.5e-2 4.4e-2 1.2e-2 1.4e-3  mixture 2.6e-1 1.7e-1 4.8e-2 1.9e-3
bridge-ve linear  dpmpp-2s                  gauss 4.55e-2 2.38e-2 9.97e-3 3.31e-3  mixture 5.6e-2 3.4e-2 1.6e-2
bridge-ve log-snr dpmpp-2s                  gauss 6.48e-2 2.44e-2 5.82e-3  mixture 8.5e-2 4.0e-2 1.3e-2
bridge-ve angle   dpmpp-2s                  gauss 3.9e-2 1.8e-2 5.4e-3  mixture 5.1e-2 3.2e-2 1.4e-2
bridge-ve linear  dpmpp-3s                  gauss 5.24e-2 2.06e-2 1.07e-2 4.11e-3  mixture 6.0e-2 2.6e-2 1.2e-2
bridge-ve log-snr dpmpp-3s                  gauss 4.94e-2 8.14e-4 5.24e-5  mixture 8.7e-2 1.9e-2 3.7e-3
bridge-ve angle   dpmpp-3s                  gauss 2.0e-2 4.4e-3 1.5e-3  mixture 3.6e-2 1.5e-2 5.3e-3
bridge-ve linear  dpmpp-2m                  gauss 1.09e-2 3.27e-3 2.22e-3 1.28e-3  mixture 4.4e-2 2.1e-2 5.2e-3 1.1e-3
bridge-ve log-snr dpmpp-2m                  gauss 2.80e-2 2.71e-3 8.16e-4 8.88e-5  mixture 4.9e-2 2.0e-2 5.1e-3 6.5e-4
bridge-ve angle   dpmpp-2m                  gauss 1.1e-2 6.5e-3 2.3e-3 4.1e-4  mixture 5.1e-2 2.9e-2 6.4e-3 5.4e-4
bridge-ve linear  dpmpp-3m                  gauss 7.19e-3 9.83e-3 4.90e-3 1.71e-3  mixture 7.5e-2 2.2e-2 7.5e-3 1.3e-3
bridge-ve log-snr dpmpp-3m                  gauss 3.16e-2 8.30e-3 5.08e-4 5.36e-5  mixture 9.6e-2 1.1e-2 1.1e-3 8.6e-5
bridge-ve angle   dpmpp-3m                  gauss 3.1e-2 3.9e-3 1.4e-3 1.8e-4  mixture 1.1e-1 2.5e-2 7.3e-3 9.7e-4
ouve      linear  dpmpp-2m-sde              moments 2.60e-2 1.34e-2 3.78e-3 6.24e-4
ouve      log-snr dpmpp-2m-sde              moments 5.59e-3 7.33e-3 2.25e-3 3.76e-4
ouve      angle   dpmpp-2m-sde              moments 1.2e-1 7.3e-2 3.0e-2 6.2e-3
ouve      linear  dpmpp-2s eta=1.0          moments 9.67e-2 3.12e-2 1.01e-2 1.92e-3
ouve      log-snr dpmpp-2s eta=1.0          moments 1.11e-1 3.69e-2 1.21e-2
ouve      angle   dpmpp-2s eta=1.0          moments 1.2e-1 4.8e-2 2.1e-2
ouve      linear  dpmpp-3s eta=1.0          moments 1.02e-1 2.41e-3 5.42e-4 6.81e-5
ouve      log-snr dpmpp-3s eta=1.0          moments 1.02e-1 2.35e-3 1.10e-3
ouve      angle   dpmpp-3s eta=1.0          moments 1.0e-1 2.8e-2 8.5e-3
bridge-ve linear  dpmpp-2m-sde              moments 3.13e-2 2.11e-2 8.26e-3 1.61e-3
bridge-ve log-snr dpmpp-2m-sde              moments 5.75e-2 7.94e-3 2.17e-3 3.88e-4
bridge-ve angle   dpmpp-2m-sde              moments 2.7e-2 2.2e-2 9.2e-3 1.7e-3
bridge-ve linear  dpmpp-2s eta=1.0          moments 6.61e-2 3.35e-2 1.27e-2 3.05e-3
bridge-ve log-snr dpmpp-2s eta=1.0          moments 1.47e-1 6.30e-2 1.94e-2
bridge-ve angle   dpmpp-2s eta=1.0          moments 8.4e-2 4.6e-2 1.7e-2
bridge-ve linear  dpmpp-3s eta=1.0          moments 5.5e-2 9.1e-3 2.1e-3 2.6e-4
bridge-ve log-snr dpmpp-3s eta=1.0          moments 5.1e-2 6.0e-3 1.7e-3
bridge-ve angle   dpmpp-3s eta=1.0          moments 2.9e-2 4.8e-3 1.5e-3
ouve      linear  dpmpp-3m compat=published gauss 1.42e-2 2.49e-3 3.69e-4 3.40e-5
ouve      log-snr dpmpp-3m compat=published gauss 8.00e-3 1.51e-3 2.73e-4 3.47e-5
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


def last_row(plan: Plan) -> tuple[list[float], float]:
    """Of the row that makes the result: its coefficients of the estimates, newest first, and of the noise."""
    row = plan.rows[-1]
    assert isinstance(row, Sum)
    terms = dict(row.terms)
    calls, draws = ([made.into for made in reversed(plan.rows) if isinstance(made, kind)] for kind in (Call, Draw))
    return [terms[call] for call in calls if call in terms], sum(terms.get(draw, 0.0) for draw in draws)


def test_1s_is_ddim(process: Process):
    assert record(SOLVERS["dpmpp-1s"], process, linear(process, 5)) == record(SOLVERS["ddim"], process, linear(process, 5))


def test_2m_is_its_stochastic_form_without_noise(process: Process):
    times = linear(process, 5)
    assert record(SOLVERS["dpmpp-2m"], process, times) == record(SOLVERS["dpmpp-2m-sde"], process, times, noise_level=0.0)


@given(st.sampled_from([OUVE(), BridgeVE()]), THREE, st.sampled_from([0.0, 0.25, 1.0, 2.0]))
def test_2m_has_the_published_coefficients_at_any_noise_level(process: Process, times, level: float):
    before, t, u = (process.at(time) for time in times)
    h, ratio = u.log_snr - t.log_snr, (t.log_snr - before.log_snr) / (u.log_snr - t.log_snr)
    weight = -u.alpha * math.expm1(-(1 + level) * h)
    data, noise = last_row(record(SOLVERS["dpmpp-2m-sde"], process, times, noise_level=level))
    assert data == pytest.approx([weight * (1 + 1 / (2 * ratio)), -weight / (2 * ratio)], abs=1e-12)
    assert noise == pytest.approx(u.sigma * math.sqrt(-math.expm1(-2 * level * h)), abs=1e-12)


@given(st.sampled_from([OUVE(), BridgeVE()]), THREE, st.floats(0.2, 1.0))
def test_3m_in_closed_form_is_the_parabola_integrated_by_quadrature(process: Process, times, first: float):
    times = (0.95 + 0.05 * first, *times)
    closed, _ = last_row(record(SOLVERS["dpmpp-3m"], process, times))
    other, _ = last_row(record(SOLVERS["adams"], process, times, predictor=3, corrector=0, coordinate="log_snr"))
    assert closed == pytest.approx(other, rel=1e-9, abs=1e-12 * max(map(abs, other)))


def test_published_3m_has_half_of_the_parabola_s_square(process: Process):
    """The square's integral is that of x^2 exp(x - h) from 0 to h."""
    times = (0.9, 0.7, 0.5, 0.3)
    earliest, before, t, u = (process.at(time).log_snr for time in times)
    square = 0.5 * ((u - t) ** 2 - 2 * (u - t) - 2 * math.expm1(t - u)) * process.at(0.3).alpha
    exact, _ = last_row(record(SOLVERS["dpmpp-3m"], process, times))
    published, _ = last_row(record(SOLVERS["dpmpp-3m"], process, times, compat="published"))
    bend = [1 / ((t - before) * (t - earliest)), -1 / ((t - before) * (before - earliest)), 1 / ((before - earliest) * (t - earliest))]
    assert [more - less for more, less in zip(exact, published, strict=True)] == pytest.approx([square * part for part in bend], abs=1e-12)


@pytest.mark.parametrize(("name", "inside"), [("dpmpp-2s", 2), ("dpmpp-3s", 3)])
def test_an_s_method_evaluates_inside_of_each_step_but_the_first_of_a_bridge_and_the_last(name: str, inside: int):
    for steps in (1, 2, 6):
        assert record(SOLVERS[name], OUVE(), linear(OUVE(), steps)).evaluations == inside * (steps - 1) + 1
    assert record(SOLVERS[name], BridgeVE(), linear(BridgeVE(), 6)).evaluations == inside * 4 + 2


@pytest.mark.parametrize("name", ["dpmpp-2s", "dpmpp-3s"])
def test_an_ancestral_s_method_draws_once_a_step_and_not_in_the_last(name: str, process: Process):
    assert record(SOLVERS[name], process, linear(process, 4), eta=1.0).draws == ((0, "step", 0), (1, "step", 0), (2, "step", 0))


@pytest.mark.parametrize("name", ["dpmpp-2s", "dpmpp-3s"])
def test_an_ancestral_s_method_draws_what_ddim_draws(name: str, process: Process):
    ours, ddim = (last_row(record(SOLVERS[solver], process, (0.8, 0.4), eta=0.7))[1] for solver in (name, "ddim"))
    assert ours == pytest.approx(ddim, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"middle": 0.3}, {"middle": 1.0}], ids=str)
def test_2s_carries_its_line_to_the_middle_wherever_it_evaluates(options: dict):
    """Estimates that are linear in log-SNR give the same end."""
    process, times = OUVE(), (0.8, 0.4)
    t, u = process.at(0.8), process.at(0.4)
    plan = record(SOLVERS["dpmpp-2s"], process, times, **options)
    inner = next(process.at(row.time) for row in reversed(plan.rows) if isinstance(row, Call))
    (far, near), _ = last_row(plan)
    half = -u.alpha * math.expm1(t.log_snr - u.log_snr) * (u.log_snr - t.log_snr) / 2
    assert far * (inner.log_snr - t.log_snr) == pytest.approx(half, abs=1e-12)
    assert far + near == pytest.approx(-u.alpha * math.expm1(t.log_snr - u.log_snr), abs=1e-12)


@pytest.mark.parametrize("name", ["dpmpp-2s", "dpmpp-3s"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize(
    ("process", "times"), [(RectifiedFlow(), (1.0, 1 - 1e-12, 0.03, 0.0)), (VE(), (1.0, 0.5, 1e-6, 0.0))], ids=["rf", "ve"]
)
def test_an_s_method_is_exact_on_a_point_in_steps_of_any_length(proof, name: str, eta: float, process: Process, times):
    """Also where an ancestral step aims at a log-SNR that the process reaches at 0 only."""
    end, start, target = (
        proof.end(record(SOLVERS[name], process, times[:-1], eta=eta), process, 1.0, 0.0),
        process.at(1.0),
        process.at(times[-2]),
    )
    assert end.offset + end.gain * start.alpha * proof.MEAN == pytest.approx(target.alpha * proof.MEAN, abs=1e-12)
    assert math.hypot(end.gain * start.sigma, math.sqrt(end.noise_variance)) == pytest.approx(target.sigma, abs=1e-12)
    assert isinstance(record(SOLVERS[name], process, times, eta=eta).rows[-1], Call)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dpmpp-2s", {"middle": 0.0}, "solver 'dpmpp-2s': middle is 0.0, expected 0.01 to 1"),
        ("dpmpp-2s", {"eta": 1.5}, "solver 'dpmpp-2s': eta is 1.5, expected 0 to 1"),
        ("dpmpp-3s", {"eta": -1.0}, "solver 'dpmpp-3s': eta is -1.0, expected 0 to 1"),
        ("dpmpp-2m", {"eta": 1.0}, "solver 'dpmpp-2m' has no option 'eta': it takes none"),
        ("dpmpp-2m-sde", {"noise_level": 5.0}, "solver 'dpmpp-2m-sde': noise_level is 5.0, expected 0 to 4"),
        ("dpmpp-3m", {"compat": "pndm"}, "solver 'dpmpp-3m': compat is 'pndm', expected one of 'none', 'published'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(name: str, options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(SOLVERS[name], OUVE(), linear(OUVE(), 3), **options)
    assert str(caught.value) == message
