"""What proves a solver: networks that are known exactly, and the measures of a walk's error under them.

The Gaussian oracle is the estimate for x_0 ~ N(mean, variance). It is affine, so a state can be its coordinates in (start, noisy,
1, noise 1, noise 2, ...): the library's own `sample` then returns mean and covariance of what it makes, without Monte Carlo.
The mixture oracle is not affine; its flow in one dimension keeps quantiles, so that its exact end is known as well.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch

from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import GRIDS, Plan, record, sample

MEAN, NOISY, VARIANCES = 0.3, 0.5, (0.0025, 0.04, 0.25)


def grid(kind: str, process: Process, steps: int, first: float = 1.0, last: float = 0.03) -> tuple[float, ...]:
    """A grid whose last step goes to the state at `last`, not to 0: the walks whose errors are known end in a noisy state."""
    return GRIDS[kind](process, steps + 1, first=first, last=last)[:-1]


def end(plan: Plan, process: Process, first: float, variance: float) -> SimpleNamespace:
    """The end of a walk under the Gaussian oracle: offset + gain * start (or hidden noise of a bridge) + noises."""
    keys = list(plan.draws)
    start, noisy, one, *noises = torch.eye(3 + len(keys), dtype=torch.float64)

    def denoise(x: torch.Tensor, time: float) -> torch.Tensor:
        node = process.at(time)
        gain = node.alpha * variance / (node.alpha**2 * variance + node.sigma**2) if node.alpha else 0.0
        return MEAN * one + gain * (x - node.kappa * noisy - node.alpha * MEAN * one)

    bridge = process.at(first).sigma == 0
    out = sample(plan, denoise, noisy if bridge else start, noisy, lambda *key: noises[keys.index(key)])
    weights = dict(zip(keys, out[3:].tolist(), strict=True))
    gain = weights.pop((0, "start"), 0.0) if bridge else float(out[0])
    return SimpleNamespace(offset=float(out[1] * NOISY + out[2]), gain=gain, noise_variance=sum(weight**2 for weight in weights.values()))


def moments(process: Process, time: float, variance: float) -> tuple[float, float]:
    """Mean and deviation of the state at a time."""
    node = process.at(time)
    return node.alpha * MEAN + node.kappa * NOISY, math.sqrt(node.alpha**2 * variance + node.sigma**2)


def errors(plan: Plan, process: Process, times: Sequence[float], variance: float) -> tuple[float, float, float]:
    """Errors of mean, of the response to the start's normal deviate, and of the deviation, at the end of a walk from the exact start."""
    got = end(plan, process, times[0], variance)
    mean, deviation = moments(process, times[-1], variance)
    if process.at(times[0]).sigma:
        first_mean, first_deviation = moments(process, times[0], variance)
        got.offset, got.gain = got.offset + got.gain * first_mean, got.gain * first_deviation
    return got.offset - mean, got.gain - deviation, math.sqrt(got.gain**2 + got.noise_variance) - deviation


def rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


def gaussian_error(solver, process: Process, times: Sequence[float], **options) -> float:
    """Deterministic walks: the error over the start's distribution, over three variances."""
    plan = record(solver, process, times, start="drawn", **options)
    return rms([math.hypot(*errors(plan, process, times, variance)[:2]) for variance in VARIANCES])


def wasserstein(solver, process: Process, times: Sequence[float], **options) -> float:
    """Stochastic walks: the Wasserstein-2 distance of the end from the exact marginal, over three variances."""
    plan = record(solver, process, times, start="drawn", **options)
    results = [errors(plan, process, times, variance) for variance in VARIANCES]
    return rms([math.hypot(mean, deviation) for mean, _, deviation in results])


class Mixture:
    """x_0 ~ 0.4 N(-0.4, 0.02) + 0.6 N(0.5, 0.03) in one dimension, y = 0.2."""

    weights = torch.tensor([0.4, 0.6], dtype=torch.float64)
    means = torch.tensor([-0.4, 0.5], dtype=torch.float64)
    variances = torch.tensor([0.02, 0.03], dtype=torch.float64)
    noisy = torch.full((6,), 0.2, dtype=torch.float64)
    deviates = torch.tensor([-1.5, -0.9, -0.3, 0.3, 0.9, 1.5], dtype=torch.float64)

    def __init__(self, process: Process):
        self.process = process

    def _at(self, x: torch.Tensor, time: float):
        node = self.process.at(time)
        spread = (node.alpha**2 * self.variances + node.sigma**2).sqrt()
        return node, spread, (x[:, None] - node.alpha * self.means - node.kappa * self.noisy[:, None]) / spread

    def denoise(self, x: torch.Tensor, time: float) -> torch.Tensor:
        if self.process.at(time).alpha == 0:
            return (self.weights * self.means).sum() * torch.ones_like(x)
        node, spread, away = self._at(x, time)
        share = torch.softmax(self.weights.log() - spread.log() - away**2 / 2, dim=1)
        return (share * (self.means + node.alpha * self.variances / spread * away)).sum(1)

    def quantile(self, time: float) -> torch.Tensor:
        """The states at a time whose distribution function is that of the normal deviates."""
        wanted = torch.special.ndtr(self.deviates)
        low, high = torch.full_like(wanted, -9.0), torch.full_like(wanted, 9.0)
        for _ in range(80):
            middle = (low + high) / 2
            below = (self.weights * torch.special.ndtr(self._at(middle, time)[2])).sum(1) < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low

    def walk(self, solver, times: Sequence[float], **options) -> torch.Tensor:
        bridge = self.process.at(times[0]).sigma == 0
        plan = record(solver, self.process, times, start="drawn", **options)
        start = self.noisy if bridge else self.quantile(times[0])
        return sample(plan, self.denoise, start, self.noisy, lambda step, purpose: self.deviates)

    def error(self, solver, times: Sequence[float], **options) -> float:
        return float((self.walk(solver, times, **options) - self.quantile(times[-1])).square().mean().sqrt())


@pytest.fixture(scope="session")
def proof() -> SimpleNamespace:
    """The oracles and measures of this file."""
    return SimpleNamespace(grid=grid, end=end, moments=moments, gaussian_error=gaussian_error, wasserstein=wasserstein, Mixture=Mixture)


@pytest.fixture(params=[OUVE(), BridgeVE()], ids=["ouve", "bridge-ve"])
def process(request: pytest.FixtureRequest) -> Process:
    return request.param
