from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import GRIDS, linear

KINDS = ["linear", "cosine", "log-snr", "angle"]
kinds = pytest.mark.parametrize("kind", KINDS)


@given(st.sampled_from(KINDS), st.sampled_from([OUVE(), BridgeVE()]), st.integers(1, 40), st.floats(0.5, 1), st.floats(0.01, 0.3))
def test_a_grid_lists_its_calling_times_and_then_the_end(kind: str, process: Process, steps: int, first: float, last: float):
    grid = GRIDS[kind](process, steps, first=first, last=last)
    assert len(grid) == steps + 1
    assert grid[0] == first
    assert grid[-1] == 0.0
    assert steps == 1 or grid[-2] == last
    assert all(after < before for before, after in pairwise(grid))


def test_a_linear_grid_has_equal_steps():
    assert linear(OUVE(), 5, last=0.2) == pytest.approx((1.0, 0.8, 0.6, 0.4, 0.2, 0.0))


def test_a_cosine_grid_is_finest_at_both_ends():
    steps = [before - after for before, after in pairwise(GRIDS["cosine"](OUVE(), 9, last=0.03)[:-1])]
    assert steps == pytest.approx(steps[::-1])
    assert steps[:4] == sorted(steps[:4])


@given(st.sampled_from(["log-snr", "angle"]), st.sampled_from([OUVE(), BridgeVE()]), st.integers(4, 12))
def test_a_grid_that_is_uniform_in_a_coordinate_has_equal_steps_in_it(kind: str, process: Process, steps: int):
    times = GRIDS[kind](process, steps)[:-1]
    if kind == "log-snr" and process.at(times[0]).alpha == 0:
        assert times[1] == 1 - 1e-3
        times = times[1:]
    places = [getattr(process.at(time), kind.replace("-", "_")) for time in times]
    widths = [after - before for before, after in pairwise(places)]
    assert widths == pytest.approx([widths[0]] * len(widths), rel=1e-9)


def test_an_explicit_grid_is_what_was_listed():
    assert GRIDS["explicit"](OUVE(), 2, times=(1.0, 0.5, 0.1)) == (1.0, 0.5, 0.1)
    with pytest.raises(ConfigError, match=r"^grid 'explicit': got 3 times for 3 steps, expected 4: the end is one of them$"):
        GRIDS["explicit"](OUVE(), 3, times=(1.0, 0.5, 0.1))


@kinds
def test_a_walk_of_no_steps_is_refused(kind: str, process: Process):
    for steps in (0, -1):
        with pytest.raises(ConfigError, match=rf"^grid: steps is {steps}, expected 1 or more$"):
            GRIDS[kind](process, steps)


@kinds
def test_times_that_do_not_fall_are_refused(kind: str, process: Process):
    with pytest.raises(ConfigError, match=r"^grid: got the time 0.1 after 0.1, expected times that fall strictly, the end included$"):
        GRIDS[kind](process, 3, last=0.1, end=0.1)
    with pytest.raises(ConfigError, match="expected times that fall strictly"):
        GRIDS[kind](process, 3, first=0.5, last=0.6)
    with pytest.raises(ConfigError, match=r"^grid: got the time 1.5, expected 0 to 1$"):
        GRIDS["linear"](process, 3, first=1.5)


def test_equal_steps_to_an_infinite_snr_are_refused(process: Process):
    with pytest.raises(ConfigError, match=r"^grid 'log-snr': last is 0, where the log-SNR is infinite: expected a time above 0$"):
        GRIDS["log-snr"](process, 3, last=0.0)


def test_an_unknown_grid_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^unknown grid 'logsnr': did you mean 'log-snr'"):
        GRIDS["logsnr"]
