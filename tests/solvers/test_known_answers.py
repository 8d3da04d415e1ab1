"""Figures that were worked out independently: coefficients by hand-made rows, ends of walks by affine propagation, errors
by direct formulas of each method. All walks go from time 1 to the state at 0.03."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.processes import OUVE, BridgeVE
from sgaudio.solvers import SOLVERS, Plan, record
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Sum

FIVE = (1.0, 0.806, 0.612, 0.418, 0.224, 0.03)
ouve, bridge = OUVE(), BridgeVE()


def nine(*digits: float):
    return pytest.approx(digits, abs=6e-10)


def sums(plan: Plan) -> list[dict[int, float]]:
    return [dict(row.terms) for row in plan.rows if isinstance(row, Sum)]


def made_by(plan: Plan, kind: type) -> list[int]:
    return [row.into for row in plan.rows if isinstance(row, kind)]


def test_ddim_on_ouve_has_the_known_rows():
    plan = record(SOLVERS["ddim"], ouve, FIVE)
    states = [START, *made_by(plan, Sum)]
    rows = [(row[state], row[NOISY], row[data]) for row, state, data in zip(sums(plan), states, made_by(plan, Call), strict=False)]
    assert rows == [
        nine(0.639197215, 0.204931336, 0.155871449),
        nine(0.637376617, 0.153560638, 0.209062744),
        nine(0.629280097, 0.087810090, 0.282909812),
        nine(0.591017838, 0.010076042, 0.398906119),
        nine(0.319482297, -0.047170348, 0.727688050),
    ]


def test_ancestral_sampling_on_ouve_has_the_known_rows():
    plan = record(SOLVERS["ddim"], ouve, FIVE, eta=1.0)
    rows, data, noise, states = sums(plan), made_by(plan, Call), made_by(plan, Draw), [START, *made_by(plan, Sum)]
    for index, known in (
        (0, nine(0.305414783, 0.464236841, 0.230348376, 0.218418141)),
        (4, nine(0.076298132, 0.022228794, 0.901473074, 0.018285239)),
    ):
        assert tuple(rows[index][register] for register in (states[index], NOISY, data[index], noise[index])) == known


def test_dpmpp_2m_on_ouve_has_the_known_last_row():
    plan = record(SOLVERS["dpmpp-2m"], ouve, FIVE)
    *_, before, last = made_by(plan, Call)
    assert (sums(plan)[-1][last], sums(plan)[-1][before]) == nine(1.365511882, -0.637823832)


def test_adams_on_ouve_has_the_known_rows():
    plan = record(SOLVERS["adams"], ouve, FIVE)
    rows, data = sums(plan), made_by(plan, Call)
    assert (rows[1][data[1]], rows[1][data[0]]) == nine(0.085842759, 0.070028690)
    assert (rows[2][data[1]], rows[2][data[0]]) == nine(0.319188618, -0.110125873)
    assert (rows[3][data[2]], rows[3][data[1]], rows[3][data[0]]) == nine(0.107729734, 0.115474169, -0.014141159)
    assert (rows[-1][data[4]], rows[-1][data[3]]) == nine(1.049735986, -0.322047936)


def test_adams_on_the_bridge_has_the_known_rows():
    plan = record(SOLVERS["adams"], bridge, FIVE, start="drawn")
    rows, data, states = sums(plan), made_by(plan, Call), made_by(plan, Sum)
    (hidden,) = made_by(plan, Draw)
    assert (rows[0][hidden], rows[0][NOISY], rows[0][data[0]]) == nine(0.528170396, 0.636443976, 0.363556024)
    assert (rows[1][data[1]], rows[1][data[0]]) == nine(0.193657111, 0.169898913)
    shifted = rows[2][NOISY] - rows[2][states[1]] * bridge.at(FIVE[1]).kappa  # the corrected state is kept less kappa y
    assert (rows[2][states[1]], shifted) == nine(1.011833845, -0.258466837)
    assert (rows[2][data[1]], rows[2][data[0]]) == nine(0.302116256, -0.055483264)
    assert (rows[-1][data[4]], rows[-1][data[3]]) == nine(1.246799385, -0.571951617)


@given(st.floats(0.02, 0.85), st.floats(0.02, 0.1), st.floats(1.2, 4), st.floats(0.1, 1))
def test_ddim_is_the_bridge_s_published_ode_and_sde_sampler(u: float, step: float, k: float, c: float):
    process, t = BridgeVE(k, c), u + step
    before, there, whole = (c * math.expm1(2 * math.log(k) * time) / (2 * math.log(k)) for time in (t, u, 1.0))
    left, left_there = math.sqrt(whole - before), math.sqrt(whole - there)  # the paper's sigma bar
    now, target = math.sqrt(before), math.sqrt(there)  # the paper's sigma

    ode = record(SOLVERS["ddim"], process, (t, u))
    assert sums(ode)[0] == pytest.approx(
        {
            START: target * left_there / (now * left),
            made_by(ode, Call)[0]: (left_there**2 - left * target * left_there / now) / whole,
            NOISY: (there - now * target * left_there / left) / whole,
        },
        abs=1e-12,
    )
    sde = record(SOLVERS["ddim"], process, (t, u), eta=1.0)
    row = {NOISY: 0.0} | sums(sde)[0]
    known = {
        START: there / before,
        made_by(sde, Call)[0]: 1 - there / before,
        made_by(sde, Draw)[0]: target * math.sqrt(1 - there / before),
    }
    assert row == pytest.approx({NOISY: 0.0} | known, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "offset", "gain", "noise_variance"),
    [
        ("ddim", {}, 0.127263663701, 0.398654408686, 0.0),
        ("dpmpp-2m", {}, 0.071606847120, 0.520876627118, 0.0),
        ("adams", {}, 0.087049686629, 0.486964193391, 0.0),
        ("ddim", {"eta": 1.0}, 0.283208994776, 0.056198884120, 0.017417032896),
    ],
)
def test_the_end_of_a_walk_on_ouve_is_known_to_twelve_digits(proof, name, options, offset, gain, noise_variance):
    got = proof.end(record(SOLVERS[name], ouve, FIVE, **options), ouve, 1.0, variance=0.04)
    assert (got.offset, got.gain, got.noise_variance) == pytest.approx((offset, gain, noise_variance), abs=6e-13)


def test_the_end_of_a_walk_on_the_bridge_is_known_to_twelve_digits(proof):
    drawn = proof.end(record(SOLVERS["adams"], bridge, FIVE, start="drawn"), bridge, 1.0, variance=0.04)
    mean = proof.end(record(SOLVERS["adams"], bridge, FIVE), bridge, 1.0, variance=0.04)
    assert (drawn.offset, drawn.gain) == pytest.approx((0.302048817767, 0.212300458284), abs=6e-13)
    assert (mean.offset, mean.gain) == pytest.approx((proof.moments(bridge, 0.03, 0.04)[0], 0.0), abs=1e-14)


def test_a_bridge_s_mean_start_gives_the_mean_and_its_drawn_start_gives_samples(proof):
    """On Gaussian data the mean start loses all variance; the drawn one keeps it."""
    times = proof.grid("log-snr", bridge, 50)
    mean, deviation = proof.moments(bridge, 0.03, 0.04)
    point = proof.end(record(SOLVERS["adams"], bridge, times), bridge, 1.0, variance=0.04)
    drawn = proof.end(record(SOLVERS["adams"], bridge, times, start="drawn"), bridge, 1.0, variance=0.04)
    assert (point.offset, point.gain) == pytest.approx((mean, 0.0), abs=1e-12)
    assert (drawn.offset, drawn.gain) == pytest.approx((mean, deviation), abs=1e-4)


def test_the_oracles_agree_with_their_known_values(proof):
    assert proof.moments(ouve, 1.0, 0.04) == pytest.approx((0.455373967970, math.sqrt(0.153298991120)), abs=2e-12)
    assert proof.moments(ouve, 0.03, 0.04) == pytest.approx((0.308800503633, math.sqrt(0.036911820075)), abs=2e-12)
    assert proof.moments(bridge, 0.03, 0.04)[1] == pytest.approx(0.226735093014, abs=1e-12)


def test_the_end_of_a_walk_on_the_mixture_is_known(proof):
    mixture = proof.Mixture(ouve)
    for got, known in (
        (mixture.quantile(1.0), (-0.418220969, -0.176128747, 0.065970647, 0.307887696, 0.549454244, 0.790542044)),
        (mixture.quantile(0.03), (-0.505463069, -0.387256390, -0.142025788, 0.428478709, 0.570963879, 0.690014064)),
        (mixture.walk(SOLVERS["adams"], FIVE), (-0.506962496, -0.395865883, -0.114684891, 0.437394350, 0.575118880, 0.690331175)),
    ):
        torch.testing.assert_close(got, torch.tensor(known, dtype=torch.float64), rtol=0, atol=6e-10)


CELLS = """
ouve  linear  ddim                                   gauss 5.0e-02 2.6e-02 1.3e-02  mixture 7.7e-02 3.9e-02 1.9e-02
ouve  linear  dpmpp-2m                               gauss 1.3e-02 4.2e-03 1.1e-03  mixture 2.3e-02 5.8e-03 1.9e-03
ouve  linear  adams                                  gauss 4.6e-03 1.2e-03 2.1e-04  mixture 1.2e-02 2.3e-03 6.8e-04
ouve  linear  adams predictor=3 corrector=0          gauss 7.6e-03 1.1e-03 2.7e-04  mixture 1.8e-02 5.5e-03 9.3e-04
ouve  linear  adams predictor=3 corrector=4          gauss 4.6e-03 5.6e-04 1.1e-04  mixture 3.9e-03 4.5e-03 2.4e-04
ouve  linear  adams coordinate=log_snr               gauss 3.2e-02 4.9e-03 8.2e-04  mixture 3.5e-02 4.6e-03 1.0e-03
ouve  linear  adams coordinate=sigma                 gauss 4.6e-03 1.1e-03 2.0e-04  mixture 1.7e-02 2.6e-03 7.3e-04
ouve  log-snr ddim                                   gauss 5.6e-02 3.0e-02 1.5e-02  mixture 8.8e-02 4.7e-02 2.3e-02
ouve  log-snr dpmpp-2m                               gauss 2.2e-03 2.2e-03 6.4e-04  mixture 3.4e-02 8.0e-03 2.0e-03
ouve  log-snr adams                                  gauss 5.4e-03 2.0e-04 4.3e-05  mixture 2.7e-02 5.4e-03 8.7e-04
ouve  log-snr adams predictor=2 corrector=0 coordinate=log_snr gauss 1.4e-02 5.0e-03 1.3e-03 mixture 3.7e-02 8.2e-03 1.9e-03
ouve  angle   adams                                  gauss 2.2e-02 9.9e-03 3.6e-03  mixture 5.5e-02 2.0e-02 8.3e-03
bridge-ve linear  ddim                                  gauss 5.8e-02 3.2e-02 1.7e-02  mixture 7.8e-02 4.5e-02 2.7e-02
bridge-ve linear  dpmpp-2m                              gauss 1.1e-02 3.3e-03 2.2e-03  mixture 4.4e-02 2.1e-02 5.2e-03
bridge-ve linear  adams                                 gauss 8.9e-03 3.3e-03 9.1e-04  mixture 3.7e-02 1.6e-02 2.7e-03
bridge-ve linear  adams predictor=3 corrector=4         gauss 6.3e-03 1.6e-03 3.3e-04  mixture 4.4e-02 8.8e-03 2.1e-03
bridge-ve linear  adams coordinate=log_snr              gauss 5.9e-03 1.3e-03 1.4e-03  mixture 5.8e-02 1.9e-02 2.4e-03
bridge-ve linear  adams coordinate=sigma                gauss 2.0e-02 6.5e-03 2.8e-03  mixture 3.6e-02 2.0e-02 5.5e-03
bridge-ve log-snr ddim                                  gauss 8.5e-02 4.1e-02 2.0e-02  mixture 1.2e-01 5.9e-02 3.2e-02
bridge-ve log-snr dpmpp-2m                              gauss 2.8e-02 2.7e-03 8.2e-04  mixture 4.9e-02 2.0e-02 5.1e-03
bridge-ve log-snr adams                                 gauss 2.0e-02 2.2e-03 2.1e-04  mixture 4.3e-02 1.6e-02 1.7e-03
bridge-ve angle   adams                                 gauss 1.4e-02 4.8e-03 1.1e-03  mixture 4.0e-02 2.4e-02 4.7e-03
ouve  linear  ddim eta=1.0                           moments 8.5e-02 5.0e-02 2.7e-02
ouve  log-snr ddim eta=0.5                           moments 6.3e-02 3.5e-02 1.9e-02
ouve  linear  adams noise_level=1.0                  moments 8.6e-03 6.1e-03 1.8e-03
ouve  linear  adams noise_level=0.25                 moments 5.9e-03 2.1e-03 4.5e-04
ouve  log-snr adams corrector=0 coordinate=log_snr noise_level=0.25 moments 2.2e-02 8.3e-03 2.1e-03
bridge-ve linear  ddim eta=1.0                          moments 8.3e-02 5.1e-02 2.9e-02
bridge-ve linear  adams noise_level=1.0                 moments 2.7e-02 1.6e-02 6.0e-03
bridge-ve linear  adams noise_level=0.25                moments 1.3e-02 5.9e-03 1.8e-03
bridge-ve log-snr adams noise_level=0.25                moments 2.9e-02 3.3e-03 4.2e-04
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: " ".join(re.split(" gauss| moments", line)[0].split()))
def test_errors_at_5_10_and_20_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)
