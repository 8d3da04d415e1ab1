"""A walk on tensors: what a solver says is done at once. For drivers that no table can hold."""

from collections.abc import Sequence

from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes.base import Node, Process
from sgaudio.processes.states import version
from sgaudio.solvers.grids import checked
from sgaudio.solvers.sample import KEY, Denoise, Noise, check_bridge, check_function, check_noisy, matched_estimate, matched_noise
from sgaudio.solvers.walk import Walk


class Live(Walk):
    """A walk whose vectors are tensors.

    Args:
        name: of the driver, for messages.
        process, grid: that are walked back.
        denoise: (state, time) -> clean estimate.
        x: the state at the grid's first time.
        noisy: the noisy sound, of its shape; needed if the process pulls to it.
        noise: (step, purpose, repeat) -> standard normal noise.
        start: what a bridge's first state hides: "mean" or "drawn".

    Raises:
        ConfigError: as `sample` does.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        grid: Sequence[float],
        denoise: Denoise,
        x: Tensor,
        noisy: Tensor | None = None,
        noise: Noise | None = None,
        start: str = "mean",
    ):
        check_noisy(name, x, noisy)
        if noise is not None:
            check_function(f"{name}: noise", noise, *KEY)
        super().__init__(name, process, checked(grid), x, 0.0 * x if noisy is None else noisy.to(x.dtype), start)
        if noisy is None and any(node.kappa for node in self.nodes):
            raise ConfigError(f"{name}: the process pulls to the noisy sound and got none: pass noisy")
        if self.nodes[0].alpha == self.nodes[0].sigma == 0:
            check_bridge(name, x, noisy)
        self._denoise, self._noise = denoise, noise

    def denoise(self, z: Tensor, t: Node) -> Tensor:
        state = self.unshifted(z, t)
        before = version(state)
        return matched_estimate(self.name, self._denoise(state, t.time), state, before, t.time)

    def noise(self, purpose: str = "step", repeat: int = 0) -> Tensor:
        if self._noise is None:
            raise ConfigError(f"{self.name}: draws noise and got none: pass noise(step, purpose, repeat)")
        return matched_noise(self.name, self._noise, (self._step, purpose, repeat), self.x)

    def keep(self, vector: Tensor) -> Tensor:
        return vector
