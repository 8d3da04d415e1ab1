"""Tables of VoiceBank-DEMAND (Valentini-Botinhao 2017, https://doi.org/10.7488/ds/2117): `python prepare.py ROOT [-o FOLDER]`.

ROOT holds what the archives of its page unpack to, at 48 kHz, or the like at 16 kHz:

    clean_trainset_28spk_wav  noisy_trainset_28spk_wav  trainset_28spk_txt
    clean_testset_wav         noisy_testset_wav         testset_txt

A suffix such as _16k, and a training set without 28spk in its name, as resampled copies have, are accepted; texts may be missing. The
speakers p226 and p287 of the training set are for validation, as in SGMSE+ (Richter et al. 2023, 2208.05830). Nothing is converted.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.training.tables import write_table

COLUMNS = ("id", "clean", "noisy", "text")
VALIDATION = ("p226", "p287")
RATES = (16_000, 48_000)  # Hz
TRAINING_SETS = ("trainset_28spk", "trainset")
TEST_SETS = ("testset",)
SUFFIXES = ("", "_16k", "_16kHz", "_48k")


class Pair(NamedTuple):
    """Two sounds of one name, and what is said."""

    name: str
    clean: Path
    noisy: Path
    text: str


def main(arguments: Sequence[str]) -> int:
    """Write the tables; exit code 1 where the corpus is not as expected, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Tables of VoiceBank-DEMAND.")
    parser.add_argument("root", type=Path, help="folder of clean_testset_wav, noisy_testset_wav, ...")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the tables; ROOT by default")
    options = parser.parse_args(arguments)
    out = options.out or options.root
    try:
        trained = list(pairs(options.root, TRAINING_SETS))
        tested = list(pairs(options.root, TEST_SETS))
        splits = {
            "train": [pair for pair in trained if speaker(pair) not in VALIDATION],
            "validation": [pair for pair in trained if speaker(pair) in VALIDATION],
            "test": tested,
        }
        for name, found in splits.items():
            if not found:
                raise ConfigError(f"{options.root}: nothing for {name}: speakers p226, p287 and others are expected in the training set")
        for name, found in splits.items():
            sys.stdout.write(write_table(out / f"{name}.tsv", COLUMNS, found))
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def pairs(root: Path, sets: Sequence[str]) -> Iterator[Pair]:
    """The pairs of the first of these sets that is there, by name.

    Raises:
        ConfigError: where a folder or a counterpart is missing, or two sounds do not belong together.
    """
    clean, noisy = (sounds(find_folder(root, [f"{side}_{name}_wav" for name in sets])) for side in ("clean", "noisy"))
    for name in sorted(clean.keys() ^ noisy.keys()):
        there = clean.get(name) or noisy[name]
        missing = "noisy" if name in clean else "clean"
        raise ConfigError(f"{there}: no {missing} sound of this name ({len(clean)} clean, {len(noisy)} noisy ones): is an archive cut?")
    folders = [root / f"{name}_txt" for name in sets]
    for name in sorted(clean):
        check_pair(clean[name], noisy[name])
        yield Pair(name, clean[name], noisy[name], text(folders, name))


def find_folder(root: Path, names: Sequence[str]) -> Path:
    """The folder that has one of these names, with or without a suffix."""
    for name in names:
        for suffix in SUFFIXES:
            if (root / f"{name}{suffix}").is_dir():
                return root / f"{name}{suffix}"
    there = ", ".join(sorted(path.name for path in root.iterdir())[:8]) if root.is_dir() else "no folder"
    raise ConfigError(f"{root}: no {names[0]} in it, expected the folders of VoiceBank-DEMAND; found {there or 'nothing'}")


def sounds(folder: Path) -> dict[str, Path]:
    """The .wav files of a folder, by name."""
    found = {path.stem: path for path in sorted(folder.glob("*.wav"))}
    if not found:
        raise ConfigError(f"{folder}: no .wav files in it")
    return found


def check_pair(clean: Path, noisy: Path) -> None:
    """Both have a rate of the corpus, and one length."""
    try:
        infos = [soundfile.info(path) for path in (clean, noisy)]
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{clean} and {noisy}: cannot be read ({error.error_string})") from error
    rates, lengths = [info.samplerate for info in infos], [info.frames for info in infos]
    if rates[0] not in RATES or rates[0] != rates[1]:
        raise ConfigError(f"{clean}: sample rate is {rates[0]} Hz, of the noisy one {rates[1]}, expected 48000 or 16000 for both")
    if lengths[0] != lengths[1]:
        raise ConfigError(f"{clean}: has {lengths[0]} samples, the noisy one {lengths[1]}, expected as many")


def text(folders: Iterable[Path], name: str) -> str:
    """What is said, from the first folder that has it; empty if none has."""
    path = next((folder / f"{name}.txt" for folder in folders if (folder / f"{name}.txt").is_file()), None)
    return "" if path is None else " ".join(path.read_text(encoding="utf-8-sig").split())


def speaker(pair: Pair) -> str:
    """p226 of p226_001."""
    return pair.name.partition("_")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
