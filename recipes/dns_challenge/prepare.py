"""Tables of the DNS challenge, deep noise suppression (Reddy et al. 2020, 2005.13981): `python prepare.py ROOT [-o FOLDER]`.

ROOT is where its download script was run, or the folder datasets or datasets_fullband in it. Of these, the first that is there is taken:

    speech    clean   clean_fullband   or *_speech, VocalSet_48kHz_mono, vctk_wav48_silence_trimmed beside the noise (challenge 4)
    noise     noise   noise_fullband
    rooms     impulse_responses (SLR26, SLR28), single-channel files
    test      test_set/synthetic of the first challenge: no_reverb and with_reverb, each with clean and noisy; if it is there

clean.tsv, noise.tsv and rooms.tsv are mixed while training. validation.tsv holds mixtures of readers and noises that the others leave out.
test.tsv and test_with_reverb.tsv pair clean_fileid_7.wav with ..._fileid_7.wav; where the test has rooms, its clean sound is reverberant.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from sgaudio.audio.formats import is_audio
from sgaudio.audio.mixtures import Mixture
from sgaudio.errors import AudioError, ConfigError, SgaudioError
from sgaudio.training.rooms import energy_decay
from sgaudio.training.tables import Row, write_table

BASES = (".", "datasets", "datasets_fullband")
SPEECH = ("clean", "clean_fullband")
SPEECH_PARTS = ("*_speech", "VocalSet_48kHz_mono", "vctk_wav48_silence_trimmed")
NOISE = ("noise", "noise_fullband")
RATIOS = (-5.0, 25.0)  # dB, as the challenge's synthesizer has them
LONGEST_ROOM = 1.5  # seconds behind the direct path


def main(arguments: Sequence[str]) -> int:
    """Write the tables; exit code 1 where the corpus is not as expected, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Tables of the DNS challenge.")
    parser.add_argument("root", type=Path, help="where the challenge's download script was run")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the tables; ROOT by default")
    parser.add_argument("--rooms", type=int, default=3000, metavar="N", help="the most rooms to take; 3000")
    parser.add_argument("--validation", type=int, default=100, metavar="N", help="mixtures for validation, at the most; 100")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; 0")
    options = parser.parse_args(arguments)
    if min(options.rooms, options.validation) < 1 or options.seed < 0:
        parser.error("--rooms and --validation expect 1 or more, --seed 0 or more")
    out, generator = options.out or options.root, np.random.default_rng(options.seed)
    try:
        speech, noise = sounds_below(find_speech(options.root)), sounds_below([find(options.root, NOISE)])
        tests = {name: list(pairs(folder)) for name, folder in find_tests(options.root).items()}
        mixtures, kept_out = draw_validation(speech, noise, options.validation, generator)
        sys.stdout.write(write_table(out / "validation.tsv", ("id", "speech", "noise", "snr_db"), mixtures))
        sys.stdout.write(write_table(out / "clean.tsv", ("file",), [(path,) for path in speech if speaker(path) not in kept_out]))
        sys.stdout.write(write_table(out / "noise.tsv", ("file",), [(path,) for path in noise if path.name not in kept_out]))
        rooms = draw_rooms(find(options.root, ("impulse_responses",)), options.rooms, generator)
        sys.stdout.write(write_table(out / "rooms.tsv", ("file", "start", "stop", "direct_sample"), rooms))
        for name, found in tests.items():
            sys.stdout.write(write_table(out / f"{name}.tsv", ("id", "clean", "noisy"), found))
        if not tests:
            sys.stdout.write("no test set: branch interspeech2020/master of microsoft/DNS-Challenge has it, datasets/test_set\n")
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def find(root: Path, names: Sequence[str]) -> Path:
    """The first folder of one of these names.

    Raises:
        ConfigError: where there is none.
    """
    for base in BASES:
        for name in names:
            if (root / base / name).is_dir():
                return root / base / name
    there = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing" if root.is_dir() else "no folder"
    raise ConfigError(f"{root}: no {' or '.join(names)} in it, nor in its datasets or datasets_fullband; found {there}")


def find_speech(root: Path) -> list[Path]:
    """The folders of clean speech."""
    for base in BASES:
        if not any((root / base / name).is_dir() for name in SPEECH):
            parts = sorted(path for name in SPEECH_PARTS for path in (root / base).glob(name) if path.is_dir())
            if parts:
                return parts
    return [find(root, SPEECH)]


