import math
import weakref
from typing import Any

import pytest
import torch

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes import OUVE, VP, BridgeVE, Process, RectifiedFlow
from sgaudio.solvers import SOLVERS, linear, no_noise, record, sample
from sgaudio.solvers.sample import Interpreter

GRID = linear(BridgeVE(), 6)
everything = pytest.mark.parametrize("name", [name for name in SOLVERS if name not in ("bridge-ode", "bridge-sde", "resshift")])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_a_stranger_s_network_enhances_in_a_few_lines():
    noisy = normal(1, 1, 8, 16, dtype=torch.complex64)
    process = BridgeVE()
    plan = record(SOLVERS["adams"], process, linear(process, steps=5))
    clean = sample(plan, lambda x, time: 0.5 * noisy, start=noisy, noisy=noisy)
    torch.testing.assert_close(clean, 0.5 * noisy)


@everything
def test_real_and_imaginary_parts_walk_as_if_alone(name: str, process: Process):
    plan = record(SOLVERS[name], process, GRID, start="drawn")
    noisy, noise = normal(2, 1, 4, 3, dtype=torch.complex64), normal(1, 1, 4, 3, seed=1, dtype=torch.complex64)
    together = sample(plan, lambda x, time: 0.7 * x, noisy, noisy, lambda *key: noise)
    real = sample(plan, lambda x, time: 0.7 * x, noisy.real, noisy.real, lambda *key: noise.real)
    imaginary = sample(plan, lambda x, time: 0.7 * x, noisy.imag, noisy.imag, lambda *key: noise.imag)
    torch.testing.assert_close(together, torch.complex(real, imaginary))


@everything
def test_the_caller_s_tensors_stay_as_they_are(name: str, process: Process):
    plan = record(SOLVERS[name], process, (*GRID[:-1], 0.01), start="drawn")
    tensors = [normal(3, 4, seed=seed) for seed in range(4)]
    copies = [tensor.clone() for tensor in tensors]
    start, noisy, noise, clean = tensors
    noisy = start if plan.bridge else noisy
    sample(plan, lambda x, time: clean, start, noisy, lambda *key: noise)
    sample(plan, lambda x, time: x, start, noisy, lambda *key: noise)
    for tensor, copy in zip(tensors, copies, strict=True):
        assert torch.equal(tensor, copy)


@everything
def test_a_network_that_returns_its_input_does_no_harm(name: str, process: Process):
    plan = record(SOLVERS[name], process, GRID)
    start, noise = normal(3, 4), normal(3, 4, seed=1)
    one, other = (sample(plan, network, start, start, lambda *key: noise) for network in (lambda x, time: x, lambda x, time: x.clone()))
    assert torch.equal(one, other)


@everything
def test_estimates_are_let_go_as_soon_as_nothing_needs_them(name: str, process: Process):
    plan = record(SOLVERS[name], process, linear(process, 20))
    made = list[weakref.ref]()
    most = 0

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        nonlocal most
        clean = 0.5 * x
        made.append(weakref.ref(clean))
        most = max(most, sum(reference() is not None for reference in made))
        return clean

    start = normal(3, 4)
    sample(plan, denoise, start, start, lambda *key: start)
    assert most < plan.buffers


def test_each_noise_is_asked_for_once_by_its_key_and_broadcast_over_channels(process: Process):
    plan = record(SOLVERS["adams"], process, GRID, noise_level=1.0, start="drawn")
    keys = list[tuple[int, str, int]]()

    def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
        keys.append((step, purpose, repeat))
        return normal(1, 1, 4, 3, seed=step)

    noisy = normal(1, 1, 4, 3).expand(2, 3, 4, 3)
    got = sample(plan, lambda x, time: 0.5 * x, noisy, noisy, noise)
    assert keys == list(plan.draws)
    assert got.shape == noisy.shape
    assert torch.equal(got, got[:1, :1].expand_as(got))


def test_gradients_flow_through_a_walk():
    plan = record(SOLVERS["adams"], BridgeVE(), GRID)
    gain = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    start = normal(5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda gain: sample(plan, lambda x, time: gain * x, start, start), gain)


