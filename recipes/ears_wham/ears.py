"""What the two benchmarks of EARS share (Richter et al. 2024, 2406.06185): who speaks in which split, and the pieces that are cut.

EARS is anechoic speech at 48 kHz of 107 speakers: ROOT/EARS/p001/emo_anger_freeform.wav and so on.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.training.tables import Row, write_table

Span = tuple[int, int]  # start and stop in samples
RATE = 48_000  # Hz
HELD_OUT = {"validation": ("p100", "p101"), "test": ("p102", "p103", "p104", "p105", "p106", "p107")}  # all others train
NOT_SPEECH = ("interjection", "melodic", "nonverbal", "vegetative")
SHORTEST = 4 * RATE
PIECE = 10 * RATE
LONGEST_TEST = 29 * RATE
QUIET = -55.0  # LUFS below which a piece is left out, but for whispers; as in the benchmark's version 2
BLOCK = round(0.4 * RATE)  # the least that a loudness is defined for


class Recording(NamedTuple):
    """A file of EARS, and its length in samples."""

    speaker: str
    path: Path
    samples: int

    @property
    def name(self) -> str:
        """The name that nothing else has: p001_emo_anger_freeform."""
        return f"{self.speaker}_{self.path.stem}"


class Unit(NamedTuple):
    """A stretch of a recording that gets one noise or one room, and the pieces of it that become items."""

    recording: Recording
    span: Span
    pieces: list[Span]

    def items(self, samples: np.ndarray) -> Iterator[tuple[str, Span]]:
        """Name and place in the recording of each piece that is not all but silent, of the samples (time) of the unit."""
        whole = self.pieces == [(0, self.recording.samples)]
        for start, stop in self.pieces:
            level = loudness(samples[start - self.span[0] : stop - self.span[0]])
            if level > QUIET or ("whisper" in self.recording.path.stem and level > -np.inf):
                yield self.recording.name if whole else f"{self.recording.name}_{start:08}", (start, stop)


def prepare(
    arguments: Sequence[str],
    benchmark: str,
    noisy: str,
    columns: Sequence[str],
    begin: Callable[[argparse.Namespace], Callable[[str, list[Unit]], list[Row]]],
) -> int:
    """What both scripts do: write the tables; exit code 1 where the corpora are not as expected, 2 on wrong use.

    Args:
        noisy: folder of what is not clean, where the benchmark's own scripts have made it.
        columns: of the tables otherwise.
        begin: from the options to a function that makes the rows of a split's units.
    """
    parser = argparse.ArgumentParser(prog="prepare.py", description=f"Tables of {benchmark}.")
    parser.add_argument("root", type=Path, help="folder of the corpora, or of the benchmark that was made of them")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the tables; ROOT by default")
    parser.add_argument("--cuts", type=Path, metavar="FILE", help="test_files.json of ears_benchmark; the one in ROOT, if there is one")
    parser.add_argument("--seed", type=int, default=42, help="of the draws; 42")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error("--seed expects 0 or more")
    options.out = options.out or options.root
    try:
        if made := made_pairs(options.root, noisy):
            for split, pairs in made.items():
                sys.stdout.write(write_table(options.out / f"{split}.tsv", ("id", "clean", "noisy"), pairs))
            return 0
        speech, cuts = splits(options.root), read_cuts(options.root, options.cuts)
        make = begin(options)
        for split, recordings in speech.items():
            sys.stdout.write(write_table(options.out / f"{split}.tsv", columns, make(split, units(split, recordings, cuts))))
        if not cuts:
            sys.stdout.write("long recordings of the test were cut every 10 s: the benchmark's test_files.json in ROOT has its own cuts\n")
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def splits(root: Path) -> dict[str, list[Recording]]:
    """The recordings of speech for "train", "validation" and "test", in the order of their names.

    Raises:
        ConfigError: where a split is empty, or a file is not as expected.
    """
    found: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    for path in sorted((root / "EARS").glob("p[0-9][0-9][0-9]/*.wav")):
        if path.stem.split("_")[0] not in NOT_SPEECH:
            speaker = path.parent.name
            split = next((name for name, speakers in HELD_OUT.items() if speaker in speakers), "train")
            found[split].append(Recording(speaker, path, length(path)))
    for split, recordings in found.items():
        if not recordings:
            wanted = "of p001 to p099" if split == "train" else f"of {' and '.join(HELD_OUT[split])}"
            raise ConfigError(f"{root}: EARS/p001/*.wav to EARS/p107/*.wav are expected, found none {wanted} for {split}")
    return found


def length(path: Path) -> int:
    """Samples of a file, which is mono at 48 kHz."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{path}: cannot be read ({error.error_string})") from error
    if info.samplerate != RATE or info.channels != 1:
        raise ConfigError(f"{path}: {info.samplerate} Hz and {info.channels} channels, expected {RATE} Hz, mono: EARS as it is published")
    return info.frames


