"""Time of one training step of NCSN++: the public code's own and ours in one run, steps taking turns.

    python training.py --public CLONE --device cuda --batch 8 32 --forms compiled graphs --output results/training_h200.json
    python training.py --device cuda --forms graphs --profile    # where the time of our step goes; needs no clone

CLONE is a copy of github.com/sp-uhh/sgmse at commit ae690e8; --cuda-extension has its resampling go through its CUDA extension, which nvcc
builds. The step is that of SGMSE+: OUVE, score matching, crops of 256 frames (2.04 s), Adam at 1e-4, a moving average of the weights.

The public step is put together from the public code's network and process, with the loss, optimizer, average and matrix precision of its
training: float32, 8 items, spectrograms that lie ready on the device, as its loaders make them. Ours is the whole update of `sgaudio
train`, from waveforms on: spectrograms, states, loss, gradient, clipping, optimizer and average. Both begin with new weights on the
same sound, so that their first losses are the same: about half the number of bins and frames.
"""

import argparse
import gc
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from network import Task, hardware, public_filter, public_network
from torch import Tensor, nn

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.nets.ncsnpp import PUBLISHED
from sgaudio.training.learner import Learner
from sgaudio.training.recipe import recipe_from_mapping
from sgaudio.training.sources import Batch

Step = Callable[[], Tensor]  # one training step; its loss, on the device

RATE, FRAMES = 16_000, 256
SPECTROGRAM = Spectrogram(window=510, hop=128, exponent=0.5, factor=0.15, shape="hann")
PUBLIC_BATCH = 8
EARLIEST, LEARNING_RATE, DECAY = 0.03, 1e-4, 0.999
TURNS, STEPS, WARM_UP = {"cuda": 8, "cpu": 2}, {"cuda": 5, "cpu": 1}, {"cuda": 3, "cpu": 1}
KERNELS = 25
DTYPES = {"float32": "float32", "bfloat16": "bfloat16", "compiled": "bfloat16", "graphs": "bfloat16"}


