import math

import numpy as np
import pytest

from sgaudio.errors import ConfigError
from sgaudio.processes import DDPM, OUVE, ResShift
from sgaudio.solvers import SOLVERS, linear, record
from sgaudio.solvers.ddim import ancestral_deviation
from sgaudio.solvers.plan import START, Call, Draw, Plan, Sum

OURS = DDPM(steps=100, beta_max=0.06)
SHIFT = ResShift()


def rows_of(plan: Plan) -> list[tuple[float, float, float]]:
    """For each row that draws: its coefficients of state, estimate and noise; it has no others."""
    state, rows = START, []
    calls, draws = ([row.into for row in plan.rows if isinstance(row, kind)] for kind in (Call, Draw))
    for data, noise, row in zip(calls, draws, (row for row in plan.rows if isinstance(row, Sum)), strict=False):
        terms = dict(row.terms)
        rows.append((terms.pop(state), terms.pop(data), terms.pop(noise)))
        assert sum(map(abs, terms.values())) < 1e-15
        state = row.into
    return rows


def chain(steps: int) -> list[float]:
    return [level / steps for level in range(steps, -1, -1)]


def test_ddpm_on_its_whole_chain_is_the_posterior_in_betas():
    """2006.11239, eqs. 6 and 7."""
    betas = np.linspace(1e-4, 0.06, 100)
    left = np.cumprod(1 - betas)  # alpha-bar
    known = [
        (
            math.sqrt(1 - betas[n]) * (1 - left[n - 1]) / (1 - left[n]),
            math.sqrt(left[n - 1]) * betas[n] / (1 - left[n]),
            math.sqrt(betas[n] * (1 - left[n - 1]) / (1 - left[n])),
        )
        for n in range(99, 0, -1)
    ]
    plan = record(SOLVERS["ddpm"], OURS, chain(100))
    np.testing.assert_allclose(rows_of(plan), known, rtol=0, atol=1e-12)
    assert isinstance(plan.rows[-1], Call)


def test_ddpm_is_ddim_with_all_its_noise_fresh(process):
    assert record(SOLVERS["ddpm"], process, linear(process, 5)) == record(SOLVERS["ddim"], process, linear(process, 5), eta=1.0)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddim_is_the_exact_step_of_the_reverse_diffusion_at_the_noise_level_that_draws_as_much(proof, eta: float):
    """Its estimate held; equal at 0 and 1, and for the others by e = -log(1 - eta^2 (1 - exp(-2h))) / 2h."""
    process, times = OUVE(), (0.7, 0.4)
    length = process.at(0.4).log_snr - process.at(0.7).log_snr
    level = -math.log(1 + eta**2 * math.expm1(-2 * length)) / (2 * length)
    held = record(SOLVERS["ddim"], process, times, eta=eta)
    exact = record(SOLVERS["adams"], process, times, predictor=1, corrector=0, noise_level=level)
    for variance in proof.VARIANCES:
        one, other = (proof.end(plan, process, 0.7, variance) for plan in (held, exact))
        assert (one.offset, one.gain, one.noise_variance) == pytest.approx((other.offset, other.gain, other.noise_variance), abs=1e-14)


def test_resshift_on_its_whole_chain_is_its_posterior():
    """2307.12348: the mean is eta'/eta x + (1 - eta'/eta) x_0, the variance kappa^2 (eta - eta') eta'/eta."""
    eta = [(0.02 * (0.99 / 0.02) ** ((n / 14) ** 0.3)) ** 2 for n in range(15)]
    known = [
        (eta[n - 1] / eta[n], 1 - eta[n - 1] / eta[n], 2 * math.sqrt((eta[n] - eta[n - 1]) * eta[n - 1] / eta[n])) for n in range(14, 0, -1)
    ]
    plan = record(SOLVERS["resshift"], SHIFT, chain(15))
    np.testing.assert_allclose(rows_of(plan), known, rtol=0, atol=1e-12)
    assert isinstance(plan.rows[-1], Call)


def test_resshift_draws_a_known_share_of_what_ancestral_sampling_draws():
    noises = {target: row[2] for target, row in zip(range(14, 0, -1), rows_of(record(SOLVERS["resshift"], SHIFT, chain(15))), strict=True)}
    shares = [noises[n] / ancestral_deviation(SHIFT.at((n + 1) / 15), SHIFT.at(n / 15)) for n in (1, 5, 14)]
    assert shares == pytest.approx([0.9996, 0.9198, 0.3993], abs=6e-5)


def test_resshift_converges_on_its_process(proof):
    assert proof.order(SOLVERS["resshift"], SHIFT) == pytest.approx(1, abs=0.1)


def test_resshift_is_refused_on_another_process():
    with pytest.raises(ConfigError) as caught:
        record(SOLVERS["resshift"], OUVE(), (1.0, 0.0))
    assert str(caught.value) == (
        "solver 'resshift' on OUVE: its posterior is that of ResShift's own chain: use 'ddpm', or 'ddim' with an eta between 0 and 1"
    )


@pytest.mark.parametrize(
    "line",
    [
        "ouve linear ddpm moments 8.5e-2 5.0e-2 2.7e-2 1.2e-2",
        "ouve log-snr ddpm moments 9.4e-2 5.5e-2 3.0e-2 1.3e-2",
        "ouve angle ddpm moments 8.8e-2 5.6e-2 3.4e-2 1.6e-2",
        "bridge-ve linear ddpm moments 8.3e-2 5.1e-2 2.9e-2 1.3e-2",
        "bridge-ve log-snr ddpm moments 1.2e-1 7.1e-2 3.7e-2 1.5e-2",
        "bridge-ve angle ddpm moments 1.0e-1 6.3e-2 3.6e-2 1.6e-2",
    ],
)
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)