def units(split: str, recordings: Iterable[Recording], cuts: dict[str, list[Span]]) -> list[Unit]:
    """For training and validation a recording each, cut into pieces of 10 s; for the test each piece by itself.

    Args:
        cuts: where recordings of the test are cut, by their names; others stay whole, or are cut as in training if longer than 29 s.
    """
    if split != "test":
        return [Unit(each, (0, each.samples), pieces(each.samples)) for each in recordings if each.samples >= SHORTEST]
    found: list[Unit] = []
    for each in recordings:
        spans = cuts.get(each.name) or ([(0, each.samples)] if each.samples <= LONGEST_TEST else pieces(each.samples))
        for start, stop in spans:
            stop = each.samples if stop == -1 else stop
            if not 0 <= start < stop <= each.samples:
                raise ConfigError(f"{each.path}: has {each.samples} samples, the cuts want those from {start} to {stop}")
            if stop - start <= LONGEST_TEST:
                found.append(Unit(each, (start, stop), [(start, stop)]))
    return found


def pieces(samples: int) -> list[Span]:
    """10 s each, and a last one of 4 to 14 s."""
    count = max(0, samples - SHORTEST) // PIECE + 1
    return [(i * PIECE, (i + 1) * PIECE if i < count - 1 else samples) for i in range(count)]


def read_cuts(root: Path, path: Path | None) -> dict[str, list[Span]]:
    """The benchmark's own cuts of the test recordings: its `test_files.json`, by default the one in ROOT, if there is one.

    Raises:
        ConfigError: where the file is missing or no such list.
    """
    if path is None and not (root / "test_files.json").exists():
        return {}
    path = path or root / "test_files.json"
    try:
        speakers = json.loads(path.read_text(encoding="utf-8"))
        return {
            f"{speaker}_{stem}": [(start, stop) for start, stop in spans]
            for speaker, cut in speakers.items()
            for stem, spans in cut.items()
        }
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path}: expected the cuts of the test, as test_files.json of ears_benchmark has them") from error


def read_span(path: Path, start: int, stop: int) -> np.ndarray:
    """Samples, float64 (time, channel)."""
    try:
        return soundfile.read(path, start=start, stop=stop, always_2d=True)[0]
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{path}: cannot be read ({error.error_string})") from error


def loudness(sound: np.ndarray) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4) of (time); minus infinity for silence, and for less than 0.4 s."""
    try:
        import pyloudnorm
    except ImportError as error:
        raise ConfigError("pyloudnorm is not installed: pip install pyloudnorm") from error
    if len(sound) < BLOCK or not sound.any():
        return -np.inf
    with np.errstate(divide="ignore"):
        return float(pyloudnorm.Meter(RATE).integrated_loudness(sound))


def made_pairs(root: Path, noisy: str) -> dict[str, list[Row]] | None:
    """Tables of pairs of a benchmark that its own scripts have made, if ROOT is such: train/clean/p001/00000.wav beside
    train/<noisy>/p001/00000_5.3dB.wav, and the like in valid and test.

    Raises:
        ConfigError: where a sound has no partner.
    """
    folders = {"train": "train", "validation": "valid", "test": "test"}
    if not all((root / folder / side).is_dir() for folder in folders.values() for side in ("clean", noisy)):
        return None
    tables: dict[str, list[Row]] = {}
    for split, folder in folders.items():
        sides = [{key(path): path for path in sorted((root / folder / side).glob("*/*.wav"))} for side in ("clean", noisy)]
        for name in sorted(sides[0].keys() ^ sides[1].keys()):
            there, missing = (sides[0][name], noisy) if name in sides[0] else (sides[1][name], "clean")
            found = f"{len(sides[0])} clean, {len(sides[1])} {noisy}"
            raise ConfigError(f"{there}: no {missing} sound of this number ({found}): was it made to the end?")
        if not sides[0]:
            raise ConfigError(f"{root / folder}: no .wav files in clean/p001 and the like")
        tables[split] = [(name, clean, sides[1][name]) for name, clean in sides[0].items()]
    return tables


def key(path: Path) -> str:
    """p001_00000 of p001/00000_5.3dB.wav."""
    return f"{path.parent.name}_{path.stem.partition('_')[0]}"
