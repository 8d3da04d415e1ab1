"""DDPM: the chain of discrete levels on which most published networks were trained.

Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic models", 2006.11239, eq. 4; the cosine of Nichol, Dhariwal 2021,
"Improved denoising diffusion probabilistic models", 2102.09672, eq. 17. DiffSinger (Liu et al. 2022, 2105.02446) has both.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Literal

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Slope
from sgaudio.processes.chain import Chain
from sgaudio.registry import Range, check

OFFSET = 0.008  # of the cosine: s of the paper
LARGEST_BETA = 0.999


@dataclass(frozen=True)
class DDPM(Chain):
    """DDPM (Ho et al. 2020, 2006.11239). It knows no noisy sound. DiffSinger's has 100 steps up to 0.06, or 1000 up to 0.02.

    x_n = sqrt(alpha_bar_n) x_0 + sqrt(1 - alpha_bar_n) n at time n / steps, and clean at time 0; the network is told n - 1. Between
    the levels log alpha_bar is linear in time, so that every solver can walk here.

    Args:
        steps: number of levels.
        betas: of the levels: "linear", or "cosine" (2102.09672), which takes no further numbers.
        beta_min: the linear variance of the first step.
        beta_max: the linear variance of the last step; not below `beta_min`.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    steps: Annotated[int, Range(1, 100_000)] = 1000
    betas: Literal["linear", "cosine"] = "linear"
    beta_min: Annotated[float, Range(1e-9, 0.999)] = 1e-4
    beta_max: Annotated[float, Range(1e-9, 0.999)] = 0.02

    def __post_init__(self) -> None:
        check(self)
        if self.beta_max < self.beta_min:
            raise ConfigError(f"DDPM: beta_max is {self.beta_max!r}, expected beta_min = {self.beta_min!r} or more")
        if self.at(1.0).alpha == 0:
            raise ConfigError(f"DDPM: beta_max is {self.beta_max!r}, with which {self.steps} steps leave an alpha of 0: expected less")

    @cached_property
    def _decay(self) -> tuple[float, ...]:
        """-log alpha_bar at the levels 0 (clean) to `steps`."""
        if self.betas == "cosine":
            body = [self._cosine_decay(level) for level in range(self.steps)]
            return (*body, body[-1] - math.log1p(-LARGEST_BETA))  # the last beta alone is clipped: the cosine is 0 there
        rise = (self.beta_max - self.beta_min) / max(self.steps - 1, 1)
        return tuple(accumulate((-math.log1p(-self.beta_min - rise * step) for step in range(self.steps)), initial=0.0))

    def _cosine_decay(self, level: int) -> float:
        """-log of cos^2(pi/2 (n / steps + s) / (1 + s)), relative to n = 0, by the form that is exact at the nearer end."""
        whole = math.pi / 2 / (1 + OFFSET)
        past, left = whole * level / self.steps, whole * (self.steps - level) / self.steps
        if past > left:
            return -2 * math.log(math.sin(left) / math.sin(whole))
        return -math.log1p(-math.sin(past) * math.sin(whole + left) / math.sin(whole) ** 2)

    def _piece(self, time: float) -> tuple[float, float]:
        """-log alpha_bar at a time, and its slope by time: at a level, that of the piece below it, into which the reverse walk goes."""
        level = self.level(time)
        below = max(math.ceil(level) - 1, 0)
        low, high = self._decay[below : below + 2]
        return (below + 1 - level) * low + (level - below) * high, self.steps * (high - low)

    def at(self, time: float) -> Node:
        decay, _ = self._piece(time)
        return Node(time, math.exp(-decay / 2), 0.0, math.sqrt(-math.expm1(-decay)))

    def slope(self, time: float) -> Slope:
        decay, beta = self._piece(time)
        return Slope(-beta / 2 * math.exp(-decay / 2), 0.0, beta * math.exp(-decay))
