"""Solvers: how to walk back from noise to sound. One family a file; `walk` says how a solver is written.

    plan = record(SOLVERS["adams"], BridgeVE(), linear(BridgeVE(), steps=5))
    clean = sample(plan, denoise, start=noisy, noisy=noisy)

`denoise(x, t)` is any network's estimate of the clean state. Adding a solver is a function in a file and a line here: the tests that
prove solvers go through this registry.
"""

from sgaudio.registry import Registry
from sgaudio.solvers.adams import adams
from sgaudio.solvers.adaptive import adaptive
from sgaudio.solvers.bridge import bridge_ode, bridge_sde
from sgaudio.solvers.brownian import brownian_path
from sgaudio.solvers.capture import capture
from sgaudio.solvers.ddim import ddim, ddpm, resshift
from sgaudio.solvers.deis import deis
from sgaudio.solvers.dpmpp import dpmpp_1s, dpmpp_2m, dpmpp_2m_sde, dpmpp_2s, dpmpp_3m, dpmpp_3s
from sgaudio.solvers.edm import edm
from sgaudio.solvers.grids import GRIDS, linear
from sgaudio.solvers.langevin import langevin
from sgaudio.solvers.noise import PURPOSES, keyed_noise, keyed_normal, no_noise, replayed_noise
from sgaudio.solvers.picard import picard
from sgaudio.solvers.plan import Plan
from sgaudio.solvers.plms import plms
from sgaudio.solvers.predictor_corrector import predictor_corrector
from sgaudio.solvers.record import Solver, record
from sgaudio.solvers.restart import restart
from sgaudio.solvers.reverse_diffusion import euler_maruyama, reverse_diffusion, stochastic_heun
from sgaudio.solvers.runge_kutta import TABLEAUS, Tableau, euler, heun, midpoint, rk4, runge_kutta
from sgaudio.solvers.sample import run, sample
from sgaudio.solvers.scheduler import Scheduler
from sgaudio.solvers.unipc import unipc
from sgaudio.solvers.walk import Vector, Walk

SOLVERS = Registry[Solver](
    "solver",
    {
        "ddim": Solver(ddim, order=1),
        "ddpm": Solver(ddpm, order=1),
        "resshift": Solver(resshift, order=1),
        "bridge-ode": Solver(bridge_ode, order=1),
        "bridge-sde": Solver(bridge_sde, order=1),
        "euler-maruyama": Solver(euler_maruyama, order=1),
        "reverse-diffusion": Solver(reverse_diffusion, order=1),
        "stochastic-heun": Solver(stochastic_heun, order=2),
        "predictor-corrector": Solver(predictor_corrector, order=None),
        "dpmpp-1s": Solver(dpmpp_1s, order=1),
        "dpmpp-2s": Solver(dpmpp_2s, order=2),
        "dpmpp-3s": Solver(dpmpp_3s, order=3),
        "dpmpp-2m": Solver(dpmpp_2m, order=2, start=1),
        "dpmpp-2m-sde": Solver(dpmpp_2m_sde, order=2, start=1),
        "dpmpp-3m": Solver(dpmpp_3m, order=3, start=1),
        "unipc": Solver(unipc, order=3, start=2),
        "deis": Solver(deis, order=3, start=1),
        "plms": Solver(plms, order=2),
        "adams": Solver(adams, order=3, start=2),
        "euler": Solver(euler, order=1),
        "midpoint": Solver(midpoint, order=2),
        "heun": Solver(heun, order=2),
        "rk4": Solver(rk4, order=4),
        "runge-kutta": Solver(runge_kutta, order=3),
        "edm": Solver(edm, order=2),
        "restart": Solver(restart, order=2),
    },
)

__all__ = [
    "GRIDS",
    "PURPOSES",
    "SOLVERS",
    "TABLEAUS",
    "Plan",
    "Scheduler",
    "Solver",
    "Tableau",
    "Vector",
    "Walk",
    "adaptive",
    "brownian_path",
    "capture",
    "keyed_noise",
    "keyed_normal",
    "langevin",
    "linear",
    "no_noise",
    "picard",
    "record",
    "replayed_noise",
    "run",
    "sample",
]
