"""What a network predicts, turned into the clean estimate and back.

Whatever a network predicts of the state x = alpha x_0 + kappa y + sigma n, with z = x - kappa y, the clean estimate is

    D = state z + noisy y + output F        of the network's output F

so that a kind of prediction is a function of the path at one time that gives these three numbers, and its inverse follows from them. They
are worked out on the host, in float64, where a kind that says nothing at that time is refused: its formula divides by zero.

A network of your own, which predicts the noise, in a walk and in training:

    denoise = denoiser(network, process, "noise", noisy)        # network(x, told) -> F
    clean = sample(plan, denoise, start, noisy, noise)

    conversion = Prediction("noise", process).at(times)         # one time, or one an item
    error = network(*conversion.given(x, noisy)) - conversion.target(clean, x, noisy)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope, check_process
from sgaudio.processes.states import check_state, match
from sgaudio.registry import Range, Registry, bind

Number = float | Tensor
Times = float | Sequence[float] | Tensor

# Half log-SNR beyond which float32 no longer tells a state from clean sound, or from noise alone.
LARGEST_LOG_SNR = 24 * math.log(2)


@dataclass(frozen=True)
class Point(Node):
    """A node, with the slope of the path there."""

    slope: Slope


def point(process: Process, time: float) -> Point:
    """A process's path at a time in [0, 1]."""
    node = process.at(time)
    return Point(node.time, node.alpha, node.kappa, node.sigma, process.slope(time))


class Reading(NamedTuple):
    """How a network is read at one time: D = state z + noisy y + output F.

    It sees scale (x - centre y) as the state and noisy_scale y as the noisy sound; with `told` it is told that of the time, else the
    process's `network_time`.
    """

    state: float
    noisy: float
    output: float
    scale: float = 1
    told: float | None = None
    centre: float = 0
    noisy_scale: float = 1


def data(t: Point) -> Reading:
    """The clean sound itself: x_0."""
    return Reading(0, 0, 1)


def noise(t: Point) -> Reading:
    """The noise n (Ho, Jain, Abbeel 2020, 2006.11239). It says nothing where alpha is 0."""
    return Reading(1 / t.alpha, 0, -t.sigma / t.alpha)


def score(t: Point) -> Reading:
    """The score, -n / sigma (Song et al. 2021, 2011.13456). It says nothing where alpha is 0."""
    return Reading(1 / t.alpha, 0, t.sigma**2 / t.alpha)


def velocity(t: Point) -> Reading:
    """v = (alpha n - sigma x_0) / sqrt(alpha^2 + sigma^2) (Salimans, Ho 2022, 2202.00512, section 4, on any path). It speaks everywhere."""
    length = math.hypot(t.alpha, t.sigma) or 1.0  # at a bridge's end, where z is 0, any length does
    return Reading(t.alpha / length**2, 0, -1 / math.hypot(1, t.ratio))


def flow(t: Point) -> Reading:
    """The path's own velocity, alpha' x_0 + kappa' y + sigma' n (Lipman et al. 2023, 2210.02747; Liu et al. 2023, 2209.03003; FlowSE).

    It says nothing at a bridge's end, where sigma' is infinite.
    """
    if t.sigma == 0:
        return Reading(1 / t.alpha, 0, 0)
    rate = t.slope.variance / (2 * t.sigma)  # sigma'
    turn = t.alpha * rate - t.slope.alpha * t.sigma
    return Reading(rate / turn, t.sigma * t.slope.kappa / turn, -t.sigma / turn)


def edm(t: Point, sigma_data: Annotated[float, Range(1e-6, 1e6)] = 0.5) -> Reading:
    """F of the preconditioned network of EDM (Karras et al. 2022, 2206.00364, Table 1), with z / alpha for its x. It speaks everywhere.

    The network sees c_in z / alpha in place of the state, y / sigma_data beside it, and is told c_noise = ln(sigma / alpha) / 4.
    `sigma_data` is the deviation of the clean state.
    """
    length = math.hypot(t.sigma, sigma_data * t.alpha) or 1.0  # as for velocity, which is -F for sigma_data = 1
    log_snr = max(-LARGEST_LOG_SNR, min(LARGEST_LOG_SNR, t.log_snr))
    output = sigma_data / math.hypot(1, sigma_data * t.ratio)
    return Reading(sigma_data**2 * t.alpha / length**2, 0, output, 1 / length, -log_snr / 4, t.kappa, noisy_scale=1 / sigma_data)


def residual(t: Point) -> Reading:
    """What there is to take from the noisy sound: y - x_0, the residual of ResShift (Yue et al. 2023, 2307.12348)."""
    return Reading(0, 1, -1)