def test_a_stochastic_plan_without_noise_is_refused_at_once():
    plan = record(SOLVERS["ddim"], BridgeVE(), GRID, eta=1.0)
    with pytest.raises(ConfigError, match=r"^sample: this plan draws noise 5 times and got none: pass noise\(step, purpose, repeat\)$"):
        sample(plan, lambda x, time: pytest.fail("the network was called"), normal(3), normal(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noisy": None}, r"sample: this plan needs the noisy sound and got none: pass noisy"),
        ({"noisy": normal(2)}, r"sample: the noisy sound has the shape \(2,\), expected \(3,\) as the start"),
        (
            {"noisy": normal(3, dtype=torch.complex64)},
            r"sample: the noisy sound is torch.complex64 on cpu, expected torch.float32 on .*",
        ),
        ({"noisy": normal(3).numpy()}, r"sample: the noisy sound is a ndarray, expected torch.float32 on cpu as the start"),
        ({"start": None}, r"sample: the start is a NoneType, expected a tensor of floating point or complex numbers"),
        ({"start": torch.arange(3)}, r"sample: the start is torch.int64 on cpu, expected a tensor of floating point or complex numbers"),
        ({"noise": normal(3)}, r"sample: noise is a Tensor, expected a function of \(step, purpose, repeat\)"),
        ({"noise": no_noise}, r"sample: noise takes other arguments, expected a function of \(step, purpose, repeat\)"),
        ({"denoise": lambda x: x}, r"sample: denoise takes other arguments, expected a function of \(state, time\)"),
        ({"plan": SOLVERS["ddim"]}, r"sample: the plan is a Solver, expected what `record` makes of a solver, a process and a grid"),
        ({"start": normal(3, seed=1)}, r"sample: a bridge starts in its noisy sound and got another state: pass start=noisy, or a grid .*"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_before_the_first_call(change: dict, message: str):
    arguments: dict[str, Any] = {"plan": record(SOLVERS["ddim"], BridgeVE(), GRID), "start": normal(3), "noisy": normal(3)}
    arguments["denoise"] = lambda x, time: pytest.fail("the network was called")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        sample(**arguments | change)


def test_an_estimate_or_a_noise_of_another_shape_is_refused():
    noisy = normal(3)
    with pytest.raises(ConfigError, match=r"^sample: the estimate at time 1 has the shape \(2,\), expected \(3,\) as the state$"):
        sample(record(SOLVERS["ddim"], BridgeVE(), GRID), lambda x, time: x[:2], noisy, noisy)
    with pytest.raises(ConfigError, match=r"^sample: the noise \(0, 'step', 0\) has the shape \(2,\), expected what broadcasts to \(3,\)$"):
        sample(record(SOLVERS["ddpm"], BridgeVE(), GRID), lambda x, time: x, noisy, noisy, lambda *key: normal(2))


@pytest.mark.parametrize(
    ("estimate", "found"),
    [
        (lambda x: None, "a NoneType"),
        (lambda x: (x,), "a tuple"),
        (lambda x: x.real, "torch.float32 on cpu"),
        (lambda x: x.real.long(), "torch.int64 on cpu"),
        (lambda x: x.to("meta"), "torch.complex64 on meta"),
    ],
)
def test_an_estimate_of_another_kind_is_refused(estimate, found: str):
    noisy = normal(3, dtype=torch.complex64)
    with pytest.raises(ConfigError, match=f"^sample: the estimate at time 1 is {found}, expected torch.complex64 on cpu as the state$"):
        sample(record(SOLVERS["ddim"], BridgeVE(), GRID), lambda x, time: estimate(x), noisy, noisy)


def test_real_noise_for_a_complex_state_is_refused():
    noisy = normal(3, dtype=torch.complex64)
    with pytest.raises(ConfigError, match=r"^sample: the noise \(0, 'step', 0\) is torch.float32 on cpu, expected torch.complex64 on cpu"):
        sample(record(SOLVERS["ddpm"], BridgeVE(), GRID), lambda x, time: x, noisy, noisy, lambda *key: noisy.real)


@everything
@pytest.mark.parametrize("other", [torch.float64, torch.bfloat16])
def test_a_walk_has_the_precision_of_its_start_whatever_that_of_the_rest(name: str, other: torch.dtype, process: Process):
    plan, start = record(SOLVERS[name], process, (*GRID[:-1], 0.01), start="drawn"), torch.tensor([1.0, -0.5, 2.0])
    got = sample(plan, lambda x, time: (0.5 * x).to(other), start, start.to(other), lambda *key: start.to(other))
    expected = sample(plan, lambda x, time: (0.5 * x).to(other).float(), start, start, lambda *key: start)
    assert got.dtype == torch.float32
    assert torch.equal(got, expected)


@everything
def test_a_network_that_changes_its_state_in_place_is_refused(name: str, process: Process):
    plan, start = record(SOLVERS[name], process, GRID, start="drawn"), normal(3)
    with pytest.raises(ConfigError, match=r"^sample: the network changed its state in place at time 1, .*: work on a copy$"):
        sample(plan, lambda x, time: x.mul_(0.5), start, start, lambda *key: normal(3))


def test_a_process_without_noisy_sound_needs_none():
    plan = record(SOLVERS["adams"], RectifiedFlow(), linear(RectifiedFlow(), 4))
    assert not plan.reads_noisy
    assert torch.equal(
        sample(plan, lambda x, time: 0.5 * x, normal(3)), sample(plan, lambda x, time: 0.5 * x, normal(3), normal(3, seed=1))
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_reported_with_its_step_and_time(bad: float):
    plan, noisy = record(SOLVERS["ddim"], BridgeVE(), GRID), normal(3)

    def network(x: torch.Tensor, time: float) -> torch.Tensor:
        return torch.where(torch.tensor([False, time < 0.5, False]), bad, 0.5 * x)

    step = next(index for index, time in enumerate(GRID) if time < 0.5)
    where = rf"in step {step}, at time {GRID[step]:g} \(call {step + 1} of 6\), in 1 of 3 values, from a finite state"
    with pytest.raises(WalkError, match=rf"^sample: the network's estimate is not finite {where}$"):
        sample(plan, network, noisy, noisy)


def test_a_start_or_noise_that_is_not_finite_is_named():
    plan = record(SOLVERS["ddpm"], OUVE(), GRID)
    good, bad = normal(3), torch.tensor([0.0, math.nan, 0.0])
    for arguments, what in (
        ((bad, good, lambda *key: good), "the start is not finite in 1 of 3 values"),
        ((good, bad, lambda *key: good), "the noisy sound is not finite in 1 of 3 values"),
    ):
        with pytest.raises(WalkError, match=f"^sample: {what}$"):
            sample(plan, lambda x, time: 0.5 * x, *arguments)
    with pytest.raises(WalkError, match=r"^sample: the result is not finite, though every estimate was"):
        sample(record(SOLVERS["ddpm"], OUVE(), (1.0, 0.5)), lambda x, time: torch.zeros(3), good, good, lambda *key: bad)


def test_a_walk_can_be_stopped_at_its_calls():
    plan, noisy = record(SOLVERS["adams"], BridgeVE(), GRID), normal(3)
    walk, times = Interpreter(plan, noisy, noisy), list[float]()
    while call := walk.advance():
        times.append(call.time)
        walk.answer(0.5 * walk.state)
    assert tuple(times) == GRID[:-1]
    assert torch.equal(walk.result, sample(plan, lambda x, time: 0.5 * x, noisy, noisy))


@pytest.mark.parametrize("name", ["edm", "plms", "deis", "dpmpp-2s", "dpmpp-3s", "unipc", "adams"])
def test_a_start_of_noise_alone_costs_no_digits(name: str):
    """alpha / sigma is 1e-19 there: what is divided by it and multiplied again is lost."""
    process, noise = VP(beta_max=175.0), normal(5, seed=1)
    grid, clean = (1.0, 0.2, 0.1), normal(5)
    got = sample(record(SOLVERS[name], process, grid), lambda x, time: clean, noise, noise=lambda *key: noise)
    end = process.at(0.1)
    torch.testing.assert_close(got, end.alpha * clean + end.sigma * noise, rtol=0, atol=1e-4)
