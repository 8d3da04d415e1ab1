"""Check that the compact corpus is whole: `python prepare.py CORPUS`. Nothing is converted: training reads the packs as they are."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.training.data import read_table

RATE = 16_000  # Hz
PACKS = ("speech/manifest.tsv", "noise/manifest.tsv", "rir/rir_train.tsv")
MIXTURES = "devset/mixtures.tsv"


def main(arguments: Sequence[str]) -> int:
    """Say what is there; exit code 1 with a line for all that is missing or too short, 2 on wrong use."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python prepare.py CORPUS\n")
        return 2
    root = Path(arguments[0])
    faults = [fault for table in PACKS for fault in check_packs(root, table)] + list(check_mixtures(root))
    for fault in faults:
        sys.stderr.write(f"prepare: {fault}\n")
    sys.stdout.write(f"{root}: {f'{len(faults)} faults' if faults else 'the corpus is whole'}\n")
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
