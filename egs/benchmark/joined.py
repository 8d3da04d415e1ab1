"""Enhance all mixtures of a table as one long recording, and cut it apart again: how much do windows cost?

python joined.py mixtures.tsv DEVSET -o joined --steps 1
"""

import argparse
from pathlib import Path

import numpy as np

import sgaudio
from sgaudio.audio.mixtures import read_mixtures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("root", type=Path, metavar="DEVSET")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1)
    options = parser.parse_args()

    model = sgaudio.load("denoise")
    mixtures = read_mixtures(options.table, options.root)
    sounds = [mixture.load(model.sample_rate).noisy for mixture in mixtures]
    estimate = model.enhance(np.concatenate(sounds), model.sample_rate, steps=options.steps)
    parts = np.split(estimate, np.cumsum([len(sound) for sound in sounds])[:-1])
    options.out.mkdir(parents=True, exist_ok=True)
    for mixture, part in zip(mixtures, parts, strict=True):
        sgaudio.write(options.out / f"{mixture.name}.wav", part, model.sample_rate)


if __name__ == "__main__":
    main()
