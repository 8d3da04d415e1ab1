"""Check that a corpus of packs is whole: `python prepare.py CORPUS [-o FOLDER]`. Training reads the packs as they are.

With -o, FOLDER gets dereverberation.tsv: the speech of the validation set, each utterance in two of the rooms that nobody trains with.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.training.tables import Row, read_table, write_table

RATE = 16_000  # Hz
PACKS = ("speech/manifest.tsv", "noise/manifest.tsv", "rir/rir_train.tsv", "rir/rir_dev.tsv")
ROOMS = "rir/rir_dev.tsv"
MIXTURES = "devset/mixtures.tsv"
COLUMNS = ("id", "speech", "noise", "snr_db", "room", "room_start", "room_stop", "room_direct_sample")
EACH = 2  # rooms for an utterance


def main(arguments: Sequence[str]) -> int:
    """Say what is there; exit code 1 with a line for all that is missing or too short, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Check a corpus of packs.")
    parser.add_argument("root", type=Path, metavar="CORPUS", help="folder of speech, noise, rir and devset")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for dereverberation.tsv")
    options = parser.parse_args(arguments)
    root: Path = options.root
    faults = [fault for table in PACKS for fault in check_packs(root, table)] + list(check_mixtures(root))
    for fault in faults:
        sys.stderr.write(f"prepare: {fault}\n")
    sys.stdout.write(f"{root}: {f'{len(faults)} faults' if faults else 'the corpus is whole'}\n")
    if options.out and not faults:
        write_reverberant(root, options.out / "dereverberation.tsv")
    return 1 if faults else 0


def check_packs(root: Path, table: str) -> Iterator[str]:
    """Every pack of a table is there and as long as its segments say; what it holds is written out."""
    try:
        rows = read_table(root / table, ("file", "start", "stop"))
    except ConfigError as error:
        yield str(error)
        return
    ends: dict[str, int] = {}
    samples: Counter[str] = Counter()
    for row in rows:
        ends[row["file"]] = max(ends.get(row["file"], 0), int(row["stop"]))
        samples[row.get("licence", "CC0-1.0")] += int(row["stop"]) - int(row["start"])
    for name, end in ends.items():
        yield from check_file(root / name, end)
    amounts = ", ".join(f"{licence} {amount / RATE / 60:.1f} min" for licence, amount in samples.most_common())
    sys.stdout.write(f"{table}: {len(rows)} segments in {len(ends)} packs; {amounts}\n")


def check_mixtures(root: Path) -> Iterator[str]:
    """Every file of the validation set is there."""
    try:
        mixtures = read_mixtures(root / MIXTURES)
    except ConfigError as error:
        yield str(error)
        return
    files = sorted({path for mixture in mixtures for path in mixture.files})
    for path in files:
        yield from check_file(path, 1)
    sys.stdout.write(f"{MIXTURES}: {len(mixtures)} mixtures of {len(files)} files\n")


def check_file(path: Path, samples: int) -> Iterator[str]:
    """A file has the rate of the corpus and at least so many samples."""
    if not path.is_file():
        yield f"{path}: missing"
        return
    try:
        found = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        yield f"{path}: cannot be read ({error.error_string})"
        return
    if found.samplerate != RATE:
        yield f"{path}: sample rate is {found.samplerate} Hz, expected {RATE}"
    if found.frames < samples:
        yield f"{path}: has {found.frames} samples, its table needs {samples}: a cut file"


def write_reverberant(root: Path, table: Path) -> None:
    """The utterances of the validation set, each in the next rooms of the list."""
    utterances = sorted({mixture.speech for mixture in read_mixtures(root / MIXTURES)})
    rooms = read_table(root / ROOMS, ("file", "start", "stop", "direct_sample"))
    rows: list[Row] = []
    for number in range(EACH * len(utterances)):
        speech, room = utterances[number // EACH], rooms[number % len(rooms)]
        heard = root / room["file"], *(room[column] for column in ("start", "stop", "direct_sample"))
        rows.append((f"{speech.stem}_{number % len(rooms):02}", speech, "", "", *heard))
    sys.stdout.write(write_table(table, COLUMNS, rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
