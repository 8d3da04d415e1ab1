"""The Brownian bridge: a straight line from the clean to the noisy sound, and noise that is most halfway.

Li, Xue, Liu, Lai 2023, "BBDM: image-to-image translation with Brownian bridge diffusion models", 2205.07680, section 3, in which
the variance is 2 s t (1 - t).
"""

import math
from dataclasses import dataclass
from typing import Annotated

from sgaudio.processes.base import Node, Process, Slope
from sgaudio.registry import Range, check


@dataclass(frozen=True)
class BrownianBridge(Process):
    """The Brownian bridge (Li et al. 2023, 2205.07680). The state at time 1 is the noisy sound itself: alpha = sigma = 0.

    Args:
        variance: of the diffusion, in squared units of the state per unit of time: 2 s of the paper. That of the state is a quarter of it
            at most, halfway.

    Raises:
        ConfigError: on a parameter out of its range.
    """

    variance: Annotated[float, Range(1e-9, 1e6)] = 2.0

    def __post_init__(self) -> None:
        check(self)

    def at(self, time: float) -> Node:
        return Node(time, 1 - time, time, math.sqrt(self.variance * time * (1 - time)))

    def slope(self, time: float) -> Slope:
        return Slope(-1.0, 1.0, self.variance * (1 - 2 * time))
