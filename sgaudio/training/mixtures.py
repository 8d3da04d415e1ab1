"""Clean sound, noise and rooms, mixed anew for every batch.

All sound of a kind is one long track that goes round in a circle; an item is a piece of it that begins anywhere. Places are drawn on the
host, all else on the device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from sgaudio.audio.mixtures import Mixed, read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check, nearest
from sgaudio.training.ahead import Ahead
from sgaudio.training.coded import CODECS, coded_copies
from sgaudio.training.data import (
    Batch,
    Disk,
    Memory,
    Rooms,
    Segment,
    Track,
    ValidationItem,
    around,
    at_speeds,
    find_sound,
    gather,
    hold_out,
    load,
    load_few,
    load_rooms,
    move,
    read_header,
    refuse_low_rates,
    room_names,
    send,
    side_by_side,
    sped,
)
from sgaudio.training.mixing import Crops, MixingConfig, fast_length, mix

Keep = Literal["device", "host", "disk"]
Clean = Callable[[Tensor], Tensor]
LONGEST = 10  # seconds of a sound that is held out
NOTHING = "nothing to validate on (give data.validation, a table of mixtures, or four sounds of each kind or more)"


@dataclass(frozen=True)
class MixingData:
    """Clean sound, noise and rooms, to be mixed anew for every batch (`MixingConfig` says how).

    Sound is brought to one level, but for packs, which have theirs, and sound on disk, which keeps it.

    Args:
        clean: folder of sound, or table (.tsv) of sounds: see `data.py`.
        noise: the like; null for none: rooms are then all that makes sound noisy.
        root: folder that relative paths of this section start from.
        rooms: table (.tsv) of room impulse responses: columns file, start, stop, direct_sample.
        keep: all sound in the memory of the "device" or of the "host", 16 bit a sample; or on "disk", to be read when it is wanted.
        workers: processes that read from disk; 0 reads between the steps.
        cleanest: columns of the table of `clean` and the least value in them that makes a segment one of the cleanest.
        clean_speeds, noise_speeds: copies of all sound, played so many times faster.
        codecs: copies of all clean sound that is heard after a lossy codec: names of `CODECS`.
        target_floor: by how many dB (0 or less) the noise floor of the targets is lowered; 0 leaves them as they are.
        cleaner: model that tells the floor from the speech: a name or a path.
        validation: table (.tsv) of mixtures: columns id, speech, noise, snr_db, noise_offset_samples.
        validation_snr: range of the mixtures to take, or to make, in dB.
        held_out: so many clean sounds are kept out of training where there is no such table, and mixed with noise that is as well;
            at most a quarter of all.
    """

    clean: str = "clean"
    noise: str | None = "noise"
    root: str = "."
    rooms: str | None = None
    keep: Keep = "device"
    workers: Annotated[int, Range(0, 1024)] = 4
    cleanest: dict[str, float] = field(default_factory=dict)
    clean_speeds: Annotated[tuple[float, ...], Range(0.25, 4)] = (1.0,)
    noise_speeds: Annotated[tuple[float, ...], Range(0.25, 4)] = (1.0,)
    codecs: tuple[str, ...] = ()
    target_floor: Annotated[float, Range(-100, 0)] = 0.0
    cleaner: str = "denoise"
    validation: str | None = None
    validation_snr: tuple[float, float] = (0.0, 15.0)
    held_out: Annotated[int, Range(0, 10**6)] = 8

    def __post_init__(self) -> None:
        check(self)
        for name in self.codecs:
            CODECS[name]
        if not self.clean_speeds or not self.noise_speeds:
            raise ConfigError("data: clean_speeds and noise_speeds are empty, expected 1 and what else")
        if self.keep == "disk" and (self.codecs or self.target_floor):
            raise ConfigError("data: codecs and target_floor are for sound in memory: take keep=device or host, or leave them out")


class Places(NamedTuple):
    """Where the pieces of a batch begin, in samples.

    Args:
        speech, circles: (batch), and the samples that go round in a circle there.
        noise: (noises, batch); -1 where there is none.
    """

    speech: np.ndarray
    circles: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True)
class Draw:
    """Draws places on the host: a pure function of the batch's number, wherever the sound is kept.

    Args:
        speech, cleanest, noise: samples that are there; the cleanest come first in the speech.
        chosen: how many items are of the cleanest.
        more_noises: chances of a second noise and so on.
    """

    speech: int
    cleanest: int
    noise: int
    batch: int
    chosen: int
    more_noises: tuple[float, ...]
    seed: int
    rank: int

    def __call__(self, step: int) -> Places:
        random = np.random.default_rng((self.seed, step, self.rank, 1))
        circles = np.full(self.batch, self.speech)
        circles[self.batch - self.chosen :] = self.cleanest
        speech = random.integers(circles)
        if not self.noise:
            return Places(speech, circles, np.empty((0, self.batch), np.int64))
        chances = np.array([1.0, *self.more_noises])[:, None]
        noise = random.integers(self.noise, size=(len(chances), self.batch))
        return Places(speech, circles, np.where(random.random(noise.shape) < chances, noise, -1))


@dataclass(frozen=True)
class Cut:
    """The pieces of a batch, from the host's memory or from disk."""

    draw: Draw
    speech: Track
    noise: Track | None
    length: int

    def __call__(self, step: int) -> Crops:
        places, length = self.draw(step), self.length
        speech = [around(self.speech, start, circle, length) for start, circle in zip(places.speech, places.circles, strict=True)]
        if self.noise is None:
            return Crops(torch.from_numpy(np.stack(speech, 1)), None)
        noise = np.zeros((*places.noise.shape, length), np.int16)
        for place in np.argwhere(places.noise >= 0):
            noise[*place] = around(self.noise, int(places.noise[*place]), self.draw.noise, length)[0]
        return Crops(torch.from_numpy(np.stack(speech, 1)), torch.from_numpy(noise))


