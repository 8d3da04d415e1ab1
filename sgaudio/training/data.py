"""Sound for training: found, read, and kept where a batch can take pieces of it.

Sound is found in a folder or a table. A folder holds either packs, long files that hold many segments which its `manifest.tsv` lists, or
sound files in any tree. A table (.tsv, tab-separated, no quoting) has the column file and, if wanted, start and stop (samples of the file),
and whatever else segments may be chosen by; so has a manifest. Its paths start from the table's folder, or from the one above.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from sgaudio.audio.files import read, read_header
from sgaudio.audio.formats import SUFFIXES, is_audio
from sgaudio.audio.level import root_mean_square
from sgaudio.audio.mixtures import DIRECT, Mixed
from sgaudio.audio.resampling import resample, resample_piece
from sgaudio.errors import ConfigError
from sgaudio.training.tables import beside, read_table, whole

Item = TypeVar("Item")
Result = TypeVar("Result")
LEVEL = 0.05  # root mean square (-26 dBFS) to which files are brought; those in packs have their level already
PIECE = 60  # seconds that are re-sped at a time
LONGEST_ROOM = 2  # seconds behind the direct sound; what comes later is cut
EARLY = 0.04, 0.06  # seconds behind the direct sound: early reflections are whole up to there, and gone from there
PART = 4  # at most one in so many sounds is held out


class Batch(NamedTuple):
    """Pairs to learn from, float32 (batch, time) on the device."""

    clean: Tensor
    noisy: Tensor


class ValidationItem(NamedTuple):
    """A pair to validate on; `load` reads or mixes it, the same every time."""

    name: str
    load: Callable[[], Mixed]


@dataclass(frozen=True)
class Segment:
    """A piece of a sound file.

    Args:
        name: for messages, and to be chosen by.
        path: the file.
        start, stop: its samples, at the file's own rate.
        sample_rate: of the file, in Hz; a multiple of it plays the sound so many times faster.
        row: of its table.
        has_level: whether its level is to stay.
    """

    name: str
    path: Path
    start: int
    stop: int
    sample_rate: int
    row: Mapping[str, str] = field(default_factory=dict)
    has_level: bool = False

    def length(self, sample_rate: int) -> int:
        """Samples at another rate."""
        return round((self.stop - self.start) * sample_rate / self.sample_rate)


def find_sound(place: Path) -> list[Segment]:
    """All segments of a folder or a table, in order; only headers are read.

    Raises:
        ConfigError: where there is no such folder or table, nothing in it, or a segment that its file does not hold.
        AudioError: where a file cannot be read.
    """
    manifest = place / "manifest.tsv"
    if place.suffix == ".tsv" or manifest.is_file():
        segments = list(listed(place if place.suffix == ".tsv" else manifest, is_manifest=place.suffix != ".tsv"))
    elif place.is_dir():
        paths = sound_files(place)
        found = zip(paths, side_by_side(read_header, paths), strict=True)
        segments = [Segment(str(path.relative_to(place)), path, 0, header.samples, header.sample_rate) for path, header in found]
    else:
        raise ConfigError(f"data: {place}: no such folder")
    if not any(segment.stop for segment in segments):
        raise ConfigError(f"data: {place}: no sound in it: expected {', '.join(SUFFIXES)} files, or packs with a manifest.tsv")
    return segments


def sound_files(folder: Path) -> list[Path]:
    """All sound files below a folder, by their names, in order."""
    return sorted(path for path in folder.rglob("*") if is_audio(path) and path.is_file())


def listed(table: Path, is_manifest: bool) -> Iterable[Segment]:
    """The segments of a table."""
    rows = read_table(table, ("file", "start", "stop") if is_manifest else ("file",))
    paths = {row["file"]: beside(table, row["file"]) for row in rows}
    headers = dict(zip(paths, side_by_side(read_header, list(paths.values())), strict=True))
    for row in rows:
        name, header = row["file"], headers[row["file"]]
        start = whole(table, row, "start") or 0
        stop = whole(table, row, "stop") or header.samples
        if not start < stop <= header.samples:
            raise ConfigError(f"data: {table}: segment {start} to {stop} of {name}, which has {header.samples} samples: is it damaged?")
        name = f"{name}:{start}-{stop}" if row.get("stop") else name
        yield Segment(name, paths[row["file"]], start, stop, header.sample_rate, row, is_manifest)


def refuse_low_rates(rates: Iterable[tuple[Path, int]], sample_rate: int) -> None:
    """Sound of a lower rate than the model's would teach it that there is nothing above.

    Raises:
        ConfigError: names the first such file.
    """
    for path, found in rates:
        if found < sample_rate:
            raise ConfigError(
                f"data: {path}: sample rate is {found} Hz, the model's is {sample_rate}: "
                f"its upper band is missing; leave it out, or train a model of {found} Hz"
            )


def hold_out(names: Sequence[str], count: int) -> set[int]:
    """Which of some sounds are kept for validation: `count`, but one in four at most; by their names, so that further sounds move few."""
    order = sorted(range(len(names)), key=lambda i: blake2b(names[i].encode("utf-8", "surrogateescape"), digest_size=8).digest())
    return set(order[: min(count, len(names) // PART)])


def load(segments: Sequence[Segment], sample_rate: int) -> list[np.ndarray]:
    """The sound of all segments, int16 (time), at one rate and level; every file is decoded once."""
    of_file: dict[Path, list[int]] = {}
    for i, segment in enumerate(segments):
        of_file.setdefault(segment.path, []).append(i)
    sounds: dict[int, np.ndarray] = {}

    def decode(path: Path) -> None:
        whole_sound, found = read_mono(path)
        for i in of_file[path]:
            sounds[i] = levelled(resample(whole_sound[segments[i].start : segments[i].stop], found, sample_rate), segments[i])

    side_by_side(decode, list(of_file))
    return [sounds[i] for i in range(len(segments))]


def load_few(segments: Sequence[Segment], sample_rate: int) -> list[np.ndarray]:
    """The like for few segments of long files, of which no more is decoded than them."""
    return side_by_side(lambda each: levelled(read_piece(each, 0, each.length(sample_rate), sample_rate), each), segments)


def levelled(sound: np.ndarray, segment: Segment) -> np.ndarray:
    """Float (time) as 16 bit, at the level of files, short of clipping."""
    if segment.has_level:
        return as_int16(sound)
    gain = min(LEVEL / root_mean_square(torch.from_numpy(sound)).item(), 0.95 / max(np.abs(sound).max(initial=0), 1e-7))
    return as_int16(sound * gain)


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """The mean of a file's channels, float32 (time), and its rate in Hz."""
    sound, sample_rate = read(path)
    return np.nan_to_num(sound.mean(0)), sample_rate


