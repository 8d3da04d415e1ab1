import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes import OUVE, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import SOLVERS, adaptive, record, sample

GOLDEN = Path(__file__).parents[1] / "golden" / "sgmse_ode.npz"
tableaus = pytest.mark.parametrize("tableau", ["dormand-prince", "bogacki-shampine"])


def gaussian(process: Process, variances: torch.Tensor, mean: float = 0.3, noisy: float = 0.5):
    """The exact estimate for x_0 ~ N(mean, variance), a variance an item; and the exact state at a time and so many deviations."""

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        nodes = [process.at(time) for time in times.tolist()]
        alpha, kappa, sigma = (
            torch.tensor([getattr(node, name) for node in nodes], dtype=x.dtype)[:, None] for name in ("alpha", "kappa", "sigma")
        )
        variance, moved = variances[items, None], x - alpha * mean - kappa * noisy
        return mean + torch.where(alpha > 0, alpha * variance / (alpha**2 * variance + sigma**2).clamp(min=1e-300), 0.0) * moved

    def exact(time: float, deviates: torch.Tensor) -> torch.Tensor:
        node = process.at(time)
        return node.alpha * mean + node.kappa * noisy + (node.alpha**2 * variances[:, None] + node.sigma**2).sqrt() * deviates

    return denoise, exact


def curved(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """A network without a meaning, whose stiffness depends on the state; each product is rounded by itself, also of complex numbers."""
    parts, times = torch.view_as_real(x) if x.is_complex() else x, times.reshape(-1, *[1] * (x.ndim - 1 + x.is_complex()))
    clean = 0.6 * parts - 0.1 * parts * parts * parts + 0.2 * times * parts
    return torch.view_as_complex(clean) if x.is_complex() else clean


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("tableau", "tolerance", "evaluations"),
    [
        ("bogacki-shampine", 1e-2, 19),
        ("bogacki-shampine", 1e-3, 25),
        ("bogacki-shampine", 1e-4, 46),
        ("dormand-prince", 1e-2, 31),
        ("dormand-prince", 1e-3, 37),
        ("dormand-prince", 1e-6, 67),
    ],
)
def test_the_controller_takes_as_many_evaluations_as_an_independent_one(proof, tableau, tolerance: float, evaluations: int):
    oracle = proof.Mixture(OUVE())
    oracle.deviates = torch.linspace(-1.5, 1.4, 6, dtype=torch.float64)
    got, (effort,) = adaptive(
        OUVE(),
        lambda x, times, items: oracle.denoise(x[0], float(times))[None],
        oracle.quantile(1.0)[None],
        oracle.noisy[None],
        end=0.03,
        tableau=tableau,
        rtol=tolerance,
        atol=tolerance,
        first_step=0.04,
    )
    assert effort.evaluations == evaluations
    assert float((got[0] - oracle.quantile(0.03)).square().mean().sqrt()) < 1.5 * tolerance


@pytest.mark.parametrize(("tableau", "tolerance", "largest"), [("dormand-prince", 1e-11, 1e-11), ("bogacki-shampine", 1e-6, 3e-6)])
def test_the_probability_flow_of_sgmse_ends_where_dop853_does(tableau, tolerance: float, largest: float):
    golden = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN).items()}
    process, y = OUVE(), golden["noisy"]

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        clean = list[torch.Tensor]()
        for x_t, time, noisy in zip(x, times.tolist(), y[items], strict=True):
            node, score = process.at(time), -(x_t - (0.7 - 0.2 * time) * noisy - 0.1 * noisy.conj()) / (0.05 + 0.3 * time**2)
            clean.append((x_t - node.kappa * noisy + node.sigma**2 * score) / node.alpha)
        return torch.stack(clean)

    start = y + process.at(1.0).sigma * golden["noise"]
    got, _ = adaptive(process, denoise, start, y, end=0.03, tableau=tableau, rtol=tolerance, atol=tolerance)
    assert float((got - golden["end"]).abs().max()) < largest


