"""PNDM: a polynomial through the noises found in the last states, as if they came at equal steps, is carried over the step by DDIM.

Liu, Ren, Lin, Zhao 2022, "Pseudo numerical methods for diffusion models on manifolds", 2202.09778. Its transfer, eqs. 9 and 11, is the step
of DDIM.
"""

from typing import Literal

from sgaudio.processes.base import Node
from sgaudio.solvers.adams import weighted
from sgaudio.solvers.ddim import hold
from sgaudio.solvers.walk import Vector, Walk

# Adams-Bashforth for equal steps, the newest first.
WEIGHTS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def plms(walk: Walk, starter: Literal["heun", "runge-kutta", "euler"] = "heun", compat: Literal["none", "pndm"] = "none") -> Vector:
    """PNDM, linear multistep (PLMS): second order, one evaluation a step and one more in the first.

    Steps are not equal in what the weights are made for, so that they do not reach the fourth order of their polynomial. The history
    begins after a step that begins where the state is all noise, or has none.

    Args:
        walk: the walk.
        starter: how there come to be four noises: "heun" evaluates the first step's end as well (DiffSinger), "runge-kutta" evaluates each
            of the first three steps four times (PNDM), "euler" goes through those there are (iPNDM).
        compat: "pndm" ends, where sigma is 0, in the clean estimate that belongs to the weighted noise; otherwise in the network's own.
    """
    z, history = walk.z, list[Vector]()
    for t, u in walk.steps:
        if not walk.is_regular(t) or (u.sigma == 0 and compat == "none"):
            z = hold(walk, z, t, u)
            continue
        noise = noise_at(walk, z, t)
        history = [noise, *history[:3]]
        if starter == "heun" and len(history) == 1 and u.sigma:
            noise = heun_mean(walk, z, noise, t, u)
        elif starter == "runge-kutta" and len(history) < 4 and u.sigma:
            noise = runge_kutta_mean(walk, z, noise, t, u)
        else:
            noise = weighted(WEIGHTS[len(history) - 1], history)
        z = transfer(z, noise, t, u)
    return z


def heun_mean(walk: Walk, z: Vector, noise: Vector, t: Node, u: Node) -> Vector:
    """The mean of the noises at both ends of the step."""
    return 0.5 * (noise + noise_at(walk, transfer(z, noise, t, u), u))


def runge_kutta_mean(walk: Walk, z: Vector, noise: Vector, t: Node, u: Node) -> Vector:
    """The classic Runge-Kutta mean of four noises."""
    m = walk.at((t.time + u.time) / 2)
    second = noise_at(walk, transfer(z, noise, t, m), m)
    third = noise_at(walk, transfer(z, second, t, m), m)
    last = noise_at(walk, transfer(z, third, t, u), u)
    return weighted((1 / 6, 1 / 3, 1 / 3, 1 / 6), (noise, second, third, last))


def noise_at(walk: Walk, z: Vector, t: Node) -> Vector:
    """The noise that the network finds in a state, in a register of its own. Commits z."""
    clean = walk.denoise(z, t)
    return walk.keep(walk.noise_in(z, clean, t))


def transfer(z: Vector, noise: Vector, t: Node, u: Node) -> Vector:
    """The state at u if the noise in it stays as it is, on any Gaussian path."""
    return (u.alpha / t.alpha) * z + (u.sigma - u.alpha * t.sigma / t.alpha) * noise
