import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, PROCESSES, VP, BridgeVE, Process
from sgaudio.solvers import GRIDS, SOLVERS, Vector, brownian_path, keyed_noise, linear, record, sample

Key = tuple[int, str, int]


def unit(step: int, purpose: str, repeat: int) -> Vector:
    """A source whose noises are the coordinates themselves."""
    assert (purpose, repeat) == ("path", 0)
    return Vector({step: 1.0})


def increments(process: Process, grid: tuple[float, ...], **options) -> list[Vector]:
    source = brownian_path(unit, process, grid, **options)
    return [source(step, "step", 0) for step in range(len(grid) - 1)]


def product(one: Vector, other: Vector) -> float:
    return sum(coefficient * other.terms.get(node, 0.0) for node, coefficient in one.terms.items())


@pytest.mark.parametrize("which", PROCESSES)
@pytest.mark.parametrize("kind", ["linear", "log-snr"])
def test_increments_are_independent_standard_normals_of_few_draws(which: str, kind: str):
    process = PROCESSES[which]()
    noises = increments(process, GRIDS[kind](process, 50))
    for index, noise in enumerate(noises):
        assert len(noise.terms) <= 2 * 16
        assert product(noise, noise) == pytest.approx(1, abs=1e-12)
        assert max((abs(product(noise, other)) for other in noises[:index]), default=0) < 1e-12


times = st.lists(st.integers(1, 999), min_size=3, max_size=12, unique=True).map(
    lambda parts: sorted((part / 1000 for part in parts), reverse=True)
)


@given(times, st.sampled_from([OUVE(), BridgeVE(), VP()]), st.sampled_from([0.0025, 0.04, 1.0]))
def test_one_step_and_the_steps_that_it_is_cut_into_are_the_same_path(grid: list[float], process: Process, variance: float):
    (whole,) = increments(process, (grid[0], grid[-1]), variance=variance)
    parts = increments(process, tuple(grid), variance=variance)
    clock = [1 / (variance + process.at(time).ratio ** -2) for time in grid]
    weights = [product(whole, part) for part in parts]
    again = Vector()
    for weight, part in zip(weights, parts, strict=True):
        again += weight * part
    assert math.hypot(*(whole - again).terms.values(), 0.0) < 1e-12
    for weight, begin, end in zip(weights, clock, clock[1:], strict=False):
        # the parts of the clock, but for times that are read to the nearest place of the tree
        assert weight == pytest.approx(math.sqrt((end - begin) / (clock[-1] - clock[0])), abs=2e-2)


def coupled(process: Process, steps: int, noise_of, solver: str, **options) -> float:
    """Root mean square of what a walk of so many steps and one of four times as many differ by, on Gaussian data of variance 0.04.

    A state is its coordinates in (start, noisy, 1, normals), so that nothing is drawn.
    """
    variance, grids = 0.04, [GRIDS["log-snr"](process, n + 1)[:-1] for n in (steps, 4 * steps)]
    plans = [record(SOLVERS[solver], process, grid, **options) for grid in grids]
    keys = dict[tuple, int]()
    for plan, grid in zip(plans, grids, strict=True):
        source = noise_of(lambda *key: keys.setdefault(key, len(keys)) * torch.zeros(1), grid)
        for key in plan.draws:
            source(*key)
    start, noisy, one, *normals = torch.eye(3 + len(keys), dtype=torch.float64)

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        node = process.at(time)
        gain = node.alpha * variance / (node.alpha**2 * variance + node.sigma**2)
        return 0.3 * one + gain * (x - node.kappa * noisy - 0.3 * node.alpha * one)

    ends = [
        sample(plan, denoise, start, noisy, noise_of(lambda *key: normals[keys[key]], grid))
        for plan, grid in zip(plans, grids, strict=True)
    ]
    gain, of_noisy, offset, *weights = (ends[0] - ends[1]).tolist()
    first = process.at(1.0)
    mean, deviation = 0.3 * first.alpha + 0.5 * first.kappa, math.sqrt(first.alpha**2 * variance + first.sigma**2)
    return math.hypot(offset + 0.5 * of_noisy + gain * mean, gain * deviation, *weights)


def two_digits(number: float):
    return pytest.approx(number, rel=0.05 / float(f"{number:e}".partition("e")[0]) * 1.1)