@dataclass(frozen=True)
class Gathered:
    """The like from sound on the device, (track, time) each: nothing waits for it."""

    draw: Draw
    speech: Tensor
    noise: Tensor | None
    length: int

    def __call__(self, step: int) -> Crops:
        places = self.draw(step)
        table = np.concatenate([places.speech[None], places.circles[None], places.noise])
        starts, circles, *noises = send(torch.from_numpy(table), self.speech.device)
        speech = gather(self.speech, starts, circles, self.length)
        if self.noise is None:
            return Crops(speech, None)
        begin = torch.stack(noises)
        return Crops(speech, gather(self.noise, begin.clamp_min(0), self.draw.noise, self.length)[0] * (begin >= 0)[..., None])


class Found(NamedTuple):
    """What a recipe names; of rooms the names."""

    speech: Sequence[Segment]
    noise: Sequence[Segment]
    rooms: Sequence[str]


def find(config: MixingData, mixing: MixingConfig, sample_rate: int) -> Found:
    """Look for all of it; of sound only headers are read, and of rooms the table."""
    root = Path(config.root)
    speech = find_sound(root / config.clean)
    refuse_low_rates(((segment.path, segment.sample_rate) for segment in speech), sample_rate)
    noise = [] if config.noise is None else find_sound(root / config.noise)
    rooms = room_names(root / config.rooms)[1] if config.rooms is not None and mixing.reverberant else []
    return Found(speech, noise, rooms)


def divided(found: Found, count: int) -> tuple[Found, Found]:
    """What to train on, and what is held out: of each kind that there is, or nothing."""
    names = [segment.name for segment in found.speech], [segment.name for segment in found.noise], found.rooms
    chosen = [hold_out(each, count) for each in names]
    if any(each and not some for each, some in zip(names, chosen, strict=True)):
        return found, Found([], [], [])
    others = [[i for i in range(len(each)) if i not in some] for each, some in zip(names, chosen, strict=True)]

    def part(speech: list[int], noise: list[int], rooms: list[int]) -> Found:
        return Found([found.speech[i] for i in speech], [found.noise[i] for i in noise], [found.rooms[i] for i in rooms])

    return part(*others), part(*map(sorted, chosen))


class Kept(NamedTuple):
    """Sound where it is kept.

    Args:
        sound: int16 (track, time) on the device, or a track elsewhere.
        samples: of it.
        first: of these, how many are in the first section.
        names, ends: of the segments, and about where they end.
    """

    sound: Tensor | Track
    samples: int
    first: int
    names: Sequence[str]
    ends: np.ndarray

    def between(self, start: int, stop: int) -> Sequence[str]:
        """Names of what sounds there."""
        first, last = np.searchsorted(self.ends, (start, stop - 1), "right")
        return self.names[first : last + 1]


