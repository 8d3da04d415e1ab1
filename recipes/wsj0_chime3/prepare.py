"""Tables of WSJ0-CHiME3 (Richter et al. 2023, 2208.05830): `python prepare.py ROOT [-o FOLDER]`; nothing is mixed before it is wanted.

ROOT holds, at any depth or as links, WSJ0 as WAV (`wsj0.py` says how) and the backgrounds of CHiME-3, of which channel 1 is taken:

    backgrounds/BGD_150203_010_CAF.CH1.wav ...

Every utterance gets one place in one background at one ratio, 0 to 20 dB (StoRM, 2212.11851: --snr -6 14); all splits share the
backgrounds, as the mixtures of the paper do. Those were not drawn from a sorted list, and cannot be repeated by anybody: figures agree on
the average only.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from wsj0 import Sound, files_below, sound, utterances

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.training.tables import Row, write_table

COLUMNS = ("id", "speech", "noise", "snr_db", "noise_offset_samples")


def main(arguments: Sequence[str]) -> int:
    """Write the tables; exit code 1 where the corpora are not as expected, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Tables of WSJ0-CHiME3.")
    parser.add_argument("root", type=Path, help="folder of WSJ0, as WAV, and CHiME-3")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the tables; ROOT by default")
    parser.add_argument("--snr", type=float, nargs=2, default=(0.0, 20.0), metavar=("LOW", "HIGH"), help="range of ratios in dB; 0 20")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; 0")
    options = parser.parse_args(arguments)
    if not options.snr[0] <= options.snr[1] or options.seed < 0:
        parser.error("--snr expects the lower ratio first, --seed 0 or more")
    generator = np.random.default_rng(options.seed)
    try:
        speech, noises = utterances(options.root), backgrounds(options.root)
        for split, found in speech.items():
            rows = [mixture(name, spoken, noises, options.snr, generator) for name, spoken in found.items()]
            sys.stdout.write(write_table((options.out or options.root) / f"{split}.tsv", COLUMNS, rows))
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def backgrounds(root: Path) -> list[Sound]:
    """Channel 1 of the backgrounds of CHiME-3, in the order of their names."""
    paths = sorted((path for path in files_below(root, "backgrounds") if path.name.endswith(".CH1.wav")), key=lambda path: path.name)
    if not paths:
        raise ConfigError(f"{root}: *.CH1.wav of CHiME-3 are expected in a folder backgrounds, found none")
    return [sound(path) for path in paths]


def mixture(name: str, speech: Sound, noises: Sequence[Sound], snr: tuple[float, float], generator: np.random.Generator) -> Row:
    """A row of the table: ratio, background and where in it to start are drawn."""
    ratio = generator.uniform(*snr)
    noise = noises[int(generator.integers(len(noises)))]
    start = generator.integers(max(1, noise.samples - speech.samples + 1))
    return name, speech.path, noise.path, f"{ratio:.3f}", start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
