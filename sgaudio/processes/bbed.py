"""BBED, the Brownian bridge with exponential diffusion: the mean goes straight from the clean to the noisy sound.

Lay, Welker, Richter, Gerkmann 2023, "Reducing the prior mismatch of stochastic differential equations for diffusion-based
speech enhancement", 2302.14748: dx = (y - x) / (1 - t) dt + sqrt(c) k^t dw, whose variance holds an exponential integral.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class BBED(Process):
    """BBED (Lay et al. 2023, 2302.14748). The state at time 1 is the noisy sound itself: alpha = sigma = 0.

    The public code begins its walks at 0.999, where a little noise is left. Its defaults stand here; its published command has c = 0.51.

    Args:
        k: how much faster the noise comes in at time 1 than at time 0.
        c: rate of the noise's variance at time 0, in squared units of the state per unit of time.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    k: Annotated[float, Range(1.001, 10)] = 2.6
    c: Annotated[float, Range(1e-9, 1e6)] = 0.52

    def __post_init__(self) -> None:
        check(self)

    @property
    def _growth(self) -> float:
        return 2 * math.log(self.k)

    def at(self, time: float) -> Node:
        return Node(time, 1 - time, time, math.sqrt((1 - time) * self._variance_per_alpha(time)))

    def slope(self, time: float) -> Slope:
        return Slope(-1.0, 1.0, self.c * self.k ** (2 * time) - 2 * self._variance_per_alpha(time))

    def _variance_per_alpha(self, time: float) -> float:
        """sigma^2 / (1 - t) = c (1 - t) int_0^t k^2s / (1 - s)^2 ds, which is 0 at the start and c k^2 at the end."""
        # By parts, c (k^2t - (1 - t) - (1 - t) 2 log k I), where I = int_0^t k^2s / (1 - s) ds are the paper's exponential integrals. With
        # k^2s as a power series no term is negative: I = sum_n (2 log k)^n / n! B_n, B_n = int_0^t s^n / (1 - s) ds = B_n-1 - t^n / n.
        if time == 1:
            return self.c * self.k**2
        integral, factor, part = 0.0, 1.0, -math.log1p(-time)
        for n in range(1, 50):
            integral += factor * part
            factor *= self._growth / n
            part -= time**n / n
        return self.c * (math.expm1(self._growth * time) + time - (1 - time) * self._growth * integral)
