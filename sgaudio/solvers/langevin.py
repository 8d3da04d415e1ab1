"""Predictor-corrector whose Langevin step is as long as the score is weak: a driver, for norms are no table.

Song et al. 2021, 2011.13456, algorithms 4 and 5; the corrector `langevin` of SGMSE+. With norms over an item's values:

    x + e score + sqrt(2 e) n,    e = 2 (snr |n| / |score|)^2
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor

from sgaudio.errors import ConfigError, WalkError
from sgaudio.processes.base import Node, Process
from sgaudio.registry import Range, bind
from sgaudio.solvers.grids import checked
from sgaudio.solvers.live import Live
from sgaudio.solvers.predictor_corrector import Predictor, alternate
from sgaudio.solvers.reverse_diffusion import Compat
from sgaudio.solvers.sample import Denoise, Noise, check_function, check_items
from sgaudio.solvers.walk import Walk


def langevin(
    process: Process,
    grid: Sequence[float],
    denoise: Denoise,
    start: Tensor,
    noisy: Tensor | None = None,
    noise: Noise | None = None,
    *,
    valid: Tensor | None = None,
    predictor: Predictor = "reverse-diffusion",
    corrector_steps: Annotated[int, Range(0, 100)] = 1,
    snr: Annotated[float, Range(0, 0.99)] = 0.5,
    compat: Compat = "none",
) -> Tensor:
    """Walk from `start` to the end of the grid, like `sample` on a plan of `predictor_corrector`.

    Args:
        process, grid: as for `record`.
        denoise, start, noisy, noise: as for `sample`; the first axis of `start` is that of the items.
        valid: which values count in the norms, as 0 and 1 that broadcast to the state's shape; all of them by default.
        predictor: the step in time, or none.
        corrector_steps: Langevin steps at each time.
        snr: the size of a Langevin step.
        compat: as for `predictor_corrector`; in both kinds of SGMSE the norms are moreover means over the batch, so that an item's result
            depends on the others.

    Returns:
        The state at the grid's end, of the shape of `start`.

    Raises:
        ConfigError: on an option out of its range, if noise is missing, on a start without items, and as `sample`.
        WalkError: if the result is not finite: the walk is then run once more to tell in which step that began.
    """
    bind(langevin, {"predictor": predictor, "corrector_steps": corrector_steps, "snr": snr, "compat": compat}, "langevin", given=6)
    check_items("langevin", start)
    check_function("langevin: denoise", denoise, "state", "time")
    if noise is None:
        raise ConfigError("langevin: draws noise and got none: pass noise(step, purpose, repeat)")
    grid = checked(grid)
    if valid is not None:
        try:
            valid = valid.expand(start.shape)
        except (AttributeError, RuntimeError):
            found = tuple(valid.shape) if isinstance(valid, Tensor) else f"a {type(valid).__name__}"
            raise ConfigError(f"langevin: valid is {found}, expected a tensor that broadcasts to {tuple(start.shape)}") from None

    def norm(values: Tensor) -> Tensor:
        each = (values if valid is None else values * valid).reshape(len(start), -1).norm(dim=1)
        return (each if compat == "none" else each.mean(0, keepdim=True)).reshape(-1, *(1 for _ in start.shape[1:]))

    def correct(walk: Walk, z: Tensor, t: Node, repeat: int) -> Tensor:
        score = (t.alpha * walk.denoise(z, t) - z) / t.sigma**2
        fresh, strength = walk.noise("corrector", repeat), norm(score)
        step = torch.where(strength > 0, snr * norm(fresh) / strength, 0.0)  # a score of zero has no direction to go in
        return z + 2 * step**2 * score + 2 * step * fresh

    def walked(denoise: Denoise) -> Tensor:
        walk = Live("langevin", process, grid, denoise, start, noisy, noise)
        return walk.unshifted(alternate(walk, correct, predictor, corrector_steps, compat), walk.nodes[-1])

    def watched(x: Tensor, time: float) -> Tensor:
        estimate = denoise(x, time)
        if not torch.isfinite(estimate).all():
            raise WalkError(f"langevin: the network's estimate is not finite in step {grid.index(time)}, at time {time:g}")
        return estimate

    result = walked(denoise)
    if not torch.isfinite(result).all():
        walked(watched)
        raise WalkError(
            "langevin: the result is not finite, though every estimate is: a noise is not, or the walk diverges, for too large an snr"
        )
    return result
