import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Node, Process
from sgaudio.solvers import SOLVERS, Plan, Solver, Vector, Walk, linear, record
from sgaudio.solvers.plan import NOISY, START, Call, Draw, Sum

GRID = linear(OUVE(), 3)
numbers = st.floats(-10, 10)
vectors = st.dictionaries(st.integers(0, 4), numbers, max_size=4).map(Vector)


@given(vectors, vectors, numbers)
def test_vectors_add_subtract_and_scale_like_vectors(one: Vector, other: Vector, number: float):
    for register in range(5):
        a, b = one.terms.get(register, 0.0), other.terms.get(register, 0.0)
        assert (one + other).terms.get(register, 0.0) == a + b
        assert (one - other).terms.get(register, 0.0) == a - b
        assert (number * one).terms.get(register, 0.0) == (one * number).terms.get(register, 0.0) == a * number
    assert (one - one).terms == {}


def test_a_vector_takes_numpy_s_numbers_and_holds_plain_floats():
    ((_, coefficient),) = (np.float64(0.5) * Vector({2: 3.0})).terms.items()
    assert (type(coefficient), coefficient) == (float, 1.5)


@pytest.mark.parametrize("wrong", [lambda v: v * v, lambda v: v / v, lambda v: v + 1, lambda v: v**2, lambda v: abs(v)])
def test_what_is_no_table_cannot_be_written(wrong):
    with pytest.raises(TypeError):
        wrong(Vector({0: 1.0}))


def test_a_solver_written_as_on_paper_becomes_a_table_of_numbers():
    def euler(walk: Walk) -> Vector:
        z = walk.z
        for t, u in walk.steps:
            clean = walk.denoise(z, t)
            z = u.alpha * clean + u.sigma * walk.noise_in(z, clean, t)
        return z

    def coefficients(plan: Plan) -> list[list[float]]:
        return [[coefficient for _, coefficient in row.terms] for row in plan.rows if isinstance(row, Sum)]

    plan = record(euler, OUVE(), GRID)
    assert plan == record(Solver(euler, order=1), OUVE(), GRID)
    assert coefficients(plan) == coefficients(record(SOLVERS["ddim"], OUVE(), GRID))


def test_denoise_commits_the_caller_s_state_to_its_register():
    def lazy(walk: Walk) -> Vector:
        z = 2.0 * walk.z
        t = next(iter(walk.steps))[0]
        walk.denoise(z, t)
        assert set(z.terms) - {NOISY} == {2}
        kept = walk.keep(z + z)
        assert kept.terms == {4: 1.0}
        return kept

    record(lazy, OUVE(), GRID)


def test_rows_that_nothing_needs_are_left_out():
    def wasteful(walk: Walk) -> Vector:
        for t, _ in walk.steps:
            walk.denoise(walk.z, t)
            walk.noise()
        return walk.z

    plan = record(wasteful, OUVE(), GRID)
    assert (plan.evaluations, plan.draws) == (0, ())
    assert record(SOLVERS["ddim"], OUVE(), GRID, eta=0.0).draws == ()


def test_ancestral_sampling_draws_once_a_step_and_not_for_the_clean_end():
    assert record(SOLVERS["ddim"], OUVE(), GRID, eta=1.0).draws == ((0, "step", 0), (1, "step", 0))
    assert record(SOLVERS["ddim"], BridgeVE(), GRID, eta=0.5, start="drawn").draws == ((0, "start", 0), (0, "step", 0), (1, "step", 0))
    assert record(SOLVERS["ddim"], BridgeVE(), GRID, eta=1.0, start="drawn").draws == ((0, "step", 0), (1, "step", 0))


@pytest.mark.parametrize("name", ["ddim", "dpmpp-2m", "dpmpp-3s", "unipc", "deis", "plms", "adams", "heun", "edm"])
def test_only_a_bridge_hides_noise_in_its_start(name: str):
    assert record(SOLVERS[name], OUVE(), GRID, start="drawn") == record(SOLVERS[name], OUVE(), GRID)
    assert record(SOLVERS[name], BridgeVE(), GRID, start="drawn").draws == ((0, "start", 0),)
    assert record(SOLVERS[name], BridgeVE(), GRID).draws == ()


@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler", "euler-maruyama", "dpmpp-2m", "dpmpp-2m-sde", "unipc", "deis", "adams"])
def test_the_network_is_told_the_time_of_its_state_or_of_its_target(name: str, process: Process):
    told = {which: [row.time for row in record(SOLVERS[name], process, GRID, network_time=which).rows if isinstance(row, Call)]
            for which in ("state", "target")}  # fmt: skip
    assert told["state"] == list(GRID[:-1])
    assert told["target"] == list(GRID[1:])


@pytest.mark.parametrize(("name", "buffers"), [("ddim", 2), ("dpmpp-2m", 3), ("adams", 4)])
def test_each_solver_needs_the_buffers_of_its_method(name: str, buffers: int):
    assert record(SOLVERS[name], OUVE(), linear(OUVE(), 8)).buffers == buffers


def test_a_walk_can_begin_later():
    plan = record(SOLVERS["adams"], OUVE(), (0.4, 0.2, 0.0))
    assert [row.time for row in plan.rows if isinstance(row, Call)] == [0.4, 0.2]


