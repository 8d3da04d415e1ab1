"""Adaptive steps: an embedded Runge-Kutta pair on the probability flow, each item of a batch at its own pace.

    dx/dt = alpha' x_0 + kappa' y + sigma' n        (Song et al. 2021, 2011.13456, eq. 13, on any Gaussian path)

The difference of the pair tells the error e of a step, in units of the tolerance. A step is taken if e <= 1, and the next one is as long,
times

    min(10, max(0.2, 0.9 e^-(kI + kP)/q e_before^kP/q)),        q the lower order + 1, kI = 0.3, kP = 0.4

(a proportional-integral controller: Hairer, Wanner 1996, "Solving ordinary differential equations II", IV.2). How the walk goes on depends
on what the network says, so the host waits for the device in every step: it is for work without haste, and to see what endless
steps would give.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes.base import Process, check_process
from sgaudio.processes.states import match, version
from sgaudio.registry import Range, bind
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.live import Live
from sgaudio.solvers.runge_kutta import TABLEAUS, Tableau
from sgaudio.solvers.sample import check_function, check_items, check_noisy, matched_estimate

# (states (k, ...), times (k), items (k)) -> clean estimates (k, ...)
DenoiseItems = Callable[[Tensor, Tensor, Tensor], Tensor]

INTEGRAL, PROPORTIONAL = 0.3, 0.4
BRIDGE_STEP = 1e-3


class Effort(NamedTuple):
    """What the walk of one item took: evaluations of the network, and steps that were accepted and rejected."""

    evaluations: int
    accepted: int
    rejected: int


@torch.no_grad()
def adaptive(
    process: Process,
    denoise: DenoiseItems,
    start: Tensor,
    noisy: Tensor | None = None,
    hidden: Tensor | None = None,
    *,
    first: Annotated[float, Range(0, 1)] = 1.0,
    last: Annotated[float, Range(0, 1)] = 0.03,
    end: Annotated[float, Range(0, 1)] = 0.0,
    tableau: Literal["dormand-prince", "bogacki-shampine"] = "dormand-prince",
    rtol: Annotated[float, Range(0, 1)] = 1e-3,
    atol: Annotated[float, Range(1e-15, 1e3)] = 1e-3,
    first_step: Annotated[float, Range(1e-9, 1)] = 0.05,
    most_evaluations: Annotated[int, Range(1, 1_000_000)] = 1000,
) -> tuple[Tensor, tuple[Effort, ...]]:
    """Walk each item of a batch in steps as long as the tolerance allows; none depends on its batch mates.

    Args:
        process: that is walked back.
        denoise: (states (k, ...), times (k), items (k)) -> clean estimates (k, ...): each state is at its own time, and `items` says which
            of the batch they are, so that a network can be given noisy[items].
        start: the states at `first`, (batch, ...), real or complex.
        noisy: the noisy sound, of their shape; needed if the process pulls to it.
        hidden: the noise that a bridge's first state hides, of their shape; none if not given, which gives the posterior's mean.
        first, last: the times between which steps are adapted. A bridge's start, where the slope is infinite, is left by a step of DDIM
            that is 0.001 long, and the first step after it is as short.
        end: the time to which a last step leads, which is DDIM's: 0 for the clean estimate; `last` for no such step.
        tableau: the pair: orders 5 and 4, or 3 and 2.
        rtol, atol: the tolerance of a step, for the root mean square over an item of error / (atol + rtol |x|).
        first_step: the length in time that is tried first.
        most_evaluations: of one item, between `first` and `last`.

    Returns:
        The states at `end`, and what each took.

    Raises:
        ConfigError: before the first call, on an option out of its range, times that do not fall, a `last` where the state has no noise,
            a start or noisy sound as `sample` or without items, and hidden noise that does not match it; in the walk, as `sample`.
        WalkError: if an item needs too many evaluations, or its numbers are not finite.
    """
    options = {"first": first, "last": last, "end": end, "tableau": tableau, "rtol": rtol, "atol": atol, "first_step": first_step}
    bind(adaptive, options | {"most_evaluations": most_evaluations}, "adaptive", given=5)
    check_process("adaptive", process)
    check_items("adaptive", start)
    check_function("adaptive: denoise", denoise, "states", "times", "items")
    check_noisy("adaptive", start, noisy)
    if hidden is not None:
        match("adaptive: the hidden noise", hidden, start, "start")
    if process.at(last).sigma ** 2 == 0:
        raise ConfigError(f"adaptive: last is {last:g}, where the state has no noise: expected a time above 0")
    everyone, pair = torch.arange(len(start), device=start.device), TABLEAUS[tableau]
    flow = _Flow(process, denoise, torch.zeros_like(start) if noisy is None else noisy.to(start.dtype))
    walk = Live(
        "adaptive",
        process,
        (first, last) if end == last else (first, last, end),
        lambda x, time: flow.estimate(x, [time] * len(x), everyone),
        start,
        noisy,
        None if hidden is None else lambda *key: hidden,
        "mean" if hidden is None else "drawn",
    )

    def held(x: Tensor, begin: float, end: float) -> Tensor:
        t, u = walk.at(begin), walk.at(end)
        return walk.unshifted(hold(walk, walk.shifted(x, t), t, u), u)

    x, time, step = start.clone(), first, first_step
    if process.at(first).sigma == 0:
        time, step = max(first - BRIDGE_STEP, last), min(BRIDGE_STEP, first_step)
        x = held(x, first, time)
    walkers = [_Walker(index, time, step, evaluations=1 + (time < first)) for index in range(len(x))]
    slope = flow.slope(x, [time] * len(x), everyone)
    while going := [walker for walker in walkers if walker.time > last]:
        for walker in going:
            if walker.evaluations + len(pair.weights) > most_evaluations:
                where = f"item {walker.index} is at time {walker.time:g} after {walker.evaluations} evaluations"
                limit = f"expected {last:g} after {most_evaluations} at most"
                raise WalkError(f"adaptive: {where}, {limit}: use larger tolerances, or more evaluations")
        items = everyone[[walker.index for walker in going]]
        ends = [max(walker.time - walker.step, last) for walker in going]
        there, slope_there, wrong = flow.step(pair, x[items], slope[items], [walker.time for walker in going], ends, items)
        errors = torch.stack([_size(*parts, rtol, atol) for parts in zip(wrong, x[items], there, strict=True)]).tolist()
        for place, (walker, error) in enumerate(zip(going, errors, strict=True)):
            if not math.isfinite(error):
                raise WalkError(f"adaptive: item {walker.index} is not finite in the step from time {walker.time:g} to {ends[place]:g}")
            if walker.takes(ends[place], error, pair):
                x[walker.index], slope[walker.index] = there[place], slope_there[place]
    if end < last:
        x = held(x, last, end)
    if not torch.isfinite(x).all():
        raise WalkError(f"adaptive: the result is not finite, though it was at time {last:g}: the network's estimate there is not")
    return x, tuple(Effort(walker.evaluations + (end < last), walker.accepted, walker.rejected) for walker in walkers)


@dataclass
class _Walker:
    """Where an item is on its walk, and how it came there."""

    index: int
    time: float
    step: float
    evaluations: int
    error: float = 1.0
    accepted: int = 0
    rejected: int = 0

    def takes(self, end: float, error: float, pair: Tableau) -> bool:
        """Whether it takes the step to `end`; in any case, how long its next one will be."""
        taken, error = error <= 1, max(error, 1e-10)
        factor = 0.9 * error ** (-(INTEGRAL + PROPORTIONAL) / pair.order) * self.error ** (PROPORTIONAL / pair.order)
        self.step = (self.time - end) * min(max(factor, 0.2), 10)
        self.evaluations += len(pair.weights)
        if taken:
            self.time, self.error, self.accepted = end, error, self.accepted + 1
        else:
            self.rejected += 1
        return taken


@dataclass(frozen=True)
class _Flow:
    """The probability flow of states that are each at a time of their own."""

    process: Process
    denoise: DenoiseItems
    noisy: Tensor

    def estimate(self, x: Tensor, times: Sequence[float], items: Tensor) -> Tensor:
        """The clean estimates from the states x (k, ...) at times (k) of some items (k) of the batch."""
        before, told = version(x), torch.tensor(times, dtype=x.real.dtype, device=x.device)
        return matched_estimate("adaptive", self.denoise(x, told, items), x, before, times[0])

    def slope(self, x: Tensor, times: Sequence[float], items: Tensor) -> Tensor:
        """dx/dt there."""
        weights = list[tuple[float, float, float]]()
        for time in times:
            node, slope = self.process.at(time), self.process.slope(time)
            spread = slope.variance / (2 * node.sigma**2)  # sigma' / sigma
            weights.append((spread, slope.alpha - node.alpha * spread, slope.kappa - node.kappa * spread))
        of_x, of_clean, of_noisy = (_column(column, x) for column in zip(*weights, strict=True))
        return of_x * x + of_clean * self.estimate(x, times, items) + of_noisy * self.noisy[items]

    def step(
        self, pair: Tableau, x: Tensor, slope: Tensor, begins: Sequence[float], ends: Sequence[float], items: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of each state, given the slope at its begin: the state and the slope at its end, and the error."""
        assert pair.lower is not None
        length, slopes, state = _column([end - begin for begin, end in zip(begins, ends, strict=True)], x), [slope], x
        for part, row in zip((*pair.nodes[1:], 1), (*pair.stages[1:], pair.weights), strict=True):
            state = x + length * _weighted(row, slopes)
            times = [end if part == 1 else begin + part * (end - begin) for begin, end in zip(begins, ends, strict=True)]
            slopes.append(self.slope(state, times, items))
        wrong = [weight - lower for weight, lower in zip((*pair.weights, 0), pair.lower, strict=True)]
        return state, slopes[-1], length * _weighted(wrong, slopes)


def _column(numbers: Sequence[float], x: Tensor) -> Tensor:
    """Numbers, one an item, as a tensor that multiplies the states x."""
    return torch.tensor(numbers, dtype=x.real.dtype, device=x.device).reshape(-1, *[1] * (x.ndim - 1))


def _weighted(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    # Products and sums each by themselves: fused, they may be rounded in two ways, by a value's place in the batch.
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        total = total + weight * slope
    return total


def _size(wrong: Tensor, begin: Tensor, end: Tensor, rtol: float, atol: float) -> Tensor:
    """The error of one item's step in units of the tolerance."""
    return (wrong.abs() / (atol + rtol * torch.maximum(begin.abs(), end.abs()))).double().square().mean().sqrt()