def find_tests(root: Path) -> dict[str, Path]:
    """The folders of the test set, by the names of their tables."""
    for base in BASES:
        folder = root / base / "test_set" / "synthetic"
        if folder.is_dir():
            found = {"test": folder / "no_reverb", "test_with_reverb": folder / "with_reverb"}
            return {name: path for name, path in found.items() if path.is_dir()}
    return {}


def sounds_below(folders: Iterable[Path]) -> list[Path]:
    """The sound files of these folders at any depth, in order.

    Raises:
        ConfigError: where a folder holds none.
    """
    found: list[Path] = []
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if is_audio(path))
        if not paths:
            raise ConfigError(f"{folder}: no sound files in it: are its archives unpacked?")
        found += paths
    return found


def speaker(path: Path) -> str:
    """reader_06709 of book_00000_chp_0009_reader_06709_11.wav; where the name says nothing, the file stands for itself."""
    found = re.search(r"reader_\d+", path.stem)
    return found[0] if found else path.name


def draw_validation(speech: Sequence[Path], noise: Sequence[Path], most: int, generator: np.random.Generator) -> tuple[list[Row], set[str]]:
    """Mixtures, each of another speaker and noise, and the names of these speakers and noises.

    Raises:
        ConfigError: where there are too few of them, or none can be mixed.
    """
    by_speaker: dict[str, list[Path]] = {}
    for path in speech:
        by_speaker.setdefault(speaker(path), []).append(path)
    speakers = [list(by_speaker)[index] for index in generator.permutation(len(by_speaker))]
    noises = [noise[index] for index in generator.permutation(len(noise))]
    most = min(most, len(speakers) // 2, len(noises) // 2)
    rows: list[Row] = []
    kept_out: set[str] = set()
    for name, beside in zip(speakers, noises, strict=False):
        path = by_speaker[name][generator.integers(len(by_speaker[name]))]
        ratio = round(generator.uniform(*RATIOS), 1)
        if len(rows) == most:
            break
        try:
            Mixture(path.stem, path, beside, ratio).load()
        except AudioError:  # damaged, silent, or of several channels
            continue
        rows.append((f"{len(rows):04}_{path.stem}", path, beside, ratio))
        kept_out |= {name, beside.name}
    if not rows:
        raise ConfigError(f"{speech[0].parent}: no mixture for validation: two speakers and two noises that can be mixed are expected")
    return rows, kept_out


def draw_rooms(folder: Path, most: int, generator: np.random.Generator) -> list[Row]:
    """Responses of one channel, from their beginning to where they have decayed, with their direct path.

    Raises:
        ConfigError: where there is none.
    """
    paths = [path for path in sounds_below([folder]) if "noise" not in path.name and "pointsource_noises" not in path.parts]
    drawn = (paths[index] for index in generator.permutation(len(paths)))
    rows = list(islice((row for path in drawn if (row := room(path))), most))
    if not rows:
        raise ConfigError(f"{folder}: no impulse response of one channel in it, expected SLR26 and SLR28")
    return rows


def room(path: Path) -> Row | None:
    """A row of the table; None for a file of several channels, or a silent one."""
    try:
        sound, rate = soundfile.read(path, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ConfigError(f"{path}: cannot be read ({error.error_string})") from error
    if sound.shape[1] != 1 or not sound.any():
        return None
    direct = int(np.abs(sound[:, 0]).argmax())
    decayed = int(np.searchsorted(-energy_decay(sound[direct:, 0]), 60))
    return path, 0, direct + max(1, min(decayed, round(LONGEST_ROOM * rate))), direct


def pairs(folder: Path) -> Iterator[Row]:
    """The pairs of a test set, by the number behind fileid.

    Raises:
        ConfigError: where one has no partner.
    """
    sides = [{number(path): path for path in sounds_below([folder / side])} for side in ("clean", "noisy")]
    for name in sorted(sides[0].keys() ^ sides[1].keys()):
        there, missing = (sides[0][name], "noisy") if name in sides[0] else (sides[1][name], "clean")
        raise ConfigError(f"{there}: no {missing} sound of its fileid ({len(sides[0])} clean, {len(sides[1])} noisy): is the archive cut?")
    for name in sorted(sides[0]):
        yield f"fileid_{name}", sides[0][name], sides[1][name]


def number(path: Path) -> int:
    """7 of clnsp5_car_2_snr9_tl-20_fileid_7.wav."""
    found = re.search(r"fileid_(\d+)$", path.stem)
    if not found:
        raise ConfigError(f"{path}: a name that ends in fileid_ and a number is expected")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
