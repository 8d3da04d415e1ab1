"""Tables of EARS-Reverb (Richter et al. 2024, 2406.06185): `python prepare.py ROOT [-o FOLDER]`; no reverberant speech is written.

ROOT holds what the benchmark's download script (sp-uhh/ears_benchmark) leaves: EARS/p001/emo_anger_freeform.wav ... and measured rooms,

    train        ARNI/**/*.wav (1000 of them)   BRUDEX/rir/**/*.mat   dEchorate/sofa/**/*.sofa
                 DetmoldSRIR/SetA_SingleSources/Data/**/*.wav   Palimpsest/**/*.wav
    validation   AIR/AIR_1_4/AIR_wav_files/*.wav
    test         ACE-Challenge/ACE_Corpus_RIRN_*/**/*RIR.wav

or what its generation script has made of that (train, valid, test, each with clean and reverberant), which is then taken as pairs.

A room is one channel of a response, from its largest sample on, with a reverberation time of 2 s at the most. Those that are used are
written to rooms/, at 48 kHz. The clean sound is the direct path in the room: the paper's is the dry recording, as loud as the other.
"""

import argparse
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from sgaudio.audio.files import write
from sgaudio.audio.resampling import resample
from sgaudio.errors import ConfigError
from sgaudio.training.data import side_by_side
from sgaudio.training.rooms import energy_decay
from sgaudio.training.tables import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ears_wham"))
from ears import RATE, Unit, prepare, read_span  # pyright: ignore[reportMissingImports]

COLUMNS = ("id", "speech", "speech_start", "speech_stop", "noise", "snr_db", "room", "room_direct_sample")
LONGEST = 2.0  # seconds in which sound decays by 60 dB
TRIES = 100  # draws of a room that is so
DAMAGED = "numClosed_26-35/IR_numClosed_28_numComb_2743_mic_4_sweep_5.wav"  # of ARNI, as the benchmark found


class Corpus(NamedTuple):
    """Measured rooms: the split that they are for, their folder and files, and how many of them are taken at the most."""

    split: str
    folder: str
    files: str
    most: int | None = None


CORPORA = (
    Corpus("train", "ARNI", "**/*.wav", 1000),
    Corpus("train", "BRUDEX/rir", "**/*.mat"),
    Corpus("train", "dEchorate/sofa", "**/*.sofa"),
    Corpus("train", "DetmoldSRIR/SetA_SingleSources/Data", "**/*.wav"),
    Corpus("train", "Palimpsest", "**/*.wav"),
    Corpus("validation", "AIR/AIR_1_4/AIR_wav_files", "*.wav"),
    Corpus("test", "ACE-Challenge", "ACE_Corpus_RIRN_*/**/*RIR.wav"),
)


class Job(NamedTuple):
    """A unit, the rooms that it may get, and the folder for the one it gets."""

    unit: Unit
    rooms: list[Path]
    bank: Path
    seed: int


def main(arguments: Sequence[str]) -> int:
    """See `ears.prepare`; the rooms are written too."""
    return prepare(arguments, "EARS-Reverb", "reverberant", COLUMNS, reverberator)


def reverberator(options: argparse.Namespace) -> Callable[[str, list[Unit]], list[Row]]:
    """Makes the rows of the units of a split, and its rooms."""
    rooms = find_rooms(options.root, options.seed)

    def make(split: str, found: list[Unit]) -> list[Row]:
        bank = options.out / "rooms" / split
        bank.mkdir(parents=True, exist_ok=True)
        jobs = [Job(unit, rooms[split], bank, options.seed) for unit in found]
        return [row for rows in side_by_side(reverberate, jobs) for row in rows]

    return make


