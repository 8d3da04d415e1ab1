from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import DDPM, EDM, OUVE, PROCESSES, BridgeVE, FlowSE, Process, RectifiedFlow, ResShift
from sgaudio.solvers import GRIDS, linear

KINDS = ["linear", "cosine", "log-snr", "angle", "karras"]
kinds = pytest.mark.parametrize("kind", KINDS)
every_process = pytest.mark.parametrize("process", [PROCESSES[name]() for name in PROCESSES], ids=list(PROCESSES))

COORDINATES = {
    "log-snr": lambda node: node.log_snr,
    "angle": lambda node: node.angle,
    "karras": lambda node: -((node.sigma / node.alpha) ** (1 / 7)),
}


@kinds
@every_process
@given(st.integers(1, 20), st.floats(0.5, 1) | st.just(1.0), st.floats(0.01, 0.3))
@settings(max_examples=20)
def test_a_grid_lists_its_calling_times_and_then_the_end(kind: str, process: Process, steps: int, first: float, last: float):
    grid = GRIDS[kind](process, steps, first=first, last=last)
    assert len(grid) == steps + 1
    assert grid[0] == first
    assert grid[-1] == 0.0
    assert steps == 1 or grid[-2] == max(last, 1 / getattr(process, "steps", 1000))
    assert all(after < before for before, after in pairwise(grid))


@pytest.mark.parametrize("kind", [*KINDS, "even"])
@pytest.mark.parametrize("process", [ResShift(), DDPM(steps=10)], ids=["resshift", "ddpm"])
def test_no_grid_calls_a_chain_s_network_below_its_first_level(kind: str, process: Process):
    for steps in (2, 5, 40):
        assert process.network_time(GRIDS[kind](process, steps)[-2]) == (
            0 if steps > 10 or kind != "even" else pytest.approx(process.steps / steps - 1)
        )


def test_a_linear_grid_has_equal_steps():
    assert linear(OUVE(), 5, last=0.2) == pytest.approx((1.0, 0.8, 0.6, 0.4, 0.2, 0.0))


def test_an_even_grid_s_last_step_is_as_long_as_the_others():
    assert GRIDS["even"](OUVE(), 4) == pytest.approx((1.0, 0.75, 0.5, 0.25, 0.0))


def test_a_cosine_grid_is_finest_at_both_ends():
    steps = [before - after for before, after in pairwise(GRIDS["cosine"](OUVE(), 9, last=0.03)[:-1])]
    assert steps == pytest.approx(steps[::-1])
    assert steps[:4] == sorted(steps[:4])


@every_process
@pytest.mark.parametrize("kind", COORDINATES)
@pytest.mark.parametrize("steps", [4, 12])
def test_a_grid_that_is_uniform_in_a_coordinate_has_equal_steps_in_it(kind: str, process: Process, steps: int):
    times = GRIDS[kind](process, steps)[:-1]
    if kind != "angle" and process.at(1.0).alpha == 0:  # where the coordinate is infinite
        assert times[:2] == (1.0, 1.0 - 1e-3)
        times = times[1:]
    places = [COORDINATES[kind](process.at(time)) for time in times]
    assert np.diff(places) == pytest.approx(np.full(len(times) - 1, (places[-1] - places[0]) / (len(times) - 1)), rel=1e-9)


@pytest.mark.parametrize("kind", ["log-snr", "karras"])
@pytest.mark.parametrize("process", [BridgeVE(), FlowSE(), RectifiedFlow()], ids=["bridge-ve", "flowse", "rectified-flow"])
def test_two_steps_from_a_start_without_clean_sound_are_the_first_and_the_last(kind: str, process: Process):
    assert GRIDS[kind](process, 2) == (1.0, 0.03, 0.0)