@dataclass(frozen=True)
class Form:
    """A way of making our step.

    Args:
        name: of `DTYPES`: not compiled, compiled, or compiled into CUDA graphs.
        batch: items.
    """

    name: str
    batch: int

    @property
    def dtype(self) -> str:
        """That the network computes in; weights are float32."""
        return DTYPES[self.name]

    def __str__(self) -> str:
        return "ours, " + {"compiled": "bfloat16, compiled", "graphs": "bfloat16, compiled, CUDA graphs"}.get(self.name, self.dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", help="path of a clone of the public code; without it ours is timed alone")
    parser.add_argument("--cuda-extension", action="store_true", help="build and use the public code's CUDA extension")
    parser.add_argument("--device", choices=TURNS, default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, nargs="+", default=[PUBLIC_BATCH], help="of our steps")
    parser.add_argument("--forms", choices=DTYPES, nargs="+", default=list(DTYPES), help="of our steps, each with each batch")
    parser.add_argument("--profile", action="store_true", help=f"print the {KERNELS} kernels that take most of the last such step, and end")
    parser.add_argument("--tiny", action="store_true", help="a small network, to see that all of this runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()

    if options.device == "cuda":
        torch.set_float32_matmul_precision("high")  # as both do
    batches = [1] if options.tiny else options.batch
    frames, channels = (64, 32) if options.tiny else (FRAMES, PUBLISHED["ncsnpp"].channels)
    task = Task(options.public or "", options.device, "ncsnpp", frames, 1 if options.tiny else PUBLIC_BATCH, channels)
    forms = [Form(name, batch) for name in options.forms for batch in batches]
    about = {"hardware": hardware(options.device), "torch": torch.__version__}
    print(", ".join(about.values()), flush=True)
    if options.profile:
        profile(task, forms[-1])
        return

    public = None
    if options.public:
        public = Timed(partial(public_step, task, options.cuda_extension), task.device, benchmark=False)
        print(f"the public step is ready after {public.ready:.0f} s", flush=True)
    print(f"\n| step | items | milliseconds | sound, s/s | times as fast | GB | losses |\n|{' --- |' * 7}", flush=True)
    results = []
    for form in forms:
        results += race(task, form, public)
        clear()
        if options.output:  # after each, for what comes later may fail
            options.output.parent.mkdir(exist_ok=True)
            options.output.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def race(task: Task, form: Form, public: "Timed | None") -> list[dict[str, Any]]:
    """Time one form and the public step in turns, and print a line of the table for each."""
    try:
        ours = Timed(partial(our_step, task, form), task.device, benchmark=True)
        print(f"{form}, {form.batch} items: ready after {ours.ready:.0f} s", file=sys.stderr, flush=True)
        both = [public, ours] if public else [ours]
        for timed in both:
            timed.forget()
        for _ in range(TURNS[task.device]):
            for timed in both:
                timed.take_turn()
    except torch.OutOfMemoryError:
        print(f"| {form} | {form.batch} | out of memory | | | | |", flush=True)
        return []
    results = []
    for timed, name, batch in ((public, "public, float32", task.batch), (ours, str(form), form.batch)):
        if timed is None:
            continue
        speed = batch * seconds(task) / timed.median
        faster = speed * public.median / (task.batch * seconds(task)) if public else None
        cells = [name, f"{batch}", f"{1e3 * timed.median:.4g}", f"{speed:.1f}", "" if faster is None else f"{faster:.2f}"]
        cells += [f"{timed.memory:.1f}", f"{timed.losses[0]:.0f}, {timed.losses[-1]:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
        figures = {"seconds": timed.times, "sound_per_second": speed, "times_as_fast": faster, "gigabytes": timed.memory}
        more = {"ready_after_seconds": timed.ready, "losses": timed.losses}
        results.append({"step": name, "batch": batch, **figures, **more})
    return results


def seconds(task: Task) -> float:
    """Of one item."""
    return (task.frames - 1) * SPECTROGRAM.hop / RATE


def clear() -> None:
    """Let go of the last form, and of what was compiled for it."""
    gc.collect()
    torch._dynamo.reset()  # pyright: ignore[reportPrivateUsage]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Timed:
    """A step that is ready to be timed: compiled, and run a few times.

    Args:
        make: gives the step.
        device: "cuda" or "cpu".
        benchmark: whether cuDNN looks for its fastest way, as our trainer sets it, and the public one does not.

    Attributes:
        ready: seconds that this took.
        times: seconds of a step, one a turn.
        losses: one a turn, after that of the first step of all.
        memory: that it took from the device, in GB: weights, moments, CUDA graphs and what is kept for later.
    """

    def __init__(self, make: Callable[[], Step], device: str, benchmark: bool):
        self.device, self.benchmark = device, benchmark
        self.times: list[float] = []
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        begin, before = time.perf_counter(), reserved(device)
        self.step = make()
        self.losses = [self.run(1)]
        for _ in range(WARM_UP[device]):
            self.run(1)
        self.memory = (reserved(device) - before) / 1e9
        self.ready = time.perf_counter() - begin

    @property
    def median(self) -> float:
        """Of the times."""
        return statistics.median(self.times)

    def forget(self) -> None:
        """Begin a new race."""
        self.times, self.losses = [], self.losses[:1]

    def take_turn(self) -> None:
        """Some steps in a row."""
        if self.device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            loss = self.run(STEPS[self.device], end)
            elapsed = begin.elapsed_time(end) / 1e3
        else:
            start = time.perf_counter()
            loss = self.run(STEPS[self.device])
            elapsed = time.perf_counter() - start
        self.times.append(elapsed / STEPS[self.device])
        self.losses.append(loss)

    def run(self, steps: int, end: "torch.cuda.Event | None" = None) -> float:
        """So many steps: the last one's loss."""
        torch.backends.cudnn.benchmark = self.benchmark
        loss = torch.nan
        for _ in range(steps):
            loss = self.step()
        if end is not None:
            end.record()
        return float(loss)  # waits for the device


def reserved(device: str) -> int:
    """Bytes of the device, at most."""
    return torch.cuda.max_memory_reserved() if device == "cuda" else 0


def sound(task: Task, batch: int) -> Batch:
    """Pairs (batch, time): noise that comes and goes four times a second, in noise that does not."""
    generator = torch.Generator().manual_seed(1)
    moment = torch.arange((task.frames - 1) * SPECTROGRAM.hop) / RATE
    clean, noise = 0.1 * torch.randn(2, batch, len(moment), generator=generator)
    clean = clean * torch.sin(4 * torch.pi * moment).square()
    return Batch(clean.to(task.device), (clean + 0.3 * noise).to(task.device))


def our_learner(task: Task, form: Form) -> Learner:
    """What `sgaudio train` trains, by the numbers of the public code."""
    model = {
        "spectrogram": asdict(SPECTROGRAM),
        "network": {"name": "ncsnpp", "channels": task.channels},
        "process": {"name": "ouve", "theta": 1.5, "sigma_min": 0.05, "sigma_max": 0.5},
        "prediction": "score",
        "level": 1.0,
        "level_rule": "peak",
        "windows": {"length": 65408, "guard": 4096, "fade": 4096},
        "sampling": {"solver": "dpmpp-2m", "steps": 10, "grid": "linear"},
    }
    recipe = {
        "card": {"name": "timed", "summary": "to be timed", "training_data": "none", "licence": "none", "recipe": "egs/speed"},
        "model": model,
        "data": {"name": "mixing", "clean": "none", "noise": "none"},
        "objective": {"name": "plain", "loss": "score-matching", "times": [EARLIEST, 1.0], "at_latest": 0.0},
        "optimizer": {"rate": LEARNING_RATE, "betas": [0.9, 0.999], "weight_decay": 0.0, "rise": 1, "last": 1.0, "clip": 1e6},
        "trainer": {"output": "none", "steps": 1_000_000, "batch": form.batch, "average": DECAY},
    }
    recipe["trainer"] |= {"compile": form.name in ("compiled", "graphs"), "graphs": form.name == "graphs"}
    torch.manual_seed(0)
    return Learner(recipe_from_mapping(recipe), torch.device(task.device), getattr(torch, form.dtype))


def our_step(task: Task, form: Form) -> Step:
    learner, batch = our_learner(task, form), sound(task, form.batch)
    numbers = count()

    def draw(number: int) -> Batch:
        learner.generator.manual_seed(number)
        return batch

    return lambda: learner.update(draw, next(numbers), 0.0)["loss"]


def public_step(task: Task, cuda_extension: bool = False) -> Step:
    network = type(public_network(task))(nf=task.channels).to(task.device)  # a new one
    process = importlib.import_module("sgmse.sdes").OUVESDE(theta=1.5, sigma_min=0.05, sigma_max=0.5)
    resampling, chosen = sys.modules["sgmse.backbones.ncsnpp_utils.up_or_down_sampling"], public_filter(cuda_extension)
    optimizer, average = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE), Average(network)
    clean, noisy = spectrograms(task)

    def step() -> Tensor:
        with patch.object(resampling, "upfirdn2d", chosen):
            loss = public_loss(network, process, clean, noisy)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
        average.update()
        return loss.detach()

    return step


def public_loss(network: nn.Module, process: Any, clean: Tensor, noisy: Tensor) -> Tensor:
    """Score matching as the public code has it, 1/2 |sigma s + n|^2, on spectrograms (batch, 1, bins, frame)."""
    moment = EARLIEST + (process.T - EARLIEST) * torch.rand(len(clean), device=clean.device)
    mean, deviation = process.marginal_prob(clean, noisy, moment)
    noise, sigma = torch.randn_like(clean), deviation[:, None, None, None]
    state = mean + sigma * noise
    score = -network(torch.cat([state, noisy], dim=1), moment)
    return 0.5 * (sigma * score + noise).abs().square().flatten(1).sum(1).mean()


class Average:
    """The moving average that the public code takes from the package torch_ema: tensor by tensor."""

    def __init__(self, network: nn.Module):
        self.learned, self.count = list(network.parameters()), 0
        self.values = [weight.detach().clone() for weight in self.learned]

    @torch.no_grad()
    def update(self) -> None:
        """Follow the weights."""
        self.count += 1
        share = 1 - min(DECAY, (1 + self.count) / (10 + self.count))
        for value, weight in zip(self.values, self.learned, strict=True):
            value.sub_((value - weight).mul_(share))


def spectrograms(task: Task) -> tuple[Tensor, Tensor]:
    """Clean and noisy, complex (batch, 1, bins, frame), as the public code's data set makes them."""
    batch = sound(task, task.batch)
    peak = batch.noisy.abs().amax(-1, keepdim=True)
    clean, noisy = (SPECTROGRAM.forward((part / peak)[:, None]) for part in batch)
    return clean, noisy


def profile(task: Task, form: Form) -> None:
    """Print the kernels (on a CPU, the operations) of one step that take most of its time."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    timed, cuda = Timed(partial(our_step, task, form), task.device, benchmark=True), task.device == "cuda"
    for _ in range(2):
        timed.take_turn()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profiler(activities=activities) as found:
        timed.run(1)
    averages = found.key_averages()
    hosts = {event.key for event in averages if event.device_type.name == "CPU" and not event.key.startswith("triton")}
    rows = [  # a GPU has ranges by the names of host operations, which are no kernels; but for those that torch.compile writes
        (event.self_device_time_total if cuda else event.self_cpu_time_total, event.count, event.key)
        for event in averages
        if event.device_type.name == task.device.upper() and not (cuda and event.key in hosts)
    ]
    rows.sort(reverse=True)
    total, calls = sum(row[0] for row in rows), sum(row[1] for row in rows)
    print(f"{form}, {form.batch} items: ready after {timed.ready:.0f} s, {1e3 * timed.times[-1]:.4g} ms a step, {timed.memory:.1f} GB")
    print(f"busy for {total / 1e3:.4g} ms, in {calls} calls of {len(rows)} kinds\n\n| milliseconds | % | calls | what |\n|{' --- |' * 4}")
    for spent, times, name in rows[:KERNELS]:
        print(f"| {spent / 1e3:.3f} | {100 * spent / total:.1f} | {times} | {name[:100].replace('|', '/')} |")


if __name__ == "__main__":
    main()
