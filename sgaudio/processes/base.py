"""What a process is: a Gaussian path from clean sound to the start of the reverse walk.

    x_t = alpha(t) x_0 + kappa(t) y + sigma(t) n,        n standard normal (E|n|^2 = 1 where it is complex), y the noisy sound

Time runs in [0, 1]: 0 is clean, 1 is the start of the reverse walk. The three numbers at one time are a `Node`, their
derivatives a `Slope`; they are all that a solver needs. The path is that of the linear diffusion
dx = (rate x + pull y) dt + diffusion dw with

    rate = alpha'/alpha,    pull = kappa' - kappa rate,    diffusion^2 = (sigma^2)' - 2 sigma^2 rate
    (Särkkä, Solin 2019, "Applied stochastic differential equations", eqs. 5.50 and 5.51)

Everything here is done once per grid, on the host, in Python floats.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sgaudio.errors import ConfigError


@dataclass(frozen=True)
class Node:
    """The path at one time: x_t = alpha x_0 + kappa y + sigma n."""

    time: float
    alpha: float
    kappa: float
    sigma: float

    @property
    def ratio(self) -> float:
        """alpha / sigma: inf where the state is clean, 0 where nothing is left of the clean sound (also at a bridge's start)."""
        if self.alpha == 0:
            return 0.0
        return self.alpha / self.sigma if self.sigma else math.inf

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma), half of the log of the power ratio: from -inf to +inf."""
        return math.log(self.ratio) if self.ratio else -math.inf

    @property
    def angle(self) -> float:
        """atan(alpha / sigma), in radians: from 0 to pi / 2, finite at both ends."""
        return math.atan(self.ratio)


class Slope(NamedTuple):
    """Derivatives of the path by time; that of the variance, which is finite also where that of sigma is not."""

    alpha: float
    kappa: float
    variance: float


@runtime_checkable
class Process(Protocol):
    """A Gaussian path. Subclass it, or write a class of your own with these methods."""

    def at(self, time: float) -> Node:
        """The path at a time in [0, 1]."""
        ...

    def slope(self, time: float) -> Slope:
        """Its derivatives: alpha', kappa' and (sigma^2)', each per unit of time."""
        ...

    def network_time(self, time: float) -> float:
        """What a network that was trained on this process is told at this time."""
        return time


def check_process(what: str, process: object) -> None:
    """Whether something is a process. Its path is looked for alone: some solvers ask for nothing else.

    Raises:
        ConfigError: unless it is an instance with the method `at`.
    """
    if isinstance(process, type) or not callable(getattr(process, "at", None)):
        found = f"the class {process.__name__}" if isinstance(process, type) else f"a {type(process).__name__}"
        raise ConfigError(f"{what}: the process is {found}, expected an instance of a class like those in PROCESSES, such as OUVE()")


def sde(process: Process, time: float) -> tuple[float, float, float]:
    """The linear diffusion that has a process's path: (rate, pull, diffusion), each per unit of time.

    Where nothing is left of the clean sound, it is pulled with infinite force: (-inf, inf, ...) on a bridge.
    """
    node, slope = process.at(time), process.slope(time)
    if node.alpha == 0:
        # sigma^2 / alpha tends to (sigma^2)' / alpha' on a bridge, and to infinity elsewhere.
        pull = math.inf if slope.kappa - node.kappa * slope.alpha else 0.0
        return -math.inf, pull, math.inf if node.sigma else math.sqrt(-slope.variance)
    rate = slope.alpha / node.alpha
    return rate, slope.kappa - node.kappa * rate, math.sqrt(max(slope.variance - 2 * node.sigma**2 * rate, 0.0))


def time_at(process: Process, log_snr: float, low: float = 0.0, high: float = 1.0) -> float:
    """The time between low and high at which the path has a log-SNR, by bisection: it falls as time goes on."""
    return bisect(lambda time: process.at(time).log_snr, log_snr, low, high)


def bisect(falling: Any, wanted: float, low: float, high: float) -> float:
    """Where a falling function of time takes a value, between low and high."""
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (low, middle) if falling(middle) < wanted else (middle, high)
    return (low + high) / 2
