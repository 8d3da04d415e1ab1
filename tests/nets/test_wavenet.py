import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.nets.wavenet import WaveNet, WaveNetConfig, published_keys, sinusoid

GOLDEN = Path(__file__).parents[1] / "golden" / "diffsinger"
TINY = WaveNetConfig(bins=5, condition=3, channels=6, layers=5, cycle=3)
PUBLISHED = {
    "mitr_diffnet": (WaveNetConfig(), "denoise_fn."),
    "openvpi_wavenet": (WaveNetConfig(bins=16, channels=32, layers=4, cycle=2), "wavenet."),  # steps between whole numbers
}


def golden_weight(key: str, shape: torch.Size) -> torch.Tensor:
    """The rule of the golden numbers."""
    values = np.random.Generator(np.random.Philox(key=zlib.crc32(key.encode()))).standard_normal(shape)
    return torch.from_numpy(0.1 * values if key.endswith("bias") else values / np.prod(shape[1:]) ** 0.5)


def golden_network(config: WaveNetConfig, prefix: str) -> WaveNet:
    with torch.device("meta"):
        network = WaveNet(config)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    weights = {ours: golden_weight(prefix + public, shapes[ours]) for public, ours in published_keys(config).items()}
    network.load_state_dict(weights, assign=True)
    return network


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def given(batch: int, frames: int, config: WaveNetConfig = TINY) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """State, step, condition."""
    return draw(batch, 1, config.bins, frames), 100 * draw(batch, seed=1).abs(), draw(batch, config.condition, frames, seed=2)


@pytest.fixture
def network() -> WaveNet:
    """One in which, other than in a new one, nothing is zero."""
    return golden_network(TINY, "tiny.")


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_computes_what_the_public_code_computed(name):
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"{name}.npz").items()}
    network = golden_network(*PUBLISHED[name]).requires_grad_(False)
    output = network(golden["x"], golden["t"], network.project(golden["cond"]))
    assert (output - golden["y"]).abs().max() < 1e-10 * golden["y"].abs().max()