class Mixtures:
    """A `Source` of sound that is mixed anew for every batch: see `MixingData`, `make_source`."""

    def __init__(
        self,
        config: MixingData,
        mixing: MixingConfig,
        *,
        sample_rate: int,
        level: float,
        batch: int,
        length: int,
        device: torch.device,
        rank: int,
        seed: int,
        clean: Clean | None,
    ):
        self._mixing, self._level, self._sample_rate, self._length = mixing, level, sample_rate, length
        root = Path(config.root)
        found = find(config, mixing, sample_rate)
        load_bank = partial(load_rooms, root / (config.rooms or ""), sample_rate, mixing.target)
        if config.validation is not None:
            self._items = of_table(root / config.validation, config.validation_snr, sample_rate)
        else:
            found, away = divided(found, config.held_out)
            bank = load_bank(away.rooms) if away.rooms else None
            self._items = of_sounds(away, bank, mixing.reverberant, config.validation_snr, sample_rate)

        self._rooms = Rooms(*(move(part, device) for part in load_bank(found.rooms))) if found.rooms else None
        store = partial(kept, keep=config.keep, sample_rate=sample_rate, device=device)
        self._speech = store(by_cleanness(found.speech, config), config.clean_speeds, codecs=config.codecs, seed=seed, clean=clean)
        self._noise = store([found.noise], config.noise_speeds) if found.noise else None
        samples = self._noise.samples if self._noise else 0
        cleanest = self._speech.first if config.cleanest else 0
        share = round(mixing.cleanest * batch) if cleanest else 0
        self._draw = Draw(self._speech.samples, cleanest, samples, batch, share, mixing.more_noises, seed, rank)
        self._crops = crops_of(self._draw, self._speech, self._noise, length, config.workers if config.keep == "disk" else 0, device)

    def batch(self, step: int, generator: Generator) -> Batch:
        return mix(self._crops(step), self._rooms, self._mixing, self._level, generator)

    def items(self, step: int, generator: Generator) -> list[str]:
        starts = self._draw(step).speech
        return list(dict.fromkeys(name for start in starts for name in self._speech.between(start, start + self._length)))

    def validation(self) -> Sequence[ValidationItem]:
        return self._items

    def __str__(self) -> str:
        parts = {"speech": self._speech.samples, "cleanest": self._draw.cleanest, "noise": self._draw.noise}
        words = [f"{name} {samples / self._sample_rate / 60:.1f} min" for name, samples in parts.items() if samples]
        words += [f"rooms {len(self._rooms.full)}"] if self._rooms else []
        return ", ".join([*words, f"to validate on {len(self._items)}" if self._items else NOTHING])


def crops_of(draw: Draw, speech: Kept, noise: Kept | None, length: int, workers: int, device: torch.device) -> Callable[[int], Crops]:
    """What gives the pieces of a batch, on the device."""
    if isinstance(speech.sound, Tensor):
        return Gathered(draw, speech.sound, noise.sound if noise else None, length)  # pyright: ignore[reportArgumentType] - kept alike
    cut = Ahead(Cut(draw, speech.sound, noise.sound if noise else None, length), workers, device)  # pyright: ignore[reportArgumentType]

    def sent(step: int) -> Crops:
        crops = cut(step)
        return Crops(send(crops.speech, device), None if crops.noise is None else send(crops.noise, device))

    return sent


def kept(
    sections: Sequence[Sequence[Segment]],
    speeds: Sequence[float],
    *,
    keep: Keep,
    sample_rate: int,
    device: torch.device,
    codecs: Sequence[str] = (),
    seed: int = 0,
    clean: Clean | None = None,
) -> Kept:
    """Sections of sound, one after the other, each at all speeds; (2, time) where what is heard is not what is to come out."""
    parts = [segments for segments in sections if segments]
    order = [sped([*segments] * (1 + len(codecs)), speeds) for segments in parts]
    names = [segment.name for segments in order for segment in segments]
    lengths = [np.array([segment.length(sample_rate) for segment in segments]) for segments in order]
    ends = np.cumsum(np.concatenate(lengths))
    if keep == "disk":
        disk = Disk([segment for segments in order for segment in segments], sample_rate)
        return Kept(disk, int(ends[-1]), int(lengths[0].sum()), names, ends)
    sounds = []
    for segments in parts:
        heard = torch.from_numpy(np.concatenate(load(segments, sample_rate)))
        sound = heard[None]
        if clean is not None or codecs:
            target = heard if clean is None else clean(heard)
            copies = torch.from_numpy(coded_copies(heard.numpy(), sample_rate, codecs, seed))
            sound = torch.cat([torch.stack([copy, target]) for copy in (heard, *copies)], -1)
        sounds.append(at_speeds(sound, speeds, sample_rate, device))
    whole = torch.cat(sounds, -1)
    is_here = keep == "host" or device.type == "cpu"  # there slices are faster than indices
    return Kept(Memory(whole.numpy()) if is_here else move(whole, device), whole.shape[-1], sounds[0].shape[-1], names, ends)


