import math
from itertools import pairwise

import pytest
import torch

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import SOLVERS, linear, picard, record, sample
from sgaudio.solvers.plan import Call

solvers = pytest.mark.parametrize("name", ["ddim", "dpmpp-2m", "adams", "ddpm", "heun", "stochastic-heun"])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def curved(x: torch.Tensor, time: float | torch.Tensor, items: torch.Tensor | None = None) -> torch.Tensor:
    """A network without a meaning; each product is rounded by itself."""
    times = torch.as_tensor(time, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return 0.4 * x - 0.1 * x * x * x + 0.2 * times * x


def keyed(step: int, purpose: str, repeat: int) -> torch.Tensor:
    return normal(1, 1, 4, 4, seed=hash((step, len(purpose), repeat)) % 1000)


@solvers
@pytest.mark.parametrize("window", [None, 3])
def test_without_tolerance_it_ends_where_the_walk_does_call_by_call(name: str, window: int | None, process: Process):
    plan = record(SOLVERS[name], process, linear(process, 8), start="drawn")
    noisy = 2 * normal(2, 1, 4, 4)
    got, waited = picard(plan, curved, noisy, noisy, keyed, tolerance=0, window=window)
    torch.testing.assert_close(got, sample(plan, curved, noisy, noisy, keyed), rtol=0, atol=1e-12)
    assert max(waited) <= plan.evaluations


@solvers
def test_after_some_sweeps_as_many_answers_are_exact(name: str, process: Process):
    plan = record(SOLVERS[name], process, linear(process, 6), start="drawn")
    noisy = 2 * normal(1, 1, 4, 4)
    times, states, sweeps = [row.time for row in plan.rows if isinstance(row, Call)], list[torch.Tensor](), list[torch.Tensor]()

    def sequential(x: torch.Tensor, time: float) -> torch.Tensor:
        states.append(x)
        return curved(x, time)

    def parallel(x: torch.Tensor, told: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        assert told.tolist() == times[len(times) - len(x) :] or not sweeps  # the calls that are not final, in their order
        sweeps.append(x)
        return curved(x, told)

    sample(plan, sequential, noisy, noisy, keyed)
    picard(plan, parallel, noisy, noisy, keyed, tolerance=0)
    for done, asked in enumerate(sweeps):
        torch.testing.assert_close(asked[0], states[done][0], rtol=0, atol=1e-14)


@solvers
def test_with_a_tolerance_fewer_calls_wait_for_each_other(name: str, process: Process):
    plan = record(SOLVERS[name], process, linear(process, 40), start="drawn")
    noisy = normal(2, 1, 4, 4)
    exact = sample(plan, curved, noisy, noisy, keyed)
    before = plan.evaluations
    for tolerance in (1e-8, 1e-5, 1e-2):
        got, waited = picard(plan, curved, noisy, noisy, keyed, tolerance=tolerance)
        assert float((got - exact).square().mean().sqrt()) < 2 * tolerance
        assert max(waited) < before
        before = max(waited)
    assert before < plan.evaluations / 2


def test_a_network_that_says_one_thing_is_asked_for_it_and_once_more(process: Process):
    plan, noisy = record(SOLVERS["adams"], process, linear(process, 12)), normal(3, 1, 4, 4)
    got, waited = picard(plan, lambda x, times, items: 0.5 * noisy[items], noisy, noisy, tolerance=0)
    torch.testing.assert_close(got, 0.5 * noisy, rtol=0, atol=1e-14)
    assert waited == (2, 2, 2)


def test_an_item_walks_the_same_bits_alone_and_in_any_batch(process: Process):
    plan = record(SOLVERS["adams"], process, linear(process, 20), noise_level=1.0)
    noisy = normal(3, 1, 4, 4) * torch.tensor([0.01, 2.0, 0.5], dtype=torch.float64)[:, None, None, None]
    together, waited = picard(plan, curved, noisy, noisy, keyed, tolerance=1e-6)
    assert len(set(waited)) > 1
    for item in range(3):
        alone, times = picard(plan, curved, noisy[item : item + 1], noisy[item : item + 1], keyed, tolerance=1e-6)
        assert torch.equal(alone, together[item : item + 1])
        assert times == waited[item : item + 1]


def test_the_network_sees_calls_in_order_in_the_window_and_of_unfinished_items_only(process: Process):
    plan = record(SOLVERS["ddim"], process, linear(process, 20))
    noisy = normal(3, 1, 4, 4) * torch.tensor([0.01, 2.0, 0.5], dtype=torch.float64)[:, None, None, None]
    asked, left = list[int](), list[set[int]]()

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        assert times.tolist() == sorted(times.tolist(), reverse=True)
        assert len(x) == len(times) == len(items)
        asked.append(int(items.bincount(minlength=3).max()))
        if len(asked) > 1:
            left.append(set(items.tolist()))
        return curved(x, times)

    _, waited = picard(plan, denoise, noisy, noisy, tolerance=1e-6, window=5)
    assert asked[0] == 1
    assert max(asked) == 5
    assert all(after <= before for before, after in pairwise(left))
    assert [1 + sum(item in items for items in left) for item in range(3)] == list(waited)
    assert len(asked) == max(waited)


def test_each_noise_is_asked_for_once():
    plan = record(SOLVERS["ddpm"], OUVE(), linear(OUVE(), 6))
    keys = list[tuple[int, str, int]]()

    def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
        keys.append((step, purpose, repeat))
        return keyed(step, purpose, repeat)

    noisy = normal(2, 1, 4, 4)
    picard(plan, curved, noisy, noisy, noise, tolerance=0)
    assert keys == list(plan.draws)


def test_complex_states_keep_their_precision():
    plan, noisy = record(SOLVERS["ddim"], BridgeVE(), linear(BridgeVE(), 6)), normal(2, 1, 4, 4, dtype=torch.complex64)

    def denoise(x: torch.Tensor, times: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        assert (x.dtype, times.dtype) == (torch.complex64, torch.float32)
        return 0.5 * x

    got, _ = picard(plan, denoise, noisy, noisy, tolerance=0)
    torch.testing.assert_close(got, sample(plan, lambda x, time: 0.5 * x, noisy, noisy))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1.0}, "picard: tolerance is -1.0, expected 0 to 1"),
        ({"start": torch.zeros(0, 1, 4, 4)}, "picard: the start has the shape (0, 1, 4, 4), expected (batch, ...) and nothing of it empty"),
        ({"denoise": lambda x, time: x}, "picard: denoise takes other arguments, expected a function of (states, times, items)"),
        ({"window": 0}, "picard: window is 0, expected 1 to 1e+06"),
        ({"noise": None}, "sample: this plan draws noise 3 times and got none: pass noise(step, purpose, repeat)"),
        ({"noisy": None}, "sample: this plan needs the noisy sound and got none: pass noisy"),
        (
            {"denoise": lambda x, times, items: x[..., :1]},
            "picard: the estimate at time 1 has the shape (1, 1, 4, 1), expected (1, 1, 4, 4) as the state",
        ),
    ],
)
def test_a_wrong_walk_is_refused_in_one_clear_line(options: dict, message: str):
    start = normal(1, 1, 4, 4)
    arguments = {"denoise": curved, "start": start, "noisy": start, "noise": keyed, "tolerance": 0}
    with pytest.raises(ConfigError) as caught:
        picard(record(SOLVERS["ddpm"], OUVE(), linear(OUVE(), 4)), **(arguments | options))
    assert str(caught.value) == message


def test_a_walk_that_is_not_finite_is_refused_and_says_since_when():
    start = normal(1, 1, 4, 4)
    plan = record(SOLVERS["ddim"], OUVE(), linear(OUVE(), 4))
    late = lambda x, times, items: torch.where(times.reshape(-1, 1, 1, 1) < 0.5, math.nan, 0.5 * x)  # noqa: E731
    with pytest.raises(WalkError, match=r"^picard: the network's estimate is not finite in step 2, at time 0\.353333$"):
        picard(plan, late, start, start, tolerance=1e-3)
    with pytest.raises(WalkError, match=r"^picard: the network's estimate is not finite in step 0, at time 1$"):
        picard(plan, lambda x, times, items: math.nan * x, start, start, tolerance=1e-3)
