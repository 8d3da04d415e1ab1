"""Time of one call of NCSN++: the public code and ours in one run, with the same weights and inputs.

    python network.py --public CLONE --device cuda --output results/h200.json

CLONE is a copy of github.com/sp-uhh/sgmse at commit ae690e8. Its network runs as it stands, in float32, with what torch sets by default
(TF32 in convolutions); its resampling filter by the code's own plain path, on a GPU with --cuda-extension also by its CUDA extension, which
nvcc builds. Calls take turns; a figure is the median on a GPU, by its own clock, and on a CPU, where neighbours can only add, the
minimum. On a CPU each form has a process to itself, since allocations are kept for the whole of one.
"""

import argparse
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from sgaudio.nets.ncsnpp import PUBLISHED, NCSNpp, NCSNppConfig, published_keys

Call = Callable[[], Tensor]
Inputs = tuple[Tensor, Tensor, Tensor]  # state, noisy, time

PUBLIC_CLASSES = {"ncsnpp": "NCSNpp", "ncsnpp-48k": "NCSNpp_48k"}
SIZES = {
    "cuda": [("ncsnpp", 256, 1), ("ncsnpp", 512, 1), ("ncsnpp", 256, 8), ("ncsnpp", 512, 8), ("ncsnpp-48k", 256, 1)],
    "cpu": [("ncsnpp", 256, 1)],
}
ROUNDS = {"cuda": 30, "cpu": 7}
WARM_UP = 3


