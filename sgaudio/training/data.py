"""Sound for training: all of it in memory, int16, on the device.

A folder of sound is either packs, long files that hold many segments which its `manifest.tsv` lists, or sound files in any tree. A
manifest has the columns file (from the folder above), start and stop (samples), and whatever else segments may be chosen by.
"""

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from sgaudio.audio.files import read
from sgaudio.audio.formats import SUFFIXES, is_audio
from sgaudio.audio.level import root_mean_square
from sgaudio.audio.resampling import resample
from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check, nearest

Item = TypeVar("Item")
Result = TypeVar("Result")
LEVEL = 0.05  # root mean square (-26 dBFS) to which files are brought; those in packs have their level already
PIECE = 60  # seconds that are re-sped at a time


@dataclass(frozen=True)
class DataConfig:
    """Where sound comes from.

    Args:
        clean, noise: folders of sound.
        root: folder that relative paths of this section start from.
        rooms: table (.tsv) of room impulse responses: columns file, start, stop, direct_sample.
        cleanest: columns of the manifest of `clean` and the least value in them that makes a segment one of the cleanest.
        clean_speeds, noise_speeds: copies of all sound, played so many times faster.
        target_floor: by how many dB (0 or less) the noise floor of the targets is lowered; 0 leaves them as they are.
        cleaner: model that tells the floor from the speech: a name or a path.
        validation: table (.tsv) of mixtures: columns speech, noise, snr_db, noise_offset_samples.
        validation_snr: range of the mixtures to take, in dB.
    """

    clean: str
    noise: str
    root: str = "."
    rooms: str | None = None
    cleanest: dict[str, float] = field(default_factory=dict)
    clean_speeds: Annotated[tuple[float, ...], Range(0.25, 4)] = (1.0,)
    noise_speeds: Annotated[tuple[float, ...], Range(0.25, 4)] = (1.0,)
    target_floor: Annotated[float, Range(-100, 0)] = 0.0
    cleaner: str = "denoise"
    validation: str | None = None
    validation_snr: tuple[float, float] = (0.0, 15.0)

    def __post_init__(self) -> None:
        check(self)


class Rooms(NamedTuple):
    """Impulse responses (room, time) that begin with the direct sound, of unit early energy: whole, and early reflections only."""

    full: Tensor
    early: Tensor


class Material(NamedTuple):
    """Sound on the device, int16.

    Args:
        speech: (1 or 2, time): as it was heard, and as it is to come out where that is not the same.
        cleanest: the like, of the cleanest segments.
        noise: (1, time).
        rooms: to reverberate in.
    """

    speech: Tensor
    cleanest: Tensor | None
    noise: Tensor
    rooms: Rooms | None

    def seconds(self, sample_rate: int) -> str:
        """What is there, in words."""
        parts = {"speech": self.speech, "cleanest": self.cleanest, "noise": self.noise}
        return ", ".join(f"{name} {part.shape[-1] / sample_rate / 60:.1f} min" for name, part in parts.items() if part is not None)


class Segment(NamedTuple):
    """A piece of sound, int16 (time), and its row in the manifest."""

    sound: np.ndarray
    row: Mapping[str, str]


def load_material(config: DataConfig, sample_rate: int, device: torch.device, clean: Callable[[Tensor], Tensor] | None = None) -> Material:
    """Read everything.

    Args:
        sample_rate: of the model, in Hz.
        clean: makes targets of speech, int16 (time) -> int16 (time); None where the targets are the speech itself.

    Raises:
        ConfigError: where a folder, a table or a column is missing or nothing is found.
        AudioError: where a file cannot be read.
    """
    root = Path(config.root)
    rooms = None if config.rooms is None else Rooms(*(part.to(device) for part in load_rooms(root / config.rooms, sample_rate)))
    segments = load_folder(root / config.clean, sample_rate)
    noise = joined(load_folder(root / config.noise, sample_rate)).to(device)[None]
    speech = joined(segments).to(device)[None]
    if clean is not None:
        speech = torch.cat([speech, clean(speech[0])[None]])
    cleanest = None
    if config.cleanest:
        chosen = [is_among_cleanest(segment.row, config) for segment in segments]
        lengths = torch.tensor([len(segment.sound) for segment in segments])
        cleanest = speech[:, torch.tensor(chosen).repeat_interleave(lengths).to(device)]
        if not cleanest.numel():
            raise ConfigError(f"data: no segment of {config.clean} reaches {config.cleanest}: lower data.cleanest")
        cleanest = at_speeds(cleanest, config.clean_speeds, sample_rate)
    return Material(
        at_speeds(speech, config.clean_speeds, sample_rate), cleanest, at_speeds(noise, config.noise_speeds, sample_rate), rooms
    )


def is_among_cleanest(row: Mapping[str, str], config: DataConfig) -> bool:
    """Whether a segment has the least values asked for; one that was not measured has not."""
    for column in config.cleanest:
        if column not in row:
            raise ConfigError(f"data: the manifest of {config.clean} has no column {column!r}: {nearest(column, row)}")
    return all(row[column] and float(row[column]) >= least for column, least in config.cleanest.items())


