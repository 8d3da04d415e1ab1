import json
import math
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sgaudio.errors import ConfigError
from sgaudio.nets import CONFIGS, NCSNpp, NCSNppConfig, make_network
from sgaudio.nets.ncsnpp import PUBLISHED, Doubling, Halving, group_norm, published_keys

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "ncsnpp.npz")

SMALL = NCSNppConfig(channels=16, multipliers=(1, 2), blocks=1, attention=(16,), bins=32)
SMALL_48K = replace(SMALL, attention=(), progressive=False, division="after")
SMALL_STORM = replace(SMALL, attention=(), centered=False)
FORMS = {
    "small_ncsnpp": SMALL,
    "small_ncsnpp_notcentered": replace(SMALL, centered=False),
    "small_ncsnpp_v2": replace(SMALL, division="never"),
    "small_ncsnpp_48k": SMALL_48K,
    "small_ncsnpp_48k_skip": replace(SMALL_48K, progressive=True),
    "small_storm_score4": SMALL_STORM,
    "small_storm_score6": replace(SMALL_STORM, inputs=6),
    "small_storm_denoiser": SMALL_STORM.as_denoiser(),
}
SIZES = {
    "full_ncsnpp": PUBLISHED["ncsnpp"],
    "full_ncsnpp_v2": PUBLISHED["ncsnpp-v2"],
    "full_ncsnpp_48k": PUBLISHED["ncsnpp-48k"],
    "full_storm_score6": PUBLISHED["ncsnpp-m"],
    "full_storm_denoiser": PUBLISHED["ncsnpp-m"].as_denoiser(),
}
KEYS = {
    "ncsnpp": PUBLISHED["ncsnpp"],
    "ncsnpp_48k": PUBLISHED["ncsnpp-48k"],
    "small_ncsnpp": SMALL,
    "small_ncsnpp_48k": SMALL_48K,
    "storm_denoiser": PUBLISHED["ncsnpp-m"].as_denoiser(),
    "storm_score4": replace(PUBLISHED["ncsnpp-m"], inputs=4),
    "storm_score6": PUBLISHED["ncsnpp-m"],
    "storm_large_score6": PUBLISHED["ncsnpp-large"],
    "storm_large_denoiser": PUBLISHED["ncsnpp-large"].as_denoiser(),
}


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The rule of the golden numbers: uniform on -1 to 1, keyed by a name."""
    return 2 * np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).random(shape) - 1


def golden_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    values = uniform(name, shape)
    if len(shape) > 1:
        values *= math.sqrt(3 / (shape[0] if name.endswith(".W") else math.prod(shape[1:])))
    elif name.endswith(".W"):
        values *= 16
    elif name.endswith("weight"):
        values = 1 + 0.1 * values
    else:
        values *= 0.1
    return torch.from_numpy(values)


def golden_inputs(name: str, config: NCSNppConfig, batch: int, frames: int, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    parts = [torch.from_numpy(uniform(f"{name}/in{i}", (2, batch, 1, config.bins, frames))).to(dtype) for i in range(config.inputs // 2)]
    time = [torch.tensor([0.37, 0.9][:batch], dtype=dtype)] if config.timed else []
    return [*(torch.complex(*part) for part in parts), *time]


def golden_network(name: str, config: NCSNppConfig, dtype: torch.dtype) -> NCSNpp:
    network = NCSNpp(config).to(dtype).requires_grad_(False)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    keys = published_keys(config)
    network.load_state_dict({ours: golden_weight(f"{name}/{public}", shapes[ours]) for public, ours in keys.items() if ours})
    return network


def error_against_golden(name: str, config: NCSNppConfig, dtype: torch.dtype, batch: int, frames: int) -> float:
    """The largest error over the largest golden number."""
    inputs = golden_inputs(name, config, batch, frames, dtype)
    golden = torch.from_numpy(GOLDEN[f"out/{name}"])
    output = golden_network(name, config, dtype)(*inputs)
    assert output.shape == (batch, 1, config.bins, frames)
    error = output[..., :: config.bins // golden.shape[-2], :: frames // golden.shape[-1]] - golden
    return (error.abs().max() / golden.abs().max()).item()


def spectrogram(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def lively(config: NCSNppConfig) -> NCSNpp:
    """A network in which, other than in a new one, nothing is nearly zero."""
    return golden_network("lively", config, torch.float32)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("name", FORMS)
def test_small_networks_compute_what_the_public_code_computed(name, dtype, bound):
    assert error_against_golden(name, FORMS[name], dtype, 2, 24) < bound


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes_compute_what_the_public_code_computed(name):
    assert error_against_golden(name, SIZES[name], torch.float32, 1, 64) < 1e-4


def test_the_size_of_sgmse_computes_in_float64_what_the_public_code_computed():
    assert error_against_golden("full_ncsnpp", SIZES["full_ncsnpp"], torch.float64, 1, 64) < 1e-10


@pytest.mark.parametrize("name", KEYS)
def test_every_public_key_has_its_tensor_here_in_the_same_order(name):
    keys = published_keys(KEYS[name])
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in NCSNpp(KEYS[name]).state_dict().items()}
    public = {key: tuple(map(int, shape.split(","))) for key, shape in (line.split() for line in GOLDEN[f"keys/{name}"].tolist())}
    assert list(keys) == list(public)
    assert {key: ours[mine] for key, mine in keys.items() if mine} == {key: public[key] for key, mine in keys.items() if mine}
    assert [mine for mine in keys.values() if mine] == list(ours)
    unused = {key.split(".", 2)[2] for key, mine in keys.items() if not mine}
    assert unused == ({"W", "Dense_0.weight", "Dense_0.bias"} if "denoiser" in name else set())


@pytest.mark.parametrize(
    ("name", "inputs", "count"),
    [
        ("ncsnpp", 4, 65_590_822),
        ("ncsnpp-v2", 4, 65_590_822),
        ("ncsnpp-48k", 4, 64_739_854),
        ("ncsnpp-m", 4, 27_756_314),
        ("ncsnpp-m", 6, 27_776_038),
        ("ncsnpp-large", 4, 65_590_822),
        ("ncsnpp-large", 6, 65_623_352),
        ("ncsnpp-12m", 6, 11_688_614),
        ("ncsnpp-6m", 6, 5_225_990),
    ],
)
def test_published_sizes_hold_as_many_numbers_as_published(name, inputs, count):
    with torch.device("meta"):
        assert sum(value.numel() for value in NCSNpp(replace(PUBLISHED[name], inputs=inputs)).state_dict().values()) == count


@pytest.mark.parametrize(
    ("name", "count"), [("ncsnpp-m", 27_342_350), ("ncsnpp-large", 65_164_052), ("ncsnpp-12m", 11_440_526), ("ncsnpp-6m", 4_985_582)]
)
def test_denoisers_lack_only_what_public_ones_hold_without_use(name, count):
    with torch.device("meta"):
        timed, denoiser = NCSNpp(replace(PUBLISHED[name], inputs=2)).state_dict(), NCSNpp(PUBLISHED[name].as_denoiser()).state_dict()
    unused = sum(value.numel() for key, value in timed.items() if key == "time.frequencies" or ".shift." in key)
    assert sum(value.numel() for value in denoiser.values()) + unused == count


@pytest.mark.parametrize("frames", [1, 5, 7])
@pytest.mark.parametrize("centered", [True, False])
def test_any_number_of_frames_is_the_whole_multiple_with_zeros_cropped(frames, centered):
    network = lively(NCSNppConfig(channels=8, multipliers=(1, 1, 2), blocks=1, attention=(), bins=16, centered=centered))
    state, noisy, time = spectrogram(2, 1, 16, frames), spectrogram(2, 1, 16, frames, seed=1), torch.tensor([0.5, 1.0])
    padded = network(*(F.pad(x, (0, -frames % 4)) for x in (state, noisy)), time)
    output = network(state, noisy, time)
    assert output.shape == state.shape
    assert torch.equal(output, padded[..., :frames])


def test_batch_mates_do_not_meet():
    network, state, noisy, time = lively(SMALL), spectrogram(3, 1, 32, 6), spectrogram(3, 1, 32, 6, seed=1), torch.tensor([1.0, 0.5, 0.2])
    together = network(state, noisy, time)
    alone = torch.cat([network(state[i : i + 1], noisy[i : i + 1], time[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_time_is_embedded_once_for_a_whole_grid():
    network, state = lively(SMALL), spectrogram(1, 1, 32, 6)
    grid = torch.tensor([1.0, 0.5, 0.03])
    embeddings = network.time(grid)
    parts = torch.cat([state.real, state.imag, state.real, state.imag], 1)
    for i in range(3):
        real, imaginary = network.parts(parts, grid[i : i + 1], embeddings[i : i + 1]).split(1, 1)
        torch.testing.assert_close(torch.complex(real, imaginary), network(state, state, grid[i : i + 1]), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch does so itself
@pytest.mark.parametrize("config", [SMALL, SMALL_48K, replace(SMALL_STORM, inputs=6), SMALL_STORM.as_denoiser()])
def test_it_is_one_graph_without_a_break(config):
    network = lively(config)
    parts = torch.randn(1, config.inputs, 32, 6, generator=torch.Generator().manual_seed(0))
    time = torch.tensor([0.5]) if config.timed else None
    embedding = network.time(time) if network.time is not None else None
    compiled = torch.compile(network.parts, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(compiled(parts, time, embedding), network.parts(parts, time, embedding), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", FORMS.values(), ids=FORMS)
def test_bfloat16_autocast_stays_near(config):
    network, inputs = lively(config), golden_inputs("bfloat16", config, 2, 6, torch.float32)
    exact = network(*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(*inputs)
    assert rough.dtype == torch.complex64
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("config", FORMS.values(), ids=FORMS)
def test_computing_in_bfloat16_stays_near_and_leaves_time_and_output_exact(config):
    network, inputs = lively(config), golden_inputs("bfloat16", config, 2, 6, torch.float32)
    exact, weights = network(*inputs), {key: value.clone() for key, value in network.state_dict().items()}
    rough = network.compute_in(torch.bfloat16)(*inputs)
    assert rough.dtype == torch.complex64
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()
    for key, value in network.state_dict().items():
        kept = key.startswith(("time.", "output."))
        assert value.dtype == (torch.float32 if kept else torch.bfloat16), key
        assert not kept or torch.equal(value, weights[key])


def test_gradients_are_right_though_layers_write_in_place():
    config = NCSNppConfig(channels=4, multipliers=(1, 1), blocks=1, attention=(2,), bins=4)
    network = golden_network("gradient", config, torch.float64)
    state, noisy, time = (value.requires_grad_() for value in golden_inputs("gradient", config, 1, 2))
    weight = network.decoder[0].blocks[0].conv1.weight.requires_grad_()

    def output(state, noisy, time, _):
        return network(state, noisy, time)

    assert torch.autograd.gradcheck(output, (state, noisy, time, weight), fast_mode=True)


def test_a_new_network_says_nearly_nothing_but_its_bias():
    torch.manual_seed(0)
    network = NCSNpp(SMALL)
    output = network(spectrogram(1, 1, 32, 4), spectrogram(1, 1, 32, 4, seed=1), torch.ones(1))
    bias = torch.complex(*network.output.bias.detach())
    assert (output - bias).abs().max() < 1e-3


def test_new_blocks_let_pass_what_comes():
    torch.manual_seed(0)
    network, x = NCSNpp(SMALL), torch.randn(1, 32, 16, 4)
    attending, plain = network.bottleneck
    embedding = network.time(torch.ones(1))
    torch.testing.assert_close(attending(x, embedding), x / 2, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(plain(x, embedding), x / 2**0.5, rtol=1e-3, atol=1e-3)


def test_halving_and_doubling_are_the_published_filters():
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8

    def halved(rows):  # out[i] = sum_a k_a x[2i + a - 1], on the last axis
        return (F.pad(rows, (1, 1)).unfold(-1, 4, 2) * taps).sum(-1)

    def doubled(rows):  # out[2n] = (x[n - 1] + 3 x[n]) / 4, out[2n + 1] = (3 x[n] + x[n + 1]) / 4
        before, after = F.pad(rows, (1, 0))[..., :-1], F.pad(rows, (0, 1))[..., 1:]
        return torch.stack([(before + 3 * rows) / 4, (3 * rows + after) / 4], -1).flatten(-2)

    for module, formula in ((Halving(), halved), (Doubling(), doubled)):
        torch.testing.assert_close(module.double()(x), formula(formula(x).mT).mT, rtol=1e-12, atol=1e-12)


def test_a_configuration_is_made_from_plain_values():
    config = replace(PUBLISHED["ncsnpp-12m"], bins=128)
    mapping = json.loads(json.dumps({"name": "ncsnpp", **asdict(config)}))
    assert CONFIGS.build(mapping) == config
    assert isinstance(make_network(SMALL), NCSNpp)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"bins": 257}, "257 bins cannot be halved to 7 resolutions"),
        ({"multipliers": ()}, "0 resolutions"),
        ({"attention": (17,)}, "no resolution has 17 bins"),
        ({"channels": 100}, "channels is 100, expected a multiple of 32"),
        ({"channels": 6, "multipliers": (1, 1), "attention": ()}, "channels is 6, expected a multiple of 4"),
        ({"inputs": 3}, "expected one of 2, 4, 6"),
        ({"timed": False}, "division must be 'never'"),
        ({"division": "twice"}, "expected one of"),
        ({"channels": 100_000}, "4 to 512"),
        ({"blocks": "2"}, "expected int"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        NCSNppConfig(**options)


def test_wrong_inputs_are_refused():
    state, time = spectrogram(1, 1, 32, 4), torch.ones(1)
    with pytest.raises(ConfigError, match=r"32 frequency bins, .* got .1, 1, 33, 4."):
        NCSNpp(SMALL)(state, spectrogram(1, 1, 33, 4), time)
    with pytest.raises(ConfigError, match=r"32 frequency bins, .* got .1, 2, 32, 4."):
        NCSNpp(SMALL)(spectrogram(1, 2, 32, 4), state, time)
    with pytest.raises(ConfigError, match="takes state, noisy, estimate, time, got 3 inputs"):
        NCSNpp(replace(SMALL, inputs=6))(state, state, time)
    with pytest.raises(ConfigError, match="takes noisy, got 2 inputs"):
        NCSNpp(SMALL.as_denoiser())(state, time)


@pytest.mark.parametrize("layer", [Halving(), Doubling(), group_norm(16)])
def test_layers_and_their_gradients_are_the_same_where_the_network_is_compiled(layer, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 8, 12, dtype=torch.float64, generator=generator, requires_grad=True)
    for weight in layer.double().parameters():
        torch.nn.init.normal_(weight, generator=generator)
    plain = layer(3 + x)
    towards = torch.randn(plain.shape, dtype=torch.float64, generator=generator)
    learned = [x, *layer.parameters()]
    gradients = torch.autograd.grad(plain, learned, towards)
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    compiled = layer(3 + x)
    torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(torch.autograd.grad(compiled, learned, towards), gradients, rtol=0, atol=1e-12)


def test_a_compiled_norm_is_as_precise_as_its_input(monkeypatch):
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    assert group_norm(16)(torch.randn(1, 16, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
