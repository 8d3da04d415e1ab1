"""The Ornstein-Uhlenbeck process with preserved variance: the mean decays to the noisy sound at the pace at which noise comes in.

Lemercier, Richter, Welker, Gerkmann 2023, "StoRM: a diffusion-based stochastic regeneration model for speech enhancement and
dereverberation", 2212.11851: in its public code, dx = s beta (y - x) / 2 dt + sqrt(beta) dw.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class OUVP(Process):
    """OUVP of StoRM's code, with the deviation that its diffusion has: the code returns the variance instead.

    No published model uses it, and no default is published: these are those of VP (Song et al. 2021, 2011.13456).

    Args:
        beta_min: rate of the noise's variance at time 0, in squared units of the state per unit of time.
        beta_max: the same at time 1; larger than `beta_min`.
        stiffness: how hard the mean is pulled to the noisy sound; the variance tends to 1 / stiffness.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    beta_min: Annotated[float, Range(1e-6, 100)] = 0.1
    beta_max: Annotated[float, Range(1e-6, 100)] = 20.0
    stiffness: Annotated[float, Range(1e-6, 10)] = 1.0

    def __post_init__(self) -> None:
        check(self)
        if self.beta_max <= self.beta_min:
            raise ConfigError(f"OUVP: beta_max is {self.beta_max!r}, expected more than beta_min = {self.beta_min!r}")

    def _pull(self, time: float) -> float:
        return self.stiffness * (self.beta_min + (self.beta_max - self.beta_min) * time / 2) * time

    def at(self, time: float) -> Node:
        pull = self._pull(time)
        return Node(time, math.exp(-pull / 2), -math.expm1(-pull / 2), math.sqrt(-math.expm1(-pull) / self.stiffness))

    def slope(self, time: float) -> Slope:
        beta, pull = self.beta_min + (self.beta_max - self.beta_min) * time, self._pull(time)
        decay = self.stiffness * beta / 2 * math.exp(-pull / 2)
        return Slope(-decay, decay, beta * math.exp(-pull))
