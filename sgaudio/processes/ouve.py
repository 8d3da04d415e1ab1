"""The Ornstein-Uhlenbeck process with exploding variance: the mean decays from the clean to the noisy sound while noise grows.

Richter, Welker, Lemercier, Lay, Gerkmann 2023, "Speech enhancement and dereverberation with diffusion-based generative
models", 2208.05830: the forward diffusion and its perturbation kernel.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class OUVE(Process):
    """OUVE of SGMSE+ (Richter et al. 2023, 2208.05830). At time 1 the mean still holds exp(-theta) of the clean sound.

    Args:
        theta: stiffness, how fast the mean goes to the noisy sound, per unit of time.
        sigma_min: scale of the noise at time 0, in units of the state.
        sigma_max: scale of the noise at time 1, in units of the state; larger than `sigma_min`.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    theta: Annotated[float, Range(0, 100)] = 1.5
    sigma_min: Annotated[float, Range(1e-6, 1e3)] = 0.05
    sigma_max: Annotated[float, Range(1e-6, 1e3)] = 0.5

    def __post_init__(self) -> None:
        check(self)
        if self.sigma_max <= self.sigma_min:
            raise ConfigError(f"OUVE: sigma_max is {self.sigma_max!r}, expected more than sigma_min = {self.sigma_min!r}")

    @property
    def _growth(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def at(self, time: float) -> Node:
        # the paper's variance with exp(-2 theta t) taken out, so that nothing cancels near t = 0
        share = self._growth / (self.theta + self._growth)
        deviation = self.sigma_min * math.exp(-self.theta * time)
        sigma = deviation * math.sqrt(share * math.expm1(2 * (self.theta + self._growth) * time))
        return Node(time, math.exp(-self.theta * time), -math.expm1(-self.theta * time), sigma)

    def slope(self, time: float) -> Slope:
        decay, diffusion = (
            self.theta * math.exp(-self.theta * time),
            2 * self._growth * self.sigma_min**2 * math.exp(2 * self._growth * time),
        )
        return Slope(-decay, decay, diffusion - 2 * self.theta * self.at(time).sigma ** 2)
