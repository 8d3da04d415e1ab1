import math

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import BBED, OUVE, BridgeVE, BridgeVP, BrownianBridge, Process
from sgaudio.solvers import GRIDS, SOLVERS, Plan, linear, record, sample
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Sum

BRIDGE = BridgeVE()


def rows_of(plan: Plan) -> list[tuple[float, float, float, float]]:
    """For each step its coefficients of state, estimate, noisy sound and noise."""
    state, rows = START, []
    calls, draws = ({row.step: row.into for row in plan.rows if isinstance(row, kind)} for kind in (Call, Draw))
    for step, row in enumerate(row for row in plan.rows if isinstance(row, Sum)):
        terms = dict(row.terms)
        rows.append(tuple(terms.get(register, 0.0) for register in (state, calls[step], NOISY, draws.get(step))))
        state = row.into
    return rows


@pytest.mark.parametrize("process", [BRIDGE, BridgeVP(), BBED(), BrownianBridge()], ids=lambda process: type(process).__name__)
@pytest.mark.parametrize("start", ["mean", "drawn"])
def test_on_any_bridge_they_are_ddim(process: Process, start: str):
    grid = linear(process, 4)
    for name, eta in (("bridge-ode", 0.0), ("bridge-sde", 1.0)):
        assert record(SOLVERS[name], process, grid, start=start) == record(SOLVERS["ddim"], process, grid, start=start, eta=eta)


@pytest.mark.parametrize(("t", "u"), [(0.9, 0.6), (0.5, 0.45), (0.2, 0.03)])
def test_on_the_bridge_vp_they_are_the_published_formulas_without_eps(t: float, u: float):
    """2407.16074, Table 1; those of the bridge VE are in test_known_answers."""
    least, most, c = 0.01, 20.0, 0.3
    integral, integral_u, whole = (time * least + (most - least) * time**2 / 2 for time in (t, u, 1.0))
    alpha, alpha_u, alpha_T = (math.exp(-value / 2) for value in (integral, integral_u, whole))
    sigma, sigma_u, sigma_T = (math.sqrt(c * math.expm1(value)) for value in (integral, integral_u, whole))
    bar, bar_u = (math.sqrt(c * (math.exp(whole) - math.exp(value))) for value in (integral, integral_u))

    ode = (
        alpha_u * sigma_u * bar_u / (alpha * sigma * bar),
        alpha_u / sigma_T**2 * (bar_u**2 - bar * sigma_u * bar_u / sigma),
        alpha_u / (alpha_T * sigma_T**2) * (sigma_u**2 - sigma * sigma_u * bar_u / bar),
        0.0,
    )
    left = 1 - (sigma_u / sigma) ** 2
    sde = (alpha_u * sigma_u**2 / (alpha * sigma**2), alpha_u * left, 0.0, alpha_u * sigma_u * math.sqrt(left))
    process = BridgeVP(beta_min=least, beta_max=most, c=c)
    for name, known in (("bridge-ode", ode), ("bridge-sde", sde)):
        assert rows_of(record(SOLVERS[name], process, (t, u)))[0] == pytest.approx(known, abs=1e-12)


PUBLISHED = """
5121.89875  0.320048839 -5121.17308     0.679908674 0.320091326 0.51223652
1.06577411  0.211735717 -0.277509829    0.657616596 0.342383404 0.429611921
0.900901883 0.224087766 -0.124989652    0.621357532 0.378642468 0.356127425
0.807313728 0.262277805 -0.069591536    0.556823082 0.443176918 0.287500064
0.682486001 0.357938460 -0.0404244628   0.421172342 0.578827658 0.213232771
0.0233396430 0.978147851 -0.00148749382 5.0926e-4   0.999490736 0.00632324678
"""  # ODE: state, estimate, noisy; SDE: state, estimate, noise


