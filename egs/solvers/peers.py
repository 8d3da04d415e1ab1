"""Error at equal evaluations beside the code of other libraries: the same oracle, the same path, the same times.

x_0 is a mixture of two Gaussians, whose exact estimate is the network and whose exact flow is known (`sgaudio.solvers.proof`). The path is
the discrete chain of DDPM, 1000 levels, linear betas. "even": equal steps in level, ending in the least noisy one.
"log-snr": equal steps in log-SNR down to that level, then the clean estimate; it is compared with the estimate from the exact state.
"""

import argparse
import csv
import logging
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgaudio.processes import DDPM, time_at
from sgaudio.solvers import GRIDS, SOLVERS, Tableau, record, run
from sgaudio.solvers.proof import Mixture

LEVELS, EVALUATIONS = 1000, (8, 20, 40, 100)
PROCESS = DDPM(steps=LEVELS)
ORACLE = Mixture(PROCESS)
CLEANEST = 1 / LEVELS
Walk = Callable[[Tensor, int], Tensor]
THREE_EIGHTHS = Tableau(  # which torchdiffeq calls rk4
    nodes=(0, 1 / 3, 2 / 3, 1), stages=((), (1 / 3,), (-1 / 3, 1), (1, -1, 1)), weights=(1 / 8, 3 / 8, 3 / 8, 1 / 8), order=4
)

OURS: tuple[tuple[str, str, dict[str, Any], int], ...] = (  # method, solver, options, evaluations a step
    ("DDIM", "ddim", {}, 1),
    ("second order multistep", "dpmpp-2m", {}, 1),
    ("third order multistep", "dpmpp-3m", {}, 1),
    ("UniPC", "unipc", {}, 1),
    ("UniPC", "unipc", {"compat": "lower-order-end"}, 1),
    ("DEIS", "deis", {}, 1),
    ("PNDM", "plms", {}, 1),
    ("Adams in the angle", "adams", {}, 1),
    ("Euler in time", "euler", {}, 1),
    ("midpoint in time", "midpoint", {}, 2),
    ("classical Runge-Kutta in time", "rk4", {}, 4),
    ("3/8 rule in time", "runge-kutta", {"tableau": THREE_EIGHTHS}, 4),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, help="a CSV file for the figures")
    arguments = parser.parse_args()
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    start = ORACLE.quantile(1.0)
    exact = {"even": ORACLE.quantile(CLEANEST), "log-snr": ORACLE.denoise(ORACLE.quantile(CLEANEST), CLEANEST)}
    writer = csv.writer(arguments.output.open("w", newline="") if arguments.output else sys.stdout)
    writer.writerow(("grid", "method", "library", *(f"{evaluations} evaluations" for evaluations in EVALUATIONS)))
    for grid in exact:
        for method, library, walk, calls in [*ours(grid), *from_diffusers(grid), *from_azula(grid), *from_torchdiffeq(grid)]:
            ends = [walk(start, most_steps(grid, calls, evaluations)) for evaluations in EVALUATIONS]
            errors = [float((end - exact[grid]).square().mean().sqrt()) for end in ends]
            writer.writerow((grid, method, library, *(f"{error:.2e}" for error in errors)))


def most_steps(grid: str, calls: int, evaluations: int) -> int:
    """That a number of evaluations allows to a method that takes so many a step, and one for the estimate where the grid ends in it."""
    return evaluations // calls if grid == "even" else (evaluations - 1) // calls + 1


