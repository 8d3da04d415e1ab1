"""Mixtures of speech and noise, made on the fly from a table: the same samples every time, and no noisy file on disk.

The table is tab-separated text without quoting, a row a mixture, paths relative to its folder:

    id                    name of the mixture, each once
    speech                sound file, mono
    noise                 sound file, mono; repeated from its start where it is too short. Empty for none
    snr_db                ratio of speech to noise in dB, over the whole utterance, by root mean square
    noise_offset_samples  where in the noise file to start, in its own samples; 0 where the column is missing

and, if wanted:

    room                  sound file, mono: an impulse response that the speech is convolved with, before the SNR is set
    room_start, room_stop the samples of that file to use; all by default
    room_direct_sample    of these, the one of the direct path; the largest by default
    text                  what is said

With a room, the clean sound is the speech by the direct path alone: the response up to 2.5 ms behind it.
"""

import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgaudio.audio.files import read
from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError
from sgaudio.registry import nearest

NEEDED = ("id", "speech", "noise", "snr_db")
COLUMNS = (*NEEDED, "noise_offset_samples", "room", "room_start", "room_stop", "room_direct_sample", "text")
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
    room: Path | None = None
    room_start: int = 0
    room_stop: int | None = None
    room_direct: int | None = None
    text: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is made of."""
        return tuple(path for path in (self.speech, self.noise, self.room) if path)

    def load(self, sample_rate: int | None = None) -> Mixed:
        """Read and mix, at a rate in Hz, by default that of the speech.

        Raises:
            AudioError: where a file cannot be read, is not mono, or is silent.
        """
        speech, own_rate = _mono(self.speech)
        rate = sample_rate or own_rate
        clean = speech = resample(speech, own_rate, rate).astype(np.float64)
        if self.room:
            clean, speech = self._in_the_room(speech, rate)
        noisy = speech
        if self.noise and self.snr_db is not None:
            noise, noise_rate = _mono(self.noise)
            noise = resample(noise, noise_rate, rate).astype(np.float64)
            offset = round(self.noise_offset * rate / noise_rate)
            noise = noise[(offset + np.arange(len(speech))) % len(noise)]
            powers = [np.mean(np.square(sound)) for sound in (speech, noise)]
            if not powers[1]:
                raise AudioError(f"{self.noise}: silent where {self.name} uses it")
            noisy = speech + np.sqrt(powers[0] / powers[1]) * 10 ** (-self.snr_db / 20) * noise
        return Mixed(clean.astype(np.float32), noisy.astype(np.float32), rate)

    def _in_the_room(self, speech: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Speech by the direct path alone, and by all paths; both as long as the speech."""
        assert self.room
        response, own_rate = _mono(self.room, self.room_start, self.room_stop)
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

    def number(kind: type, name: str) -> int | float | None:
        if not row.get(name):
            return None
        try:
            value = kind(row[name])
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (kind is int and not 0 <= value < MOST):
            raise ConfigError(f"{where}: {name} is {row[name]!r}, expected {'a number, 0 or more' if kind is int else 'a number in dB'}")
        return value

    for name in ("id", "speech"):
        if not row[name]:
            raise ConfigError(f"{where}: {name} is empty")
    if bool(row["noise"]) != bool(row["snr_db"]):
        raise ConfigError(f"{where}: noise and snr_db go together, one of them is empty")
    integers = {name: number(int, name) for name in ("noise_offset_samples", "room_start", "room_stop", "room_direct_sample")}
    if integers["room_stop"] is not None and integers["room_stop"] <= (integers["room_start"] or 0):
        raise ConfigError(f"{where}: room_stop is {integers['room_stop']}, expected more than room_start")
    return Mixture(
        name=row["id"],
        speech=folder / row["speech"],
        noise=folder / row["noise"] if row["noise"] else None,
        snr_db=number(float, "snr_db"),
        noise_offset=int(integers["noise_offset_samples"] or 0),
        room=folder / row["room"] if row.get("room") else None,
        room_start=int(integers["room_start"] or 0),
        room_stop=integers["room_stop"],  # pyright: ignore[reportArgumentType] - an int or None
        room_direct=integers["room_direct_sample"],  # pyright: ignore[reportArgumentType]
        text=row.get("text") or None,
    )


def _mono(path: Path, start: int = 0, stop: int | None = None) -> tuple[np.ndarray, int]:
    """Samples (time) from `start` to `stop`, and the rate."""
    sound, rate = read(path)
    if len(sound) != 1:
        raise AudioError(f"{path}: {len(sound)} channels, a mixture is made of mono files")
    sound = sound[0, start:stop]
    if not sound.any():
        raise AudioError(f"{path}: silent")
    return sound, rate


def _convolve(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Of the length of `sound`: later echoes are cut. The response's own delay is kept."""
    size = len(sound) + len(response) - 1
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response.astype(np.float64), size), size)[: len(sound)]