def as_int16(sound: np.ndarray) -> np.ndarray:
    """Float samples as 16 bit, clamped."""
    return np.rint(sound * 32768).clip(-32768, 32767).astype(np.int16)


def read_piece(segment: Segment, start: int, stop: int, sample_rate: int) -> np.ndarray:
    """Samples `start` to `stop`, at another rate, of a segment of which no more is decoded than that: mono, float32 (time).

    Raises:
        AudioError: where the file is damaged, or shorter than its header says.
    """

    def decoded(first: int, last: int) -> np.ndarray:
        return np.nan_to_num(read(segment.path, segment.start + first, segment.start + last)[0].mean(0))

    return resample_piece(decoded, segment.stop - segment.start, segment.sample_rate, sample_rate, start, stop)


class Rooms(NamedTuple):
    """Impulse responses.

    Args:
        full: (room, time) from the direct sound on; what a target keeps of each has unit energy.
        kept: (time) how much of them a target keeps.
    """

    full: Tensor
    kept: Tensor


def load_rooms(table: Path, sample_rate: int, target: str = "early", names: Iterable[str] | None = None) -> Rooms:
    """Rooms of a table with the columns file, start, stop and direct_sample.

    Args:
        target: what is kept: "early" reflections, whole up to 40 ms after the direct sound and gone after 60, or the first 2.5 ms as the
            "direct" sound.
        names: of the rooms to take (`room_names`); all by default.
    """
    rows, every = room_names(table)
    wanted = set(every if names is None else names)
    rows = [row for row, name in zip(rows, every, strict=True) if name in wanted]
    files = sorted({row["file"] for row in rows})
    sounds = dict(zip(files, side_by_side(read_mono, [beside(table, name) for name in files]), strict=True))
    refuse_low_rates(((beside(table, name), found) for name, (_, found) in sounds.items()), sample_rate)
    responses = []
    for row in rows:
        sound, found = sounds[row["file"]]
        start, stop, direct = (whole(table, row, column) or 0 for column in ("start", "stop", "direct_sample"))
        if not start + direct < stop <= len(sound):
            raise ConfigError(
                f"data: {table}: room {start} to {stop} of {row['file']}, which has {len(sound)} samples, with its direct sound at {direct}"
            )
        response = sound[start + direct : stop][: LONGEST_ROOM * found]
        responses.append(torch.from_numpy(resample(response, found, sample_rate)))
    full = torch.nn.utils.rnn.pad_sequence(responses, batch_first=True)
    samples = torch.arange(full.shape[-1])
    until, end = EARLY
    early = ((end - samples / sample_rate) / (end - until)).clamp(0, 1)
    kept = early if target == "early" else (samples <= round(DIRECT * sample_rate)).float()
    for room in full:  # in place, for a bank may be large
        room /= (room * kept).norm().clamp_min(1e-9)
    return Rooms(full, kept)


