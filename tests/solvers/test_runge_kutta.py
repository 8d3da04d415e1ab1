"""Runge-Kutta methods: each tableau by Butcher's order conditions, the routine by the textbook, published ends and known errors."""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import DDPM, OUVE, PROCESSES, VP, BridgeVE, FlowSE, Process, RectifiedFlow
from sgaudio.solvers import GRIDS, SOLVERS, linear, record, sample
from sgaudio.solvers.plan import Call
from sgaudio.solvers.runge_kutta import TABLEAUS, Tableau

GOLDEN = Path(__file__).parents[1] / "golden" / "openvpi_reflow.npz"
NAMED = ["euler", "midpoint", "heun", "rk4", "runge-kutta"]
Velocity = Callable[[torch.Tensor, float], torch.Tensor]
Tree = tuple  # of the trees that grow from its root

tableaus = pytest.mark.parametrize("name", TABLEAUS)
processes = pytest.mark.parametrize("process", [PROCESSES[name]() for name in PROCESSES], ids=PROCESSES)


def trees(order: int) -> list[Tree]:
    """The rooted trees of so many vertices."""
    return sorted({tuple(sorted(forest)) for forest in forests(order - 1)})


def forests(vertices: int) -> Iterator[Tree]:
    if not vertices:
        yield ()
    for size in range(1, vertices + 1):
        for first, rest in itertools.product(trees(size), forests(vertices - size)):
            yield (first, *rest)


def vertices(tree: Tree) -> int:
    return 1 + sum(map(vertices, tree))


def density(tree: Tree) -> int:
    return vertices(tree) * math.prod(map(density, tree))


def meets(stages: list[list[Fraction]], weights: list[Fraction], order: int) -> bool:
    """Butcher's conditions for one order: sum_j b_j Phi_j(tree) = 1 / density(tree) for all trees of so many vertices."""

    def grown(tree: Tree) -> list[Fraction]:
        branches = [[sum((a * g for a, g in zip(row, grown(branch), strict=False)), Fraction(0)) for row in stages] for branch in tree]
        return [math.prod((branch[stage] for branch in branches), start=Fraction(1)) for stage in range(len(stages))]

    return all(sum(b * g for b, g in zip(weights, grown(tree), strict=True)) == Fraction(1, density(tree)) for tree in trees(order))


def exact(numbers: tuple[float, ...]) -> list[Fraction]:
    """The fractions that the numbers are."""
    fractions = [Fraction(number).limit_denominator(400_000) for number in numbers]
    assert [float(fraction) for fraction in fractions] == list(numbers)
    return fractions


def walk(name: str, process: Process, times, denoise: Velocity, x: torch.Tensor, noisy: torch.Tensor | None = None, **options):
    return sample(record(SOLVERS[name], process, times, **options), denoise, x, noisy)


def textbook(tableau: Tableau, velocity: Velocity, x: torch.Tensor, times) -> torch.Tensor:
    for t, u in pairwise(times):
        slopes = list[torch.Tensor]()
        for node, row in zip(tableau.nodes, tableau.stages, strict=True):
            inner = x + (u - t) * sum(a * k for a, k in zip(row, slopes, strict=True))
            slopes.append(velocity(inner, t + node * (u - t)))
        x = x + (u - t) * sum(b * k for b, k in zip(tableau.weights, slopes, strict=True))
    return x


def from_velocity(velocity: Velocity) -> Velocity:
    """The clean estimate of a rectified flow's network: x = (1 - t) x_0 + t n and v = n - x_0, so that x_0 = x - t v."""
    return lambda x, t: x - t * velocity(x, t)


def drift(x: torch.Tensor, t: float) -> torch.Tensor:
    return torch.sin(3 * x) + t * t


def test_there_are_as_many_rooted_trees_as_cayley_counted():
    assert [len(trees(order)) for order in range(1, 7)] == [1, 1, 2, 4, 9, 20]


@tableaus
def test_a_tableau_meets_butcher_s_conditions_up_to_its_order_and_no_further(name: str):
    tableau = TABLEAUS[name]
    stages, weights = [exact(row) for row in tableau.stages], exact(tableau.weights)
    assert [sum(row) for row in stages] == exact(tableau.nodes)
    assert [meets(stages, weights, order) for order in range(1, tableau.order + 2)] == [True] * tableau.order + [False]


