"""What a step costs beside the network: DPM-Solver++(2M) here and second-order methods of other libraries, all in one run on one machine.

The network returns its input, so that only the solver's own work is left. The state is a complex spectrogram (1, 1, 256, 512), for
libraries without complex numbers the same numbers as real ones (1, 2, 256, 512). A figure is the median of 200 walks of 50 steps, divided
by 50.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sgaudio.processes import OUVE, Process
from sgaudio.solvers import SOLVERS, linear, record, sample

STEPS, WALKS = 50, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = torch.randn(1, 1, 256, 512, dtype=torch.complex64, device=device)
    walks = ours(state) | diffusers_walks(state) | torchdiffeq_walks(state) | azula_walks(state)
    figures = {name: microseconds(walk, device) for name, walk in walks.items()}
    first = next(iter(figures.values()))
    print(f"{hardware(device)}, torch {torch.__version__}\n\n| walk | microseconds a step | times ours |\n| --- | --- | --- |")
    for name, figure in figures.items():
        print(f"| {name} | {figure:.1f} | {figure / first:.2f} |")
    if arguments.output:
        arguments.output.write_text(
            json.dumps({"hardware": hardware(device), "torch": torch.__version__, "microseconds": figures}, indent=1) + "\n"
        )


def ours(state: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Each solver as launched; on a GPU also as one CUDA graph."""
    walks = dict[str, Callable[[], object]]()
    process: Process = OUVE()
    plan = record(SOLVERS["dpmpp-2m"], process, linear(process, STEPS))
    walks["sgaudio dpmpp-2m"] = lambda: sample(plan, lambda x, t: x, state, state)
    if state.is_cuda:
        from sgaudio.solvers import capture

        replay = capture(plan, lambda x, t: x, state, state)
        walks["sgaudio dpmpp-2m, one CUDA graph"] = lambda: replay(state, state)
    return walks


def diffusers_walks(state: torch.Tensor) -> dict[str, Callable[[], object]]:
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler  # pyright: ignore[reportMissingImports]

    real = torch.view_as_real(state)[0].movedim(-1, 1).contiguous()

    def walk(kind: type) -> Callable[[], object]:
        scheduler = kind(num_train_timesteps=1000)

        def run() -> object:
            scheduler.set_timesteps(STEPS, device=state.device)
            x = real
            for t in scheduler.timesteps:
                x = scheduler.step(x, t, x).prev_sample
            return x

        return run

    kinds = {"DPMSolverMultistep (2M)": DPMSolverMultistepScheduler, "UniPCMultistep": UniPCMultistepScheduler, "DDIM": DDIMScheduler}
    return {f"diffusers {name}": walk(kind) for name, kind in kinds.items()}


def torchdiffeq_walks(state: torch.Tensor) -> dict[str, Callable[[], object]]:
    from torchdiffeq import odeint  # pyright: ignore[reportMissingImports]

    real = torch.view_as_real(state)[0].movedim(-1, 1).contiguous()
    ends = torch.tensor([1.0, 0.0], device=state.device)

    def walk(method: str) -> Callable[[], object]:
        return lambda: odeint(lambda t, x: x, real, ends, method=method, options={"step_size": 1 / STEPS})[-1]

    return {f"torchdiffeq {method}": walk(method) for method in ("midpoint", "euler")}


def azula_walks(state: torch.Tensor) -> dict[str, Callable[[], object]]:
    from azula.denoise import Denoiser, DiracPosterior  # pyright: ignore[reportMissingImports]
    from azula.noise import VPSchedule  # pyright: ignore[reportMissingImports]
    from azula.sample import DDIMSampler, xEABSampler  # pyright: ignore[reportMissingImports]

    class Identity(Denoiser):
        schedule = VPSchedule()

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, **kwargs) -> DiracPosterior:
            return DiracPosterior(mean=x_t)

    real = torch.view_as_real(state)[0].movedim(-1, 1).contiguous()
    samplers = {
        "xEAB (2M)": xEABSampler(Identity(), order=2, steps=STEPS, silent=True),
        "DDIM": DDIMSampler(Identity(), steps=STEPS, silent=True),
    }
    return {f"azula {name}": lambda sampler=sampler: sampler(real) for name, sampler in samplers.items()}


def microseconds(walk: Callable[[], object], device: torch.device) -> float:
    """Median time of a walk, from its start to the end of its last kernel, by step."""
    walks = WALKS if device.type == "cuda" else WALKS // 20
    times = list[float]()
    for index in range(walks + 3):
        begin = time.perf_counter()
        walk()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if index >= 3:
            times.append(time.perf_counter() - begin)
    return statistics.median(times) / STEPS * 1e6


def hardware(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