def test_the_published_rows_are_known():
    grid = GRIDS["even"](BRIDGE, 6, end=1e-4)
    known = [[float(number) for number in line.split()] for line in PUBLISHED.strip().splitlines()]
    ode = rows_of(record(SOLVERS["bridge-ode"], BRIDGE, grid, compat="sgmse"))
    assert [row[:3] for row in ode[1:]] == [pytest.approx(row[:3], rel=1.1e-9, abs=5.1e-10) for row in known[1:]]
    state, clean, noisy = known[0][:3]
    assert ode[0][:3] == pytest.approx((0.0, clean, state + noisy), abs=1.1e-5)  # the state is the noisy sound: nothing cancels
    sde = rows_of(record(SOLVERS["bridge-sde"], BRIDGE, grid, compat="nemo"))
    assert [(row[0] + row[2], row[1], row[3]) for row in sde] == [pytest.approx(row[3:], rel=1.1e-9, abs=5.1e-9) for row in known]


def test_sgmse_drops_the_last_noise_and_nemo_keeps_it():
    grid = GRIDS["even"](BRIDGE, 3, end=1e-4)
    draws = {compat: len(record(SOLVERS["bridge-sde"], BRIDGE, grid, compat=compat).draws) for compat in ("none", "sgmse", "nemo")}
    assert draws == {"none": 3, "sgmse": 2, "nemo": 3}


@pytest.mark.parametrize("steps", [2, 6, 50])
@pytest.mark.parametrize(("k", "c"), [(2.6, 0.4), (2.6, 0.1), (10.0, 0.01)])
def test_published_code_hides_a_part_of_the_noisy_sound_in_the_start(k: float, c: float, steps: int):
    """Its first step is the clean one from a start whose hidden noise is (1 - 1 / sigma_T) y, whatever the number of steps."""
    process = BridgeVE(k, c)
    grid = GRIDS["even"](process, steps, end=1e-4)
    ((state, data, noisy, _), *_) = rows_of(record(SOLVERS["bridge-ode"], process, grid, compat="sgmse"))
    node = process.at(grid[1])
    hidden = (state + noisy - node.kappa) / node.sigma
    assert hidden == pytest.approx(1 - 1 / math.sqrt(process.variance), abs=1e-3)
    assert data == pytest.approx(node.alpha, abs=1e-3)


def test_with_the_published_parameters_that_part_is_9_percent():
    assert 1 - 1 / math.sqrt(BRIDGE.variance) == pytest.approx(0.0893, abs=5e-5)


@pytest.mark.parametrize("name", ["bridge-ode", "bridge-sde"])
def test_the_published_walk_too_starts_in_the_noisy_sound(name: str):
    assert record(SOLVERS[name], BRIDGE, (1.0, 0.5, 1e-4), compat="sgmse").bridge


@pytest.mark.parametrize("name", ["bridge-ode", "bridge-sde"])
def test_the_published_walk_may_end_in_the_clean_estimate(name: str):
    plan = record(SOLVERS[name], BRIDGE, (1.0, 0.5, 0.0), compat="sgmse")
    noisy, estimates = torch.ones(3, dtype=torch.float64), {1.0: 5.0, 0.5: 2.0}
    got = sample(plan, lambda x, time: estimates[time] * torch.ones_like(x), noisy, noisy, lambda *key: noisy)
    torch.testing.assert_close(got, 2 * noisy, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("process", "name", "compat", "message"),
    [
        (
            OUVE(),
            "bridge-ode",
            "none",
            "solver 'bridge-ode' on OUVE: it does not start in the noisy sound itself, as a bridge does: use 'ddim' with eta=0, "
            "which is the same step",
        ),
        (
            OUVE(),
            "bridge-sde",
            "none",
            "solver 'bridge-sde' on OUVE: it does not start in the noisy sound itself, as a bridge does: use 'ddim' with eta=1, "
            "which is the same step",
        ),
        (
            BBED(),
            "bridge-sde",
            "nemo",
            "solver 'bridge-sde' on BBED: compat reproduces published code on BridgeVE only: use compat 'none'",
        ),
        (
            BridgeVP(),
            "bridge-ode",
            "sgmse",
            "solver 'bridge-ode' on BridgeVP: compat reproduces published code on BridgeVE only: use compat 'none'",
        ),
        (BRIDGE, "bridge-ode", "nemo", "solver 'bridge-ode': compat is 'nemo', expected one of 'none', 'sgmse'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_clear_line(process: Process, name: str, compat: str, message: str):
    with pytest.raises(ConfigError) as caught:
        record(SOLVERS[name], process, (1.0, 0.5, 0.0), compat=compat)
    assert str(caught.value) == message
