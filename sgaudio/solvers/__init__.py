"""Solvers: how to walk back from noise to sound. One family a file; `walk` says how a solver is written.

    plan = record(SOLVERS["adams"], BridgeVE(), linear(BridgeVE(), steps=5))
    clean = sample(plan, denoise, start=noisy, noisy=noisy)

`denoise(x, t)` is any network's estimate of the clean state. Adding a solver is a function in a file and a line here: the tests that
prove solvers go through this registry.
"""

from sgaudio.registry import Registry
from sgaudio.solvers.adams import adams
from sgaudio.solvers.ddim import ddim
from sgaudio.solvers.dpmpp import dpmpp_2m
from sgaudio.solvers.grids import GRIDS, linear
from sgaudio.solvers.noise import PURPOSES, keyed_normal
from sgaudio.solvers.plan import Plan
from sgaudio.solvers.sample import sample
from sgaudio.solvers.walk import Solver, Vector, Walk, record

SOLVERS = Registry[Solver](
    "solver",
    {
        "ddim": Solver(ddim, order=1),
        "dpmpp-2m": Solver(dpmpp_2m, order=2),
        "adams": Solver(adams, order=3),
    },
)

__all__ = ["GRIDS", "PURPOSES", "SOLVERS", "Plan", "Solver", "Vector", "Walk", "keyed_normal", "linear", "record", "sample"]
