"""Tables of EARS-WHAM (Richter et al. 2024, 2406.06185): `python prepare.py ROOT [-o FOLDER]`; nothing is mixed before it is wanted.

ROOT holds what the benchmark's download script (sp-uhh/ears_benchmark) leaves:

    EARS/p001/emo_anger_freeform.wav ...
    WHAM48kHz/high_res_wham/audio/*.wav   WHAM48kHz/high_res_wham/high_res_metadata.csv

or what its generation script has made of that (train, valid, test, each with clean and noisy), which then is taken as it is, in pairs.

The ratio of a mixture is a difference of integrated loudness, -2.5 to 17.5 dB, and 1 dB more as long as it would clip; the tables say what
that is in root mean squares. In the test every style has its ratios spread evenly. Speakers, pieces and ratios are those of the paper;
noise keeps to WHAM!'s own splits, as in the benchmark's version 2, so that no noise of the test is heard in training.
"""

import argparse
import csv
import sys
import zlib
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from ears import RATE, Recording, Unit, loudness, prepare, read_span

from sgaudio.errors import ConfigError
from sgaudio.training.data import side_by_side
from sgaudio.training.tables import Row

COLUMNS = ("id", "speech", "speech_start", "speech_stop", "noise", "noise_channel", "snr_db", "noise_offset_samples")
RATIOS = (-2.5, 17.5)  # dB
BINS = 12  # of the ratios in the test, by turns for each style
MOST = 60.0  # dB: speech that clips by itself would go on for ever
TRIES = 100  # draws of a noise that is not silent
WHAM = ("WHAM48kHz/high_res_wham", "high_res_wham")
FOLDERS = {"Train": "train", "Valid": "validation", "Test": "test"}  # of WHAM!'s table


class Noise(NamedTuple):
    """A file of WHAM!, with its size."""

    path: Path
    samples: int
    channels: int


class Job(NamedTuple):
    """A unit, the noises that it may get, and the range of its ratio in dB."""

    unit: Unit
    noises: list[Noise]
    ratios: tuple[float, float]
    seed: int


def main(arguments: Sequence[str]) -> int:
    """See `ears.prepare`."""
    return prepare(arguments, "EARS-WHAM", "noisy", COLUMNS, mixer)


def mixer(options: argparse.Namespace) -> Callable[[str, list[Unit]], list[Row]]:
    """Makes the rows of the units of a split."""
    noises = wham(options.root)

    def make(split: str, found: list[Unit]) -> list[Row]:
        return [row for rows in side_by_side(mix, jobs(split, found, noises[split], options.seed)) for row in rows]

    return make


def wham(root: Path) -> dict[str, list[Noise]]:
    """The noises of each split, by WHAM!'s own table.

    Raises:
        ConfigError: where the table or a split is missing, or a file is not as expected.
    """
    folder = next((root / name for name in WHAM if (root / name).is_dir()), None)
    if folder is None:
        raise ConfigError(f"{root}: the noise of WHAM! at 48 kHz is expected in {WHAM[0]}, found no such folder")
    table = folder / "high_res_metadata.csv"
    if not table.is_file():
        raise ConfigError(f"{folder}: no high_res_metadata.csv in it, which says the split of each noise: is the archive cut?")
    found: dict[str, list[Noise]] = {split: [] for split in FOLDERS.values()}
    with table.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if "Filename" not in row or "WHAM! Split" not in row:
                raise ConfigError(f"{table}: the columns 'Filename' and 'WHAM! Split' are expected, found {', '.join(map(repr, row))}")
            path = folder / "audio" / Path(row["Filename"]).name
            if row["WHAM! Split"] in FOLDERS and path.is_file():
                found[FOLDERS[row["WHAM! Split"]]].append(noise(path))
    for split, noises in found.items():
        if not noises:
            raise ConfigError(f"{folder}: none of the noises that its table has for {split} lies in audio")
    return {split: sorted(noises) for split, noises in found.items()}


def noise(path: Path) -> Noise:
    """Refuse what is not at 48 kHz."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{path}: cannot be read ({error.error_string})") from error
    if info.samplerate != RATE:
        raise ConfigError(f"{path}: sample rate is {info.samplerate} Hz, expected {RATE}: high_res_wham, not wham_noise")
    return Noise(path, info.frames, info.channels)


def jobs(split: str, found: Sequence[Unit], noises: list[Noise], seed: int) -> list[Job]:
    """In the test, the units of a style take the bins of the ratios by turns, in random order."""
    ratios = [RATIOS] * len(found)
    if split == "test":
        edges = np.linspace(*RATIOS, BINS + 1)
        turns: dict[str, count[int]] = {}
        for index in np.random.default_rng(seed).permutation(len(found)):
            if style := style_of(found[index].recording):
                turn = next(turns.setdefault(style, count())) % BINS
                ratios[index] = edges[turn], edges[turn + 1]
    return [Job(unit, noises, each, seed) for unit, each in zip(found, ratios, strict=True)]


def style_of(recording: Recording) -> str | None:
    """anger of emo_anger_freeform, whisper of rainbow_01_whisper; None of free speech."""
    parts = recording.path.stem.split("_")
    return {"emo": parts[1], "rainbow": parts[-1], "sentences": parts[-1]}.get(parts[0]) if len(parts) > 2 else None


def mix(job: Job) -> list[Row]:
    """The rows of one unit, a function of the seed and its name alone."""
    recording, (start, stop), _ = job.unit
    generator = np.random.default_rng((job.seed, zlib.crc32(recording.name.encode()), start))
    speech = read_span(recording.path, start, stop)[:, 0]
    if loudness(speech) == -np.inf:
        return []
    noise, channel, offset, samples = draw_noise(generator, job.noises, stop - start)
    ratio = round(generator.uniform(*job.ratios), 1)
    gain = 10 ** ((loudness(speech) - loudness(samples) - ratio) / 20)
    while np.abs(speech + gain * samples).max() >= 1 and ratio < MOST:
        ratio, gain = ratio + 1, gain * 10 ** (-1 / 20)
    rows: list[Row] = []
    for name, (first, last) in job.unit.items(speech):
        powers = [np.square(sound[first - start : last - start]).mean() for sound in (speech, gain * samples)]
        if powers[1]:
            snr = 10 * np.log10(powers[0] / powers[1])
            rows.append((name, recording.path, first, last, noise.path, channel, f"{snr:.4f}", offset + first - start))
    return rows


def draw_noise(generator: np.random.Generator, noises: list[Noise], length: int) -> tuple[Noise, int, int, np.ndarray]:
    """A noise, its channel, where in it to start, and so many samples (time) from there; only where none is so long it is repeated.

    Raises:
        ConfigError: where all that were drawn are silent.
    """
    candidates = [noise for noise in noises if noise.samples >= length] or noises
    for _ in range(TRIES):
        noise = candidates[generator.integers(len(candidates))]
        channel, offset = int(generator.integers(noise.channels)), int(generator.integers(max(1, noise.samples - length + 1)))
        samples = np.resize(read_span(noise.path, offset, min(offset + length, noise.samples))[:, channel], length)
        if loudness(samples) > -np.inf:
            return noise, channel, offset, samples
    raise ConfigError(f"{noises[0].path.parent}: {TRIES} noises drawn are silent: are the files whole?")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
