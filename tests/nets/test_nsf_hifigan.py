import copy
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
from sgaudio.nets.nsf_hifigan import PUBLISHED, Draws, HarmonicSource, NSFHiFiGAN, NSFHiFiGANConfig, published_keys
from sgaudio.registry import build

GOLDEN = Path(__file__).parents[1] / "golden" / "diffsinger"
FILES = {"diffsinger-24k": "mitr_hifigan24k.npz", "openvpi-44k": "openvpi_nsf_hifigan44k.npz"}
TAGS = {"diffsinger-24k": "hifigan24k", "openvpi-44k": "nsf_hifigan_44k"}
SMALL = NSFHiFiGANConfig(bins=8, channels=16, hop=8, rates=(4, 2), kernels=(8, 4), block_kernels=(3, 5), dilations=(1, 3))


def draw(config: NSFHiFiGANConfig, frames: list[int], generators: list[torch.Generator]) -> Draws:
    """What each item's own generator gives, zeros after its end."""
    phases, noises = [], []
    for count, generator in zip(frames, generators, strict=True):
        phases.append(torch.rand(config.harmonics - 1, generator=generator))
        noise = torch.randn(config.harmonics, count * config.hop, generator=generator)
        noises.append(F.pad(noise, (0, (max(frames) - count) * config.hop)))
    return Draws(torch.stack(phases), torch.stack(noises))