@pytest.mark.parametrize("name", ["bogacki-shampine", "dormand-prince"])
def test_an_embedded_method_is_of_one_order_less(name: str):
    tableau = TABLEAUS[name]
    stages = [exact(row) for row in (*tableau.stages, tableau.weights)]
    met = [meets(stages, exact(tableau.lower), order) for order in range(1, tableau.order + 1)]
    assert met == [True] * (tableau.order - 1) + [False]


def test_a_tableau_that_is_none_is_refused_in_one_line():
    for change, message in (
        ({"nodes": (0, 1, 1)}, "Tableau: 2 weights, 3 nodes and rows of [0, 1], expected rows of 0, 1, 2 ... to a weight"),
        ({"stages": ((), (1, 0))}, "Tableau: 2 weights, 2 nodes and rows of [0, 2], expected rows of 0, 1, 2 ... to a weight"),
        ({"lower": (1,)}, "Tableau: 1 lower weights, expected 2 or 3"),
        ({"nodes": (0, 0.5)}, "Tableau: the coefficients of row 1 sum to 1, expected 0.5"),
        ({"weights": (0.5, 0.25)}, "Tableau: the weights sum to 0.75, expected 1"),
        ({"lower": (1, 1)}, "Tableau: the lower weights sum to 2, expected 1"),
        ({"nodes": (0, 2)}, "Tableau: nodes is (0, 2), expected 0 to 1"),
        ({"order": 0}, "Tableau: order is 0, expected 1 to 20"),
    ):
        with pytest.raises(ConfigError) as error:
            Tableau(**{"nodes": (0, 1), "stages": ((), (1,)), "weights": (0.5, 0.5), "order": 2} | change)
        assert str(error.value) == message


def test_an_option_that_is_wrong_is_refused_in_one_line():
    for options, message in (
        ({"tableau": "dormand-price"}, "unknown tableau 'dormand-price': did you mean 'dormand-prince'?"),
        ({"tableau": 4}, "solver 'runge-kutta': tableau is 4, expected str or Tableau"),
        ({"coordinate": "angle"}, "solver 'runge-kutta': coordinate is 'angle', expected one of 'time', 'sigma'"),
    ):
        with pytest.raises(ConfigError) as error:
            record(SOLVERS["runge-kutta"], OUVE(), (1.0, 0.0), **options)
        assert str(error.value) == message


@tableaus
def test_on_a_rectified_flow_each_is_the_textbook_s_method(name: str):
    x, times = torch.linspace(-2, 2, 9, dtype=torch.float64), (1.0, 0.7, 0.45, 0.3, 0.1)
    got = walk("runge-kutta", RectifiedFlow(), times, from_velocity(drift), x, tableau=name)
    torch.testing.assert_close(got, textbook(TABLEAUS[name], drift, x, times), rtol=0, atol=1e-12)


def test_a_tableau_of_one_s_own_is_walked():
    x, times = torch.linspace(-2, 2, 9, dtype=torch.float64), (1.0, 0.6, 0.1)
    third = Tableau((0, 1 / 3, 2 / 3), ((), (1 / 3,), (0, 2 / 3)), (1 / 4, 0, 3 / 4), order=3)  # Heun's of third order
    got = walk("runge-kutta", RectifiedFlow(), times, from_velocity(drift), x, tableau=third)
    torch.testing.assert_close(got, textbook(third, drift, x, times), rtol=0, atol=1e-12)


@pytest.mark.parametrize("process", [RectifiedFlow(), FlowSE()], ids=["rectified-flow", "flowse"])
def test_euler_along_a_straight_line_is_ddim(process: Process):
    x, noisy, times = torch.linspace(-2, 2, 9, dtype=torch.float64), torch.ones(9, dtype=torch.float64), (1.0, 0.7, 0.45, 0.1, 0.0)
    ddim = walk("ddim", process, times, drift, x, noisy)
    torch.testing.assert_close(walk("euler", process, times, drift, x, noisy), ddim, rtol=0, atol=1e-12)