def sgmse(
    t: Point,
    predicts: Literal["score", "mean", "data"] = "score",
    scaling: Literal["none", "1/sigma", "1/t"] = "none",
    c_in: Literal["1", "edm"] = "1",
    c_out: Literal["1", "sigma", "1/sigma", "edm"] = "1",
    c_skip: Literal["0", "edm"] = "0",
    sigma_data: Annotated[float, Range(1e-6, 1e6)] = 0.1,
) -> Reading:
    """A preconditioned network of SGMSE+ or the Schrödinger bridge (Richter, de Oliveira, Gerkmann 2024, 2409.10753; sp-uhh/sgmse).

    It sees c_in x and c_in y. With G, its output times `scaling`, it predicts the score c_skip x + c_out G, the mean
    alpha x_0 + kappa y = G (c_skip and c_out have no part in it, as in the public code) or the data x_0 = c_skip x + c_out G. Factors
    "edm" are those of EDM for the deviation `sigma_data`, with the path's sigma and without its alpha. It says nothing where alpha is 0,
    data apart, or where a factor is infinite.
    """
    length = math.hypot(t.sigma, sigma_data)
    seen = 1 / length if c_in == "edm" else 1.0
    skip = (sigma_data / length) ** 2 if c_skip == "edm" else 0.0
    unscaled = {"none": 1.0, "1/sigma": t.sigma, "1/t": t.time}[scaling]
    over, under = {"1": (1.0, 1.0), "sigma": (t.sigma, 1.0), "1/sigma": (1.0, t.sigma), "edm": (t.sigma * sigma_data, length)}[c_out]
    if predicts == "mean":
        state, noisy, output = 0.0, -t.kappa / t.alpha, 1 / (t.alpha * unscaled)
    else:
        state, noisy, output = skip, skip * t.kappa, over / (under * unscaled)
    if predicts == "score":
        variance = t.sigma**2
        state, noisy, output = (1 + variance * state) / t.alpha, variance * noisy / t.alpha, variance * output / t.alpha
    return Reading(state, noisy, output, scale=seen, noisy_scale=seen)


PREDICTIONS = Registry[Callable[..., Reading]](
    "prediction",
    {
        "data": data,
        "noise": noise,
        "score": score,
        "velocity": velocity,
        "flow": flow,
        "edm": edm,
        "residual": residual,
        "sgmse": sgmse,
    },
)


