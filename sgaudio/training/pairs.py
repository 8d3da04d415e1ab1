"""Clean and noisy sound that belong together, from a table or from two folders.

Items are drawn without replacement: epoch after epoch, each in an order of its own, dealt out to the processes in turn. Of an item as much
is taken as a batch is long, from a random place on; a shorter one is followed by silence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from sgaudio.audio.files import Header, read_header
from sgaudio.audio.formats import SUFFIXES
from sgaudio.audio.level import root_mean_square
from sgaudio.audio.mixtures import Mixed, Mixture, read_mixtures
from sgaudio.audio.resampling import fitted
from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check
from sgaudio.training.ahead import Ahead
from sgaudio.training.data import (
    PART,
    Batch,
    Segment,
    ValidationItem,
    hold_out,
    move,
    read_piece,
    refuse_low_rates,
    send,
    side_by_side,
    sound_files,
)
from sgaudio.training.tables import beside, read_table

TRAIN, VALIDATION = "train.tsv", "validation.tsv"
SLACK = 0.016  # seconds by which clean and noisy sound may differ in length: about a hop
SHOWN = 3  # names in a message
NOTHING = f"nothing to validate on (give data.validation, a table, or {PART} pairs or more)"


@dataclass(frozen=True)
class PairsData:
    """Clean and noisy sound, from a table or from two folders in which files have equal names.

    A table (.tsv) is one of pairs, with the columns id, clean and noisy, or one of mixtures: see `sgaudio.audio.mixtures`.

    Args:
        root: folder that relative paths of this section start from.
        train: table; `train.tsv` by default, where no folders are given.
        validation: table; by default `validation.tsv`, where there is one and no folders are given.
        clean, noisy: folders.
        held_out: so many pairs are kept out of training where there is no table to validate on; at most a quarter of all.
        keep: all sound in the memory of the "device" or of the "host"; or on "disk", to be read when it is wanted.
        workers: processes that read from disk; 0 reads between the steps.
    """

    root: str = "."
    train: str | None = None
    validation: str | None = None
    clean: str | None = None
    noisy: str | None = None
    held_out: Annotated[int, Range(0, 10**6)] = 8
    keep: Literal["device", "host", "disk"] = "device"
    workers: Annotated[int, Range(0, 1024)] = 4

    def __post_init__(self) -> None:
        check(self)
        if (self.clean is None) != (self.noisy is None):
            missing = "noisy" if self.noisy is None else "clean"
            raise ConfigError(f"data: {missing} is null: the folders clean and noisy go together; without both a table is read")
        if self.clean is not None and self.train is not None:
            raise ConfigError("data: train is a table, clean and noisy are folders: give one or the other")


@dataclass(frozen=True)
class Pair:
    """Two files of one sound."""

    name: str
    clean: Segment
    noisy: Segment

    def length(self, sample_rate: int) -> int:
        """Samples that both have."""
        return min(self.clean.length(sample_rate), self.noisy.length(sample_rate))

    def piece(self, start: int, stop: int, sample_rate: int) -> np.ndarray:
        """Some samples: clean and noisy, float32 (2, time)."""
        return np.stack([read_piece(segment, start, stop, sample_rate) for segment in (self.clean, self.noisy)])

    def load(self, sample_rate: int) -> Mixed:
        """The whole sound."""
        clean, noisy = self.piece(0, self.length(sample_rate), sample_rate)
        return Mixed(clean, noisy, sample_rate)


@dataclass(frozen=True)
class Row:
    """A mixture as a pair; it is mixed as a whole, since its ratio is that of the whole.

    Args:
        mixture: row of a table.
        speech: of it.
    """

    mixture: Mixture
    speech: Segment

    @property
    def name(self) -> str:
        return self.mixture.name

    def length(self, sample_rate: int) -> int:
        """Samples that it has."""
        return self.speech.length(sample_rate)

    def piece(self, start: int, stop: int, sample_rate: int) -> np.ndarray:
        """Some samples: clean and noisy, float32 (2, time)."""
        return fitted(np.stack(self.load(sample_rate)[:2])[:, start:], stop - start)

    def load(self, sample_rate: int) -> Mixed:
        """The whole sound."""
        return self.mixture.load(sample_rate)


AnyPair = Pair | Row


def find_pairs(config: PairsData, sample_rate: int) -> tuple[list[AnyPair], list[AnyPair]]:
    """What to train on, and what to validate on; only headers are read.

    Raises:
        ConfigError: where a table, a folder, a partner or all sound is missing, or sound has a wrong rate, form or length.
        AudioError: where a file cannot be read, or has not the channels and samples that a table of mixtures says.
    """
    root = Path(config.root)
    validation = None if config.validation is None else root / config.validation
    if config.clean is not None and config.noisy is not None:
        found = of_folders(root / config.clean, root / config.noisy, sample_rate)
    else:
        table = root / (config.train or TRAIN)
        if not table.is_file():
            raise ConfigError(f"data: {table}: no such table: the prepare.py beside the recipe makes it: python prepare.py {root}")
        found = of_table(table, sample_rate)
        if validation is None and (root / VALIDATION).is_file():
            validation = root / VALIDATION
    if validation is not None:
        return found, of_table(validation, sample_rate)
    held = hold_out([pair.name for pair in found], config.held_out)
    return [pair for i, pair in enumerate(found) if i not in held], [found[i] for i in sorted(held)]


def of_folders(clean: Path, noisy: Path, sample_rate: int) -> list[AnyPair]:
    """Files that have equal names, but for the suffix."""
    one, other = (files_by_name(folder) for folder in (clean, noisy))
    for files, folder, others, partner in ((one, clean, other, noisy), (other, noisy, one, clean)):
        if alone := [str(path.relative_to(folder)) for name, path in files.items() if name not in others]:
            names = ", ".join(alone[:SHOWN]) + (", ..." if len(alone) > SHOWN else "")
            raise ConfigError(f"data: {folder}: {len(alone)} files without a partner of the same name in {partner}: {names}")
    return of_files([(name, path, other[name]) for name, path in one.items()], sample_rate)


def files_by_name(folder: Path) -> dict[str, Path]:
    """Names are paths in the folder, without the suffix."""
    if not folder.is_dir():
        raise ConfigError(f"data: {folder}: no such folder")
    files: dict[str, Path] = {}
    for path in sound_files(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ConfigError(f"data: {folder}: {path.name} and {files[name].name} have the same name: leave one of them out")
        files[name] = path
    if not files:
        raise ConfigError(f"data: {folder}: no sound in it: expected {', '.join(SUFFIXES)} files")
    return files


def of_table(table: Path, sample_rate: int) -> list[AnyPair]:
    """The pairs or mixtures of a table."""
    rows = read_table(table, ("id",))
    if "speech" in rows[0]:
        mixtures = read_mixtures(table)
        headers = checked([mixture.speech for mixture in mixtures], sample_rate)
        others = headers_of(path for mixture in mixtures for path in mixture.files if path not in headers)
        refuse_low_rates(((path, header.sample_rate) for path, header in others.items()), sample_rate)
        known = headers | others
        for mixture in mixtures:
            mixture.check(known)
        return [Row(mixture, spoken(mixture, headers)) for mixture in mixtures]
    if not {"clean", "noisy"} <= set(rows[0]):
        raise ConfigError(f"data: {table}: has the columns {', '.join(rows[0])}, expected id, clean and noisy, or those of mixtures")
    for i, row in enumerate(rows, start=2):
        if not all(row[column] for column in ("id", "clean", "noisy")):
            raise ConfigError(f"data: {table}: line {i}: id, clean or noisy is empty")
    return of_files([(row["id"], beside(table, row["clean"]), beside(table, row["noisy"])) for row in rows], sample_rate)


def of_files(named: Sequence[tuple[str, Path, Path]], sample_rate: int) -> list[AnyPair]:
    """Names with their clean and noisy files as pairs.

    Raises:
        ConfigError: where the two are not equally long.
    """
    headers = checked([path for _, *paths in named for path in paths], sample_rate)
    for name, *paths in named:
        clean, noisy = (headers[path].samples / headers[path].sample_rate for path in paths)
        if abs(clean - noisy) > SLACK:
            raise ConfigError(
                f"data: {name}: {paths[0]} lasts {clean:.3f} s, {paths[1]} {noisy:.3f} s: "
                f"expected the same sound, within {1000 * SLACK:g} ms: are they a pair?"
            )
    return [Pair(name, segment(name, clean, headers), segment(name, noisy, headers)) for name, clean, noisy in named]


def segment(name: str, path: Path, headers: Mapping[Path, Header]) -> Segment:
    """A whole file."""
    return Segment(name, path, 0, headers[path].samples, headers[path].sample_rate)


def spoken(mixture: Mixture, headers: Mapping[Path, Header]) -> Segment:
    """The part of its speech that a mixture uses."""
    whole = segment(mixture.name, mixture.speech, headers)
    return replace(whole, start=mixture.speech_start, stop=whole.stop if mixture.speech_stop is None else mixture.speech_stop)


def headers_of(paths: Iterable[Path]) -> dict[Path, Header]:
    """Each is read once."""
    unique = list(dict.fromkeys(paths))
    return dict(zip(unique, side_by_side(read_header, unique), strict=True))


def checked(paths: Iterable[Path], sample_rate: int) -> dict[Path, Header]:
    """The headers of files that fit.

    Raises:
        ConfigError: where one is not mono, is empty, or has a lower rate than the model.
    """
    headers = headers_of(paths)
    for path, header in headers.items():
        if header.channels != 1:
            raise ConfigError(f"data: {path}: {header.channels} channels, expected one: split them into files, or mix them down")
        if not header.samples:
            raise ConfigError(f"data: {path}: no samples in it: leave it out")
    refuse_low_rates(((path, header.sample_rate) for path, header in headers.items()), sample_rate)
    return headers


class Places(NamedTuple):
    """What a batch is made of: (batch) each.

    Args:
        items: numbers of the pairs.
        starts, counts: the first samples, and how many.
    """

    items: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Turns:
    """Whose turn it is: a pure function of the batch's number.

    Args:
        lengths: of the pairs, in samples.
        batch, length: items of a batch, and their samples.
    """

    lengths: np.ndarray
    batch: int
    length: int
    seed: int
    rank: int
    ranks: int

    def __call__(self, step: int) -> Places:
        turns = (step * self.ranks + self.rank) * self.batch + np.arange(self.batch)
        epochs, positions = np.divmod(turns, len(self.lengths))
        items = np.array([order(self.seed, int(epoch), len(self.lengths))[i] for epoch, i in zip(epochs, positions, strict=True)])
        spare = np.maximum(self.lengths[items] - self.length, 0)
        starts = np.random.default_rng((self.seed, step, self.rank, 1)).integers(spare + 1)
        return Places(items, starts, np.minimum(self.lengths[items], self.length))


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, count: int) -> np.ndarray:
    """Of the pairs in an epoch."""
    return np.random.default_rng((seed, epoch, 0, 2)).permutation(count)


class Stored(NamedTuple):
    """Pairs one after the other, in 16 bit.

    Each pair is stored with its own peak at full scale: what rounding adds lies 98 dB below it, no louder than what 16-bit files have, and
    float16, which keeps 11 bits, would add more to all that is loud.

    Args:
        sound: int16 (2, time): clean and noisy.
        begins: (pair) first sample of each.
        scales: (pair) float32 value of a level.
    """

    sound: np.ndarray
    begins: np.ndarray
    scales: np.ndarray


def store(pairs: Sequence[AnyPair], sample_rate: int) -> Stored:
    """Read all pairs."""
    lengths = [pair.length(sample_rate) for pair in pairs]
    begins = np.cumsum([0, *lengths])
    sound = np.empty((2, begins[-1]), np.int16)
    scales = np.empty(len(pairs), np.float32)

    def read(i: int) -> None:
        piece = pairs[i].piece(0, lengths[i], sample_rate)
        scales[i] = max(np.abs(piece).max(), 1e-9) / 32767
        sound[:, begins[i] : begins[i + 1]] = np.rint(piece / scales[i])

    side_by_side(read, range(len(pairs)))
    return Stored(sound, begins[:-1], scales)


@dataclass(frozen=True)
class FromHost:
    """Batches, float32 (2, batch, time) on the host, from its memory."""

    turns: Turns
    stored: Stored

    def __call__(self, step: int) -> Tensor:
        places, (sound, begins, scales) = self.turns(step), self.stored
        batch = np.zeros((2, self.turns.batch, self.turns.length), np.float32)
        for i, (item, start, count) in enumerate(zip(*places, strict=True)):
            begin = begins[item] + start
            batch[:, i, :count] = sound[:, begin : begin + count] * scales[item]
        return torch.from_numpy(batch)


@dataclass(frozen=True)
class FromDisk:
    """The like, from files."""

    turns: Turns
    pairs: Sequence[AnyPair]
    sample_rate: int

    def __call__(self, step: int) -> Tensor:
        batch = np.zeros((2, self.turns.batch, self.turns.length), np.float32)
        for i, (item, start, count) in enumerate(zip(*self.turns(step), strict=True)):
            batch[:, i, :count] = self.pairs[item].piece(start, start + count, self.sample_rate)
        return torch.from_numpy(batch)


class OnDevice:
    """The like on the device, from its memory: nothing waits for it."""

    def __init__(self, turns: Turns, stored: Stored, device: torch.device):
        self._turns, self._begins, self._device = turns, stored.begins, device
        self._sound, self._scales = (move(torch.from_numpy(part), device) for part in (stored.sound, stored.scales))

    def __call__(self, step: int) -> Tensor:
        places = self._turns(step)
        table = np.stack([places.items, self._begins[places.items] + places.starts, places.counts])
        items, begins, counts = send(torch.from_numpy(table), self._device)[..., None]
        time = torch.arange(self._turns.length, device=self._device)
        sound = self._sound[:, begins + torch.minimum(time, counts - 1)]
        return sound * (self._scales[items] * (time < counts))


class Pairs:
    """A `Source` of pairs: see `PairsData`, `make_source`."""

    def __init__(
        self,
        config: PairsData,
        *,
        sample_rate: int,
        level: float,
        batch: int,
        length: int,
        device: torch.device,
        rank: int,
        ranks: int,
        seed: int,
    ):
        self._level, self._sample_rate, self._device = level, sample_rate, device
        self._pairs, self._kept = find_pairs(config, sample_rate)
        lengths = np.array([pair.length(sample_rate) for pair in self._pairs])
        self._turns = Turns(lengths, batch, length, seed, rank, ranks)
        if config.keep == "device":
            self._cut: Callable[[int], Tensor] = OnDevice(self._turns, store(self._pairs, sample_rate), device)
        elif config.keep == "host":
            self._cut = FromHost(self._turns, store(self._pairs, sample_rate))
        else:
            self._cut = Ahead(FromDisk(self._turns, self._pairs, sample_rate), config.workers, device)

    def batch(self, step: int, generator: Generator) -> Batch:
        clean, noisy = send(self._cut(step), self._device)
        gain = self._level / root_mean_square(noisy).clamp_min(1e-4)
        return Batch(clean * gain, noisy * gain)

    def items(self, step: int, generator: Generator) -> list[str]:
        return [self._pairs[item].name for item in self._turns(step).items]

    def validation(self) -> Sequence[ValidationItem]:
        return [ValidationItem(pair.name, partial(pair.load, self._sample_rate)) for pair in self._kept]

    def __str__(self) -> str:
        minutes = self._turns.lengths.sum() / self._sample_rate / 60
        return f"{len(self._pairs)} pairs, {minutes:.1f} min, " + (f"to validate on {len(self._kept)}" if self._kept else NOTHING)