@tableaus
def test_the_tolerance_is_met_also_where_the_flow_is_stiff(tableau, process: Process):
    """At the end noise falls 1000 times faster than time, and one item's data have no width: equal steps are far off there."""
    variances, deviates, last = torch.tensor([1e-12, 0.04, 0.25], dtype=torch.float64), normal(3, 8), 5e-4
    denoise, exact = gaussian(process, variances)
    noisy, bridge = torch.full_like(deviates, 0.5), process.at(1.0).sigma == 0
    for tolerance in (1e-3, 1e-5):
        got, efforts = adaptive(
            process,
            denoise,
            exact(1.0, deviates),
            noisy,
            deviates if bridge else None,
            last=last,
            end=last,
            tableau=tableau,
            rtol=tolerance,
            atol=tolerance,
        )
        errors = (got - exact(last, deviates)).square().mean(1).sqrt()
        assert float(errors.max()) < max(3 * tolerance, 2e-4 * bridge)  # a bridge's first step is DDIM's
        assert efforts[0].evaluations == max(effort.evaluations for effort in efforts)
        first, steps = 1 - 1e-3 * bridge, efforts[0].evaluations // 4
        equal = record(SOLVERS["rk4"], process, np.linspace(first, last, steps + 1).tolist())
        far = sample(equal, lambda x, time: denoise(x, torch.full((3,), time), torch.arange(3)), exact(first, deviates), noisy)
        assert float((far - exact(last, deviates))[0].abs().max()) > 50 * tolerance


def ends_of_steps(process: Process, network, start: torch.Tensor, **options) -> list[float]:
    """Where each step that was tried led to."""
    times = list[float]()

    def denoise(x: torch.Tensor, times_told: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        times.extend(times_told.tolist())
        return network(x)

    with contextlib.suppress(WalkError):
        adaptive(process, denoise, start, start, **options)
    return times[6::6]


def test_a_step_is_at_most_ten_times_as_long_as_the_last_and_at_least_a_fifth_of_it():
    """An error counts as 1e-10 at least, which the controller remembers."""
    line = ends_of_steps(RectifiedFlow(), torch.zeros_like, torch.ones(1, 4, dtype=torch.float64), first_step=1e-3)
    assert np.diff([1.0, *line[:3]]) == pytest.approx([-1e-3, -1e-2, -1e-2 * 0.9 * 1e10 ** (0.3 / 5)], rel=1e-9)
    wild = ends_of_steps(OUVE(), lambda x: 1e6 * torch.sin(1e3 * x), normal(1, 4), first_step=0.5, rtol=0.0, most_evaluations=19)
    assert wild == pytest.approx([0.5, 0.9, 0.98])


def test_a_state_that_begins_at_zero_is_measured_by_where_it_goes():
    start, noisy = torch.zeros(1, 4, dtype=torch.float64), torch.ones(1, 4, dtype=torch.float64)
    _, (effort,) = adaptive(OUVE(), curved, start, noisy, atol=1e-15)
    assert effort.rejected <= 2


def test_a_finer_tolerance_asks_for_more_and_errs_less(proof):
    oracle = proof.Mixture(OUVE())
    errors, evaluations = list[float](), list[int]()
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-8):
        got, (effort,) = adaptive(
            OUVE(),
            lambda x, times, items: oracle.denoise(x[0], float(times))[None],
            oracle.quantile(1.0)[None],
            oracle.noisy[None],
            end=0.03,
            rtol=tolerance,
            atol=tolerance,
        )
        errors.append(float((got[0] - oracle.quantile(0.03)).abs().max()))
        evaluations.append(effort.evaluations)
    assert errors == sorted(errors, reverse=True)
    assert evaluations == sorted(evaluations)
    assert errors[-1] < 1e-7