def test_a_karras_grid_has_the_published_sigmas():
    process, part = EDM(), np.arange(18) / 17
    published = (80 ** (1 / 7) + part * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    times = GRIDS["karras"](process, 18, last=0.002 / 80)
    assert [process.at(time).sigma for time in times] == pytest.approx([*published, 0.0], rel=1e-12)


@given(st.integers(2, 30))
def test_a_karras_grid_of_rho_one_has_equal_steps_in_sigma(steps: int):
    assert GRIDS["karras"](EDM(), steps, rho=1.0) == pytest.approx(linear(EDM(), steps), rel=1e-12)


def levels(process: Process, grid: tuple[float, ...]) -> list[float]:
    assert grid[-1] == 0
    return [process.network_time(time) for time in grid[:-1]]


def test_an_integer_grid_is_spaced_as_published():
    def called(steps: int, spacing: str, first: float = 1.0):
        return levels(DDPM(), GRIDS["integer"](DDPM(), steps, first=first, spacing=spacing))

    assert called(25, "leading") == [*range(960, -1, -40)]
    assert called(25, "trailing") == [*range(999, 0, -40)]
    assert called(4, "even") == [999, 666, 333, 0]
    assert called(5, "even") == [999, 749, 500, 250, 0]
    assert called(7, "leading") == [852, 710, 568, 426, 284, 142, 0]
    assert called(7, "trailing") == [999, 856, 713, 570, 428, 285, 142]
    assert called(6, "leading", first=0.06) == [50, 40, 30, 20, 10, 0]
    assert called(6, "trailing", first=0.06) == [59, 49, 39, 29, 19, 9]
    assert called(1, "even") == called(1, "trailing") == [999]


@given(st.integers(1, 300), st.data(), st.sampled_from(["even", "leading", "trailing"]))
def test_an_integer_grid_calls_levels_each_at_most_once(count: int, data: st.DataObject, spacing: str):
    process = DDPM(steps=count)
    highest, steps = sorted((data.draw(st.integers(1, count)), data.draw(st.integers(1, count))), reverse=True)
    called = levels(process, GRIDS["integer"](process, steps, first=highest / count, spacing=spacing))
    assert len(called) == len(set(called)) == steps
    assert set(called) <= set(range(highest))
    assert called == sorted(called, reverse=True)
    assert spacing == "leading" or called[0] == highest - 1
    assert spacing == "trailing" or steps == 1 or called[-1] == 0
    if steps == highest:
        assert called == [*reversed(range(highest))]


def test_an_integer_grid_refuses_what_has_no_such_levels():
    for process, options, message in (
        (OUVE(), {}, "OUVE has no levels: expected a chain such as 'ddpm', or another grid"),
        (ResShift(), {"steps": 16}, "steps is 16, expected 1 to 15, the number of levels from first = 1 down"),
        (DDPM(), {"steps": 61, "first": 0.06}, "steps is 61, expected 1 to 60, the number of levels from first = 0.06 down"),
        (DDPM(), {"first": 0.0605}, "first is 0.0605, expected a level of the chain: n / 1000, for n = 1 to 1000"),
        (DDPM(), {"first": 0}, "first is 0, expected a level of the chain: n / 1000, for n = 1 to 1000"),
        (DDPM(), {"first": 1.5}, "first is 1.5, expected a level of the chain: n / 1000, for n = 1 to 1000"),
    ):
        with pytest.raises(ConfigError) as caught:
            GRIDS["integer"](process, **{"steps": 5} | options)
        assert str(caught.value) == f"grid 'integer': {message}"


def test_an_explicit_grid_is_what_was_listed():
    assert GRIDS["explicit"](OUVE(), 2, times=(1.0, 0.5, 0.1)) == (1.0, 0.5, 0.1)
    with pytest.raises(ConfigError, match=r"^grid 'explicit': got 3 times for 3 steps, expected 4: the end is one of them$"):
        GRIDS["explicit"](OUVE(), 3, times=(1.0, 0.5, 0.1))


@kinds
@every_process
def test_a_walk_of_no_steps_is_refused(kind: str, process: Process):
    for steps in (0, -1):
        with pytest.raises(ConfigError, match=rf"^grid: steps is {steps}, expected 1 or more$"):
            GRIDS[kind](process, steps)


@pytest.mark.parametrize("kind", GRIDS)
def test_what_is_no_number_of_steps_or_no_process_is_refused(kind: str):
    options = {"times": (1.0, 0.0)} if kind == "explicit" else {}
    for steps in (2.0, "2", None, True):
        with pytest.raises(ConfigError, match=rf"^grid: steps is {steps!r}, expected int$"):
            GRIDS[kind](DDPM(), steps, **options)
    with pytest.raises(ConfigError, match=r"^grid: the process is the class DDPM, expected an instance"):
        GRIDS[kind](DDPM, 1, **options)
    assert GRIDS[kind](DDPM(), np.int64(1), **options) == (1.0, 0.0)


@kinds
@every_process
def test_times_that_do_not_fall_are_refused(kind: str, process: Process):
    with pytest.raises(ConfigError, match=r"^grid: got the time 0.1 after 0.1, expected times that fall strictly, the end included$"):
        GRIDS[kind](process, 3, last=0.1, end=0.1)
    with pytest.raises(ConfigError, match="expected times that fall strictly"):
        GRIDS[kind](process, 3, first=0.5, last=0.6)


@kinds
def test_times_after_the_start_of_all_walks_are_refused(kind: str):
    with pytest.raises(ConfigError, match=r"^grid: got the time 1.5, expected 0 to 1$"):
        GRIDS[kind](OUVE(), 3, first=1.5)


@every_process
def test_equal_steps_to_an_infinite_snr_are_refused(process: Process):
    with pytest.raises(ConfigError, match=r"^grid 'log-snr': last is 0, where the log-SNR is infinite: expected a time above 0$"):
        GRIDS["log-snr"](process, 3, last=0.0)


def test_an_unknown_grid_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^unknown grid 'logsnr': did you mean 'log-snr'"):
        GRIDS["logsnr"]
