"""Seconds of mixed sound a second: the data path of training by itself, with and without rooms.

    python data_path.py CORPUS --device cuda --output results/data_path_h200.json    # packs: speech/, noise/, rir/rir_train.tsv
    python data_path.py --synthetic                                                  # an hour of random speech and noise, 150 rooms

Batches of 64 x 2.04 s, clean and noisy, float32 on the device, as a training step is given them: those of `make_source`, one after the
other, with the mixing that recipes have by default.
"""

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from network import hardware

import sgaudio
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.sources import MixingData, Source, make_source

RATE, SECONDS, BATCH = 16_000, 2.04, 64
ROOMS, ECHO = 150, 1.0  # rooms, seconds of each
FILES, MINUTES = 12, 5  # of random sound
TURNS, BATCHES, WARM_UP = 10, 20, 3
SPEECH, NOISE, TABLE = "speech", "noise", "rir/rir_train.tsv"  # in a corpus
MIXINGS = {"no rooms": MixingConfig(), "rooms for half of the items": MixingConfig(reverberant=0.5)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", type=Path, help=f"folder that holds {SPEECH}, {NOISE} and {TABLE}")
    parser.add_argument("--synthetic", action="store_true", help="random sound instead")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--keep", nargs="+", choices=("device", "host"), default=["device"], help="where the sound lies")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--tiny", action="store_true", help="little sound, few batches, to see that all of this runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    if (options.corpus is None) != options.synthetic:
        parser.error("give a CORPUS, or --synthetic")

    about = {"hardware": hardware(options.device), "torch": torch.__version__}
    print(", ".join(about.values()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.synthetic:
            write_random_sound(Path(folder), tiny=options.tiny)
        results = list(timed(options.corpus or Path(folder), options))
    if options.output:
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")


def timed(corpus: Path, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Time a source with each mixing, and print a line of the table for each."""
    device, head = torch.device(options.device), ""
    for keep in options.keep:
        for name, mixing in MIXINGS.items():
            data = MixingData(SPEECH, NOISE, str(corpus), TABLE, keep=keep)
            begin = time.perf_counter()
            source = make_source(data, mixing, sample_rate=RATE, level=1 / 12, batch=options.batch, seconds=SECONDS, device=device)
            if not head:
                head = f"{source}\nloaded in {time.perf_counter() - begin:.1f} s, batches of {options.batch} x {SECONDS} s"
                print(f"{head}\n\n| mixing | sound lies on | milliseconds | sound, s/s |\n| --- | --- | --- | --- |")
            times = race(source, device, *((2, 1) if options.tiny else (TURNS, BATCHES)))
            speed = options.batch * SECONDS / statistics.median(times)
            print(f"| {name} | {keep} | {1e3 * statistics.median(times):.3g} | {speed:.0f} |", flush=True)
            yield {"mixing": name, "keep": keep, "batch": options.batch, "seconds": times, "sound_per_second": speed}


def race(source: Source, device: torch.device, turns: int, batches: int) -> list[float]:
    """Seconds of a batch, one a turn of so many batches in a row."""
    generator, numbers = torch.Generator(device), count()

    def turn(batches: int) -> float:
        begin = time.perf_counter()
        for number, _ in zip(numbers, range(batches), strict=False):
            source.batch(number, generator.manual_seed(number))
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - begin) / batches

    turn(WARM_UP)
    return [turn(batches) for _ in range(turns)]


def write_random_sound(folder: Path, tiny: bool) -> None:
    """A corpus of white noise, an hour of it for speech and for noise, and of rooms that are noise that decays."""
    generator, seconds = np.random.default_rng(1), 10 if tiny else 60 * MINUTES
    for name in (SPEECH, NOISE):
        (folder / name).mkdir()
        for number in range(FILES):
            sound = 0.1 * generator.standard_normal(seconds * RATE, np.float32)
            sgaudio.write(folder / name / f"{number:02d}.wav", sound, RATE)
    length, table = round(ECHO * RATE), folder / TABLE
    table.parent.mkdir()
    decay = np.exp(-7 * np.arange(length) / length)
    rooms = 0.1 * generator.standard_normal((ROOMS, length)) * decay
    rooms[:, 0] = 0.9
    sgaudio.write(table.with_suffix(".flac"), rooms.flatten().astype(np.float32), RATE)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("file", "start", "stop", "direct_sample"))
        writer.writerows((table.with_suffix(".flac").name, i * length, (i + 1) * length, 0) for i in range(ROOMS))


if __name__ == "__main__":
    main()
