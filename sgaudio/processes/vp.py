"""The diffusion with preserved variance, in continuous time: sound of variance 1 keeps it while it turns into noise.

Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, "Score-based generative modeling through stochastic differential
equations", 2011.13456, eq. 11 and appendix B.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class VP(Process):
    """VP (Song et al. 2021, 2011.13456): the DDPM of infinitely many steps. It knows no noisy sound.

    Args:
        beta_min: rate of the noise's variance at time 0, per unit of time.
        beta_max: the same at time 1; larger than `beta_min`.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    beta_min: Annotated[float, Range(1e-6, 1e3)] = 0.1
    beta_max: Annotated[float, Range(1e-6, 1e3)] = 20.0

    def __post_init__(self) -> None:
        check(self)
        if self.beta_max <= self.beta_min:
            raise ConfigError(f"VP: beta_max is {self.beta_max!r}, expected more than beta_min = {self.beta_min!r}")

    def _integral(self, time: float) -> float:
        return (self.beta_min + (self.beta_max - self.beta_min) * time / 2) * time

    def at(self, time: float) -> Node:
        integral = self._integral(time)
        return Node(time, math.exp(-integral / 2), 0.0, math.sqrt(-math.expm1(-integral)))

    def slope(self, time: float) -> Slope:
        beta, integral = self.beta_min + (self.beta_max - self.beta_min) * time, self._integral(time)
        return Slope(-beta / 2 * math.exp(-integral / 2), 0.0, beta * math.exp(-integral))
