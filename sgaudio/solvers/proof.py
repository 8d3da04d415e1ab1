"""What proves a solver: networks that are known exactly, and the error of a walk under them. No sampling, no second implementation.

    order(my_solver, OUVE())                                        # 2.98: its error falls with the third power of the step
    error(my_solver, OUVE(), walk_to("linear", OUVE(), steps=10))   # 2.3e-3

The Gaussian oracle is the estimate for x_0 ~ N(0.3, variance), y = 0.5. It is affine, so a state can be its coordinates in (start, noisy,
1, noise 1, noise 2, ...): the library's own interpreter then returns mean and variance of what it makes, exactly. The mixture oracle,
x_0 ~ 0.4 N(-0.4, 0.02) + 0.6 N(0.5, 0.03) and y = 0.2, is not affine; the flow keeps quantiles in one dimension, so that its end is known
too. A method can look better than it is on either one (midpoint has order 3 on the first): believe both.

All walks here end in a noisy state, not at time 0, where every method returns the last estimate.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgaudio.processes.base import Process
from sgaudio.solvers.grids import GRIDS
from sgaudio.solvers.plan import Plan
from sgaudio.solvers.record import Solver, record
from sgaudio.solvers.sample import run

AnySolver = Solver | Callable[..., Any]

MEAN, NOISY, VARIANCES = 0.3, 0.5, (0.0025, 0.04, 0.25)


def walk_to(kind: str, process: Process, steps: int, first: float = 1.0, last: float = 0.03, **options: Any) -> tuple[float, ...]:
    """A grid whose last step goes to the noisy state at `last`."""
    return GRIDS[kind](process, steps + 1, first=first, last=last, **options)[:-1]


@dataclass(frozen=True)
class End:
    """The end of a walk under the Gaussian oracle: offset + gain * start (of a bridge: its hidden noise) + noises of a variance."""

    offset: float
    gain: float
    noise_variance: float


def end(plan: Plan, process: Process, first: float, variance: float) -> End:
    """The end of a plan that begins at the time `first`, for data of this variance."""
    keys = list(plan.draws)
    start, noisy, one, *noises = torch.eye(3 + len(keys), dtype=torch.float64)

    def denoise(x: Tensor, time: float) -> Tensor:
        node = process.at(time)
        gain = node.alpha * variance / (node.alpha**2 * variance + node.sigma**2) if node.alpha else 0.0
        return MEAN * one + gain * (x - node.kappa * noisy - node.alpha * MEAN * one)

    out = run(plan, denoise, noisy if plan.bridge else start, noisy, lambda *key: noises[keys.index(key)])
    weights = dict(zip(keys, out[3:].tolist(), strict=True))
    gain = weights.pop((0, "start", 0), 0.0) if plan.bridge else float(out[0])
    return End(float(out[1] * NOISY + out[2]), gain, sum(weight**2 for weight in weights.values()))


def moments(process: Process, time: float, variance: float) -> tuple[float, float]:
    """Mean and deviation of the state at a time, for data of this variance."""
    node = process.at(time)
    return node.alpha * MEAN + node.kappa * NOISY, math.sqrt(node.alpha**2 * variance + node.sigma**2)


def gaussian_error(solver: AnySolver, process: Process, times: Sequence[float], **options: Any) -> float:
    """Of a deterministic walk: its error over the distribution of the start, root mean square over three variances of the data."""
    plan = record(solver, process, times, start="drawn", **options)
    return _rms([math.hypot(*_errors(plan, process, times, variance)[:2]) for variance in VARIANCES])


def wasserstein(solver: AnySolver, process: Process, times: Sequence[float], **options: Any) -> float:
    """Of a stochastic walk: the Wasserstein-2 distance of its end from the exact marginal, over three variances of the data."""
    plan = record(solver, process, times, start="drawn", **options)
    results = [_errors(plan, process, times, variance) for variance in VARIANCES]
    return _rms([math.hypot(mean, deviation) for mean, _, deviation in results])


class Mixture:
    """The mixture oracle, at six quantiles.

    Args:
        process: whose states it is for.
    """

    weights = torch.tensor([0.4, 0.6], dtype=torch.float64)
    means = torch.tensor([-0.4, 0.5], dtype=torch.float64)
    variances = torch.tensor([0.02, 0.03], dtype=torch.float64)
    noisy = torch.full((6,), 0.2, dtype=torch.float64)
    deviates = torch.tensor([-1.5, -0.9, -0.3, 0.3, 0.9, 1.5], dtype=torch.float64)

    def __init__(self, process: Process):
        self.process = process

    def denoise(self, x: Tensor, time: float) -> Tensor:
        """The exact estimate of the clean state, from states (quantile)."""
        if self.process.at(time).alpha == 0:
            return (self.weights * self.means).sum() * torch.ones_like(x)
        node, spread, away = self._at(x, time)
        share = torch.softmax(self.weights.log() - spread.log() - away**2 / 2, dim=1)
        return (share * (self.means + node.alpha * self.variances / spread * away)).sum(1)

    def quantile(self, time: float) -> Tensor:
        """The states at a time whose distribution function is that of the normal deviates."""
        wanted = torch.special.ndtr(self.deviates)
        reach = 9 * max(1.0, self.process.at(time).sigma)
        low, high = torch.full_like(wanted, -reach), torch.full_like(wanted, reach)
        for _ in range(90):
            middle = (low + high) / 2
            below = (self.weights * torch.special.ndtr(self._at(middle, time)[2])).sum(1) < wanted
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return low

    def walk(self, solver: AnySolver, times: Sequence[float], **options: Any) -> Tensor:
        """The end of a walk that starts in the exact quantiles."""
        plan = record(solver, self.process, times, start="drawn", **options)
        start = self.noisy if plan.bridge else self.quantile(times[0])
        return run(plan, self.denoise, start, self.noisy, lambda *key: self.deviates)

    def error(self, solver: AnySolver, times: Sequence[float], **options: Any) -> float:
        """Of a deterministic walk: its error at the end, root mean square over the quantiles."""
        return float((self.walk(solver, times, **options) - self.quantile(times[-1])).square().mean().sqrt())

    def _at(self, x: Tensor, time: float):
        node = self.process.at(time)
        spread = (node.alpha**2 * self.variances + node.sigma**2).sqrt()
        return node, spread, (x[:, None] - node.alpha * self.means - node.kappa * self.noisy[:, None]) / spread


def error(solver: AnySolver, process: Process, times: Sequence[float], **options: Any) -> float:
    """The error of a walk: on the mixture if it is deterministic, else the distance of its moments on the Gaussian oracle."""
    draws = [draw for draw in record(solver, process, times, start="drawn", **options).draws if draw[1] != "start"]
    return wasserstein(solver, process, times, **options) if draws else Mixture(process).error(solver, times, **options)


def order(
    solver: AnySolver, process: Process, steps: int = 128, *, kind: str = "log-snr", first: float = 1.0, last: float = 0.03, **options: Any
) -> float:
    """The power of the step with which `error` falls, from `steps` to twice as many steps between two times."""
    coarse, fine = (error(solver, process, walk_to(kind, process, n, first, last), **options) for n in (steps, 2 * steps))
    return math.log2(coarse / fine)


def longest(solver: AnySolver, process: Process, kind: str, evaluations: int, **options: Any) -> tuple[float, ...]:
    """The grid of the most steps that a number of evaluations allows, from 1 to 0.03."""
    steps = evaluations
    while record(solver, process, walk_to(kind, process, steps), **options).evaluations > evaluations:
        steps -= 1
    return walk_to(kind, process, steps)


def _errors(plan: Plan, process: Process, times: Sequence[float], variance: float) -> tuple[float, float, float]:
    """Errors of mean, of the response to the start's normal deviate, and of the deviation, at the end of a walk from the exact start."""
    got = end(plan, process, times[0], variance)
    mean, deviation = moments(process, times[-1], variance)
    offset, gain = got.offset, got.gain
    if not plan.bridge:
        first_mean, first_deviation = moments(process, times[0], variance)
        offset, gain = offset + gain * first_mean, gain * first_deviation
    return offset - mean, gain - deviation, math.sqrt(gain**2 + got.noise_variance) - deviation


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))
