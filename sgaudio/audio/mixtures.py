"""Mixtures of speech and noise, made on the fly from a table: the same samples every time, and no noisy file on disk.

The table is tab-separated text without quoting, a row a mixture, paths relative to its folder:

    id                    name of the mixture, each once
    speech                sound file, mono
    noise                 sound file, mono but for noise_channel; repeated from its start where it is too short. Empty for none
    snr_db                ratio of speech to noise in dB, over the whole utterance, by root mean square
    noise_offset_samples  where in the noise file to start, in its own samples; 0 where the column is missing

and, if wanted:

    speech_start          the samples of the speech file to use; all by default
    speech_stop
    noise_channel         the channel of the noise file to use, counted from 0; needed where it has several
    room                  sound file, mono: an impulse response that the speech is convolved with, before the SNR is set
    room_start, room_stop the samples of that file to use; all by default
    room_direct_sample    of these, the one of the direct path; the largest by default
    text                  what is said

With a room, the clean sound is the speech by the direct path alone: the response up to 2.5 ms behind it. Of long files no more is decoded
than a mixture uses.
"""

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from sgaudio.audio.files import Header, read, read_header
from sgaudio.audio.resampling import resample, resample_piece
from sgaudio.errors import AudioError, ConfigError
from sgaudio.registry import nearest

NEEDED = ("id", "speech", "noise", "snr_db")
INTEGERS = (
    "noise_offset_samples",
    "noise_channel",
    "speech_start",
    "speech_stop",
    "room_start",
    "room_stop",
    "room_direct_sample",
)
COLUMNS = (*NEEDED, *INTEGERS, "room", "text")
Number = TypeVar("Number", int, float)
MOST = 2**53  # samples
DIRECT = 0.0025  # seconds behind the direct path that still belong to it


class Mixed(NamedTuple):
    """Clean and noisy sound, float32 (time), and their rate in Hz."""

    clean: np.ndarray
    noisy: np.ndarray
    sample_rate: int


@dataclass(frozen=True)
class Mixture:
    """A row of the table."""

    name: str
    speech: Path
    noise: Path | None
    snr_db: float | None
    noise_offset: int = 0
    noise_channel: int | None = None
    speech_start: int = 0
    speech_stop: int | None = None
    room: Path | None = None
    room_start: int = 0
    room_stop: int | None = None
    room_direct: int | None = None
    text: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is made of."""
        return tuple(path for path in (self.speech, self.noise, self.room) if path)

    def check(self, headers: Mapping[Path, Header]) -> None:
        """Whether its files, of which these are the headers, have the channels and samples that the table says.

        Raises:
            AudioError: where one has not.
        """
        for path, channel, start, stop in (
            (self.speech, None, self.speech_start, self.speech_stop),
            (self.noise, self.noise_channel, 0, None),
            (self.room, None, self.room_start, self.room_stop),
        ):
            if path is None:
                continue
            _, channels, samples = headers[path]
            if channel is None and channels != 1:
                raise AudioError(f"{path}: {channels} channels, a mixture is made of mono files, or of the noise_channel of its table")
            if channel is not None and channel >= channels:
                raise AudioError(f"{path}: {channels} channels, {self.name} wants number {channel}, counted from 0")
            if not start < (samples if stop is None else stop) <= samples:
                wanted = f"{start} to {'the end' if stop is None else stop}"
                raise AudioError(f"{path}: {samples} samples, {self.name} wants those from {wanted}")

    def load(self, sample_rate: int | None = None) -> Mixed:
        """Read and mix, at a rate in Hz, by default that of the speech.

        Raises:
            AudioError: where a file cannot be read, is silent, or has not the channels and samples that the table says.
        """
        headers = {path: read_header(path) for path in self.files}
        self.check(headers)
        rate = sample_rate or headers[self.speech].sample_rate
        speech = _heard(self.speech, self.speech_start, self.speech_stop)
        clean = speech = resample(speech, headers[self.speech].sample_rate, rate).astype(np.float64)
        if self.room:
            clean, speech = self._in_the_room(speech, headers[self.room].sample_rate, rate)
        noisy = speech
        if self.noise and self.snr_db is not None:
            noise = _repeated(self.noise, headers[self.noise], self.noise_channel or 0, self.noise_offset, len(speech), rate)
            powers = [np.mean(np.square(sound)) for sound in (speech, noise)]
            if not powers[1]:
                raise AudioError(f"{self.noise}: silent where {self.name} uses it")
            noisy = speech + np.sqrt(powers[0] / powers[1]) * 10 ** (-self.snr_db / 20) * noise
        return Mixed(clean.astype(np.float32), noisy.astype(np.float32), rate)

    def _in_the_room(self, speech: np.ndarray, own_rate: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Speech by the direct path alone, and by all paths; both as long as the speech, at `rate`, where the room has `own_rate`."""
        assert self.room
        response = _heard(self.room, self.room_start, self.room_stop)
        direct = int(np.abs(response).argmax()) if self.room_direct is None else self.room_direct
        if not 0 <= direct < len(response):
            raise AudioError(f"{self.room}: has {len(response)} samples for {self.name}, the direct path is said to be at {direct}")
        first = response.copy()
        first[direct + round(DIRECT * own_rate) + 1 :] = 0
        return tuple(_convolve(speech, resample(part, own_rate, rate)) for part in (first, response))  # pyright: ignore[reportReturnType]


