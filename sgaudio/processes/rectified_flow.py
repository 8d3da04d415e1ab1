"""Rectified flow: a straight line from the clean sound to noise, with nothing of the clean sound left in its start.

Liu, Gong, Liu 2023, "Flow straight and fast: learning to generate and transfer data with rectified flow", 2209.03003; Lipman, Chen,
Ben-Hamu, Nickel, Le 2023, "Flow matching for generative modeling", 2210.02747. Both run from noise at time 0 to data at time 1:
their time is 1 less ours.
"""

from dataclasses import dataclass

from sgaudio.processes.base import Node, Process, Slope


@dataclass(frozen=True)
class RectifiedFlow(Process):
    """Rectified flow (Liu et al. 2023, 2209.03003): alpha = 1 - t, sigma = t. It knows no noisy sound."""

    def at(self, time: float) -> Node:
        return Node(time, 1 - time, 0.0, time)

    def slope(self, time: float) -> Slope:
        return Slope(-1.0, 0.0, 2 * time)