@processes
def test_euler_in_sigma_is_ddim(process: Process):
    noisy = torch.linspace(-2, 2, 9, dtype=torch.float64)
    times, options = linear(process, 6), {"coordinate": "sigma"}
    ddim = walk("ddim", process, times, drift, noisy, noisy)
    torch.testing.assert_close(walk("euler", process, times, drift, noisy, noisy, **options), ddim, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", ["full", "shallow0.4"])
@pytest.mark.parametrize(("published", "name"), [("euler", "euler"), ("rk2", "midpoint"), ("rk4", "rk4"), ("rk5", "rk5")])
def test_the_published_sampler_of_rectified_flow_is_reproduced(published: str, name: str, depth: str):
    """Euler from end to end; the others up to their last step, which is a plain estimate here and is taken by the textbook."""
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN).items()}

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        return -torch.tanh(0.7 * x + 0.3 * golden["condition"] + 1 - t)  # their time is 1 less ours

    first = 1.0 if depth == "full" else 0.6
    start = (1 - first) * (golden["source"] / 6 + 1) + first * golden["noise"]
    times = GRIDS["even"](RectifiedFlow(), 10, first=first)
    if published == "euler":
        got = walk("euler", RectifiedFlow(), times, from_velocity(velocity), start)
    else:
        got = walk("runge-kutta", RectifiedFlow(), times[:-1], from_velocity(velocity), start, tableau=name)
        got = textbook(TABLEAUS[name], velocity, got, times[-2:])
    torch.testing.assert_close(6 * got - 6, golden[f"{published}_{depth}"], rtol=0, atol=1e-12)


@processes
@pytest.mark.parametrize("coordinate", ["time", "sigma"])
def test_a_step_to_time_zero_is_the_plain_estimate(process: Process, coordinate: str):
    for name in NAMED:
        plan = record(SOLVERS[name], process, (0.4, 0.2, 0.0), coordinate=coordinate)
        assert plan.rows[-1] == Call(plan.result, plan.rows[-1].reads[0], 0.2, 1)


@pytest.mark.parametrize("start", ["mean", "drawn"])
def test_the_step_from_a_start_without_a_slope_is_ddim_s(start: str):
    for process, coordinate in ((BridgeVE(), "time"), (BridgeVE(), "sigma"), (RectifiedFlow(), "sigma")):
        ddim = record(SOLVERS["ddim"], process, (1.0, 0.6), start=start)
        for name in NAMED:
            assert record(SOLVERS[name], process, (1.0, 0.6), start=start, coordinate=coordinate) == ddim


@processes
@pytest.mark.parametrize("coordinate", ["time", "sigma"])
def test_it_is_finite_from_any_start_on_any_grid(process: Process, coordinate: str):
    noisy = torch.linspace(-2, 2, 9, dtype=torch.float64)
    for name, kind, steps in itertools.product(TABLEAUS, ("linear", "cosine", "log-snr", "angle"), (1, 2, 3, 9)):
        got = walk("runge-kutta", process, GRIDS[kind](process, steps), drift, noisy, noisy, tableau=name, coordinate=coordinate)
        assert got.isfinite().all()


def test_a_step_costs_an_evaluation_a_slope_and_buffers_do_not_grow():
    for name, evaluations in (("euler", 1), ("heun", 2), ("bogacki-shampine", 3), ("rk4", 4), ("rk5", 6), ("dormand-prince", 6)):
        few, many = (record(SOLVERS["runge-kutta"], OUVE(), linear(OUVE(), steps), tableau=name) for steps in (5, 9))
        assert (few.evaluations, many.evaluations) == (4 * evaluations + 1, 8 * evaluations + 1)
        assert few.buffers == many.buffers <= evaluations + 1


ORDERS = [
    *[(OUVE(), 1.0, name, "time") for name in ("euler", "midpoint", "heun", "ralston", "bogacki-shampine", "rk4")],
    *[(process, 0.97, name, "time") for process in (BridgeVE(), RectifiedFlow()) for name in ("heun", "bogacki-shampine", "rk4")],
    *[(process, 0.97, name, "sigma") for process in (OUVE(), BridgeVE()) for name in ("midpoint", "heun", "rk4")],
    *[(process, 1.0, name, "sigma") for process in (VP(), DDPM()) for name in ("heun", "rk4")],
]


@pytest.mark.parametrize(
    ("process", "first", "name", "coordinate"), ORDERS, ids=[f"{type(p).__name__}-{name}-{coordinate}" for p, _, name, coordinate in ORDERS]
)
def test_its_error_falls_with_its_order(proof, process: Process, first: float, name: str, coordinate: str):
    found = proof.order(SOLVERS["runge-kutta"], process, 64, first=first, tableau=name, coordinate=coordinate)
    assert found == pytest.approx(TABLEAUS[name].order, abs=0.1)


