import weakref

import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import BridgeVE, Process
from sgaudio.solvers import SOLVERS, linear, record, sample

GRID = linear(BridgeVE(), 6)
everything = pytest.mark.parametrize("name", SOLVERS)


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
    sample(plan, lambda x, time: clean, start, noisy, lambda *key: noise)
    sample(plan, lambda x, time: x, start, noisy, lambda *key: noise)
    for tensor, copy in zip(tensors, copies, strict=True):
        assert torch.equal(tensor, copy)


@everything
def test_a_network_that_returns_its_input_does_no_harm(name: str, process: Process):
    plan = record(SOLVERS[name], process, GRID)
    start = normal(3, 4)
    assert torch.equal(sample(plan, lambda x, time: x, start, start), sample(plan, lambda x, time: x.clone(), start, start))


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
    sample(plan, denoise, start, start)
    assert most < plan.buffers


def test_each_noise_is_asked_for_once_by_its_key_and_broadcast_over_channels(process: Process):
    plan = record(SOLVERS["adams"], process, GRID, noise_level=1.0, start="drawn")
    keys = list[tuple[int, str]]()

    def noise(step: int, purpose: str) -> torch.Tensor:
        keys.append((step, purpose))
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
    with pytest.raises(ConfigError, match=r"^sample: this plan draws noise 5 times and got none: pass noise\(step, purpose\)$"):
        sample(plan, lambda x, time: pytest.fail("the network was called"), normal(3), normal(3))
