"""FlowSE: a straight line from the clean to the noisy sound, while the scale of the noise grows evenly.

Lee, Cheong, Han, Shin 2025, "FlowSE: flow matching-based speech enhancement", 2508.06840; the public code is seongq/flowmse.
"""

from dataclasses import dataclass
from typing import Annotated

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class FlowSE(Process):
    """FlowSE (Lee et al. 2025, 2508.06840): the noisy sound at time 1, with noise of scale `sigma_max` on it.

    For `sigma_min` above 0 the path is the paper's for t > 0; at time 0 it is exactly clean, so that sigma jumps there from
    `sigma_min` to 0, and the slope is the one just after it.

    Args:
        sigma_min: scale of the noise just after time 0, in units of the state.
        sigma_max: scale of the noise at time 1, in units of the state; larger than `sigma_min`.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    sigma_min: Annotated[float, Range(0, 1e3)] = 0.0
    sigma_max: Annotated[float, Range(1e-6, 1e3)] = 0.487

    def __post_init__(self) -> None:
        check(self)
        if self.sigma_max <= self.sigma_min:
            raise ConfigError(f"FlowSE: sigma_max is {self.sigma_max!r}, expected more than sigma_min = {self.sigma_min!r}")

    def _sigma(self, time: float) -> float:
        return (1 - time) * self.sigma_min + time * self.sigma_max

    def at(self, time: float) -> Node:
        return Node(time, 1 - time, time, self._sigma(time) if time else 0.0)

    def slope(self, time: float) -> Slope:
        return Slope(-1.0, 1.0, 2 * self._sigma(time) * (self.sigma_max - self.sigma_min))
