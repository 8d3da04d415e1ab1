"""The published samplers, run unmodified on networks that are formulas, against ours: SGMSE+, StoRM, SGMSE-BBED and the bridge."""

import math
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.processes import BBED, OUVE, BridgeVE, Process, sde
from sgaudio.solvers import GRIDS, SOLVERS, linear, record, sample
from sgaudio.solvers.langevin import langevin

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sgmse_samplers.npz")
PROCESSES = {"ouve16": OUVE(), "ouve48": OUVE(2.0, 0.1, 1.0), "bbed": BBED(k=2.6, c=0.52), "storm": OUVE()}
BRIDGE = BridgeVE()


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The rule by which all inputs were drawn: a stream for each name."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).random(shape)


def signal(name: str) -> torch.Tensor:
    real, imaginary = 2 * uniform(name, (2, 2, 1, 6, 5)) - 1
    return torch.from_numpy(real + 1j * imaginary)


def normal(number: int, batch: int) -> torch.Tensor:
    radius, turn = uniform(f"noise/{number}", (2, batch, 1, 6, 5))
    return torch.from_numpy(np.sqrt(-np.log1p(-radius)) * np.exp(2j * math.pi * turn))


def score(x: torch.Tensor, y: torch.Tensor, time: float) -> torch.Tensor:
    return -(x - (0.7 - 0.2 * time) * y - 0.1 * y.conj()) / (0.05 + 0.3 * time**2)


def conditional_score(x: torch.Tensor, y: torch.Tensor, time: float) -> torch.Tensor:
    return -(x - (0.5 - 0.1 * time) * (signal("samp/c1") + y / 2) - 0.1 * y.conj()) / (0.05 + 0.3 * time**2)


def noisy(batch: int) -> torch.Tensor:
    second_is_quieter = torch.tensor([1.0, 0.3], dtype=torch.float64)[:, None, None, None]
    return (signal("samp/y") * second_is_quieter)[:batch]


def clean_from(network, process: Process, y: torch.Tensor):
    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        node = process.at(time)
        return (x - node.kappa * y + node.sigma**2 * network(x, y, time)) / node.alpha

    return denoise


ENTRY = re.compile(
    r"(?:pc_|)(?P<process>ouve16|ouve48|storm|bbed)(?:_pc_(?P<network>score|cond)|_T(?P<first>[.0-9]+)|)_"
    r"(?P<predictor>reverse_diffusion|euler_maruyama|none)_(?P<corrector>ald|langevin|none)(?P<corrector_steps>\d)_"
    r"snr(?P<snr>[.0-9]+)_N(?P<steps>\d+)(?P<keeps_last_noise>_nodenoise)?"
)


@pytest.mark.parametrize("name", [name for name in GOLDEN.files if not name.startswith("sb_")])
def test_the_predictor_corrector_of_sgmse_storm_and_bbed_is_reproduced(name: str):
    entry = ENTRY.fullmatch(name)
    assert entry
    process, network = PROCESSES[entry["process"]], conditional_score if entry["network"] == "cond" else score
    grid = linear(process, int(entry["steps"]), first=float(entry["first"] or 1))
    corrections = 0 if entry["corrector"] == "none" else int(entry["corrector_steps"])
    y = noisy(batch=len(GOLDEN[name]))

    def noise(step: int, purpose: str, repeat: int) -> torch.Tensor:
        draws = corrections + (entry["predictor"] != "none")  # in each step, the corrector's first
        return normal(1 + step * draws + (repeat if purpose == "corrector" else corrections), len(y))

    denoise, start = clean_from(network, process, y), y + process.at(grid[0]).sigma * normal(0, len(y))
    options = {
        "predictor": "none" if entry["predictor"] == "none" else "reverse-diffusion",  # Euler-Maruyama at 1/N steps is the same
        "compat": "sgmse-2022" if entry["process"] == "storm" else "sgmse",
        "snr": float(entry["snr"]),
        "corrector_steps": corrections,
    }
    if entry["corrector"] == "langevin":
        got = langevin(process, grid, denoise, start, y, noise, **options)
    else:
        got = sample(record(SOLVERS["predictor-corrector"], process, grid, **options), denoise, start, y, noise)
    if entry["keeps_last_noise"]:
        got = got + sde(process, grid[-2])[2] * math.sqrt(grid[-2]) * noise(len(grid) - 2, "step", 0)
    np.testing.assert_allclose(got, GOLDEN[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("solver", ["ode", "sde"])
@pytest.mark.parametrize("steps", [1, 6, 50])
def test_the_bridge_s_samplers_of_sgmse_are_reproduced(solver: str, steps: int):
    y = noisy(batch=2)

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        return 0.4 * x + (0.5 - 0.3 * time) * y + 0.1 * x.conj()

    plan = record(SOLVERS[f"bridge-{solver}"], BRIDGE, GRIDS["even"](BRIDGE, steps, end=1e-4), network_time="target", compat="sgmse")
    got = sample(plan, denoise, y, y, lambda step, *_: normal(step, 2))
    np.testing.assert_allclose(got, GOLDEN[f"sb_{solver}_N{steps}"], rtol=0, atol=1e-12)