@pytest.mark.parametrize(("name", "steps"), [("rk5", 32), ("dormand-prince", 32)])
def test_the_methods_of_fifth_order_are_at_least_that(proof, name: str, steps: int):
    for process, first in ((OUVE(), 1.0), (BridgeVE(), 0.97)):
        assert proof.order(SOLVERS["runge-kutta"], process, steps, first=first, tableau=name) > 4.8


def test_on_a_chain_the_error_stops_falling_in_time_but_not_in_sigma(proof):
    chain, levels = DDPM(100, beta_max=0.06), 100
    times = [tuple(level / levels for level in range(levels, 2, -skip)) for skip in (6, 2)]
    stalled = [proof.error(SOLVERS["rk4"], chain, grid) for grid in times]
    falling = [proof.error(SOLVERS["rk4"], chain, grid, coordinate="sigma") for grid in times]
    assert all(0.1 / levels < error < 1.5 / levels for error in stalled)
    assert falling[1] < falling[0] / 20 < 1e-5


CELLS = """
ouve      linear  euler                 gauss 1.3e-01 6.9e-02 3.6e-02 1.5e-02  mixture 1.7e-01 1.0e-01 4.6e-02 1.7e-02
ouve      log-snr euler                 gauss 1.5e-01 7.8e-02 4.1e-02  mixture 1.8e-01 1.2e-01 5.5e-02
ouve      angle   euler                 gauss 1.4e-01 7.8e-02 4.2e-02  mixture 1.6e-01 1.0e-01 5.3e-02
ouve      linear  heun                  gauss 8.8e-02 6.6e-03 1.2e-03 1.8e-04  mixture 1.8e-01 1.9e-02 4.0e-03 6.2e-04
ouve      log-snr heun                  gauss 1.5e-01 9.3e-03 1.7e-03  mixture 3.3e-01 3.1e-02 5.8e-03
ouve      angle   heun                  gauss 1.5e-01 3.2e-02 8.7e-03  mixture 2.0e-01 4.9e-02 1.1e-02
ouve      linear  midpoint              gauss 6.1e-02 7.3e-03 1.6e-03 2.4e-04  mixture 6.2e-02 1.0e-02 2.7e-03 4.6e-04
ouve      log-snr midpoint              gauss 9.5e-02 1.2e-02 2.6e-03  mixture 1.1e-01 1.6e-02 4.0e-03
ouve      angle   midpoint              gauss 6.5e-02 1.2e-02 3.5e-03  mixture 1.1e-01 1.5e-02 4.5e-03
ouve      linear  runge-kutta           gauss 1.5e-01 2.4e-03 2.6e-04 1.3e-05  mixture 1.9e-01 8.2e-03 1.2e-03 7.3e-05
ouve      log-snr runge-kutta           gauss 1.5e-01 4.0e-03 4.1e-04  mixture 1.9e-01 8.5e-03 1.7e-03
ouve      angle   runge-kutta           gauss 1.5e-01 1.1e-02 2.0e-03  mixture 1.9e-01 4.1e-02 6.4e-03
ouve      linear  rk4                   gauss 4.5e-02 5.6e-03 4.2e-05 8.6e-07  mixture 1.7e-01 1.7e-02 5.7e-04 2.8e-05
ouve      log-snr rk4                   gauss 4.5e-02 8.8e-03 8.7e-05  mixture 1.7e-01 1.5e-02 1.5e-03
ouve      angle   rk4                   gauss 4.5e-02 4.2e-03 7.4e-04  mixture 1.7e-01 8.4e-02 4.1e-03
ouve      linear  heun coordinate=sigma gauss 1.7e-01 2.2e-02 5.1e-03 7.7e-04  mixture 3.0e-01 2.4e-02 5.1e-03 7.6e-04
ouve      log-snr heun coordinate=sigma gauss 2.4e-01 3.2e-02 7.2e-03  mixture 5.0e-01 3.8e-02 7.6e-03
ouve      angle   heun coordinate=sigma gauss 1.6e-01 3.6e-02 1.1e-02  mixture 1.6e-01 3.4e-02 8.4e-03
bridge-ve linear  euler                 gauss 8.7e-02 7.5e-02 6.4e-02  mixture 6.5e-02 5.7e-02 5.1e-02
bridge-ve log-snr euler                 gauss 2.8e+00 6.5e-01 2.3e-01  mixture 2.4e+00 5.2e-01 1.8e-01
bridge-ve angle   euler                 gauss 3.1e-01 2.6e-01 2.3e-01  mixture 2.7e-01 2.1e-01 1.8e-01
bridge-ve linear  heun                  gauss 1.7e-01 6.4e-02 1.6e-02  mixture 6.5e-02 2.4e-02 7.2e-03
bridge-ve log-snr heun                  gauss 1.64e+01 6.1e-01 1.3e-01  mixture 8.2e+00 2.0e-01 1.0e-01
bridge-ve angle   heun                  gauss 4.0e-01 1.3e-01 5.7e-02  mixture 1.8e-01 7.2e-02 5.1e-02
bridge-ve linear  midpoint              gauss 3.7e-02 2.0e-02 8.6e-03  mixture 4.7e-02 3.2e-02 1.5e-02
bridge-ve log-snr midpoint              gauss 7.2e-01 8.6e-02 8.4e-03  mixture 7.2e-01 4.6e-02 6.9e-03
bridge-ve angle   midpoint              gauss 3.7e-02 8.3e-03 6.1e-03  mixture 4.8e-02 2.6e-02 9.4e-03
bridge-ve linear  runge-kutta           gauss 5.9e-02 2.1e-02 1.1e-02  mixture 5.9e-02 2.6e-02 1.2e-02
bridge-ve log-snr runge-kutta           gauss 7.0e+00 4.3e-01 6.6e-02  mixture 6.9e+00 3.3e-01 5.7e-02
bridge-ve angle   runge-kutta           gauss 9.1e-02 1.8e-02 1.1e-02  mixture 5.4e-02 1.5e-02 7.8e-03
bridge-ve linear  rk4                   gauss 8.5e-02 4.0e-02 1.8e-02  mixture 7.4e-02 3.6e-02 1.6e-02
bridge-ve log-snr rk4                   gauss 5.3e+00 1.0e+00 1.2e-01  mixture 9.1e-01 2.1e-01 9.4e-02
bridge-ve angle   rk4                   gauss 1.7e-01 6.0e-02 1.6e-02  mixture 6.6e-02 1.7e-02 2.6e-03
bridge-ve linear  heun coordinate=sigma gauss 3.4e-02 1.5e-02 5.7e-03  mixture 5.5e-02 2.1e-02 6.7e-03
bridge-ve log-snr heun coordinate=sigma gauss 5.4e-01 1.0e-01 1.6e-02  mixture 1.0e+00 1.5e-01 2.0e-02
bridge-ve angle   heun coordinate=sigma gauss 8.4e-02 3.3e-02 8.6e-03  mixture 1.5e-01 4.4e-02 1.0e-02
"""


@pytest.mark.parametrize("line", CELLS.strip().splitlines(), ids=lambda line: re.split(" +gauss", line)[0])
def test_errors_at_5_10_and_20_evaluations_are_the_known_ones(proof, line: str):
    proof.check_cells(line)


@pytest.mark.parametrize(
    ("process", "name", "known"),
    [
        (OUVE(), "heun", [4, 10, 20, 50]),
        (OUVE(), "midpoint", [4, 10, 20, 50]),
        (OUVE(), "runge-kutta", [3, 9, 18, 48]),
        (OUVE(), "rk4", [4, 8, 20, 48]),
        (BridgeVE(), "heun", [5, 9, 19, 49]),
        (BridgeVE(), "midpoint", [5, 9, 19, 49]),
        (BridgeVE(), "runge-kutta", [4, 10, 19, 49]),
        (BridgeVE(), "rk4", [5, 9, 17, 49]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Process) else str(value),
)
def test_of_5_10_20_and_50_evaluations_it_uses_the_known_number(proof, process: Process, name: str, known: list[int]):
    grids = [proof.longest(SOLVERS[name], process, "linear", evaluations) for evaluations in (5, 10, 20, 50)]
    assert [record(SOLVERS[name], process, grid).evaluations for grid in grids] == known
