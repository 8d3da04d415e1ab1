"""Stochastic walks on a law with two modes, by sampling: what the Gaussian oracle, which tells their moments, cannot show."""

import math
import zlib

import pytest
import torch

from sgaudio.processes import OUVE, BridgeVE, Process, ResShift
from sgaudio.solvers import SOLVERS, linear, record, sample
from sgaudio.solvers.langevin import langevin

COUNT = 20_000
OURS, BRIDGE, SHIFT = OUVE(), BridgeVE(), ResShift()


def draws(*key) -> torch.Tensor:
    """A noise of its own for each key."""
    generator = torch.Generator().manual_seed(zlib.crc32(repr(key).encode()))
    return torch.randn(COUNT, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(
    ("process", "name", "options"),
    [
        (OURS, "ddpm", {}),
        (OURS, "euler-maruyama", {}),
        (OURS, "reverse-diffusion", {"discretisation": "kernel"}),
        (OURS, "stochastic-heun", {}),
        (OURS, "predictor-corrector", {"snr": 0.3}),
        (OURS, "predictor-corrector", {"snr": 0.3, "corrector": "renoise"}),
        (OURS, "langevin", {"snr": 0.3}),
        (OURS, "ddim", {"eta": 0.5}),
        (OURS, "dpmpp-2s", {"eta": 1.0}),
        (OURS, "dpmpp-3s", {"eta": 1.0}),
        (OURS, "dpmpp-2m-sde", {}),
        (OURS, "adams", {"noise_level": 0.25}),
        (OURS, "edm", {"churn": 10.0}),
        (OURS, "restart", {}),
        (BRIDGE, "adams", {"noise_level": 1.0}),
        (BRIDGE, "bridge-sde", {}),
        (BRIDGE, "euler-maruyama", {}),
        (SHIFT, "resshift", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__ if isinstance(value, Process) else str(value),
)
def test_each_mode_is_met_as_often_as_it_should_be(proof, process: Process, name: str, options: dict):
    law = proof.Mixture(process)
    law.noisy = law.noisy[:1]
    first = process.at(1.0)
    mode = (torch.rand(COUNT, generator=torch.Generator().manual_seed(1)) < 0.6).long()
    clean = law.means[mode] + law.variances[mode].sqrt() * draws("clean")
    start, noisy = first.alpha * clean + first.kappa * law.noisy + first.sigma * draws("start"), law.noisy.expand(COUNT)
    grid = linear(process, 40)
    if name == "langevin":  # one item of many values
        got = langevin(process, grid, lambda x, time: law.denoise(x[0], time)[None], start[None], noisy[None], draws, **options)[0]
    else:
        got = sample(record(SOLVERS[name], process, grid, **options), law.denoise, start, noisy, draws)
    share = float((law.weights * torch.special.ndtr((law.means - 0.05) / law.variances.sqrt())).sum())  # 0.6, less what overlaps
    assert float((got > 0.05).double().mean()) == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / COUNT))
