import math

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process, RectifiedFlow, sde
from sgaudio.solvers import SOLVERS, Plan, linear, record, sample
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Sum

OURS = ("euler-maruyama", "reverse-diffusion", "stochastic-heun")
BRIDGE, FLOW = BridgeVE(), RectifiedFlow()


def coefficients(plan: Plan) -> dict[str, float]:
    """Of the one row of a plan of one step; 0 for what it does not read."""
    (row,) = (row for row in plan.rows if isinstance(row, Sum))
    names = {START: "x", NOISY: "y"} | {row.into: "clean" if isinstance(row, Call) else "noise" for row in plan.rows}
    return dict.fromkeys(("x", "y", "clean", "noise"), 0.0) | {names[register]: coefficient for register, coefficient in row.terms}


def ends(plan: Plan, seed: int = 0) -> torch.Tensor:
    """Where a plan ends from a random start, on a network that is not affine."""
    generator = torch.Generator().manual_seed(seed)
    noisy, start = torch.randn(2, 50, dtype=torch.float64, generator=generator)
    noises = {key: torch.randn(50, dtype=torch.float64, generator=generator) for key in plan.draws}
    return sample(plan, lambda x, time: torch.sin(3 * x) + time, noisy if plan.bridge else start, noisy, lambda *key: noises[key])


@pytest.mark.parametrize(("first", "last"), [(0.8, 0.5), (0.1, 0.03)])
@pytest.mark.parametrize("noise_level", [0.0, 0.5, 1.0, 4.0])
def test_a_step_is_that_of_the_reverse_diffusion(process: Process, first: float, last: float, noise_level: float):
    node, (rate, pull, diffusion), length = process.at(first), sde(process, first), first - last
    strength = (1 + noise_level) / 2 * (diffusion / node.sigma) ** 2  # of the score -(x - kappa y - alpha clean) / sigma^2
    known = {
        "x": 1 - length * (rate + strength),
        "y": -length * (pull - strength * node.kappa),
        "clean": length * strength * node.alpha,
        "noise": math.sqrt(noise_level * length) * diffusion,
    }
    got = coefficients(record(SOLVERS["euler-maruyama"], process, (first, last), noise_level=noise_level))
    assert got == pytest.approx(known, abs=1e-12)