@pytest.mark.parametrize(("steps", "shrunk", "plain", "independent"), [(10, 1.8e-2, 3.3e-2, 2.8e-1), (50, 8.9e-4, 5.6e-3, 2.7e-1)])
def test_a_coarse_and_a_fine_walk_stay_together_as_is_known(steps: int, shrunk: float, plain: float, independent: float):
    """On the path, in the clocks of this variance and of none; and with noise that is drawn anew for each."""
    solver = {"solver": "adams", "predictor": 2, "corrector": 0, "coordinate": "log_snr", "noise_level": 1.0}

    def path(variance: float, depth: int):
        return lambda normal, grid: brownian_path(normal, OUVE(), grid, variance=variance, depth=depth)

    assert coupled(OUVE(), steps, path(0.04, 24), **solver) == two_digits(shrunk)
    assert coupled(OUVE(), steps, path(1e-9, 24), **solver) == two_digits(plain)
    assert coupled(OUVE(), steps, path(0.04, 16), **solver) == pytest.approx(shrunk, rel=0.05)
    assert coupled(OUVE(), steps, lambda normal, grid: lambda *key: normal(len(grid), *key), **solver) == two_digits(independent)


@pytest.mark.parametrize("name", ["ddpm", "dpmpp-2m-sde"])
def test_the_same_seed_and_twice_the_steps_give_nearly_the_same_sound(name: str):
    process = OUVE()
    noisy = 0.2 * keyed_noise(3, torch.zeros(1, 1, 16, 20, dtype=torch.complex64))(0, "start")[None, None]

    def walked(steps: int, seed: int) -> torch.Tensor:
        grid = GRIDS["log-snr"](process, steps)
        keyed = keyed_noise(seed, noisy)

        def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
            node = process.at(time)
            return node.alpha * 0.04 / (node.alpha**2 * 0.04 + node.sigma**2) * (x - node.kappa * noisy)

        start = noisy + process.at(1.0).sigma * keyed(0, "start")
        return sample(record(SOLVERS[name], process, grid), denoise, start, noisy, brownian_path(keyed, process, grid))

    fine, coarse, other = walked(64, seed=1), walked(32, seed=1), walked(64, seed=2)
    near, far = ((fine - sound).abs().square().mean().sqrt() for sound in (coarse, other))
    assert float(near) < 0.06 * float(far)
    assert torch.equal(walked(32, seed=1), coarse)


def test_a_walk_from_a_bridge_s_start_to_the_clean_end_has_its_noise():
    process = BridgeVE()
    grid = linear(process, 5)
    plan = record(SOLVERS["ddim"], process, (*grid[:-1], 0.001, 0.0), eta=1.0)
    noisy = torch.ones(1, 1, 4, 3)
    source = brownian_path(keyed_noise(0, noisy), process, (*grid[:-1], 0.001, 0.0))
    assert sample(plan, lambda x, time: 0.5 * x, noisy, noisy, source).isfinite().all()
    assert source(5, "step", 0).isfinite().all()  # which no walk needs: its end is the estimate


def test_noises_that_are_no_first_draw_of_a_step_are_those_of_the_source():
    asked = list[Key]()

    def normal(*key) -> torch.Tensor:
        asked.append(key)
        return torch.zeros(1)

    source = brownian_path(normal, OUVE(), linear(OUVE(), 3))
    others = [(0, "start", 0), (1, "corrector", 2), (1, "step", 1), (7, "churn", 0)]
    for key in others:
        source(*key)
    assert asked == others
    source(1, "step", 0)
    assert {(purpose, repeat) for _, purpose, repeat in asked[len(others) :]} == {("path", 0)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variance": 0.0}, "brownian_path: variance is 0.0, expected 1e-12 to 1e+12"),
        ({"normal": 3}, "brownian_path: normal is a int, expected a function of (step, purpose, repeat)"),
        (
            {"process": OUVE},
            "brownian_path: the process is the class OUVE, expected an instance of a class like those in PROCESSES, such as OUVE()",
        ),
        ({"depth": 32}, "brownian_path: depth is 32, expected 1 to 31"),
        ({"grid": (0.3, 0.5)}, "grid: got the time 0.5 after 0.3, expected times that fall strictly, the end included"),
        (
            {"grid": (1.0, 0.5, 0.49999, 0.0)},
            "brownian_path: the times 0.5 and 0.49999 are one place in a tree of depth 10: expected a deeper one",
        ),
    ],
)
def test_a_wrong_path_is_refused_in_one_clear_line(options: dict, message: str):
    normal = keyed_noise(0, torch.zeros(1, 1, 4, 3))
    with pytest.raises(ConfigError) as caught:
        brownian_path(**{"normal": normal, "process": OUVE(), "grid": linear(OUVE(), 4), "depth": 10} | options)
    assert str(caught.value) == message


def test_the_path_of_another_grid_is_refused_in_one_clear_line():
    source = brownian_path(keyed_noise(0, torch.zeros(1, 1, 4, 3)), OUVE(), linear(OUVE(), 4))
    with pytest.raises(ConfigError, match=r"^brownian_path: got step 4 of a grid of 4 steps: pass the grid of the plan$"):
        source(4, "step", 0)
    with pytest.raises(ConfigError, match="got step -1"):
        source(-1, "step", 0)
