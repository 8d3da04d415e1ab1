"""The Schrödinger bridge with preserved variance: it begins in the clean sound and ends exactly in the noisy one.

Jukić, Korostik, Balam, Ginsburg 2024, "Schrödinger bridge for generative speech enhancement", 2407.16074: Table 1 and
eqs. 9 and 11.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class BridgeVP(Process):
    """The bridge SB-VP (Jukić et al. 2024, 2407.16074). The state at time 1 is the noisy sound itself: alpha = sigma = 0.

    Args:
        beta_min: rate at which the signal decays and noise comes in, at time 0, per unit of time.
        beta_max: the same at time 1; larger than `beta_min`.
        c: scale of the noise's variance, in squared units of the state.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    beta_min: Annotated[float, Range(1e-6, 100)] = 0.01
    beta_max: Annotated[float, Range(1e-6, 100)] = 20.0
    c: Annotated[float, Range(1e-9, 1e6)] = 0.3

    def __post_init__(self) -> None:
        check(self)
        if self.beta_max <= self.beta_min:
            raise ConfigError(f"BridgeVP: beta_max is {self.beta_max!r}, expected more than beta_min = {self.beta_min!r}")

    def _halves(self, time: float) -> tuple[float, float, float]:
        """Half of the integral of beta, for the time that is past, the time that is left, and both."""
        rise = self.beta_max - self.beta_min
        left = (1 - time) * (self.beta_min + rise * (1 + time) / 2) / 2
        return (self.beta_min + rise * time / 2) * time / 2, left, (self.beta_min + rise / 2) / 2

    def at(self, time: float) -> Node:
        # Table 1 in hyperbolic sines: with the variances in, every factor is one of these, and each vanishes at its own end.
        past, left, whole = self._halves(time)
        alpha, kappa = math.sinh(left) / math.sinh(whole), math.sinh(past) / math.sinh(whole)
        return Node(time, alpha, kappa, math.sqrt(2 * self.c * math.sinh(whole) * alpha * kappa))

    def slope(self, time: float) -> Slope:
        past, left, whole = self._halves(time)
        rate = (self.beta_min + (self.beta_max - self.beta_min) * time) / math.sinh(whole)
        return Slope(-rate / 2 * math.cosh(left), rate / 2 * math.cosh(past), self.c * rate * math.sinh(left - past))