def load_folder(folder: Path, sample_rate: int) -> list[Segment]:
    """All segments of a folder of packs, or all sound files of a tree, in order."""
    if not folder.is_dir():
        raise ConfigError(f"data: {folder}: no such folder")
    manifest = folder / "manifest.tsv"
    segments = list(load_packs(manifest, sample_rate) if manifest.is_file() else load_tree(folder, sample_rate))
    if not sum(len(segment.sound) for segment in segments):
        raise ConfigError(f"data: {folder}: no sound in it: expected {', '.join(SUFFIXES)} files, or packs with a manifest.tsv")
    return segments


def load_packs(manifest: Path, sample_rate: int) -> Iterator[Segment]:
    """The segments of a manifest; packs are decoded once, side by side."""
    rows = read_table(manifest, ("file", "start", "stop"))
    names = sorted({row["file"] for row in rows})
    packs = dict(zip(names, side_by_side(read_mono, [manifest.parent.parent / name for name in names]), strict=True))
    for row in rows:
        sound, found = packs[row["file"]]
        start, stop = int(row["start"]), int(row["stop"])
        if not 0 <= start < stop <= len(sound):
            raise ConfigError(f"{manifest}: segment {start} to {stop} of {row['file']}, which has {len(sound)} samples: a damaged pack?")
        yield Segment(as_int16(resample(sound[start:stop], found, sample_rate)), row)


def load_tree(folder: Path, sample_rate: int) -> Iterator[Segment]:
    """Sound files, each brought to the same level."""

    def load(path: Path) -> Segment:
        sound = resample(*read_mono(path), sample_rate)
        gain = min(LEVEL / root_mean_square(torch.from_numpy(sound)).item(), 0.95 / max(np.abs(sound).max(initial=0), 1e-7))
        return Segment(as_int16(sound * gain), {"file": str(path)})

    paths = sorted(path for path in folder.rglob("*") if is_audio(path) and path.is_file())
    yield from side_by_side(load, paths)


def load_rooms(table: Path, sample_rate: int) -> Rooms:
    """Impulse responses; early is flat up to 40 ms after the direct sound, and faded out at 60 ms."""
    rows = read_table(table, ("file", "start", "stop", "direct_sample"))
    sounds = {name: read_mono(table.parent.parent / name) for name in {row["file"] for row in rows}}
    responses = []
    for row in rows:
        sound, found = sounds[row["file"]]
        first = int(row["start"]) + int(row["direct_sample"])
        responses.append(torch.from_numpy(resample(sound[first : int(row["stop"])], found, sample_rate)))
    full = torch.nn.utils.rnn.pad_sequence(responses, batch_first=True)
    time = torch.arange(full.shape[-1]) / sample_rate
    early = full * ((0.06 - time) / 0.02).clamp(0, 1)
    energy = early.square().sum(-1, keepdim=True).sqrt()
    return Rooms(full / energy, early / energy)


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a tab-separated table without quoting that has at least these columns."""
    if not path.is_file():
        raise ConfigError(f"data: {path}: no such table")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for column in columns:
        if not rows or column not in rows[0]:
            raise ConfigError(f"data: {path}: no rows with the columns {', '.join(columns)}")
    return rows


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """The mean of a file's channels, float32 (time), and its rate in Hz."""
    sound, sample_rate = read(path)
    return np.nan_to_num(sound.mean(0)), sample_rate


def as_int16(sound: np.ndarray) -> np.ndarray:
    """Float samples as 16 bit, clamped."""
    return np.rint(sound * 32768).clip(-32768, 32767).astype(np.int16)


def joined(segments: Sequence[Segment]) -> Tensor:
    """One after the other: int16 (time)."""
    return torch.from_numpy(np.concatenate([segment.sound for segment in segments]))


def at_speeds(sound: Tensor, speeds: Sequence[float], sample_rate: int) -> Tensor:
    """Copies of int16 (track, time) at several speeds, one after the other."""
    return torch.cat([faster(sound, speed, PIECE * sample_rate) for speed in speeds], -1)


def faster(sound: Tensor, speed: float, piece: int) -> Tensor:
    """int16 (track, time) played `speed` times faster, pitch and all: Fourier resampling, a piece at a time."""
    return sound if speed == 1 else torch.cat([_faster(part, speed) for part in sound.split(piece, -1)], -1)


def _faster(sound: Tensor, speed: float) -> Tensor:
    length = max(2, round(sound.shape[-1] / speed / 2) * 2)
    spectrum = torch.fft.rfft(sound.float(), norm="forward")
    changed = torch.fft.irfft(spectrum[..., : length // 2 + 1], n=length, norm="forward")
    return changed.round().clamp(-32768, 32767).to(torch.int16)


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results for all items, in their order, by as many threads as there are cores (decoders let go of Python's lock)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))