def find_rooms(root: Path, seed: int) -> dict[str, list[Path]]:
    """The files of rooms of each split; corpora that are not there are named.

    Raises:
        ConfigError: where a split has none.
    """
    found: dict[str, list[Path]] = {}
    for corpus in CORPORA:
        paths = [path for path in sorted((root / corpus.folder).glob(corpus.files)) if not path.as_posix().endswith(DAMAGED)]
        if corpus.most is not None and len(paths) > corpus.most:
            chosen = np.random.default_rng(seed).choice(len(paths), corpus.most, replace=False)
            paths = [paths[index] for index in sorted(chosen)]
        sys.stdout.write(f"{corpus.folder}: {len(paths)} files of rooms for {corpus.split}\n")
        found.setdefault(corpus.split, []).extend(paths)
    for split, paths in found.items():
        if not paths:
            wanted = " or ".join(f"{corpus.folder}/{corpus.files}" for corpus in CORPORA if corpus.split == split)
            raise ConfigError(f"{root}: no rooms for {split}: {wanted} expected")
    return found


def reverberate(job: Job) -> list[Row]:
    """The rows of one unit, a function of the seed and its name alone."""
    recording, (start, stop), _ = job.unit
    items = list(job.unit.items(read_span(recording.path, start, stop)[:, 0]))
    generator = np.random.default_rng((job.seed, zlib.crc32(recording.name.encode()), start))
    room = draw_room(generator, job.rooms, job.bank) if items else None
    return [(name, recording.path, first, last, "", "", room, 0) for name, (first, last) in items]


def draw_room(generator: np.random.Generator, rooms: list[Path], bank: Path) -> Path:
    """A room that does not sound too long, in the bank.

    Raises:
        ConfigError: where none of those drawn is such.
    """
    for _ in range(TRIES):
        path = rooms[generator.integers(len(rooms))]
        channels, rate = read_room(path)
        channel = int(generator.integers(len(channels)))
        response = direct_first(channels[channel], rate)
        if response is not None and reverberation_time(response) <= LONGEST:
            file = bank / f"{zlib.crc32(path.as_posix().encode()):08x}_{path.stem}_{channel}.flac"
            if not file.is_file():
                write(file, response, RATE, subtype="PCM_24")
            return file
    raise ConfigError(f"{rooms[0].parent}: of {TRIES} rooms drawn none decays by 60 dB in {LONGEST:g} s: are the files whole?")


def read_room(path: Path) -> tuple[np.ndarray, int]:
    """The responses of a file (channel, time), and their rate in Hz.

    BRUDEX has them in files of MATLAB 7.3, dEchorate in SOFA (AES69), and both are HDF5.

    Raises:
        ConfigError: where it cannot be read, or h5py is needed and not installed.
    """
    if path.suffix == ".wav":
        try:
            sound, rate = soundfile.read(path, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ConfigError(f"{path}: cannot be read ({error.error_string})") from error
        return sound.T, rate
    try:
        import h5py  # pyright: ignore[reportMissingImports] - only where there are such rooms
    except ImportError as error:
        raise ConfigError(f"{path}: h5py is needed for these rooms: pip install h5py, or take the folder away") from error
    sound_name, rate_name = ("data", "fs") if path.suffix == ".mat" else ("Data.IR", "Data.SamplingRate")
    try:
        with h5py.File(path) as file:
            sound: Any = file[sound_name]
            rate: Any = file[rate_name]
            measured = sound[0] if sound.ndim == 3 else sound[()]  # of SOFA: (measurement, receiver, time)
            return np.asarray(measured, np.float64), int(np.ravel(rate[()])[0])
    except (OSError, KeyError) as error:
        raise ConfigError(f"{path}: expected an HDF5 file with {sound_name} and {rate_name} ({error})") from error


def direct_first(response: np.ndarray, rate: int) -> np.ndarray | None:
    """At 48 kHz, from the largest sample to where it has decayed by 60 dB, of unit energy; None for silence."""
    response = resample(response.astype(np.float32), rate, RATE)
    response = response[np.abs(response).argmax() :]
    if not response.any():
        return None
    response = response[: max(1, int(np.searchsorted(-energy_decay(response), 60)))]
    return response / np.linalg.norm(response)


def reverberation_time(response: np.ndarray) -> float:
    """Seconds for 60 dB, from the line through -5 to -35 dB of the decay (T30 of ISO 3382-1); 0 where there is no such decay."""
    decay = energy_decay(response)
    first, last = np.searchsorted(-decay, (5, 35))
    if last - first < 2:
        return 0.0
    slope, _ = np.polyfit(np.arange(first, last) / RATE, decay[first:last], 1)
    return float(-60 / slope)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
