"""ResShift: a short chain that shifts the clean sound towards the noisy one by a share eta, and ends in it with noise on it.

Yue, Wang, Loy 2023, "ResShift: efficient diffusion model for image super-resolution by residual shifting", 2307.12348,
eqs. 1 and 2, and its noise schedule.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Slope
from sgaudio.processes.chain import Chain
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class ResShift(Chain):
    """ResShift (Yue et al. 2023, 2307.12348): alpha = 1 - eta, kappa = eta, sigma = noise_scale sqrt(eta).

    At level n, at time n / steps, sqrt(eta) goes from its first to its last value as a power, whose exponent is
    ((n - 1) / (steps - 1))^shape. That holds for real n from 1 on, where the slope is very steep; below, eta is linear down to the clean
    sound. The paper's posterior is a member of the DDIM family on this path; the network is told n - 1.

    Args:
        steps: number of levels.
        noise_scale: of the noise, relative to sqrt(eta), in units of the state: kappa of the paper.
        shape: 1 for a geometric sqrt(eta); below 1 it grows faster at first: p of the paper.
        min_noise_level: scale of the noise at the first level, in units of the state, where `noise_scale` is 1 or more.
        last_root: sqrt(eta) at the last level.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    steps: Annotated[int, Range(2, 100_000)] = 15
    noise_scale: Annotated[float, Range(1e-6, 1e3)] = 2.0
    shape: Annotated[float, Range(0.01, 10)] = 0.3
    min_noise_level: Annotated[float, Range(1e-6, 1e3)] = 0.04
    last_root: Annotated[float, Range(1e-6, 0.99999)] = 0.99

    def __post_init__(self) -> None:
        check(self)
        if self.last_root <= self._first_root:
            raise ConfigError(f"ResShift: last_root is {self.last_root!r}, expected more than the first one, {self._first_root!r}")

    @property
    def _first_root(self) -> float:
        return min(self.min_noise_level / self.noise_scale, self.min_noise_level)

    @property
    def _growth(self) -> float:
        return 2 * math.log(self.last_root / self._first_root)

    def at(self, time: float) -> Node:
        level = self.level(time)
        if level <= 1:
            eta = self._first_root**2 * level
            return Node(time, 1 - eta, eta, self.noise_scale * math.sqrt(eta))
        # log eta, counted from the last level, where 1 - eta is small
        part = math.log1p(-self.steps * (1 - time) / (self.steps - 1))  # log of (level - 1) / (steps - 1)
        log = 2 * math.log(self.last_root) + self._growth * math.expm1(self.shape * part)
        return Node(time, -math.expm1(log), math.exp(log), self.noise_scale * math.exp(log / 2))

    def slope(self, time: float) -> Slope:
        level = self.level(time)
        rate = self.steps * self._first_root**2
        if level > 1:
            part = (level - 1) / (self.steps - 1)
            rate = self.at(time).kappa * self._growth * self.shape * part ** (self.shape - 1) * self.steps / (self.steps - 1)
        return Slope(-rate, rate, self.noise_scale**2 * rate)