@dataclass(frozen=True)
class Task:
    """One network at one size.

    Args:
        public: path of the clone.
        device: "cuda" or "cpu".
        name: of the network.
        frames, batch: of the inputs.
        channels: of the network.
    """

    public: str
    device: str
    name: str
    frames: int
    batch: int
    channels: int

    @property
    def config(self) -> NCSNppConfig:
        return replace(PUBLISHED[self.name], channels=self.channels)

    @property
    def inputs(self) -> Inputs:
        generator = torch.Generator().manual_seed(1)
        shape = 2, self.batch, 1, self.config.bins, self.frames
        state, noisy = torch.randn(shape, dtype=torch.complex64, generator=generator).to(self.device)
        return state, noisy, torch.full((self.batch,), 0.5, device=self.device)

    def __str__(self) -> str:
        return f"{self.name}, {self.frames} frames, batch {self.batch}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", required=True, help="path of a clone of the public code")
    parser.add_argument("--device", choices=SIZES, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cuda-extension", action="store_true", help="also build and time the public code's CUDA extension")
    parser.add_argument("--compile", action="store_true", help="also time torch.compile, which takes minutes, at the first size")
    parser.add_argument("--tiny", action="store_true", help="a small network, to see that all of this runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()

    forms = [form for form in FORMS if fits(form, options)]
    sizes = [("ncsnpp", 64, 1)] if options.tiny else SIZES[options.device]
    about = {"hardware": hardware(options.device), "torch": torch.__version__}
    print(", ".join(about.values()))
    print("\n| network | form | milliseconds | times as fast | error |\n| --- | --- | --- | --- | --- |", flush=True)
    results = []
    for i, (name, frames, batch) in enumerate(sizes):
        task = Task(options.public, options.device, name, frames, batch, 32 if options.tiny else PUBLISHED[name].channels)
        results += race(task, [form for form in forms if i == 0 or "compiled" not in form])
    if options.output:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def fits(form: str, options: argparse.Namespace) -> bool:
    """Whether a form is asked for, and is one for that device."""
    cuda = options.device == "cuda"
    asked = {"CUDA extension": options.cuda_extension, "compiled": options.compile, "kept": not cuda, "bfloat16": cuda, "public": True}
    return next((wanted for word, wanted in asked.items() if word in form), True)


def race(task: Task, forms: list[str]) -> list[dict[str, Any]]:
    """Time the forms of a network in turns, and print a line of the table for each."""
    start = Runner if task.device == "cuda" else RemoteRunner
    runners = {form: start(task, form) for form in forms}
    times = {form: [] for form in forms}
    for _ in range(ROUNDS[task.device]):
        for form, runner in runners.items():
            times[form].append(round(runner.milliseconds(), 3))
    results, figure = [], statistics.median if task.device == "cuda" else min
    for form, runner in runners.items():
        exact = runners[PUBLIC].output
        error = ((runner.output - exact).norm() / exact.norm()).item()
        faster = figure(times[PUBLIC]) / figure(times[form])
        print(f"| {task} | {form} | {figure(times[form]):.4g} | {faster:.2f} | {error:.0e} |", flush=True)
        results.append({"network": str(task), "form": form, "milliseconds": times[form], "error": error})
    return results


class Runner:
    """A form of a network, ready to be timed; `output` is what it says."""

    @torch.no_grad()
    def __init__(self, task: Task, form: str):
        self.device, self.call = task.device, FORMS[form](task)
        for _ in range(WARM_UP):
            self.output = self.call().cpu()

    @torch.no_grad()
    def milliseconds(self) -> float:
        """Of one call; on a GPU what the host takes to launch it counts where the GPU waits for it."""
        if self.device == "cpu":
            begin = time.perf_counter()
            self.call()
            return 1e3 * (time.perf_counter() - begin)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        self.call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)


class RemoteRunner:
    """The same in a process of its own."""

    def __init__(self, task: Task, form: str):
        context = get_context("spawn")
        self.connection, far = context.Pipe()
        context.Process(target=serve, args=(far, task, form), daemon=True).start()
        self.output = self.connection.recv()

    def milliseconds(self) -> float:
        self.connection.send("next")
        return self.connection.recv()


def serve(connection: Connection, task: Task, form: str) -> None:
    """The other end of a `RemoteRunner`."""
    runner = Runner(task, form)
    connection.send(runner.output)
    with suppress(EOFError):
        while connection.recv():
            connection.send(runner.milliseconds())


def public(task: Task, cuda_filter: bool = False) -> Call:
    network, (state, noisy, times) = public_network(task), task.inputs
    both, resampling = torch.cat([state, noisy], 1), sys.modules["sgmse.backbones.ncsnpp_utils.up_or_down_sampling"]
    chosen = public_filter(cuda_filter)

    def call() -> Tensor:
        with patch.object(resampling, "upfirdn2d", chosen):
            return network(both, times)

    return call


def public_filter(cuda: bool) -> Callable[..., Tensor]:
    """The public code's resampling: through its CUDA extension, which is built now, or by its plain path."""
    name = "sgmse.backbones.ncsnpp_utils.op.upfirdn2d"
    if cuda:
        return importlib.reload(sys.modules[name]).upfirdn2d
    plain = sys.modules[name].upfirdn2d_native
    return lambda x, kernel, up=1, down=1, pad=(0, 0): plain(x, kernel, up, up, down, down, *pad, *pad)


@cache
def public_network(task: Task) -> torch.nn.Module:
    """With weights that are not, as in a new one, nearly zero."""
    sys.path.insert(0, task.public)
    with patch("torch.cuda.is_available", lambda: False):  # else it builds its extension
        classes = importlib.import_module("sgmse.backbones")
    torch.manual_seed(0)
    network = getattr(classes, PUBLIC_CLASSES[task.name])(nf=task.channels).requires_grad_(False)
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return network.to(task.device)


def our_network(task: Task) -> NCSNpp:
    state = public_network(task).state_dict()
    with torch.device(task.device):
        network = NCSNpp(task.config).requires_grad_(False)
    network.load_state_dict({ours: state[key] for key, ours in published_keys(task.config).items() if ours})
    return network


def float32(task: Task) -> Call:
    network, inputs = our_network(task), task.inputs
    return lambda: network(*inputs)


def kept(task: Task, form: Callable[[Task], Call]) -> Call:
    from sgaudio.models.memory import keep_allocations  # here, since all else needs torch alone

    keep_allocations()
    return form(task)


def autocast(task: Task) -> Call:
    call = float32(task)

    def cast() -> Tensor:
        with torch.autocast(task.device, torch.bfloat16):
            return call()

    return cast


def bfloat16(task: Task) -> Call:
    network, inputs = our_network(task).compute_in(torch.bfloat16), task.inputs
    return lambda: network(*inputs)


def graph(task: Task) -> Call:
    return captured(bfloat16(task))


def compiled(task: Task) -> Call:
    """The real part of the network; complex numbers are not compiled."""
    network, inputs = our_network(task).compute_in(torch.bfloat16), task.inputs
    network.parts = torch.compile(network.parts, fullgraph=True, dynamic=False)
    return lambda: network(*inputs)


def compiled_graph(task: Task) -> Call:
    return captured(compiled(task))


def captured(call: Call) -> Call:
    """Captured as one CUDA graph, and replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = call()

    def replay(_: Call = call) -> Tensor:  # whose weights and inputs the graph reads
        graph.replay()
        return output

    return replay


def hardware(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {torch.get_num_threads()} threads"


PUBLIC, EXTENSION = "public, float32", "public, float32, CUDA extension"
FORMS: dict[str, Callable[[Task], Call]] = {
    PUBLIC: public,
    EXTENSION: partial(public, cuda_filter=True),
    "ours, float32": float32,
    "public, float32, allocations kept": partial(kept, form=public),
    "ours, float32, allocations kept": partial(kept, form=float32),
    "ours, bfloat16 by autocast": autocast,
    "ours, bfloat16": bfloat16,
    "ours, bfloat16, one CUDA graph": graph,
    "ours, bfloat16, compiled": compiled,
    "ours, bfloat16, compiled, one CUDA graph": compiled_graph,
}


if __name__ == "__main__":
    main()
