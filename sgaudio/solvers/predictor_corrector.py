"""Predictor-corrector: at each time Langevin steps, then a step of the reverse diffusion.

Song et al. 2021, "Score-based generative modeling through stochastic differential equations", 2011.13456, algorithm 1, in the
order of SGMSE+ (Richter et al. 2023, 2208.05830): the corrector first.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from sgaudio.processes.base import Node
from sgaudio.registry import Range
from sgaudio.solvers.correctors import annealed, renoise
from sgaudio.solvers.reverse_diffusion import Compat, predict
from sgaudio.solvers.walk import Vector, Walk

Predictor = Literal["reverse-diffusion", "none"]
Correct = Callable[[Walk, Any, Node, int], Any]


def predictor_corrector(
    walk: Walk,
    predictor: Predictor = "reverse-diffusion",
    corrector: Literal["annealed", "renoise", "none"] = "annealed",
    corrector_steps: Annotated[int, Range(0, 100)] = 1,
    snr: Annotated[float, Range(0, 0.99)] = 0.5,
    compat: Compat = "none",
) -> Vector:
    """Predictor-corrector, the sampler of SGMSE+: 1 + corrector_steps evaluations a step.

    It has no order: the corrector is biased, see `correctors`.

    Args:
        walk: the walk.
        predictor: the step in time, or none: annealed Langevin dynamics.
        corrector: the Langevin step.
        corrector_steps: Langevin steps at each time.
        snr: the size of a Langevin step, relative to sigma: 0.5, or 0.33 for dereverberation (SGMSE+'s README).
        compat: how the walk ends and how long its steps are, as for `reverse_diffusion`.
    """
    correctors: dict[str, Correct] = {"annealed": partial(annealed, snr=snr), "renoise": partial(renoise, snr=snr)}
    return alternate(walk, correctors.get(corrector), predictor, corrector_steps, compat)


def alternate(walk: Walk, correct: Correct | None, predictor: Predictor, corrector_steps: int, compat: Compat) -> Any:
    """Correct and predict in turns, to the end of the walk. A bridge's start, which has no noise, is not corrected."""
    z = walk.z
    for t, u in walk.steps:
        if correct and t.sigma:
            for repeat in range(corrector_steps):
                z = correct(walk, z, t, repeat)
        if predictor == "none" and (u.sigma or compat != "none"):
            z = walk.shifted(walk.unshifted(z, t), u)
        else:
            z = predict(walk, z, t, u, compat=compat)
    return z
