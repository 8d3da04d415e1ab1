"""Correctors: Langevin steps at one time, which bring a state closer to the law of its node without going on.

A step z + e score + sqrt(2 e) n draws the noise in the state towards zero and adds fresh noise (Song et al. 2021, 2011.13456, appendix G).
With e = q sigma^2 and q = 2 snr^2 it is

    z' = alpha x_0 + (1 - q) (z - alpha x_0) + deviation n

which settles, on Gaussian data that give the state a deviation w, at the variance deviation^2 / (q (sigma/w)^2 (2 - q (sigma/w)^2)).
"""

import math
from typing import Any

from sgaudio.processes.base import Node
from sgaudio.solvers.walk import Walk


def annealed(walk: Walk, z: Any, t: Node, repeat: int, snr: float) -> Any:
    """Annealed Langevin (Song, Ermon 2019, 1907.05600), which SGMSE+'s code calls `ald`: deviation^2 = 2 q sigma^2.

    It settles at 1 / (1 - q/2 (sigma/w)^2) times the right variance: exact where noise vanishes in the state, a third too much for
    snr = 0.5 where the state is all noise.
    """
    return _drawn_in(walk, z, t, snr) + (2 * snr * t.sigma) * walk.noise("corrector", repeat)


def renoise(walk: Walk, z: Any, t: Node, repeat: int, snr: float) -> Any:
    """Part of the noise in the state is drawn anew, as much as there was: deviation^2 = q (2 - q) sigma^2.

    It settles at (2 - q) / (2 - q (sigma/w)^2) times the right variance: exact where the state is all noise, a quarter too little for
    snr = 0.5 where noise vanishes in it.
    """
    part = 2 * snr**2
    return _drawn_in(walk, z, t, snr) + (math.sqrt(part * (2 - part)) * t.sigma) * walk.noise("corrector", repeat)


def _drawn_in(walk: Walk, z: Any, t: Node, snr: float) -> Any:
    clean = walk.denoise(z, t)
    return z - (2 * snr**2) * (z - t.alpha * clean)