@tableaus
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64, torch.complex128])
def test_an_item_walks_the_same_bits_alone_and_in_any_batch(tableau, dtype: torch.dtype, process: Process):
    noisy = normal(4, 1, 5, 3, dtype=dtype) * torch.tensor([0.03, 3.0, 1.0, 0.3])[:, None, None, None]
    hidden = normal(4, 1, 5, 3, seed=1, dtype=dtype)
    options = {"tableau": tableau, "rtol": 1e-4, "atol": 1e-4}
    together, efforts = adaptive(process, curved, noisy, noisy, hidden, **options)
    assert len(set(efforts)) > 1
    for item in range(4):
        part = slice(item, item + 1)
        alone, effort = adaptive(process, curved, noisy[part], noisy[part], hidden[part], **options)
        assert torch.equal(alone, together[part])
        assert effort == efforts[part]


def test_the_network_sees_only_the_items_that_still_walk_each_at_its_time_and_as_often_as_stated(process: Process):
    noisy = normal(3, 1, 4, 4) * torch.tensor([0.1, 4.0, 1.0], dtype=torch.float64)[:, None, None, None]
    seen = list[tuple[int, float]]()

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        assert x.shape == (len(items), 1, 4, 4)
        assert times.shape == items.shape
        assert times.dtype == x.dtype
        seen.extend(zip(items.tolist(), times.tolist(), strict=True))
        return curved(x, times, items)

    _, efforts = adaptive(process, denoise, noisy, noisy)
    assert [sum(item == index for item, _ in seen) for index in range(3)] == [effort.evaluations for effort in efforts]
    assert len({effort.evaluations for effort in efforts}) > 1
    boot = 1 if process.at(1.0).sigma == 0 else 0
    for effort in efforts:  # the first slope, six for each step, the clean end, a bridge's first step
        assert effort.evaluations == 2 + boot + 6 * (effort.accepted + effort.rejected)
    assert {time for _, time in seen[:3]} == {1.0}
    assert {time for _, time in seen[-3:]} == {0.03}


def test_it_ends_in_the_clean_estimate_of_its_last_state_or_in_that_state(process: Process):
    noisy = normal(2, 1, 4, 4)
    state, before = adaptive(process, curved, noisy, noisy, end=0.03)
    clean, after = adaptive(process, curved, noisy, noisy)
    torch.testing.assert_close(clean, curved(state, torch.full((2,), 0.03, dtype=torch.float64), torch.arange(2)), rtol=0, atol=1e-14)
    assert [effort.evaluations + 1 for effort in before] == [effort.evaluations for effort in after]
    lower, _ = adaptive(process, curved, noisy, noisy, end=0.01)
    step = record(SOLVERS["ddim"], process, (0.03, 0.01))
    held = sample(step, lambda x, time: curved(x, torch.full((2,), time, dtype=torch.float64), torch.arange(2)), state, noisy)
    torch.testing.assert_close(lower, held, rtol=0, atol=1e-14)


def test_a_bridge_gives_the_posterior_s_mean_or_with_hidden_noise_a_sample():
    process, variances = BridgeVE(), torch.tensor([0.04], dtype=torch.float64)
    denoise, exact = gaussian(process, variances)
    noisy, deviates = torch.full((1, 5), 0.5, dtype=torch.float64), normal(1, 5)
    mean, _ = adaptive(process, denoise, noisy, noisy, end=0.03, rtol=1e-6, atol=1e-6)
    drawn, _ = adaptive(process, denoise, noisy, noisy, deviates, end=0.03, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mean, exact(0.03, torch.zeros_like(deviates)), rtol=0, atol=1e-6)
    torch.testing.assert_close(drawn, exact(0.03, deviates), rtol=0, atol=1e-4)


