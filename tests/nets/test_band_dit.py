from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import ConfigError
from sgaudio.models import Regenerator, RegeneratorConfig, Sampling
from sgaudio.models.losses import Loss
from sgaudio.nets import BandDiT, BandDiTConfig
from sgaudio.processes import OUVE
from sgaudio.solvers import keyed_noise

GOLDEN = Path(__file__).parents[1] / "golden" / "band_dit_small.npz"
TINY = BandDiTConfig(width=8, depth=1, heads=2, bands=(2, 3, 4))
FORMS = [replace(TINY, inputs=inputs) for inputs in (2, 4, 6)]


def spectrogram(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def test_it_computes_what_the_experiment_computed():
    golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}
    network = BandDiT(BandDiTConfig(width=8, depth=1, heads=2))
    network.load_state_dict({name.removeprefix("weight/"): v.float() for name, v in golden.items() if name.startswith("weight/")})
    estimate = network(golden["state"][:, None], golden["noisy"][:, None], golden["time"])
    torch.testing.assert_close(estimate[:, 0], golden["estimate"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("inputs", "parameters"), [(2, 4_195_104), (4, 5_573_664), (6, 5_747_744)])  # 4: the shipped size
def test_its_forms_have_4_to_6_million_parameters(inputs, parameters):
    with torch.device("meta"):
        assert sum(p.numel() for p in BandDiT(BandDiTConfig(inputs=inputs)).parameters()) == parameters


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_any_number_of_frames_goes_through(frames):
    state = spectrogram(2, 1, 9, frames)
    assert BandDiT(TINY)(state, state, torch.ones(2)).shape == state.shape


def test_batch_mates_do_not_meet():
    network, state, noisy, time = BandDiT(TINY), spectrogram(3, 1, 9, 5), spectrogram(3, 1, 9, 5, seed=1), torch.tensor([1.0, 0.5, 0.2])
    together = network(state, noisy, time)
    alone = torch.cat([network(state[i : i + 1], noisy[i : i + 1], time[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_it_is_told_the_time():
    network, state = BandDiT(TINY), spectrogram(1, 1, 9, 5)
    torch.nn.init.normal_(network.blocks[0].modulation.weight)
    assert not torch.allclose(network(state, state, torch.tensor([1.0])), network(state, state, torch.tensor([0.5])))


def given(config: BandDiTConfig) -> dict[str, torch.Tensor]:
    """What a form takes, for two items."""
    values = {name: spectrogram(2, 1, 9, 5, seed=i) for i, name in enumerate(("state", "noisy", "estimate"))}
    return {name: (values | {"time": torch.tensor([1.0, 0.5])})[name] for name in config.takes}


@pytest.mark.parametrize("config", FORMS, ids=lambda config: str(config.inputs))
def test_all_that_a_form_takes_is_heeded_and_every_weight_learns(config):
    network, values = BandDiT(config), given(config)
    for block in network.blocks:
        torch.nn.init.normal_(getattr(block.modulation, "weight", block.modulation.bias))
    estimate = network(*values.values())
    assert estimate.shape == (2, 1, 9, 5)
    for name in values:
        changed = network(*(values | {name: 0.5 * values[name]}).values())
        assert not torch.allclose(changed, estimate, atol=1e-3)
    estimate.abs().square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in network.parameters())


@pytest.mark.parametrize(("config", "masked"), [(FORMS[0], "noisy"), (FORMS[1], "noisy"), (FORMS[2], "estimate")], ids=("2", "4", "6"))
def test_a_mask_of_one_lets_the_noisy_sound_or_else_the_estimate_through(config, masked):
    network, values = BandDiT(config), given(config)
    torch.nn.init.zeros_(network.merge.weight_out)
    with torch.no_grad():
        network.merge.bias_out.view(3, 1, 4, -1)[:, :, 0] = 1  # real part of the mask
    assert torch.equal(network(*values.values()), values[masked])


def test_one_that_sees_the_noisy_sound_alone_has_nothing_to_be_told_a_time_with():
    names = BandDiT(FORMS[0]).state_dict().keys()
    assert not [name for name in names if name.startswith("time.") or name.endswith("modulation.weight")]
    assert "blocks.0.modulation.bias" in names


def test_two_of_them_regenerate():
    config = RegeneratorConfig(
        network=FORMS[2],
        predictor=FORMS[0],
        process=OUVE(),
        spectrogram=Spectrogram(16, 4, 0.5, 0.15, "sqrt_hann"),
        windows=Windows(256, 16, 16),
        sampling=Sampling("dpmpp-2m-sde", 2, "linear", grid_options={"last": 0.03}),
        prediction="edm",
        prediction_options={"sigma_data": 0.1},
    )
    torch.manual_seed(0)
    model, (clean, noisy) = Regenerator(config), 0.1 * torch.randn(2, 3, 64)
    optimizer, times = torch.optim.AdamW(model.network.parameters(), lr=1e-2), [0.03, 0.5, 1.0]
    costs = []
    for _ in range(10):
        loss = model.loss(clean, noisy, torch.Generator().manual_seed(1), loss=Loss("regeneration", config.process), times=times)
        optimizer.zero_grad()
        loss.backward()
        assert all(stage.band.grad.any() for stage in model.network.values())
        optimizer.step()
        costs.append(loss.item())
    assert costs[-1] < 0.8 * costs[0]
    spectrum = config.spectrogram.forward(noisy[:, None])
    estimate = model.estimate(spectrum, config.sampling.plan(config.process), keyed_noise(0, spectrum))
    assert estimate.shape == spectrum.shape
    assert estimate.isfinite().all()
    assert (estimate - spectrum).abs().max() > 1e-3


@pytest.mark.parametrize("config", FORMS, ids=lambda config: str(config.inputs))
def test_a_wrong_number_of_inputs_is_refused(config):
    found = [spectrogram(1, 1, 9, 5)] * 5
    with pytest.raises(ConfigError, match=rf"^this BandDiT takes {', '.join(config.takes)}, got 5 inputs$"):
        BandDiT(config)(*found)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"inputs": 3}, "inputs is 3, expected one of 2, 4, 6"),
        ({"width": 12, "heads": 4}, "even"),
        ({"kernel": 4}, "odd"),
        ({"depth": 0}, "1 to 128"),
        ({"width": "128"}, "expected int"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        BandDiTConfig(**options)


def test_a_wrong_number_of_bins_is_refused():
    for found in ((8, 8), (9, 8)):
        with pytest.raises(ConfigError, match="9 frequency bins, got 8"):
            BandDiT(TINY)(*(spectrogram(1, 1, bins, 5) for bins in found), torch.ones(1))
