import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE
from sgaudio.solvers import SOLVERS, capture, keyed_noise, linear, record, run, sample

# A solver of each shape: one call a step, several, histories, and one, two and many noises a step.
WALKS = [("ddim", {}), ("adams", {}), ("dpmpp-3s", {}), ("heun", {}), ("ddpm", {}), ("dpmpp-2m-sde", {}), ("stochastic-heun", {})]
WALKS += [("predictor-corrector", {}), ("restart", {})]
walks = pytest.mark.parametrize(("name", "options"), WALKS, ids=[name for name, _ in WALKS])


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def curved(x: torch.Tensor, time: float) -> torch.Tensor:
    return 0.4 * x - 0.1 * x * x * x + 0.2 * time * x


def noise_on(device: str, seed: int = 0, dtype: torch.dtype = torch.float64):
    """Noise by key, on a device before it is asked for."""
    drawn = {}

    def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
        key = step, purpose, repeat
        if key not in drawn:
            number = 7 + seed + 1000 * step + 100 * len(purpose) + repeat
            drawn[key] = normal(1, 1, 4, 5, seed=number, dtype=dtype).to(device)
        return drawn[key]

    return noise


def test_a_walk_on_the_processor_is_refused_in_one_clear_line():
    plan = record(SOLVERS["ddim"], OUVE(), linear(OUVE(), 4))
    with pytest.raises(ConfigError, match=r"^capture: the start is on the device 'cpu', expected a CUDA device: use `sample` there$"):
        capture(plan, curved, normal(2, 1, 4, 5), normal(2, 1, 4, 5))


gpu = pytest.mark.gpu
cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@gpu
@cuda
@walks
@pytest.mark.parametrize("process", [OUVE(), BridgeVE()], ids=["ouve", "bridge-ve"])
def test_a_captured_walk_gives_the_bits_of_an_eager_one_and_the_numbers_of_the_processor(name: str, options: dict, process):
    plan = record(SOLVERS[name], process, linear(process, 5), start="drawn", **options)
    one, other = (normal(2, 1, 4, 5, seed=seed) for seed in (1, 2))
    captured = capture(plan, curved, one.cuda(), one.cuda(), noise_on("cuda", seed=3))
    for noisy, seed in ((other, 4), (one, 3), (other, 4)):  # what a replay was given leaves no trace
        eager = run(plan, curved, noisy.cuda(), noisy.cuda(), noise_on("cuda", seed))
        replayed = captured(noisy.cuda(), noisy.cuda(), noise_on("cuda", seed))
        assert torch.equal(replayed, eager)
        exact = sample(plan, curved, noisy, noisy, noise_on("cpu", seed))
        torch.testing.assert_close(replayed.cpu(), exact, rtol=1e-12, atol=1e-12)


@gpu
@cuda
@walks
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_nothing_waits_for_the_device_from_the_first_call_to_the_last(name: str, options: dict):
    plan = record(SOLVERS[name], OUVE(), linear(OUVE(), 5), **options)
    noisy = normal(2, 1, 4, 5, dtype=torch.complex64).cuda()
    keyed = keyed_noise(1, noisy)
    captured = capture(plan, lambda x, time: (0.4 + time) * x, noisy, noisy, keyed)
    torch.cuda.set_sync_debug_mode("error")
    try:
        eager = run(plan, lambda x, time: (0.4 + time) * x, noisy, noisy, keyed)
        replayed = captured(noisy, noisy, keyed)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(replayed, eager)


@gpu
@cuda
def test_a_result_is_the_caller_s_own_and_the_caller_s_tensors_stay_as_they_are():
    plan = record(SOLVERS["ddim"], BridgeVE(), linear(BridgeVE(), 4))
    one, other = (normal(2, 1, 4, 5, seed=seed).cuda() for seed in (1, 2))
    copies = one.clone(), other.clone()
    captured = capture(plan, curved, one, one)
    first = captured(one, one)
    kept = first.clone()
    captured(other, other)
    assert torch.equal(first, kept)
    assert torch.equal(one, copies[0])
    assert torch.equal(other, copies[1])


@gpu
@cuda
def test_a_network_on_the_noisy_sound_reads_the_caller_s_tensor_in_each_replay():
    plan = record(SOLVERS["adams"], BridgeVE(), linear(BridgeVE(), 4))
    one, other = (normal(2, 1, 4, 5, seed=seed).cuda() for seed in (1, 2))
    condition = one.clone()
    captured = capture(plan, lambda x, time: 0.5 * x + 0.2 * condition, one, one)
    condition.copy_(other)
    assert torch.equal(captured(other, other), run(plan, lambda x, time: 0.5 * x + 0.2 * other, other, other))


@gpu
@cuda
def test_a_network_with_weights_is_captured_in_inference_mode_and_replayed_outside():
    plan = record(SOLVERS["ddim"], BridgeVE(), linear(BridgeVE(), 3))
    network, noisy = torch.nn.Linear(5, 5, dtype=torch.float64).cuda(), normal(2, 1, 4, 5).cuda()
    with torch.inference_mode():
        captured = capture(plan, lambda x, time: network(x), noisy, noisy)
    replayed = captured(noisy, noisy)
    assert not replayed.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(replayed, run(plan, lambda x, time: network(x), noisy, noisy), rtol=1e-12, atol=1e-12)


@gpu
@cuda
def test_a_replay_with_other_tensors_is_refused_in_one_clear_line():
    plan = record(SOLVERS["ddpm"], OUVE(), linear(OUVE(), 3))
    noisy, noise = normal(2, 1, 4, 5).cuda(), noise_on("cuda")
    captured = capture(plan, curved, noisy, noisy, noise)
    expected = r"expected torch.float64 of shape \(2, 1, 4, 5\) as at the capture$"
    with pytest.raises(ConfigError, match=r"^capture: the start is torch.float64 of shape \(1, 1, 4, 5\), " + expected):
        captured(noisy[:1], noisy, noise)
    with pytest.raises(ConfigError, match=r"^capture: the noisy sound is torch.float32 of shape \(2, 1, 4, 5\), " + expected):
        captured(noisy, noisy.float(), noise)
    with pytest.raises(ConfigError, match=r"^capture: got no noisy sound, " + expected):
        captured(noisy, None, noise)
    with pytest.raises(ConfigError, match=r"^capture: got no noise \(0, 'step', 0\), expected torch.float64 of shape \(1, 1, 4, 5\)"):
        captured(noisy, noisy)
