"""What DPM-Solver++, UniPC, DEIS and PLMS have in common: the orders that were measured, and that they are exact on a point."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.processes import OUVE, VP, BridgeVE, Process, RectifiedFlow, time_at
from sgaudio.solvers import SOLVERS, proof, record

# Where each process is walked from and to.
PATHS: list[tuple[Process, float, float]] = [
    (OUVE(), 1.0, 0.03),
    (BridgeVE(), 0.97, 0.03),
    (VP(), 1.0, 0.01),
    (RectifiedFlow(), 0.95, 0.05),
]

EVERY = [
    ("dpmpp-1s", {}),
    ("dpmpp-2s", {}),
    ("dpmpp-2s", {"middle": 1.0, "eta": 1.0}),
    ("dpmpp-3s", {}),
    ("dpmpp-3s", {"eta": 0.5}),
    ("dpmpp-2m", {}),
    ("dpmpp-2m-sde", {"noise_level": 0.3}),
    ("dpmpp-2m-sde", {}),
    ("dpmpp-3m", {}),
    ("dpmpp-3m", {"compat": "published"}),
    ("unipc", {}),
    ("unipc", {"order": 3}),
    ("unipc", {"order": 3, "compat": "lower-order-end"}),
    ("plms", {}),
    ("plms", {"starter": "euler"}),
    ("plms", {"starter": "runge-kutta"}),
    ("deis", {}),
    ("deis", {"order": 4}),
]


def slope(measure, name: str, coarse, fine, process: Process, **options) -> float:
    solver = SOLVERS[name]
    return math.log2(measure(solver, process, coarse, **options) / measure(solver, process, fine, **options))


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("dpmpp-1s", {}, (0.99, 1.00, 0.99, 0.99)),
        ("dpmpp-2s", {}, (1.99, 1.99, 1.98, 1.99)),
        ("dpmpp-2s", {"middle": 1.0}, (1.99, 2.00, 1.98, 1.99)),
        ("dpmpp-3s", {}, (2.97, 2.97, 2.91, 2.94)),
        ("dpmpp-2m", {}, (1.99, 1.98, 1.98, 1.99)),
        ("dpmpp-3m", {}, (2.06, 1.87, 3.27, 3.27)),
        ("unipc", {}, (2.99, 3.00, 3.00, 3.00)),
        ("unipc", {"order": 3}, (3.38, 3.92, 3.87, 3.90)),
        ("unipc", {"compat": "lower-order-end"}, (2.24, 2.00, 2.04, 1.98)),
        ("unipc", {"order": 3, "compat": "lower-order-end"}, (2.04, 2.01, 2.01, 2.01)),
        ("plms", {}, (1.97, 2.00, 2.02, 2.01)),
        ("plms", {"starter": "euler"}, (1.99, 1.98, 2.02, 2.00)),
        ("plms", {"starter": "runge-kutta"}, (2.02, 2.01, 2.02, 2.01)),
        ("deis", {"order": 2}, (1.96, 1.97, 1.93, 1.95)),
        ("deis", {}, (2.42, 2.74, 2.84, 2.88)),
    ],
    ids=str,
)
def test_the_order_of_a_whole_walk_is_the_known_one(name: str, options: dict, known):
    """From 64 to 128 equal steps in log-SNR: a start of lower order caps it, by and by."""
    got = [
        slope(
            proof.gaussian_error, name, *(proof.walk_to("log-snr", process, steps, first, last) for steps in (64, 128)), process, **options
        )
        for process, first, last in PATHS
    ]
    assert got == pytest.approx(known, abs=0.016)


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("dpmpp-3m", {}, 3),
        ("dpmpp-3m", {"compat": "published"}, 2),
        ("unipc", {}, 3),
        ("unipc", {"order": 3}, 4),
        ("deis", {}, 3),
        ("deis", {"order": 4}, 4),
    ],
    ids=str,
)
def test_the_order_inside_of_a_walk_is_that_of_its_polynomial(name: str, options: dict, known: int):
    """The first step is halved towards the start until its error no longer counts."""

    def eased(process: Process, steps: int, first: float, last: float):
        start, *rest = proof.walk_to("log-snr", process, steps, first, last)
        low, high = process.at(start).log_snr, process.at(rest[0]).log_snr
        return (start, *(time_at(process, low + (high - low) * 2.0**-halved) for halved in range(14, 0, -1)), *rest)

    for process, first, last in PATHS:
        grids = [eased(process, steps, first, last) for steps in (128, 256)]
        assert slope(proof.gaussian_error, name, *grids, process, **options) == pytest.approx(known, abs=0.15)


@pytest.mark.parametrize(("steps", "known"), [(32, 2.61), (64, 2.24), (128, 2.04)])
def test_unipc_s_published_end_caps_its_order_at_two(steps: int, known: float):
    grids = [proof.walk_to("log-snr", OUVE(), count) for count in (steps, 2 * steps)]
    assert slope(proof.gaussian_error, "unipc", *grids, OUVE(), compat="lower-order-end") == pytest.approx(known, abs=0.006)


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("dpmpp-2m-sde", {}, (1.98, 1.96, 1.90, 1.94)),
        ("dpmpp-2s", {"eta": 1.0}, (1.96, 1.96, 1.91, 1.94)),
        ("dpmpp-3s", {"eta": 1.0}, (2.90, 2.92, 2.79, 2.86)),
        ("dpmpp-2s", {"eta": 0.5}, (1.94, 1.96, 1.90, 1.93)),
    ],
    ids=str,
)
def test_the_order_of_mean_and_variance_is_the_known_one(name: str, options: dict, known):
    """From 32 to 64 steps: noise from outside of the step leaves the order of the step."""
    got = [
        slope(proof.wasserstein, name, *(proof.walk_to("log-snr", process, steps, first, last) for steps in (32, 64)), process, **options)
        for process, first, last in PATHS
    ]
    assert got == pytest.approx(known, abs=0.016)


@pytest.mark.parametrize(("name", "options"), EVERY, ids=str)
@given(
    path=st.sampled_from([(OUVE(), 1.0), (BridgeVE(), 1.0), (VP(), 1.0), (RectifiedFlow(), 1.0), (RectifiedFlow(), 0.9)]),
    inner=st.lists(st.integers(5, 85), min_size=1, max_size=5, unique=True),
)
def test_it_is_exact_on_a_point_on_any_grid(name: str, options: dict, path: tuple[Process, float], inner: list[int]):
    """Data without variance: mean and variance of the noise come out right, so that two steps do what one does.

    To rounding, which the methods on the noise magnify in each of their stages by the step's ratio of sigma / alpha.
    """
    process, first = path
    times = (first, *(part / 100 for part in sorted(inner, reverse=True)), 0.03)
    plan = record(SOLVERS[name], process, times, start="drawn", **options)
    end, (mean, deviation) = proof.end(plan, process, first, 0.0), proof.moments(process, 0.03, 0.0)
    start_mean, start_deviation = (0.0, 1.0) if plan.bridge else proof.moments(process, first, 0.0)
    ratios = [process.at(time).ratio for time in times]
    rounding = 1e-12
    if name in ("plms", "deis"):
        rounding = max(rounding, 1e-15 * max(u / t for t, u in pairwise(ratios) if t) ** 3)
    assert end.offset + end.gain * start_mean == pytest.approx(mean, abs=rounding)
    assert math.hypot(end.gain * start_deviation, math.sqrt(end.noise_variance)) == pytest.approx(deviation, abs=rounding)