def times(grid: str, steps: int) -> tuple[float, ...]:
    """The calling times, then the end."""
    if grid == "even":
        return (*(level / LEVELS for level in range(LEVELS, 0, -LEVELS // steps)), CLEANEST)
    return GRIDS["log-snr"](PROCESS, steps, last=CLEANEST)


def ours(grid: str) -> Iterator[tuple[str, str, Walk, int]]:
    for method, name, options, calls in OURS:

        def walk(x: Tensor, steps: int, name: str = name, options: dict[str, Any] = options) -> Tensor:
            return run(record(SOLVERS[name], PROCESS, times(grid, steps), **options), ORACLE.denoise, x)

        yield method, " ".join(["sgaudio", name, *(str(value) for value in options.values() if isinstance(value, str))]), walk, calls


def from_diffusers(grid: str) -> Iterator[tuple[str, str, Walk, int]]:
    from diffusers import DDIMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler, PNDMScheduler, UniPCMultistepScheduler  # pyright: ignore[reportMissingImports]

    betas = {"num_train_timesteps": LEVELS, "beta_start": 1e-4, "beta_end": 0.02, "timestep_spacing": "trailing"}
    ends = {"final_sigmas_type": "sigma_min"} if grid == "even" else {"final_sigmas_type": "zero", "use_exponential_sigmas": True}
    schedulers = [
        ("second order multistep", "DPMSolverMultistep, order 2", DPMSolverMultistepScheduler(**betas, **ends)),
        ("third order multistep", "DPMSolverMultistep, order 3", DPMSolverMultistepScheduler(**betas, **ends, solver_order=3)),
        ("UniPC", "UniPCMultistep", UniPCMultistepScheduler(**betas, **ends)),
    ]
    if grid == "even":  # the others know whole levels only
        schedulers += [
            ("DDIM", "DDIM", DDIMScheduler(**betas, clip_sample=False, set_alpha_to_one=False)),
            ("DEIS", "DEISMultistep, order 3", DEISMultistepScheduler(**betas, solver_order=3)),
            ("PNDM", "PNDM, no Runge-Kutta", PNDMScheduler(**betas, skip_prk_steps=True)),
        ]

    for method, name, scheduler in schedulers:

        def walk(x: Tensor, steps: int, scheduler=scheduler) -> Tensor:
            scheduler.set_timesteps(steps)
            x = x[:, None]  # it wants a channel
            for index, level in enumerate(scheduler.timesteps):
                if grid == "even":
                    node = PROCESS.at((float(level) + 1) / LEVELS)
                else:  # it rounds what it tells the network: the oracle is told the exact time
                    node = PROCESS.at(time_at(PROCESS, -math.log(float(scheduler.sigmas[index]))))
                clean = ORACLE.denoise(x[:, 0].double(), node.time)[:, None]
                x = scheduler.step((x - node.alpha * clean) / node.sigma, level, x).prev_sample
            return x[:, 0]

        yield method, f"diffusers {name}", walk, 1


def from_azula(grid: str) -> Iterator[tuple[str, str, Walk, int]]:
    from azula.denoise import Denoiser, DiracPosterior  # pyright: ignore[reportMissingImports]
    from azula.sample import DDIMSampler, EulerSampler, xEABSampler  # pyright: ignore[reportMissingImports]

    class Oracle(Denoiser):
        def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
            nodes = [PROCESS.at(float(time)) for time in t.flatten()]
            alpha, sigma = torch.tensor([(node.alpha, node.sigma) for node in nodes], dtype=torch.float64).T
            return alpha.reshape(t.shape), sigma.reshape(t.shape)

        def forward(self, x_t: Tensor, t: Tensor, **kwargs) -> DiracPosterior:
            return DiracPosterior(mean=ORACLE.denoise(x_t, float(t)))

    for method, name, kind, options in (
        ("DDIM", "DDIMSampler", DDIMSampler, {}),
        ("Euler in time", "EulerSampler", EulerSampler, {}),
        ("second order multistep", "xEABSampler, order 2", xEABSampler, {"order": 2}),
        ("third order multistep", "xEABSampler, order 3", xEABSampler, {"order": 3}),
    ):

        def walk(x: Tensor, steps: int, kind=kind, options=options) -> Tensor:
            nodes = torch.tensor(before_the_estimate(grid, steps), dtype=torch.float64)
            on_these_times = type(kind.__name__, (kind,), {"timesteps": property(lambda self: nodes)})
            return finished(grid, on_these_times(Oracle(), silent=True, **options)(x))

        yield method, f"azula {name}", walk, 1


def from_torchdiffeq(grid: str) -> Iterator[tuple[str, str, Walk, int]]:
    from torchdiffeq import odeint  # pyright: ignore[reportMissingImports]

    def velocity(time: Tensor, x: Tensor) -> Tensor:
        node, slope = PROCESS.at(float(time)), PROCESS.slope(float(time))
        clean = ORACLE.denoise(x, node.time)
        return slope.alpha * clean + slope.variance / (2 * node.sigma**2) * (x - node.alpha * clean)

    methods = (("Euler in time", "euler", 1), ("midpoint in time", "midpoint", 2), ("3/8 rule in time", "rk4", 4))
    for method, name, calls in methods:

        def walk(x: Tensor, steps: int, name=name) -> Tensor:
            nodes = torch.tensor(before_the_estimate(grid, steps), dtype=torch.float64)
            return finished(grid, odeint(velocity, x, nodes, method=name)[-1])

        yield method, f"torchdiffeq {name}", walk, calls


def before_the_estimate(grid: str, steps: int) -> tuple[float, ...]:
    """The times of a walk in noisy states."""
    return times(grid, steps) if grid == "even" else times(grid, steps)[:-1]


def finished(grid: str, x: Tensor) -> Tensor:
    """The end of that walk: the clean estimate, where the grid ends in it."""
    return x if grid == "even" else ORACLE.denoise(x, CLEANEST)


if __name__ == "__main__":
    main()