@dataclass(frozen=True)
class Conversion:
    """What stands between network and walk at one time, or at one an item: D = state z + noisy y + output F, with z = x - kappa y.

    Numbers are floats, or float64 tensors (batch) on the host where the items differ; they are sent to a state's device without waiting
    for it. The network sees scale (x - centre y), beside it noisy_scale y, and is told `told`. States, outputs and estimates are
    (batch, ...), real or complex; where the noisy sound is not needed, none need be given. What does not match the state is refused with a
    ConfigError.
    """

    name: str
    state: Number
    noisy: Number
    output: Number
    scale: Number
    told: Number
    centre: Number
    noisy_scale: Number
    kappa: Number  # 0 where z has no part

    def given(self, x: Tensor, noisy: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the network sees, of the shape of x, and what it is told of the time (batch): float32, or float64 as x."""
        check_state(f"{self.name}: the state", x)
        told = self.told if isinstance(self.told, Tensor) else torch.full(x.shape[:1], self.told, dtype=_real(x), device=x.device)
        seen = x if _is(self.centre, 0) else self._less(self.centre, x, noisy)
        return _times(self.scale, seen), _sent(told, x)

    def beside(self, noisy: Tensor) -> Tensor:
        """What a network that also sees the noisy sound sees of it, of its shape."""
        check_state(f"{self.name}: the noisy sound", noisy)
        return _times(self.noisy_scale, noisy)

    def clean(self, output: Tensor, x: Tensor, noisy: Tensor | None = None) -> Tensor:
        """The clean estimate; an output of half precision is made float32 before anything else."""
        output = match(f"{self.name}: the network's output", output, x)
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        return _sum((self.output, output), (self.state, self._less(self.kappa, x, noisy)), (self.noisy, noisy))

    def target(self, clean: Tensor, x: Tensor, noisy: Tensor | None = None) -> Tensor:
        """What the network should say, that the clean estimate be `clean`: the exact inverse of `clean`.

        Raises:
            ConfigError: where the estimate is the same whatever the network says, as at a clean state.
        """
        if (torch.as_tensor(self.output) == 0).any():
            raise ConfigError(f"{self.name} has no target where sigma is 0, as the estimate does not heed the network: draw other times")
        z = self._less(self.kappa, x, noisy)
        share = 0 if _is(self.noisy, 0) else -self.noisy / self.output  # 0 over a number an item would be a number an item
        return _sum((1 / self.output, clean), (-self.state / self.output, z), (share, noisy))

    def check(self, noisy: Tensor | None) -> None:
        """Refuse to go on without the noisy sound where it has a part in the conversion."""
        if noisy is None and not all(_is(share, 0) for share in (self.kappa, self.centre, self.noisy)):
            raise ConfigError(f"{self.name} needs the noisy sound and got none: pass noisy")

    def _less(self, share: Number, x: Tensor, noisy: Tensor | None) -> Tensor:
        self.check(noisy)
        if noisy is not None:
            match(f"{self.name}: the noisy sound", noisy, x)
        # By itself, before any factor: near a bridge's end, where x and y are nearly equal, they are subtracted without rounding.
        return x if _is(share, 0) else x - _times(share, noisy)


class Prediction:
    """What the network of a process predicts.

    Args:
        kind: a name of `PREDICTIONS`, or a function like those in it.
        process: on whose states the network works.
        options: the kind's own.

    Raises:
        ConfigError: on an unknown kind or option, or a value out of its range.
    """

    def __init__(self, kind: str | Callable[..., Reading], process: Process, **options: object):
        self._read = kind if callable(kind) else PREDICTIONS[kind]
        name = kind if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))
        check_process(f"prediction {name!r}", process)
        self._options = bind(self._read, options, f"prediction {name!r}")
        self.process, self.name = process, f"prediction {name!r} on {type(process).__name__}"

    def at(self, time: Times) -> Conversion:
        """How it is read at a time, or at one an item (a tensor of them had best be on the CPU: the device is waited for).

        Raises:
            ConfigError: on a time outside of [0, 1], and where it says nothing of the clean sound.
        """
        times = time.flatten().tolist() if isinstance(time, Tensor) else time
        times = times if isinstance(times, Sequence) else [times]
        if not times:
            raise ConfigError(f"{self.name}: got no time, expected one, or one an item")
        return Conversion(self.name, *map(_column, zip(*map(self._numbers, times), strict=True)))

    def _numbers(self, time: float) -> tuple[float | None, ...]:
        if not isinstance(time, Real) or not 0 <= time <= 1:
            raise ConfigError(f"{self.name}: got the time {time!r}, expected 0 to 1")
        node = point(self.process, time)
        try:
            reading = Reading(*self._read(node, **self._options))
        except ZeroDivisionError:
            instead = f"use 'data', 'velocity' or 'edm', or {'begin below' if time else 'end above'} that time"
            raise ConfigError(f"{self.name} says nothing of the clean sound at time {time:g}: {instead}") from None
        if reading.told is None:
            reading = reading._replace(told=getattr(self.process, "network_time", float)(time))
        return *reading, node.kappa if reading.state else 0.0


def denoiser(
    network: Callable[[Tensor, Tensor], Tensor],
    process: Process,
    prediction: str | Callable[..., Reading],
    noisy: Tensor | None = None,
    **options: object,
) -> Callable[[Tensor, Times], Tensor]:
    """A network as solvers want it: denoise(x, t) -> clean estimate.

    Args:
        network: (x, told) -> its prediction, of the shape of x (batch, ...); told (batch) is what it is told of the time. A network that
            also sees the noisy sound closes over it. (That of "edm" sees it scaled, and one that "sgmse" has with c_in "edm" by another
            factor at each time: for such networks use `Prediction`, whose conversions have `beside`.)
        process: that the network was trained on.
        prediction: what it predicts: a name of `PREDICTIONS`, or a function like those in it.
        noisy: the noisy sound, of the shape of x; needed if the process pulls to it.
        options: the prediction's own.

    Raises:
        ConfigError: on an unknown prediction or option, or if the noisy sound is needed and not given; in a call, at a time at which such
            a prediction says nothing of the clean sound.
    """
    predicted = Prediction(prediction, process, **options)
    predicted.at(0.5).check(noisy)  # a time at which all have their part

    def denoise(x: Tensor, t: Times) -> Tensor:
        conversion = predicted.at(t)
        return conversion.clean(network(*conversion.given(x, noisy)), x, noisy)

    return denoise


def _column(numbers: tuple[Any, ...]) -> Any:
    """One number of all items: that itself where they share it."""
    return numbers[0] if len(set(numbers)) == 1 else torch.tensor(numbers, dtype=torch.float64)


def _is(number: Number, value: int) -> bool:
    return not isinstance(number, Tensor) and number == value


def _real(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32).to_real()


def _sum(*terms: tuple[Number, Tensor | None]) -> Tensor:
    parts = [_times(number, vector) for number, vector in terms if not _is(number, 0)]
    return sum(parts[1:], parts[0])


def _times(number: Number, vector: Any) -> Tensor:
    """A number times a vector (batch, ...); what is multiplied with 1 stays as it is."""
    if isinstance(number, Tensor):
        return _sent(number, vector).reshape(-1, *[1] * (vector.ndim - 1)) * vector
    return vector if number == 1 else number * vector


def _sent(numbers: Tensor, like: Tensor) -> Tensor:
    """One number an item (batch), where and as precise as `like` is."""
    if numbers.shape != like.shape[:1]:
        raise ConfigError(f"prediction: got {numbers.numel()} times for a batch of {like.shape[:1].numel()}, expected one, or one an item")
    numbers = numbers.to(_real(like))
    if like.is_cuda and not numbers.is_cuda:
        numbers = numbers.pin_memory()
    return numbers.to(like.device, non_blocking=True)