def test_with_all_noise_an_euler_maruyama_step_is_reverse_diffusion_s(process: Process):
    grid = linear(process, 6)
    one, other = (record(SOLVERS[name], process, grid) for name in ("euler-maruyama", "reverse-diffusion"))
    torch.testing.assert_close(ends(one), ends(other), rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", ["mean", "drawn"])
def test_without_noise_euler_maruyama_is_euler_on_the_probability_flow(process: Process, start: str):
    grid = linear(process, 6)
    quiet = record(SOLVERS["euler-maruyama"], process, grid, noise_level=0.0, start=start)
    euler = record(SOLVERS["euler"], process, grid, start=start)
    assert quiet.draws == euler.draws
    torch.testing.assert_close(ends(quiet), ends(euler), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("first", "last"), [(0.8, 0.5), (0.1, 0.0)])
def test_the_exact_kernel_is_reversed_as_song_writes_it(process: Process, first: float, last: float):
    """x' = (2 - F) x - C y + G^2 score + G n for the forward x_t = F x_u + C y + G n, which leads from the path at u to that at t."""
    t, u = process.at(first), process.at(last)
    F = t.alpha / u.alpha
    C, G = t.kappa - F * u.kappa, math.sqrt(t.sigma**2 - (F * u.sigma) ** 2)
    pull = (G / t.sigma) ** 2
    known = {"x": 2 - F - pull, "y": -C + pull * t.kappa, "clean": pull * t.alpha, "noise": G if last else 0.0}
    compat = "none" if last else "sgmse"  # else a step to time 0 is the clean estimate
    got = coefficients(record(SOLVERS["reverse-diffusion"], process, (first, last), discretisation="kernel", compat=compat))
    assert got == pytest.approx(known, abs=1e-12)


def test_published_walks_end_in_a_mean_and_those_of_2022_take_equal_steps_on_any_grid():
    process, grid = OUVE(), (1.0, 0.3, 0.1, 0.0)
    published = {compat: record(SOLVERS["reverse-diffusion"], process, grid, compat=compat) for compat in ("sgmse", "sgmse-2022")}
    for compat, lengths in (("sgmse", (0.7, 0.2, 0.1)), ("sgmse-2022", (1 / 3, 1 / 3, 1 / 3))):
        plan = published[compat]
        assert plan.draws == ((0, "step", 0), (1, "step", 0))
        noises = {row.into: row.step for row in plan.rows if isinstance(row, Draw)}
        drawn = {
            noises[register]: value for row in plan.rows if isinstance(row, Sum) for register, value in row.terms if register in noises
        }
        assert drawn == pytest.approx({step: sde(process, grid[step])[2] * math.sqrt(lengths[step]) for step in (0, 1)})
        data, last = next(row.into for row in reversed(plan.rows) if isinstance(row, Call)), plan.rows[-1]
        assert isinstance(last, Sum)
        known = lengths[2] * sde(process, 0.1)[2] ** 2 * process.at(0.1).alpha / process.at(0.1).sigma ** 2
        assert dict(last.terms)[data] == pytest.approx(known)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("process", [BRIDGE, FLOW], ids=["bridge-ve", "rectified-flow"])
def test_from_where_the_diffusion_is_infinite_a_step_is_ddpm_s(name: str, process: Process):
    assert record(SOLVERS[name], process, (1.0, 0.4)) == record(SOLVERS["ddpm"], process, (1.0, 0.4))
    assert record(SOLVERS[name], process, (1.0, 0.0)) == record(SOLVERS["ddpm"], process, (1.0, 0.0))


@pytest.mark.parametrize("start", ["mean", "drawn"])
def test_without_noise_it_is_ddim_s(start: str):
    quiet = record(SOLVERS["euler-maruyama"], BRIDGE, (1.0, 0.4), noise_level=0.0, start=start)
    assert quiet == record(SOLVERS["ddim"], BRIDGE, (1.0, 0.4), start=start)


def test_the_noise_of_stochastic_heun_is_one_draw_of_the_mean_variance(process: Process):
    plan = record(SOLVERS["stochastic-heun"], process, (0.8, 0.5))
    assert plan.draws == ((0, "step", 0),)
    assert plan.evaluations == 2
    (noise,) = (row.into for row in plan.rows if isinstance(row, Draw))
    inner = next(row for row in plan.rows if isinstance(row, Sum))
    variance = 0.3 * (sde(process, 0.8)[2] ** 2 + sde(process, 0.5)[2] ** 2) / 2
    assert dict(inner.terms)[noise] == pytest.approx(math.sqrt(variance))


@pytest.mark.parametrize(
    ("name", "options", "order"),
    [
        ("euler-maruyama", {}, 1),
        ("euler-maruyama", {"noise_level": 0.5}, 1),
        ("reverse-diffusion", {"discretisation": "kernel"}, 1),
        ("stochastic-heun", {}, 2),
    ],
)
@pytest.mark.parametrize(("process", "first"), [(OUVE(), 1.0), (BRIDGE, 0.97)], ids=["ouve", "bridge-ve"])
def test_mean_and_variance_converge_with_the_stated_order(proof, process: Process, first: float, name: str, options: dict, order: int):
    assert proof.order(SOLVERS[name], process, 64, first=first, **options) == pytest.approx(order, abs=0.06)


@pytest.mark.parametrize(
    "line",
    [
        "ouve linear euler-maruyama moments 3.0e-2 1.8e-2 1.1e-2 4.7e-3",
        "ouve log-snr euler-maruyama moments 2.2e-2 1.6e-2 1.0e-2 4.5e-3",
        "ouve angle euler-maruyama moments 2.1e-1 7.0e-2 2.8e-2 1.1e-2",
        "ouve linear stochastic-heun moments 6.3e-1 1.3e-2 3.8e-3 6.9e-4",
        "ouve log-snr stochastic-heun moments 7.1e-1 2.1e-2 6.0e-3 1.1e-3",
        "ouve angle stochastic-heun moments 5.5e-1 4.8e-2 1.1e-2 1.8e-3",
        "bridge-ve linear euler-maruyama moments 1.6e-1 7.3e-2 3.5e-2 1.3e-2",
        "bridge-ve log-snr euler-maruyama moments 2.7e-1 7.9e-2 3.3e-2 1.2e-2",
        "bridge-ve angle euler-maruyama moments 2.3e-1 9.0e-2 3.9e-2 1.4e-2",
        "bridge-ve linear stochastic-heun moments 9.0e-1 2.7e-1 1.1e-2 1.3e-2",
        "bridge-ve log-snr stochastic-heun moments 6.8e0 5.8e-1 4.2e-2 4.2e-3",
        "bridge-ve angle stochastic-heun moments 2.0e0 5.7e-1 2.6e-2 1.3e-2",
    ],
)
def test_errors_at_5_10_20_and_50_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("euler-maruyama", {"noise_level": 4.5}, "solver 'euler-maruyama': noise_level is 4.5, expected 0 to 4"),
        (
            "reverse-diffusion",
            {"discretisation": "exact"},
            "solver 'reverse-diffusion': discretisation is 'exact', expected one of 'interval', 'kernel'",
        ),
        (
            "reverse-diffusion",
            {"discretisation": "kernel", "compat": "sgmse-2022"},
            "solver 'reverse-diffusion' on OUVE: an exact kernel has no step of length 1/N: "
            "use discretisation 'interval', or compat 'sgmse'",
        ),
    ],
)
def test_a_wrong_option_is_refused_in_one_clear_line(name: str, options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(SOLVERS[name], OUVE(), (1.0, 0.5, 0.0), **options)
    assert str(caught.value) == message