def test_the_step_is_embedded_as_in_the_public_code():
    golden = np.load(GOLDEN / "mitr_diffnet.npz")
    found = sinusoid(torch.from_numpy(golden["t"]).double(), 256)
    np.testing.assert_allclose(found, golden["step_embedding"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("config", "count"), [(WaveNetConfig(), 15_086_416), (WaveNetConfig(bins=128, channels=512), 54_994_560)])
def test_published_sizes_hold_as_many_numbers_as_published(config, count):
    with torch.device("meta"):
        assert sum(weight.numel() for weight in WaveNet(config).parameters()) == count
        assert sum(weight.numel() for weight in WaveNet(replace(config, cycle=1)).parameters()) == count


def test_every_public_key_has_its_tensor_here():
    with torch.device("meta"):
        ours = WaveNet(WaveNetConfig()).state_dict()
    keys = published_keys(WaveNetConfig())
    lines = (GOLDEN / "mitr_cascade_keys.txt").read_text().splitlines()
    public = {line.removeprefix("denoise_fn.") for line in lines if line.startswith("denoise_fn.")}
    assert {f"{key} {','.join(map(str, ours[mine].shape))}" for key, mine in keys.items()} == public
    assert set(keys.values()) == set(ours)


def test_the_condition_is_projected_once_for_all_steps(network):
    state, step, condition = given(2, 9)
    projected = network.project(condition)
    kept, calls = projected.clone(), []
    for layer in network.condition:
        layer.register_forward_hook(lambda *_: calls.append(1))
    outputs = [network(state, step * share, projected) for share in (1, 0.5, 0.1)]
    assert not calls
    assert torch.equal(projected, kept)
    assert torch.equal(outputs[1], network(state, step * 0.5, network.project(condition)))


def test_all_that_it_takes_is_heeded(network):
    state, step, condition = given(2, 9)
    output = network(state, step, network.project(condition))
    for changed in ((2 * state, step, condition), (state, step + 0.5, condition), (state, step, 2 * condition)):
        assert (network(*changed[:2], network.project(changed[2])) - output).abs().amax((1, 2, 3)).min() > 1e-4


def test_whole_steps_and_real_ones_are_the_same(network):
    state, _, condition = given(2, 9)
    projected = network.project(condition)
    outputs = [network(state, torch.tensor([3, 77]).to(dtype), projected) for dtype in (torch.int64, torch.float32, torch.float64)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


def test_in_half_precision_it_still_tells_late_steps_apart():
    network = WaveNet(TINY).bfloat16()
    first, second = network.step(torch.tensor([999.0, 1000.0]))
    assert not torch.equal(first, second)


def test_an_item_depends_neither_on_its_padding_nor_on_its_batch(network):
    state, step, condition = given(4, 12)
    lengths = [12, 7, 1, 0]
    mask = torch.arange(12) < torch.tensor(lengths)[:, None]
    together = network(state, step, network.project(condition), mask)
    for i, length in enumerate(lengths):
        assert not together[i, ..., length:].any()
        if length:
            alone = network(state[i : i + 1, ..., :length], step[i : i + 1], network.project(condition[i : i + 1, :, :length]))
            torch.testing.assert_close(together[i : i + 1, ..., :length], alone, rtol=1e-12, atol=1e-12)


def test_padding_trains_nothing(network):
    """In the public code padded frames take part in the loss and leak into their neighbours."""
    state, step, condition = (value.requires_grad_() for value in given(1, 12))
    mask = torch.arange(12)[None] < 7
    network(state, step, network.project(condition), mask).sum().backward()
    assert state.grad[..., :7].all()
    assert not state.grad[..., 7:].any()
    assert not condition.grad[..., 7:].any()


def test_it_sees_as_far_as_its_dilations_reach(network):
    state, step, condition = given(1, 41)
    state.requires_grad_()
    network(state, step, network.project(condition))[..., 20].sum().backward()
    reach = sum(2 ** (i % TINY.cycle) for i in range(TINY.layers))  # 1 + 2 + 4 + 1 + 2
    (seen,) = state.grad.abs().sum((0, 1, 2)).nonzero(as_tuple=True)
    assert (seen.min(), seen.max()) == (20 - reach, 20 + reach)


def test_every_weight_learns(network):
    state, step, condition = given(2, 9)
    network(state, step, network.project(condition)).square().sum().backward()
    for name, weight in network.named_parameters():
        if name != f"layers.{TINY.layers - 1}.output.weight":
            assert weight.grad is not None, name
            assert weight.grad.any(), name
    last = network.layers[-1].output.weight.grad
    assert last[TINY.channels :].any()  # the other half, what the last layer hands on, nobody takes
    assert not last[: TINY.channels].any()


def test_a_new_network_says_nothing_but_its_bias():
    network = WaveNet(TINY).double()
    state, step, condition = given(2, 9)
    output = network(state, step, network.project(condition))
    torch.testing.assert_close(output, network.output.bias[:, None].expand_as(output), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch does so itself
@pytest.mark.parametrize("lengths", [None, [9, 4]])
def test_it_is_one_graph_without_a_break(network, lengths):
    state, step, condition = given(2, 9)
    mask = None if lengths is None else torch.arange(9) < torch.tensor(lengths)[:, None]

    def denoise(state, step, condition):
        return network(state, step, network.project(condition), mask)

    compiled = torch.compile(denoise, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(compiled(state, step, condition), denoise(state, step, condition), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"channels": 7}, "channels is 7, expected an even number"),
        ({"channels": 2}, "4 to 4096"),
        ({"layers": 0}, "1 to 128"),
        ({"cycle": 13}, "1 to 12"),
        ({"bins": "80"}, "expected int"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        WaveNetConfig(**options)


def test_wrong_inputs_are_refused(network):
    state, step, condition = given(2, 9)
    projected, mask = network.project(condition), torch.ones(2, 9, dtype=torch.bool)
    with pytest.raises(ConfigError, match=r"condition \(batch, 3, frame\), got \(2, 9, 3\)$"):
        network.project(condition.mT)
    for what, wrong in (
        (r"state of shape \(2, 1, 5, 9\), got \(2, 1, 9, 9\)", (draw(2, 1, 9, 9), step, projected)),
        (r"state of shape \(2, 1, 5, 9\), got \(2, 5, 9\)", (state[:, 0], step, projected)),
        (r"step of shape \(2,\), got \(\)", (state, step[0], projected)),
        (r"projected condition of shape \(2, 5, 12, 9\), got \(2, 3, 9\)", (state, step, condition)),
        (r"projected condition of shape \(2, 5, 12, 8\), got \(2, 5, 12, 9\)", (state[..., :8], step, projected)),
        (r"mask of shape \(2, 9\), got \(2, 8\)", (state, step, projected, mask[:, :8])),
    ):
        with pytest.raises(ConfigError, match=rf"^this WaveNet expects a {what}$"):
            network(*wrong)
