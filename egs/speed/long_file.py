"""Memory and time of a long recording: ten minutes of made-up speech in noise through a model, in blocks, as a file goes.

python long_file.py MODEL.safetensors --device cuda --dtype bfloat16
"""

import argparse
import resource
import time

import numpy as np
import torch

import sgaudio
from sgaudio.models.memory import keep_allocations

BLOCK = 10  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's name, or the path of its file")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=1, help="windows in one call of the network")
    parser.add_argument("--solver", help="the model's own by default")
    parser.add_argument("--steps", type=int, help="the model's own by default")
    parser.add_argument("--keep-allocations", action="store_true")
    options = parser.parse_args()

    kept = options.keep_allocations and keep_allocations()
    model = sgaudio.load(options.model, device=options.device, dtype=options.dtype)
    stream = model.stream(model.sample_rate, batch=options.batch, solver=options.solver, steps=options.steps)
    length, given, made, begin = round(60 * options.minutes * model.sample_rate), 0, 0, time.perf_counter()
    while given < length:
        block = speech_in_noise(given, min(BLOCK * model.sample_rate, length - given), model.sample_rate)
        made += stream.push(block).shape[-1]
        given += len(block)
    made += stream.flush().shape[-1]
    seconds = time.perf_counter() - begin
    assert made == length
    print(f"{options.minutes:g} minutes on {model.device}, {model.dtype}, batch {options.batch}, allocations kept: {kept}")
    print(f"{seconds:.1f} s, {60 * options.minutes / seconds:.2f} times real time")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB resident at most")  # kilobytes, on Linux
    if model.device.type == "cuda":
        print(f"{torch.cuda.max_memory_allocated() / 2**30:.2f} GB of GPU memory allocated at most")


def speech_in_noise(first: int, samples: int, rate: int) -> np.ndarray:
    """Samples from `first` on, (time): a voice of 120 Hz that glides and speaks four syllables a second, 10 dB above white noise."""
    time = (first + np.arange(samples)) / rate
    phase = 2 * np.pi * (120 * time + 10 * np.sin(2 * np.pi * 0.3 * time))
    harmonics = np.arange(1, int(min(4000, rate / 2) / 200))[:, None]
    formants = sum(np.exp(-(((120 * harmonics - formant) / 250) ** 2)) for formant in (500, 1500, 2500))
    voice = (formants * np.sin(harmonics * phase)).sum(0) * np.sin(4 * np.pi * time) ** 2
    noise = np.random.default_rng(first).standard_normal(samples) * np.sqrt(0.1 * np.mean(voice**2))
    return (0.1 * (voice + noise)).astype(np.float32)


if __name__ == "__main__":
    main()
