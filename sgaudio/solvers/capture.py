"""A whole walk as one CUDA graph: the host says it once, and replays it in one call.

A plan's coefficients and times are numbers of the host, and nothing in `run` waits for the device, so that a walk is the same kernels
in the same order each time. A graph reads from and writes to the memory it was captured with: start, noisy sound and noises are copied in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes.states import check_state
from sgaudio.solvers.plan import Plan
from sgaudio.solvers.sample import Denoise, Noise, check_start, run

WARM_UP = 3  # walks before the capture, in which libraries choose their kernels and allocate what they keep


@dataclass(frozen=True)
class Captured:
    """A walk that `capture` made a graph of: (start, noisy, noise) -> the state at the grid's end.

    Nothing waits for the device, and values are not checked: see `run`.
    """

    graph: torch.cuda.CUDAGraph
    denoise: Denoise  # kept alive with the memory that the graph reads
    start: Tensor
    noisy: Tensor | None
    noises: Mapping[tuple[int, str, int], Tensor]
    result: Tensor

    @torch.no_grad()
    def __call__(self, start: Tensor, noisy: Tensor | None = None, noise: Noise | None = None) -> Tensor:
        """Replay the walk with other values of the same shapes and dtypes.

        Raises:
            ConfigError: on anything missing, or of another shape or dtype than at the capture.
        """
        with torch.cuda.device(self.start.device):
            _fill("start", self.start, start)
            if self.noisy is not None:
                _fill("noisy sound", self.noisy, noisy)
            for key, drawn in self.noises.items():
                _fill(f"noise {key}", drawn, None if noise is None else noise(*key))
            self.graph.replay()
            return self.result.clone()


def capture(plan: Plan, denoise: Denoise, start: Tensor, noisy: Tensor | None = None, noise: Noise | None = None) -> Captured:
    """Capture the walk of a plan, network and all, as one CUDA graph.

    Args:
        plan: what `record` made of a solver, a process and a grid.
        denoise: (state, time) -> clean estimate. It must not wait for the device, nor copy from the host. What it reads beside the state,
            it reads from the same memory in each replay: for a network that is conditioned on the noisy sound, write the next one into
            that tensor by `copy_`.
        start, noisy, noise: of one walk, as for `sample`; their values do not matter, but for a bridge's start.

    Returns:
        A function (start, noisy, noise) -> the state at the grid's end.

    Raises:
        ConfigError: on a start that is on another device, and as `sample` before the walk.
    """
    check_state("capture: the start", start)
    if start.device.type != "cuda":
        raise ConfigError(f"capture: the start is on the device {str(start.device)!r}, expected a CUDA device: use `sample` there")
    check_start(plan, start, noisy, noise)
    # Not in inference mode: tensors that are made there can be written to only there.
    with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(start.device):
        first, sound = start.clone(), None if noisy is None else noisy.clone()
        noises = {key: noise(*key).to(start.device, copy=True) for key in plan.draws} if noise is not None else {}

        def walk() -> Tensor:
            return run(plan, denoise, first, sound, lambda *key: noises[key])

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                walk()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = walk()
    return Captured(graph, denoise, first, sound, noises, result)


def _fill(what: str, static: Tensor, given: Tensor | None) -> None:
    """Copy what a replay was given to where the graph reads it."""
    expected = f"expected {static.dtype} of shape {tuple(static.shape)} as at the capture"
    if given is None:
        raise ConfigError(f"capture: got no {what}, {expected}")
    if (given.shape, given.dtype) != (static.shape, static.dtype):
        raise ConfigError(f"capture: the {what} is {given.dtype} of shape {tuple(given.shape)}, {expected}")
    static.copy_(given)
