"""The diffusion with exploding variance: the clean sound stays, and noise is added until it is lost in it.

Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, "Score-based generative modeling through stochastic differential
equations", 2011.13456, eq. 9 and appendix C.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class VE(Process):
    """VE (Song et al. 2021, 2011.13456): sigma = sigma_min (sigma_max / sigma_min)^t. It knows no noisy sound.

    That is the path for t > 0. At time 0 it is exactly clean, so that sigma jumps there from `sigma_min`, the paper's scale of the least
    noise, to 0; the slope at 0 is the one just after it.

    Args:
        sigma_min: scale of the noise just after time 0, in units of the state.
        sigma_max: scale of the noise at time 1, in units of the state; larger than `sigma_min`.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    sigma_min: Annotated[float, Range(1e-9, 1e3)] = 0.01
    sigma_max: Annotated[float, Range(1e-9, 1e6)] = 50.0

    def __post_init__(self) -> None:
        check(self)
        if self.sigma_max <= self.sigma_min:
            raise ConfigError(f"VE: sigma_max is {self.sigma_max!r}, expected more than sigma_min = {self.sigma_min!r}")

    def _sigma(self, time: float) -> float:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** time

    def at(self, time: float) -> Node:
        return Node(time, 1.0, 0.0, self._sigma(time) if time else 0.0)

    def slope(self, time: float) -> Slope:
        return Slope(0.0, 0.0, 2 * math.log(self.sigma_max / self.sigma_min) * self._sigma(time) ** 2)
