"""DPM-Solver++: the clean estimate is extrapolated in the log-SNR.

Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models", 2211.01095.
"""

import math

from sgaudio.solvers.walk import Vector, Walk


def dpmpp_2m(walk: Walk) -> Vector:
    """DPM-Solver++(2M): second order, one evaluation a step.

    Algorithm 2 of 2211.01095: a DDIM step whose clean estimate is carried on to the middle of the step. The first step, and one
    that ends where sigma is 0, has nothing to carry on to: it is plain DDIM. So is the second from a bridge's start, for the first was
    infinitely long in log-SNR.
    """
    z, before = walk.z, None
    for t, u in walk.steps:
        clean, length = walk.denoise(z, t), u.log_snr - t.log_snr
        ahead = clean
        if before is not None and math.isfinite(length):
            ahead = clean + (length / (2 * before[1])) * (clean - before[0])
        z = u.alpha * ahead + u.sigma * walk.noise_in(z, ahead, t)
        before = clean, length
    return z