def room_names(table: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of a table of rooms, and their names."""
    rows = read_table(table, ("file", "start", "stop", "direct_sample"))
    return rows, [f"{row['file']}:{row['start']}" for row in rows]


def at_speeds(sound: Tensor, speeds: Sequence[float], sample_rate: int, device: torch.device) -> Tensor:
    """Copies of int16 (track, time) at several speeds, one after the other, made on a device."""
    return torch.cat([faster(sound, speed, PIECE * sample_rate, device) for speed in speeds], -1)


def faster(sound: Tensor, speed: float, piece: int, device: torch.device) -> Tensor:
    """int16 (track, time) played `speed` times faster, pitch and all: Fourier resampling, a piece at a time."""
    if speed == 1:
        return sound
    return torch.cat([_faster(part.to(device), speed).to(sound.device) for part in sound.split(piece, -1)], -1)


def _faster(sound: Tensor, speed: float) -> Tensor:
    length = max(2, round(sound.shape[-1] / speed / 2) * 2)
    spectrum = torch.fft.rfft(sound.float(), norm="forward")
    changed = torch.fft.irfft(spectrum[..., : length // 2 + 1], n=length, norm="forward")
    return changed.round().clamp(-32768, 32767).to(torch.int16)


class Track(Protocol):
    """Much sound, one after the other, of which pieces can be had."""

    def piece(self, start: int, stop: int) -> np.ndarray:
        """int16 (track, time)."""
        ...


@dataclass(frozen=True)
class Memory:
    """Sound in the host's memory, int16 (track, time)."""

    sound: np.ndarray

    def piece(self, start: int, stop: int) -> np.ndarray:
        return self.sound[:, start:stop]


class Disk:
    """Segments in files, read when they are wanted, at the level that they have there."""

    def __init__(self, segments: Sequence[Segment], sample_rate: int):
        self.segments, self.sample_rate = segments, sample_rate
        self._ends = np.cumsum([segment.length(sample_rate) for segment in segments])

    def piece(self, start: int, stop: int) -> np.ndarray:
        pieces = []
        while start < stop:
            i = int(np.searchsorted(self._ends, start, "right"))
            begin, end = int(self._ends[i - 1]) if i else 0, min(stop, int(self._ends[i]))
            pieces.append(read_piece(self.segments[i], start - begin, end - begin, self.sample_rate))
            start = end
        return as_int16(np.concatenate(pieces))[None]


def around(track: Track, start: int, circle: int, length: int) -> np.ndarray:
    """A piece of the first `circle` samples, which go round in a circle: int16 (track, length)."""
    pieces = []
    while length > 0:
        stop = min(circle, start + length)
        pieces.append(track.piece(start, stop))
        start, length = 0, length - (stop - start)
    return np.concatenate(pieces, -1)


def gather(sound: Tensor, starts: Tensor, circles: Tensor | int, length: int) -> Tensor:
    """The like for many pieces of sound on a device, int16 (track, time), at once.

    Args:
        starts, circles: (...), on the device.

    Returns:
        int16 (track, ..., length).
    """
    circles = circles[..., None] if isinstance(circles, Tensor) else circles
    return sound[:, (starts[..., None] + torch.arange(length, device=sound.device)) % circles]


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """To a device, without waiting for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def move(sound: Tensor, device: torch.device) -> Tensor:
    """To a device for good.

    Raises:
        ConfigError: where it has no room.
    """
    try:
        return sound.to(device)
    except torch.OutOfMemoryError as error:
        size = sound.numel() * sound.element_size() / 1e9
        raise ConfigError(f"data: {size:.1f} GB of sound do not fit into the memory of {device}: take data.keep=host or disk") from error


def sped(segments: Iterable[Segment], speeds: Sequence[float]) -> list[Segment]:
    """Copies of segments at several speeds, one after the other."""
    segments = list(segments)
    return [replace(segment, sample_rate=round(segment.sample_rate * speed)) for speed in speeds for segment in segments]


def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results for all items, in their order, by as many threads as there are cores (decoders let go of Python's lock)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))