def test_every_solver_says_what_it_is_in_one_line():
    for solver in SOLVERS.values():
        assert solver.summary.endswith(".")
        assert len(solver.summary) < 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": (1.0, 0.5, 0.5)}, "grid: got the time 0.5 after 0.5, expected times that fall strictly, the end included"),
        ({"grid": (0.5,)}, "grid: got 1 times, expected at least 2: one at which the network is called, and the end"),
        ({"grid": (2.0, 0.5)}, "grid: got the time 2, expected 0 to 1"),
        ({"grid": "10"}, "grid: got '10', expected times that fall strictly: a list of them, or what a grid of GRIDS gives"),
        ({"grid": linear}, f"grid: got {linear!r}, expected times that fall strictly: a list of them, or what a grid of GRIDS gives"),
        ({"grid": ("1", "0")}, "grid: got the time '1', expected numbers from 0 to 1"),
        ({"grid": (1.0, None)}, "grid: got the time None, expected numbers from 0 to 1"),
        ({"grid": (1.0, math.nan, 0.0)}, "grid: got the time nan, expected 0 to 1"),
        ({"solver": "ddim"}, "record: the solver is 'ddim', expected an entry of SOLVERS, or a function of a walk"),
        ({"process": OUVE}, "ddim: the process is the class OUVE, expected an instance of a class like those in PROCESSES, such as OUVE()"),
        ({"process": "ouve"}, "ddim: the process is a str, expected an instance of a class like those in PROCESSES, such as OUVE()"),
        ({"start": torch.zeros(9, 9)}, "solver 'ddim': start is a Tensor, expected one of 'mean', 'drawn'"),
        ({"start": "noise"}, "solver 'ddim': start is 'noise', expected one of 'mean', 'drawn'"),
        ({"network_time": "states"}, "solver 'ddim': network_time is 'states', expected one of 'state', 'target'"),
        ({"eta": 1.5}, "solver 'ddim': eta is 1.5, expected 0 to 1"),
        ({"eta": "much"}, "solver 'ddim': eta is 'much', expected float"),
        ({"etta": 1.0}, "solver 'ddim' has no option 'etta': did you mean 'eta'?"),
    ],
)
def test_a_wrong_walk_is_refused_in_one_clear_line(arguments: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        record(**{"solver": SOLVERS["ddim"], "process": OUVE(), "grid": GRID} | arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize("grid", [np.array([1.0, 0.5, 0.0]), torch.tensor([1.0, 0.5, 0.0]), [np.float32(1), 0.5, 0]])
def test_a_grid_may_be_an_array(grid):
    assert record(SOLVERS["ddim"], OUVE(), grid) == record(SOLVERS["ddim"], OUVE(), (1.0, 0.5, 0.0))


def test_options_may_be_numbers_of_numpy():
    plan = record(SOLVERS["adams"], OUVE(), GRID, predictor=np.int64(1), noise_level=np.float32(0.5))
    assert plan == record(SOLVERS["adams"], OUVE(), GRID, predictor=1, noise_level=0.5)


class Own:
    """A process that is no subclass."""

    def __init__(self, at: Callable[[float], Any]):
        self.at = at


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (lambda t: (1 - t, 0, t), r"its node at time 1 is \(0.0, 0, 1.0\), expected a Node of numbers"),
        (lambda t: Node(t, torch.tensor(1 - t), 0, t), r"its node at time 1 is Node\(.*\), expected a Node of numbers"),
        (lambda t: Node(t, 1 - t, 0, -t), r"its node at time 1 is Node\(.*\), expected an alpha and a sigma that are not negative"),
        (lambda t: Node(t, t, 0, 1 - t), r"its state is noisier at time 0.5 than at 1, expected time to run from clean sound to noise"),
    ],
)
def test_what_is_no_process_is_refused(at: Callable[[float], Any], message: str):
    with pytest.raises(ConfigError, match=f"^solver 'ddim' on Own: {message}$"):
        record(SOLVERS["ddim"], Own(at), (1.0, 0.5, 0.0))  # pyright: ignore[reportArgumentType]


def forgets(walk: Walk) -> Any:
    for t, _ in walk.steps:
        walk.denoise(walk.z, t)


def divides(walk: Walk) -> Vector:
    return walk.score(walk.x, walk.nodes[0])


def explodes(walk: Walk) -> Vector:
    return 1e30 * walk.z


def needs(walk: Walk, strength: float) -> Vector:
    return strength * walk.z


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (forgets, "solver 'forgets' on BridgeVE: it returned a NoneType, expected its last state, a vector"),
        (
            divides,
            r"solver 'divides' on BridgeVE: .*division by zero in the step from time 1: use another grid, or make the step with `hold` .*",
        ),
        (explodes, r"solver 'explodes' on BridgeVE: plan: row 0 is .*, expected finite coefficients, up to 9e\+15: .*"),
        (needs, "solver 'needs' needs the option 'strength'"),
    ],
)
def test_a_solver_of_one_s_own_that_is_wrong_is_named(solver: Callable[..., Vector], message: str):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        record(solver, BridgeVE(), GRID)


def test_an_unknown_solver_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^unknown solver 'dpmpp-4m': did you mean 'dpmpp-[23][ms]' or"):
        SOLVERS["dpmpp-4m"]
    with pytest.raises(ConfigError, match=r"^solver 'dpmpp-2m' has no option 'eta': it takes none$"):
        record(SOLVERS["dpmpp-2m"], OUVE(), GRID, eta=1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Sum(2, ((3, 1.0),))], "expected a new register made of"),
        ([Call(2, START, 1.0, 0), Call(2, START, 0.5, 1)], "expected a new register made of"),
        ([Sum(2, ((START, math.nan),))], "expected finite coefficients"),
        ([Sum(2, ())], "expected finite coefficients"),
        ([Draw(2, 0, "step"), Draw(3, 0, "step")], r"the noise \(0, 'step', 0\) is drawn 2 times"),
        ([Draw(3, 0, "step")], "the result is register 2"),
    ],
)
def test_a_table_that_cannot_be_run_is_refused(rows: list, message: str):
    with pytest.raises(ConfigError, match=message):
        Plan(tuple(rows), result=2)
