"""EDM: noise is added to the clean sound, and its scale is the time.

Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of diffusion-based generative models", 2206.00364, section 3:
sigma(t) = t, s(t) = 1.
"""

from dataclasses import dataclass
from typing import Annotated

from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class EDM(Process):
    """EDM (Karras et al. 2022, 2206.00364). It knows no noisy sound. The network is told sigma, which is `sigma_max` times our time.

    The paper walks on the grid "karras" whose last sigma is 0.002: `last` = 0.002 / 80 there.

    Args:
        sigma_max: scale of the noise at time 1, in units of the state.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    sigma_max: Annotated[float, Range(1e-6, 1e6)] = 80.0

    def __post_init__(self) -> None:
        check(self)

    def at(self, time: float) -> Node:
        return Node(time, 1.0, 0.0, self.sigma_max * time)

    def slope(self, time: float) -> Slope:
        return Slope(0.0, 0.0, 2 * self.sigma_max**2 * time)

    def network_time(self, time: float) -> float:
        return self.sigma_max * time
