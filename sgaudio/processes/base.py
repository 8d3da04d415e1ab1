"""What a process is: a Gaussian path from clean sound to the start of the reverse walk.

    x_t = alpha(t) x_0 + kappa(t) y + sigma(t) n,        n standard normal (E|n|^2 = 1 where it is complex), y the noisy sound

Time runs in [0, 1]: 0 is clean, 1 is the start of the reverse walk. The three numbers at one time are a `Node`; they are
all that a solver needs. The path is that of the linear diffusion dx = (rate x + pull y) dt + diffusion dw with

    rate = alpha'/alpha,    pull = kappa' - kappa rate,    diffusion^2 = (sigma^2)' - 2 sigma^2 rate
    (Särkkä, Solin 2019, "Applied stochastic differential equations", eqs. 5.50 and 5.51)

Everything here is done once per grid, on the host, in Python floats.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


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


@runtime_checkable
class Process(Protocol):
    """A Gaussian path. Subclass it, or write a class of your own with these methods."""

    def at(self, time: float) -> Node:
        """The path at a time in [0, 1]."""
        ...

    def sde(self, time: float) -> tuple[float, float, float]:
        """The linear diffusion that has this path: (rate, pull, diffusion), each per unit of time."""
        ...

    def network_time(self, time: float) -> float:
        """What a network that was trained on this process is told at this time."""
        return time