def by_cleanness(speech: Sequence[Segment], config: MixingData) -> list[list[Segment]]:
    """The cleanest segments, and the others; one that was not measured is not among the cleanest."""
    if not config.cleanest:
        return [list(speech)]
    for column in config.cleanest:
        if column not in speech[0].row:
            raise ConfigError(f"data: the manifest of {config.clean} has no column {column!r}: {nearest(column, speech[0].row)}")

    def is_clean(segment: Segment) -> bool:
        try:
            return all(segment.row[column] and float(segment.row[column]) >= least for column, least in config.cleanest.items())
        except ValueError as error:
            raise ConfigError(f"data: {segment.name} of {config.clean}: {error} in {', '.join(config.cleanest)}") from error

    cleanest = [segment for segment in speech if is_clean(segment)]
    if not cleanest:
        raise ConfigError(f"data: no segment of {config.clean} reaches {config.cleanest}: lower data.cleanest")
    return [cleanest, [segment for segment in speech if not is_clean(segment)]]


def of_table(table: Path, snr: tuple[float, float], sample_rate: int) -> list[ValidationItem]:
    """The mixtures of a table with a signal-to-noise ratio in a range, in dB, and those without noise."""
    mixtures = [mixture for mixture in read_mixtures(table) if mixture.snr_db is None or snr[0] <= mixture.snr_db <= snr[1]]
    if not mixtures:
        raise ConfigError(f"data: {table}: no mixture between {snr[0]:g} and {snr[1]:g} dB")
    files = sorted({mixture.speech for mixture in mixtures})
    refuse_low_rates(zip(files, (header.sample_rate for header in side_by_side(read_header, files)), strict=True), sample_rate)
    return [ValidationItem(mixture.name, partial(mixture.load, sample_rate)) for mixture in mixtures]


def of_sounds(away: Found, rooms: Rooms | None, reverberant: float, snr: tuple[float, float], sample_rate: int) -> list[ValidationItem]:
    """Mixtures of sounds that were held out: ratios evenly over their range, and the first share of them in rooms."""
    sounds, noises = load_few(away.speech, sample_rate), load_few(away.noise, sample_rate)
    ratios = np.linspace(*snr, len(sounds))
    items = []
    for i, (segment, sound, ratio) in enumerate(zip(away.speech, sounds, ratios, strict=True)):
        room = None
        if rooms is not None and i < math.ceil(reverberant * len(sounds)):
            full = rooms.full[i % len(rooms.full)]
            room = full.numpy(), (full * rooms.kept).numpy()
        middle = max(0, len(sound) - LONGEST * sample_rate) // 2
        clean = sound[middle : middle + LONGEST * sample_rate]
        under = noises[i % len(noises)] if noises else None
        items.append(ValidationItem(segment.name, partial(mixed, clean, under, room, float(ratio), i, sample_rate)))
    return items


def mixed(
    sound: np.ndarray, noise: np.ndarray | None, room: tuple[np.ndarray, np.ndarray] | None, snr: float, seed: int, sample_rate: int
) -> Mixed:
    """int16 sound in a room (the whole response, and what a target keeps of it), with noise from a random place on at a ratio in dB."""
    clean = noisy = sound / 32768
    if room is not None:
        noisy, clean = (convolved(clean, response) for response in room)
    if noise is not None:
        start = np.random.default_rng(seed).integers(len(noise))
        under = noise[(start + np.arange(len(sound))) % len(noise)] / 32768
        loudness = np.sqrt(np.square(noisy).mean() / max(np.square(under).mean(), 1e-12))
        noisy = noisy + loudness * 10 ** (-snr / 20) * under
    return Mixed(clean.astype(np.float32), noisy.astype(np.float32), sample_rate)


def convolved(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """As long as the sound."""
    size = fast_length(len(sound) + len(response) - 1)
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]