def test_a_walk_can_begin_later():
    variances, deviates = torch.tensor([0.04], dtype=torch.float64), normal(1, 5)
    denoise, exact = gaussian(OUVE(), variances)
    noisy = torch.full_like(deviates, 0.5)
    got, _ = adaptive(OUVE(), denoise, exact(0.4, deviates), noisy, first=0.4, end=0.03, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(got, exact(0.03, deviates), rtol=0, atol=1e-7)


def test_the_caller_s_tensors_stay_as_they_are(process: Process):
    noisy, hidden = normal(2, 1, 4, 4), normal(2, 1, 4, 4, seed=1)
    copies = noisy.clone(), hidden.clone()
    adaptive(process, curved, noisy, noisy, hidden)
    adaptive(process, lambda x, times, items: x, noisy, noisy, hidden, end=0.03)
    assert torch.equal(noisy, copies[0])
    assert torch.equal(hidden, copies[1])


def test_too_many_evaluations_are_refused_in_one_clear_line():
    noisy = normal(2, 1, 4, 4)
    where, limit = r"item 0 is at time 0\.\d+ after 25 evaluations", r"expected 0\.03 after 30 at most"
    with pytest.raises(WalkError, match=f"^adaptive: {where}, {limit}: use larger tolerances, or more evaluations$"):
        adaptive(OUVE(), curved, noisy, noisy, rtol=1e-9, atol=1e-9, most_evaluations=30)


def test_an_item_that_is_not_finite_is_named():
    noisy = normal(3, 1, 4, 4)

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return torch.where((items == 1)[:, None, None, None] & (times < 0.9)[:, None, None, None], math.nan, 0.5 * x)

    with pytest.raises(WalkError, match=r"^adaptive: item 1 is not finite in the step from time 0\.\d+ to 0\.\d+$"):
        adaptive(OUVE(), denoise, noisy, noisy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tableau": "heun"}, "adaptive: tableau is 'heun', expected one of 'dormand-prince', 'bogacki-shampine'"),
        ({"rtol": -1e-3}, "adaptive: rtol is -0.001, expected 0 to 1"),
        ({"atol": 0.0}, "adaptive: atol is 0.0, expected 1e-15 to 1000"),
        ({"first_step": math.nan}, "adaptive: first_step is nan, expected float"),
        ({"most_evaluations": 10.0}, "adaptive: most_evaluations is 10.0, expected int"),
        ({"first": 0.3, "last": 0.5}, "grid: got the time 0.5 after 0.3, expected times that fall strictly, the end included"),
        ({"end": 0.5}, "grid: got the time 0.5 after 0.03, expected times that fall strictly, the end included"),
        ({"last": 0.0}, "adaptive: last is 0, where the state has no noise: expected a time above 0"),
        ({"noisy": None}, "adaptive: the process pulls to the noisy sound and got none: pass noisy"),
        ({"noisy": torch.zeros(1, 3)}, "adaptive: the noisy sound has the shape (1, 3), expected (2, 3) as the start"),
        (
            {"process": BridgeVE(), "noisy": torch.ones(2, 3)},
            "adaptive: a bridge starts in its noisy sound and got another state: pass start=noisy, or a grid that begins below 1",
        ),
        ({"start": torch.zeros(())}, "adaptive: the start has the shape (), expected (batch, ...) and nothing of it empty"),
        ({"start": None}, "adaptive: the start is a NoneType, expected a tensor of floating point or complex numbers"),
        ({"denoise": lambda x, time: x}, "adaptive: denoise takes other arguments, expected a function of (states, times, items)"),
        (
            {"denoise": lambda x, times, items: x.mul_(0.5)},
            "adaptive: the network changed its state in place at time 1, which the solver still needs: work on a copy",
        ),
        (
            {"process": OUVE},
            "adaptive: the process is the class OUVE, expected an instance of a class like those in PROCESSES, such as OUVE()",
        ),
        ({"hidden": torch.zeros(3)}, "adaptive: the hidden noise has the shape (3,), expected (2, 3) as the start"),
        (
            {"denoise": lambda x, times, items: torch.zeros(3)},
            "adaptive: the estimate at time 1 has the shape (3,), expected (2, 3) as the state",
        ),
    ],
)
def test_a_wrong_walk_is_refused_in_one_clear_line(options: dict, message: str):
    arguments = {"process": OUVE(), "denoise": curved, "start": torch.zeros(2, 3), "noisy": torch.zeros(2, 3)}
    with pytest.raises(ConfigError) as caught:
        adaptive(**(arguments | options))
    assert str(caught.value) == message
