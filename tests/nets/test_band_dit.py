from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.errors import ConfigError
from sgaudio.nets import BandDiT, BandDiTConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "band_dit_small.npz"
TINY = BandDiTConfig(width=8, depth=1, heads=2, bands=(2, 3, 4))


def spectrogram(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def test_it_computes_what_the_experiment_computed():
    golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}
    network = BandDiT(BandDiTConfig(width=8, depth=1, heads=2))
    network.load_state_dict({name.removeprefix("weight/"): v.float() for name, v in golden.items() if name.startswith("weight/")})
    estimate = network(golden["state"][:, None], golden["noisy"][:, None], golden["time"])
    torch.testing.assert_close(estimate[:, 0], golden["estimate"], rtol=1e-5, atol=1e-5)


def test_the_shipped_size_has_5_57_million_parameters():
    with torch.device("meta"):
        assert sum(p.numel() for p in BandDiT(BandDiTConfig()).parameters()) == 5_573_664


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


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
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
    with pytest.raises(ConfigError, match="9 frequency bins, got 8"):
        BandDiT(TINY)(spectrogram(1, 1, 8, 5), spectrogram(1, 1, 8, 5), torch.ones(1))
