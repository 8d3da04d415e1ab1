"""The samplers of DiffSinger, on a network that is a formula: our solvers on a process with its faults give its numbers.

openvpi/DiffSinger, inference with DDIM, PNDM, DPM-Solver++(2M) and UniPC. Its walk ends at level 0, which still holds noise, and it is
only shallow walks that start from `source`, noised to the level above that of their first call.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.processes import Node
from sgaudio.solvers import SOLVERS, record, sample

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "openvpi_diffusion.npz")
BETAS = np.linspace(1e-4, 0.02, 1000)
ALPHA_BARS = np.cumprod(1 - BETAS)
source, condition = torch.from_numpy(GOLDEN["source"]).T / 6 + 1, torch.from_numpy(GOLDEN["condition"]).T


class Levels:
    """Level n at time n / 1000; alpha-bar as it is stored there, in float32."""

    def at(self, time: float) -> Node:
        alpha_bar = float(np.float32(ALPHA_BARS[round(1000 * time)]))
        return Node(time, math.sqrt(alpha_bar), 0.0, math.sqrt(1 - alpha_bar))

    def level(self, time: float) -> int:
        return round(1000 * time)


class Between:
    """Level n at time (n + 1) / steps, and log alpha linear between the levels; times, betas and log alpha are stored in float32."""

    def __init__(self, steps: int):
        self.steps = steps
        self.times = np.linspace(0, 1, steps + 1).astype(np.float32)[1:]
        self.logs = (np.log(1 - BETAS[:steps].astype(np.float32).astype(np.float64)).cumsum() / 2).astype(np.float32)

    def at(self, time: float) -> Node:
        log = float(np.interp(time, self.times, self.logs))
        return Node(time, math.exp(log), 0.0, math.sqrt(-math.expm1(2 * log)))

    def level(self, time: float) -> float:
        return self.steps * time - 1


def walk(solver: str, options: dict, name: str, process, times, steps: int) -> torch.Tensor:
    """The mel at the end; of 1000 steps the walk starts from noise, of fewer from the source."""

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        t = process.at(time)
        return (x - t.sigma * torch.tanh(0.7 * x + 0.3 * condition + 0.001 * process.level(time))) / t.alpha

    start = torch.from_numpy(GOLDEN["noise:" + name])
    if steps < 1000:
        alpha, sigma = (float(np.float32(math.sqrt(part))) for part in (ALPHA_BARS[steps - 1], 1 - ALPHA_BARS[steps - 1]))
        start = alpha * source + sigma * start
    return 6 * (sample(record(SOLVERS[solver], process, times, **options), denoise, start) - 1).T


@pytest.mark.parametrize(("steps", "interval", "name"), [(1000, 50, "full_s50"), (400, 20, "shallow_k400_s20")])
@pytest.mark.parametrize(("solver", "published"), [("ddim", "ddim"), ("plms", "pndm")])
def test_methods_on_the_noise_walk_its_levels_as_it_does(solver: str, published: str, steps: int, interval: int, name: str):
    """Its last call, at level 0, goes to level 0 and has no effect."""
    name, times = f"{published}_{name}", [level / 1000 for level in range(steps - interval, -1, -interval)]
    known = torch.from_numpy(GOLDEN[name])
    torch.testing.assert_close(walk(solver, {}, name, Levels(), times, steps), known, rtol=0, atol=1e-13 * float(known.abs().max()))


@pytest.mark.parametrize(("steps", "interval", "name"), [(1000, 50, "full_s50"), (400, 20, "shallow_k400_s20")])
@pytest.mark.parametrize(("solver", "options", "published"), [("dpmpp-2m", {}, "dpm"), ("unipc", {"compat": "lower-order-end"}, "unipc")])
def test_methods_on_the_estimate_walk_between_its_levels_as_it_does(solver, options, published, steps: int, interval: int, name: str):
    name, times = f"{published}_{name}", list(np.linspace(1, 1 / steps, steps // interval + 1))
    known = torch.from_numpy(GOLDEN[name])
    torch.testing.assert_close(
        walk(solver, options, name, Between(steps), times, steps), known, rtol=0, atol=1e-11 * float(known.abs().max())
    )
