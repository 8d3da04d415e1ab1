"""What the corpora that are made of WSJ0 share: its utterances by split.

WSJ0 (LDC93S6A) comes as .wv1, which is SPHERE, on many discs; here it is expected as 16 kHz WAV, in its folders, wherever they lie:

    si_tr_s/011/011c0201.wav ...   si_dt_05/...   si_et_05/...

One file is converted by sph2pipe -f wav 011c0201.wv1 011c0201.wav.
"""

import os
from pathlib import Path
from typing import NamedTuple

import soundfile

from sgaudio.errors import ConfigError

SPLITS = {"train": "si_tr_s", "validation": "si_dt_05", "test": "si_et_05"}
RATE = 16_000  # Hz


class Sound(NamedTuple):
    """A file, and its length in samples."""

    path: Path
    samples: int


def utterances(root: Path) -> dict[str, dict[str, Sound]]:
    """The speech of each split, in the order of its names.

    Raises:
        ConfigError: where a split has none, or one has another form than expected.
    """
    return {split: _utterances(root, folder) for split, folder in SPLITS.items()}


def _utterances(root: Path, folder: str) -> dict[str, Sound]:
    files = files_below(root, folder)
    paths = [path for path in files if path.suffix.lower() == ".wav"]
    if not paths:
        found = sum(path.suffix.lower() in (".wv1", ".wv2") for path in files)
        there = f"{found} .wv1 and .wv2 files, which are SPHERE: convert them (sph2pipe -f wav)" if found else "none"
        raise ConfigError(f"{root}: .wav files of WSJ0 are expected in folders {folder}, found {there}")
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise ConfigError(f"{path}: the utterance {path.stem} is there a second time, first {names[path.stem]}: leave one out")
        names[path.stem] = path
    return {name: sound(names[name]) for name in sorted(names)}


def files_below(root: Path, folder: str) -> list[Path]:
    """The files below every folder of this name, at any depth of `root`; links are followed."""
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    walked = sorted(os.walk(root, followlinks=True))
    return [Path(parent) / name for parent, _, names in walked if folder in Path(parent).relative_to(root).parts for name in sorted(names)]


def sound(path: Path) -> Sound:
    """Refuse what is not mono at 16 kHz."""
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{path}: cannot be read ({error.error_string}): a SPHERE file with the name of a WAV?") from error
    if info.samplerate != RATE or info.channels != 1 or not info.frames:
        found = f"{info.samplerate} Hz, channels {info.channels}, samples {info.frames}"
        raise ConfigError(f"{path}: expected {RATE} Hz, one channel and some samples, found {found}")
    return Sound(path, info.frames)
