"""Rooms to reverberate in, simulated by pyroomacoustics (Scheibler, Bezzam, Dokmanić 2018, 1710.04196) and kept as a bank.

Image sources make the first reflections, rays the rest. The defaults are the rooms of WSJ0-REVERB (Richter et al. 2023, 2208.05830) but
for the scattering: between walls like mirrors, as there (0), sound in a flat room goes on for up to twice the time asked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from sgaudio.audio.files import write
from sgaudio.errors import ConfigError
from sgaudio.registry import Range, check
from sgaudio.training.tables import Row, write_table

SPEED_OF_SOUND = 343.0  # m/s
DIRECT = 0.0025  # seconds behind the direct path that still belong to it, as in `audio.mixtures`
PACK = 600  # seconds of rooms in a file, at most
TRIES = 1000  # draws of a place
COLUMNS = ("file", "start", "stop", "direct_sample", "t60", "t60_measured", "direct_to_reverberant_db", "distance_m", "room_m")
Interval = tuple[float, float]
Point = tuple[float, ...]  # length, width, height


@dataclass(frozen=True)
class RoomsConfig:
    """What rooms are like. An interval is drawn from uniformly; lengths are in m.

    Args:
        length, width, height: of the room.
        t60: seconds in which sound decays by 60 dB (Sabine's formula).
        wall: the least distance of source and microphone from each wall, floor and ceiling.
        distance: from source to microphone.
        microphone_height: above the floor; anywhere by default.
        order: reflections that image sources make.
        scattering: share of the reflected energy that does not leave as from a mirror.
    """

    length: Annotated[Interval, Range(0.5, 100)] = (5.0, 15.0)
    width: Annotated[Interval, Range(0.5, 100)] = (5.0, 15.0)
    height: Annotated[Interval, Range(0.5, 100)] = (2.0, 6.0)
    t60: Annotated[Interval, Range(0.05, 10)] = (0.4, 1.0)
    wall: Annotated[float, Range(0.05, 50)] = 1.0
    distance: Annotated[Interval, Range(0.1, 200)] = (0.1, 200.0)
    microphone_height: Annotated[Interval, Range(0, 100)] | None = None
    order: Annotated[int, Range(0, 30)] = 3
    scattering: Annotated[float, Range(0, 1)] = 0.1

    def __post_init__(self) -> None:
        check(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ConfigError(f"rooms: {field.name} is {value}, expected the smaller number first")
        for side in ("length", "width", "height"):
            if getattr(self, side)[0] < 2 * self.wall:
                raise ConfigError(f"rooms: {side} from {getattr(self, side)[0]:g} m leaves no place {self.wall:g} m from both walls")
        if self.microphone_height and not self.wall <= self.microphone_height[0] <= self.microphone_height[1] <= self.height[0] - self.wall:
            raise ConfigError(
                f"rooms: microphone_height is {self.microphone_height}, "
                f"expected numbers from {self.wall:g} to {self.height[0] - self.wall:g}: wall to height less wall"
            )


class Place(NamedTuple):
    """The size of a room, who is where in it, in m, and the reverberation time asked for, in seconds."""

    size: Point
    source: Point
    microphone: Point
    t60: float

    @property
    def distance(self) -> float:
        """From source to microphone, in m."""
        return float(np.linalg.norm(np.subtract(self.source, self.microphone)))


class Room(NamedTuple):
    """What a microphone hears of a click.

    Args:
        response: float32 (time), of unit energy (sound is about as loud in the room as outside of it), down to -60 dB.
        direct_sample: where the direct path arrives: the way from the source is cut.
        place: where that is.
    """

    response: np.ndarray
    direct_sample: int
    place: Place


def simulate(config: RoomsConfig, count: int, seed: int, sample_rate: int) -> Iterator[Room]:
    """Rooms, each a function of (config, seed, its index, sample rate) alone.

    Args:
        sample_rate: of the responses, in Hz.

    Raises:
        ConfigError: where pyroomacoustics is not installed, or no room is as asked for.
    """
    for index in range(count):
        generator = np.random.default_rng((seed, index))
        place = draw_place(config, generator)
        yield respond(place, sample_rate, config.order, config.scattering, int(generator.integers(2**63)))


def draw_place(config: RoomsConfig, generator: np.random.Generator) -> Place:
    """A place as asked for.

    Raises:
        ConfigError: where none was found: the distance does not fit in, or such large rooms cannot be so dry.
    """
    for _ in range(TRIES):
        size = tuple(generator.uniform(*side) for side in (config.length, config.width, config.height))
        t60 = generator.uniform(*config.t60)
        source, microphone = (tuple(generator.uniform(config.wall, side - config.wall) for side in size) for _ in range(2))
        if config.microphone_height:
            microphone = (*microphone[:2], generator.uniform(*config.microphone_height))
        place = Place(size, source, microphone, t60)
        if config.distance[0] <= place.distance <= config.distance[1] and absorption(place) <= 1:
            return place
    raise ConfigError(
        f"rooms: none of {TRIES} has a source {config.distance[0]:g} to {config.distance[1]:g} m away and a t60 of "
        f"{config.t60[0]:g} to {config.t60[1]:g} s: other distances, a longer t60, or smaller rooms"
    )


def absorption(place: Place) -> float:
    """Share of the energy that walls swallow, by Sabine: T60 = 24 ln(10) V / (c S a). Above 1 no walls can do it."""
    length, width, height = place.size
    surface = 2 * (length * width + length * height + width * height)
    return 24 * np.log(10) * length * width * height / (SPEED_OF_SOUND * surface * place.t60)


def respond(place: Place, sample_rate: int, order: int, scattering: float, seed: int) -> Room:
    """Simulate one room. Seeds pyroomacoustics' own generator.

    Raises:
        ConfigError: where pyroomacoustics is not installed.
    """
    try:
        import pyroomacoustics
    except ImportError as error:
        raise ConfigError("rooms: pyroomacoustics is not installed: pip install 'sgaudio[train]'") from error
    pyroomacoustics.random.seed(seed)
    walls = pyroomacoustics.Material(absorption(place), scattering)
    room = pyroomacoustics.ShoeBox(place.size, fs=sample_rate, materials=walls, max_order=order, ray_tracing=True)
    room.add_source(place.source)
    room.add_microphone(place.microphone)
    room.compute_rir()
    (of_source,) = room.rir[0]  # pyright: ignore[reportOptionalSubscript] - there since compute_rir
    response = of_source[round(place.distance / room.c * sample_rate) :]
    response = response[: np.searchsorted(-energy_decay(response), 60)]
    lead = pyroomacoustics.constants.get("frac_delay_length") // 2  # all that it makes comes later by that much
    return Room((response / np.linalg.norm(response)).astype(np.float32), lead, place)


def energy_decay(response: np.ndarray) -> np.ndarray:
    """What is still to come of the energy of (time), in dB of all of it (Schroeder 1965)."""
    remaining = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    return 10 * np.log10(np.maximum(remaining / remaining[0], 1e-12))


def reverberation_time(room: Room, sample_rate: int) -> float:
    """Seconds for 60 dB, from the line through -5 to -35 dB of the decay (T30 of ISO 3382-1)."""
    decay = energy_decay(room.response[room.direct_sample :])
    start, stop = np.searchsorted(-decay, (5, 35))
    slope, _ = np.polyfit(np.arange(start, stop) / sample_rate, decay[start:stop], 1)
    return -60 / slope


def direct_to_reverberant(room: Room, sample_rate: int) -> float:
    """Energy of the direct path by that of all later ones, in dB."""
    after = room.direct_sample + round(DIRECT * sample_rate) + 1
    direct, later = (float(np.square(part, dtype=np.float64).sum()) for part in (room.response[:after], room.response[after:]))
    return 10 * np.log10(direct / later)


def write_bank(folder: Path, rooms: Iterable[Room], sample_rate: int) -> Path:
    """Keep rooms as FLAC files of up to ten minutes and the table `rooms.tsv` beside them, which is written last.

    Returns:
        the table, for `data.rooms` of a recipe.

    Raises:
        ConfigError: where `folder` is a file, or there is no room.
        AudioError: where it cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"rooms: {folder}: is a file, expected a folder")
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, pack in enumerate(_packs(rooms, PACK * sample_rate)):
        name, start = f"rooms-{number:03}.flac", 0
        for room in pack:
            stop = start + len(room.response)
            rows.append((folder / name, start, stop, room.direct_sample, *_described(room, sample_rate)))
            start = stop
        write(folder / name, np.concatenate([room.response for room in pack]), sample_rate, subtype="PCM_24")
    if not rows:
        raise ConfigError(f"rooms: no room to write to {folder}: ask for one or more")
    table = folder / "rooms.tsv"
    write_table(table, COLUMNS, rows)
    return table


def _described(room: Room, sample_rate: int) -> tuple[str, ...]:
    place = room.place
    numbers = (place.t60, reverberation_time(room, sample_rate), direct_to_reverberant(room, sample_rate), place.distance)
    return (*(f"{number:.3f}" for number in numbers), "x".join(f"{side:.2f}" for side in place.size))


def _packs(rooms: Iterable[Room], longest: int) -> Iterator[list[Room]]:
    """In order, as many together as `longest` samples hold."""
    pack: list[Room] = []
    for room in rooms:
        if pack and sum(len(each.response) for each in (*pack, room)) > longest:
            yield pack
            pack = []
        pack.append(room)
    if pack:
        yield pack
