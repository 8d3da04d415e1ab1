"""The sounds of a recipe's table as files: `python sounds.py TABLE -o FOLDER` writes FOLDER/clean/ID.wav and FOLDER/noisy/ID.wav."""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sgaudio.audio.files import read, write
from sgaudio.audio.mixtures import read_mixtures
from sgaudio.audio.resampling import resample
from sgaudio.errors import SgaudioError


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 written, 1 failed, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="sounds.py", description="The sounds of a table of pairs or mixtures, as files.")
    parser.add_argument("table", type=Path, help="table of pairs, or of mixtures")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="gets the folders clean and noisy")
    parser.add_argument("--rate", type=int, default=16_000, help="of the files, in Hz; 16000")
    options = parser.parse_args(arguments)
    count = 0
    try:
        for name, clean, noisy in sounds(options.table, options.rate):
            for side, sound in (("clean", clean), ("noisy", noisy)):
                path = options.out / side / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, sound, options.rate)
            count += 1
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"sounds: {error}\n")
        return 1
    print(f"{options.out}: {count} sounds")
    return 0


def sounds(table: Path, rate: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, clean and noisy sound of each row, at a rate in Hz."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if "speech" in (rows.fieldnames or ()):
            for mixture in read_mixtures(table):
                clean, noisy, _ = mixture.load(rate)
                yield mixture.name, clean, noisy
        else:
            for row in rows:
                clean, noisy = (resample(*read(table.parent / row[side]), rate) for side in ("clean", "noisy"))
                yield row["id"], clean, noisy


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