def read_mixtures(table: str | os.PathLike[str], root: str | os.PathLike[str] | None = None) -> list[Mixture]:
    """The mixtures of a table.

    Args:
        root: the folder that its paths start from; the table's own by default.

    Raises:
        ConfigError: names the table, the line, what was found and what was expected.
    """
    table = Path(table)
    folder = table.parent if root is None else Path(root)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error if isinstance(error, csv.Error) else getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{table}: no table that can be read ({reason})") from error
    header = rows[0] if rows else []
    for name in NEEDED:
        if name not in header:
            raise ConfigError(f"{table}: no column {name!r} in its first line: tabs between {', '.join(NEEDED)} are expected")
    for name in header:
        if header.count(name) > 1:
            raise ConfigError(f"{table}: two columns are called {name!r}")
        if name not in COLUMNS:
            raise ConfigError(f"{table}: unknown column {name!r}: {nearest(name, COLUMNS)}")
    mixtures: dict[str, Mixture] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        where = f"{table}: line {line}"
        if len(row) != len(header):
            raise ConfigError(f"{where}: {len(row)} fields, the first line has {len(header)}")
        mixture = _mixture(dict(zip(header, row, strict=True)), folder, where)
        if mixture.name in mixtures:
            raise ConfigError(f"{where}: id {mixture.name!r} stands there a second time")
        mixtures[mixture.name] = mixture
    if not mixtures:
        raise ConfigError(f"{table}: no mixture in it")
    return list(mixtures.values())


def _mixture(row: dict[str, str], folder: Path, where: str) -> Mixture:
    """One row; a missing or empty field is None, or its default."""
    row = {name: text.strip() for name, text in row.items()}

    def number(kind: type[Number], name: str) -> Number | None:
        if not row.get(name):
            return None
        try:
            value = kind(row[name])
        except ValueError:
            value = None
        if value is None or not (0 <= value < MOST if kind is int else math.isfinite(value)):
            raise ConfigError(f"{where}: {name} is {row[name]!r}, expected {'a number, 0 or more' if kind is int else 'a number in dB'}")
        return value

    for name in ("id", "speech"):
        if not row[name]:
            raise ConfigError(f"{where}: {name} is empty")
    if bool(row["noise"]) != bool(row["snr_db"]):
        raise ConfigError(f"{where}: noise and snr_db go together, one of them is empty")
    integers = {name: number(int, name) for name in INTEGERS}
    for part in ("speech", "room"):
        start, stop = integers[f"{part}_start"] or 0, integers[f"{part}_stop"]
        if stop is not None and stop <= start:
            raise ConfigError(f"{where}: {part}_stop is {stop}, expected more than {part}_start")
    return Mixture(
        name=row["id"],
        speech=folder / row["speech"],
        noise=folder / row["noise"] if row["noise"] else None,
        snr_db=number(float, "snr_db"),
        noise_offset=integers["noise_offset_samples"] or 0,
        noise_channel=integers["noise_channel"],
        speech_start=integers["speech_start"] or 0,
        speech_stop=integers["speech_stop"],
        room=folder / row["room"] if row.get("room") else None,
        room_start=integers["room_start"] or 0,
        room_stop=integers["room_stop"],
        room_direct=integers["room_direct_sample"],
        text=row.get("text") or None,
    )


def _heard(path: Path, start: int, stop: int | None) -> np.ndarray:
    """Samples (time) of a mono file, not all of them silent."""
    sound = read(path, start, stop)[0][0]
    if not sound.any():
        raise AudioError(f"{path}: silent")
    return sound


def _repeated(path: Path, header: Header, channel: int, offset: int, length: int, rate: int) -> np.ndarray:
    """So many samples (time) at a rate, float64, of a channel from an offset on, in samples of the file, which goes round in a circle."""

    def piece(start: int, stop: int) -> np.ndarray:
        return resample_piece(lambda *part: read(path, *part)[0][channel], header.samples, header.sample_rate, rate, start, stop)

    circle = max(1, round(header.samples * rate / header.sample_rate))
    start = round(offset * rate / header.sample_rate) % circle
    noise = piece(start, min(circle, start + length))
    if missing := length - len(noise):
        noise = np.concatenate([noise, np.resize(piece(0, min(circle, missing)), missing)])
    return noise.astype(np.float64)


def _convolve(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Of the length of `sound`: later echoes are cut. The response's own delay is kept."""
    size = len(sound) + len(response) - 1
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response.astype(np.float64), size), size)[: len(sound)]