def philox(name: str) -> np.random.Generator:
    """The rule of the golden numbers: keyed by a name."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode())))


def golden_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    values = philox(name).standard_normal(shape)
    last = name.rpartition(".")[2]
    if last == "bias":
        values *= 0.1
    elif last == "weight_g" or len(shape) < 2:
        values = 1 + 0.1 * values
    else:
        values /= math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(values)


def golden_network(config: NSFHiFiGANConfig, tag: str, dtype: torch.dtype = torch.float64) -> NSFHiFiGAN:
    network = NSFHiFiGAN(config).to(dtype).requires_grad_(False)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict({ours: golden_weight(f"{tag}.{public}", shapes[ours]) for public, ours in published_keys(config).items()})
    return network


def golden_draws(tag: str, harmonics: int, samples: int) -> Draws:
    """As the public code drew them: a phase for the fundamental, which it does not use, and noise with the harmonics last."""
    phases = philox(f"{tag}:rand:0").random((1, harmonics))[:, 1:]
    noise = philox(f"{tag}:randn:0").standard_normal((1, samples, harmonics)).transpose(0, 2, 1)
    return Draws(torch.from_numpy(phases), torch.from_numpy(noise.copy()))


def silent(config: NSFHiFiGANConfig, batch: int, frames: int) -> Draws:
    """Overtones that start at phase 0, and no noise."""
    phases = torch.zeros(batch, config.harmonics - 1, dtype=torch.float64)
    return Draws(phases, torch.zeros(batch, config.harmonics, frames * config.hop, dtype=torch.float64))


def score(config: NSFHiFiGANConfig, batch: int, frames: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """A mel spectrogram, and an F0 of its own for each item, every fourth frame unvoiced."""
    mel = torch.randn(batch, config.bins, frames, dtype=dtype, generator=torch.Generator().manual_seed(0))
    f0 = 200 + 50 * torch.rand(batch, frames, dtype=dtype, generator=torch.Generator().manual_seed(1))
    f0[:, ::4] = 0
    return mel, f0


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_published_sizes_compute_what_the_public_code_computed(name, folded):
    golden, config = np.load(GOLDEN / FILES[name]), PUBLISHED[name]
    network = golden_network(config, TAGS[name])
    network = network.fold() if folded else network
    mel, f0, waveform = (torch.from_numpy(golden[key]) for key in ("mel", "f0", "wav"))
    draws = golden_draws(TAGS[name], config.harmonics, waveform.shape[-1])
    source = network.source(f0, draws)
    assert (source - torch.from_numpy(golden["source"]).reshape(source.shape)).abs().max() < 1e-10 * source.abs().max()
    assert (network(mel, f0, draws) - waveform).abs().max() < 1e-10 * waveform.abs().max()


def test_in_single_precision_it_stays_near():
    golden, config = np.load(GOLDEN / FILES["diffsinger-24k"]), PUBLISHED["diffsinger-24k"]
    mel, f0, waveform = (torch.from_numpy(golden[key]).float() for key in ("mel", "f0", "wav"))
    output = golden_network(config, "hifigan24k", torch.float32)(mel, f0, golden_draws("hifigan24k", 9, 1280))
    assert output.dtype == torch.float32
    assert (output - waveform).abs().max() < 1e-4 * waveform.abs().max()


@pytest.mark.parametrize("name", FILES)
def test_every_public_key_has_its_tensor_here(name):
    with torch.device("meta"):
        ours = {key: ",".join(map(str, value.shape)) for key, value in NSFHiFiGAN(PUBLISHED[name]).state_dict().items()}
    keys = published_keys(PUBLISHED[name])
    assert {key: ours[mine] for key, mine in keys.items()} == dict(line.split() for line in np.load(GOLDEN / FILES[name])["keys"].tolist())
    assert sorted(keys.values()) == sorted(ours)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (PUBLISHED["diffsinger-24k"], 13_683_980),
        (replace(PUBLISHED["diffsinger-24k"], channels=256), 3_500_172),
        (replace(PUBLISHED["diffsinger-24k"], channels=128), 914_636),
        (PUBLISHED["openvpi-44k"], 14_178_956),
    ],
)
def test_published_sizes_hold_as_many_numbers_as_published(config, count):
    with torch.device("meta"):
        assert sum(value.numel() for value in NSFHiFiGAN(config).parameters()) == count


def test_a_constant_f0_gives_sines_of_the_closed_form():
    config = NSFHiFiGANConfig()
    draws = silent(config, 1, 50)._replace(phases=torch.rand(1, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    waves = HarmonicSource(config).waves(torch.full((1, 50), 217.3, dtype=torch.float64), draws)
    n, h = torch.arange(1, 50 * 128 + 1, dtype=torch.float64), torch.arange(1, 10, dtype=torch.float64)[:, None]
    turns = h * 217.3 / 24_000 * n + F.pad(draws.phases[0], (1, 0))[:, None]
    torch.testing.assert_close(waves[0], 0.1 * (2 * math.pi * turns).sin(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
def test_the_phase_does_not_drift_however_long_the_song(dtype, bound):
    """Eleven minutes in which each frame adds 255/256 of a turn: sums that no single precision holds, and that leave 64 bits."""
    config = NSFHiFiGANConfig(harmonics=1, hop=4, rates=(4,), kernels=(4,), sample_rate=1024)
    f0 = torch.full((1, 170_000), 255.0, dtype=dtype)
    waves = HarmonicSource(config).waves(f0, silent(config, 1, 170_000))
    turns = torch.arange(1, 680_001, dtype=torch.float64) * 255 / 1024 % 1
    torch.testing.assert_close(waves[0, 0].double(), 0.1 * (2 * math.pi * turns).sin(), rtol=0, atol=bound)


def test_where_f0_changes_the_phase_goes_on():
    config = NSFHiFiGANConfig()
    f0 = torch.tensor([[220.0, 330.0, 110.0, 440.0]], dtype=torch.float64)
    fundamental = HarmonicSource(config).waves(f0, silent(config, 1, 4))[0, 0]
    turns = (f0.repeat_interleave(128, 1) / 24_000).cumsum(1)[0]
    torch.testing.assert_close(fundamental, 0.1 * (2 * math.pi * turns).sin(), rtol=0, atol=1e-11)


def test_voiced_frames_have_little_noise_and_unvoiced_ones_nothing_else():
    config = NSFHiFiGANConfig(harmonics=2)
    f0 = torch.tensor([[220.0, 0.0, 220.0]], dtype=torch.float64)
    ones = silent(config, 1, 3)._replace(noise=torch.ones(1, 2, 384, dtype=torch.float64))
    source = HarmonicSource(config)
    quiet, noisy = source.waves(f0, silent(config, 1, 3)), source.waves(f0, ones)
    assert torch.equal(quiet[..., 128:256], torch.zeros(1, 2, 128, dtype=torch.float64))
    assert quiet[..., :128].abs().max() > 0.099
    expected = torch.tensor([0.003, 0.1 / 3, 0.003], dtype=torch.float64).repeat_interleave(128)
    torch.testing.assert_close(noisy - quiet, expected.expand(1, 2, 384), rtol=0, atol=1e-15)


def test_all_unvoiced_and_silent_frames_sound_finite():
    network = golden_network(SMALL, "small")
    waveform = network(
        torch.full((1, 8, 6), -6.0, dtype=torch.float64), torch.zeros(1, 6, dtype=torch.float64), draw(SMALL, [6], seeded(0))
    )
    assert waveform.shape == (1, 1, 48)
    assert waveform.isfinite().all()
    assert waveform.abs().max() <= 1


def test_harmonics_above_half_the_rate_are_left_out_if_wanted():
    config = NSFHiFiGANConfig()
    f0 = torch.tensor([[1000.0, 1500.0, 0.0, 7000.0]], dtype=torch.float64)
    draws = silent(config, 1, 4)._replace(phases=torch.full((1, 8), 0.1, dtype=torch.float64))
    published, limited = (
        HarmonicSource(replace(config, band_limited=limit)).waves(f0, draws).unflatten(-1, (4, 128)) for limit in (False, True)
    )
    heard = (limited != 0).any(-1)[0].sum(0)
    assert heard.tolist() == [9, 7, 0, 1]  # 8 times 1500 Hz is half the rate
    assert (published != 0).any(-1)[0].sum(0).tolist() == [9, 9, 0, 9]
    assert torch.equal(limited[:, :7, :2], published[:, :7, :2])


def test_an_item_sounds_the_same_whatever_its_batch():
    """The public code lays a batch end to end as one sound, or starts all of its items with the same phases."""
    network, (mel, f0) = golden_network(SMALL, "small"), score(SMALL, 3, 10)
    together = network(mel, f0, draw(SMALL, [10] * 3, seeded(5, 6, 7)))
    assert together.shape == (3, 1, 80)
    for i, seed in enumerate((5, 6, 7)):
        alone = network(mel[i : i + 1], f0[i : i + 1], draw(SMALL, [10], seeded(seed)))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-12)


def test_an_item_that_is_filled_up_sounds_as_it_does_alone():
    network, (mel, f0), frames = golden_network(SMALL, "small"), score(SMALL, 3, 12), [12, 5, 1]
    together = network(mel, f0, draw(SMALL, frames, seeded(5, 6, 7)), torch.tensor(frames))
    for i, count in enumerate(frames):
        alone = network(mel[i : i + 1, :, :count], f0[i : i + 1, :count], draw(SMALL, [count], seeded(5 + i)))
        torch.testing.assert_close(together[i : i + 1, :, : count * 8], alone, rtol=0, atol=1e-12)
        assert not together[i, :, count * 8 :].any()


def test_folding_leaves_plain_weights_that_a_new_folded_network_takes():
    network, (mel, f0) = golden_network(SMALL, "small"), score(SMALL, 1, 6)
    draws = draw(SMALL, [6], seeded(0))
    folded = network.fold().fold()
    assert not [key for key in folded.state_dict() if "parametrizations" in key]
    other = NSFHiFiGAN(SMALL, folded=True).double()
    other.load_state_dict(folded.state_dict())
    torch.testing.assert_close(other(mel, f0, draws), network(mel, f0, draws), rtol=0, atol=1e-14)


def test_folding_an_average_leaves_what_it_was_copied_from_in_training():
    network, (mel, f0), draws = golden_network(SMALL, "small"), score(SMALL, 1, 6), draw(SMALL, [6], seeded(0))
    before = network(mel, f0, draws)
    folded = copy.deepcopy(network).fold()
    assert torch.equal(network(mel, f0, draws), before)
    with torch.no_grad():
        network.first.parametrizations.weight.original0.mul_(2)
    torch.testing.assert_close(folded(mel, f0, draws), before, rtol=0, atol=1e-14)
    assert (network(mel, f0, draws) - before).abs().max() > 1e-3


def test_every_weight_learns():
    network, (mel, f0) = golden_network(SMALL, "small").requires_grad_(True), score(SMALL, 2, 6)
    network(mel, f0, draw(SMALL, [6, 6], seeded(0, 1))).square().sum().backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_autocast_does_not_round_the_source():
    source, f0 = golden_network(SMALL, "small", torch.float32).source, score(SMALL, 1, 6, torch.float32)[1]
    draws = draw(SMALL, [6], seeded(0))
    with torch.autocast("cpu", torch.bfloat16):
        rough = source(f0, draws)
    assert torch.equal(rough, source(f0, draws))


def test_it_is_one_graph_without_a_break():
    network, (mel, f0) = golden_network(SMALL, "small"), score(SMALL, 2, 6)
    draws, frames = draw(SMALL, [6, 4], seeded(0, 1)), torch.tensor([6, 4])
    compiled = torch.compile(network, fullgraph=True, dynamic=False, backend="eager")
    torch.testing.assert_close(compiled(mel, f0, draws, frames), network(mel, f0, draws, frames), rtol=0, atol=1e-12)


def test_a_configuration_is_made_from_plain_values():
    assert build(NSFHiFiGANConfig, json.loads(json.dumps(asdict(PUBLISHED["openvpi-44k"])))) == PUBLISHED["openvpi-44k"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"hop": 256}, r"rates \(8, 4, 2, 2\) multiply to 128, expected the hop, 256"),
        ({"kernels": (16, 8, 4)}, "4 rates and 3 kernels, expected as many"),
        ({"kernels": (15, 8, 4, 4)}, "kernel 15 for rate 8, expected the rate or an even number more"),
        ({"kernels": (6, 8, 4, 4)}, "kernel 6 for rate 8"),
        ({"hop": 24, "rates": (8, 3), "kernels": (16, 5)}, "rates after a stage multiply to 3, expected an even number"),
        ({"channels": 24}, "channels is 24, expected a multiple of 16"),
        ({"block_kernels": (3, 4)}, "a block's kernel is 4, expected odd numbers"),
        ({"block_kernels": ()}, "expected one number or more of each, got none"),
        ({"harmonics": 0}, "harmonics is 0, expected 1 to 64"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        NSFHiFiGANConfig(**options)


def test_wrong_inputs_are_refused():
    network, (mel, f0), draws = golden_network(SMALL, "small"), score(SMALL, 2, 6), draw(SMALL, [6, 6], seeded(0, 1))
    with pytest.raises(ConfigError, match=r"F0: the shape is \(2, 5\), expected \(2, 6\) for 2 items of 6 frames"):
        network(mel, f0[:, :5], draws)
    with pytest.raises(ConfigError, match=r"the mel spectrogram is \(2, 6, 8\), expected \(batch, 8, frame\)"):
        network(mel.mT, f0, draws)
    with pytest.raises(ConfigError, match=r"the mel spectrogram is \(2, 8, 0\)"):
        network(mel[..., :0], f0, draws)
    with pytest.raises(ConfigError, match=r"the overtones' phases: the shape is \(1, 8\), expected \(2, 8\)"):
        network(mel, f0, draws._replace(phases=draws.phases[:1]))
    with pytest.raises(ConfigError, match=r"the noise: the shape is \(2, 9, 40\), expected \(2, 9, 48\)"):
        network(mel, f0, draws._replace(noise=draws.noise[..., :40]))
    with pytest.raises(ConfigError, match=r"frames: the shape is \(3,\), expected \(2,\)"):
        network(mel, f0, draws, torch.tensor([6, 6, 6]))
