"""The Schrödinger bridge with exploding variance: it begins in the clean sound and ends exactly in the noisy one.

Jukić, Korostik, Balam, Ginsburg 2024, "Schrödinger bridge for generative speech enhancement", 2407.16074: Table 1 and
eqs. 9 and 11, in which the path is written with the variances of the diffusion before and after a time.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class BridgeVE(Process):
    """The bridge SB-VE (Jukić et al. 2024, 2407.16074). The state at time 1 is the noisy sound itself: alpha = sigma = 0.

    Args:
        k: how much faster the noise comes in at time 1 than at time 0.
        c: rate of the noise's variance at time 0, in squared units of the state per unit of time.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    k: Annotated[float, Range(1.001, 1e3)] = 2.6
    c: Annotated[float, Range(1e-9, 1e6)] = 0.4

    def __post_init__(self) -> None:
        check(self)

    @property
    def _growth(self) -> float:
        return 2 * math.log(self.k)

    @property
    def variance(self) -> float:
        """Of the diffusion without the bridge, at time 1: sigma_T^2 of the paper."""
        return self.c * math.expm1(self._growth) / self._growth

    def at(self, time: float) -> Node:
        # With var(t) = c (k^2t - 1) / (2 log k): alpha = 1 - var(t)/var(1), kappa = var(t)/var(1), sigma^2 = var(1) alpha kappa.
        # Each is written from the end where it vanishes.
        alpha = math.expm1(-self._growth * (1 - time)) / math.expm1(-self._growth)
        kappa = math.expm1(self._growth * time) / math.expm1(self._growth)
        return Node(time, alpha, kappa, math.sqrt(self.variance * alpha * kappa))

    def slope(self, time: float) -> Slope:
        node, kappa = self.at(time), self.c * self.k ** (2 * time) / self.variance
        return Slope(-kappa, kappa, self.variance * kappa * (node.alpha - node.kappa))
