"""Sound files and pipes, read and written in blocks: memory does not grow with their length, and no header is trusted.

A written file appears under its name when it is whole, or not at all.
"""

import os
import secrets
import stat
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import soundfile

from sgaudio.audio.formats import ALL_TAGS, BITS, COMPANDED, FOUR_GIGABYTES, LOST_TAGS, RATES, STREAM, Format, fitting, too_long
from sgaudio.audio.headers import Claim, claim, is_cut_ogg
from sgaudio.audio.wav_pipe import WavPipeReader, WavPipeWriter
from sgaudio.errors import AudioError

BLOCK = 65_536  # samples of a channel
CHANNELS = range(1, 65)
UNKNOWN_FRAMES = 2**62  # libsndfile's answer for a length that it does not know is larger
QUALITY = {"MPEG_LAYER_III": 0.0, "VORBIS": 0.2}  # libsndfile's compression level: a second encoding should not be heard


class SequentialFile(soundfile.SoundFile):
    """A sound file read or written from start to end: soundfile seeks around each block of one that can seek."""

    def seekable(self) -> bool:
        return False


class Reader:
    """A sound file, a pipe, or ("-") the standard input, from start to end.

    Attributes:
        name: for messages.
        sample_rate: in Hz.
        channels: 1 to 64.
        frames: samples of a channel by the header, None where it does not say; what `blocks` gives may be less.
        format: how the samples stand in the file.
        tags: title, artist, ... as text.
        warnings: what was found wrong so far, a line each.

    Raises:
        AudioError: where this is no sound that can be read.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.name = "standard input" if os.fspath(path) == "-" else os.fspath(path)
        self.warnings: list[str] = []
        self.tags: dict[str, str] = {}
        with ExitStack() as stack:
            self._file = self._open(path, stack)
            self.sample_rate, self.channels = self._file.samplerate, self._file.channels
            self._check()
            self._stack = stack.pop_all()

    def blocks(self, size: int = BLOCK, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """The samples, float32 (channel, time), in blocks of `size` and a shorter last one. Samples may be infinite or NaN.

        Args:
            start, stop: the samples to give, all by default; of a file that can seek no more is decoded than them.

        Raises:
            AudioError: where the sound is damaged, or ends before `stop`.
        """
        count = self._skip(start) if start else 0
        while len(block := self._read(size if stop is None else min(size, stop - count), count)):
            count += len(block)
            yield np.ascontiguousarray(block.T)
        if stop is not None and count < stop:
            raise AudioError(f"{self.name}: truncated: it ends before sample {stop}, which is wanted: leave it out")
        if stop is None and self.frames is not None and count < self.frames:
            self.warnings.append(f"truncated: the header claims {self.frames} samples, {count} are there")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, path: str | os.PathLike[str], stack: ExitStack) -> SequentialFile | WavPipeReader:
        if os.fspath(path) == "-":
            let_wait(sys.stdin.buffer)
            return self._pipe(sys.stdin.buffer)
        path = Path(path)
        try:
            status = path.stat()
            stream = stack.enter_context(path.open("rb"))
            claimed = claim(stream, status.st_size) if stat.S_ISREG(status.st_mode) else None
        except OSError as error:
            raise AudioError(f"{self.name}: {_reason(error)}") from error
        if not stat.S_ISREG(status.st_mode):
            return self._pipe(stream)
        if status.st_size == 0:
            raise AudioError(f"{self.name}: empty file (0 bytes)")
        if claimed and claimed.is_unknown:
            stream.seek(0)
            return self._pipe(stream)
        file = stack.enter_context(self._sound_file(path, claimed))
        if file.format == "OGG" and is_cut_ogg(stream, status.st_size):
            self.warnings.append("truncated: the last Ogg page is missing or cut")
        return file

    def _pipe(self, stream: BinaryIO) -> WavPipeReader:
        file = WavPipeReader(stream, self.name)
        self.frames, self.format = file.frames, Format("WAV", file.subtype)
        return file

    def _sound_file(self, path: Path, claimed: Claim | None) -> SequentialFile:
        half = ""
        if claimed and claimed.is_half:
            half = f"{self.name}: half a {claimed.container} header (file is {claimed.file_size} bytes, {claimed.start} needed)"
        try:
            file = SequentialFile(_native(path))
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: the name's suffix is one of raw samples
            if claimed and claimed.sample_rate == 0:
                raise self._wrong_rate(0) from error
            raise AudioError(half or f"{self.name}: no sound that can be read ({_reason(error)})") from error
        self.format = Format(file.format, file.subtype, file.endian)
        self.frames = file.frames if file.frames < UNKNOWN_FRAMES else None
        self.tags = {name: text for name, text in file.copy_metadata().items() if text and name in ALL_TAGS}
        if half and not self.frames:
            file.close()
            raise AudioError(half)
        if claimed and claimed.is_truncated:
            self.warnings.append(f"truncated: the header claims {claimed.size} bytes of sound, {claimed.present} are there")
        return file

    def _check(self) -> None:
        if not self.format.readable:
            raise AudioError(f"{self.name}: {self.format.container} with {self.format.subtype} is not read: convert it to WAV or FLAC")
        if self.sample_rate not in RATES:
            raise self._wrong_rate(self.sample_rate)
        if self.channels not in CHANNELS:
            raise AudioError(f"{self.name}: {self.channels} channels, expected {CHANNELS.start} to {CHANNELS.stop - 1}")

    def _wrong_rate(self, sample_rate: int) -> AudioError:
        return AudioError(f"{self.name}: sample rate is {sample_rate} Hz, expected {RATES.start} to {RATES.stop - 1}")

    def _skip(self, start: int) -> int:
        """Go to a sample, or to the end where that comes before it; how many samples lie behind."""
        count = 0
        if isinstance(self._file, WavPipeReader):
            while len(block := self._read(min(BLOCK, start - count), count)):
                count += len(block)
            return count
        try:
            return self._file.seek(min(start, self._file.frames))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self.name}: damaged: sample {start} is not found ({_reason(error)})") from error

    def _read(self, size: int, count: int) -> np.ndarray:
        try:
            if isinstance(self._file, WavPipeReader):
                return self._file.read(size)
            return self._file.read(size, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self.name}: damaged after {count / self.sample_rate:.1f} s ({_reason(error)})") from error


class Writer:
    """What `writing` gives: takes the sound block by block.

    Attributes:
        format: how the samples stand in the file.
        frames: samples of a channel written so far.
        clamped: samples beyond full scale that an integer format could not hold.
        warnings: what could not be kept, a line each.
    """

    def __init__(self, file: soundfile.SoundFile | WavPipeWriter, name: str, channels: int, format: Format):
        self.name, self.channels, self.format = name, channels, format
        self.frames = self.clamped = 0
        self.warnings: list[str] = []
        self._file = file

    def write(self, block: np.ndarray) -> None:
        """Write float samples (channel, time); integer formats round to the nearest level, and clamp.

        Raises:
            AudioError: on another number of channels, samples that are not finite in an integer format, or a full disk.
        """
        if block.ndim != 2 or len(block) != self.channels:
            raise AudioError(f"{self.name}: block has shape {block.shape}, expected ({self.channels}, time)")
        self.frames += block.shape[-1]
        if too_long(self.format, self.frames, self.channels):
            raise AudioError(f"{self.name}: {self.format.container} holds up to {FOUR_GIGABYTES >> 20} MB: name it .w64 or .caf")
        stored = self._stored(block)
        if not stored.size:
            return
        try:
            self._file.write(stored)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise AudioError(f"{self.name}: writing failed after {self.frames} samples: is the disk full?") from error

    def keep_tags(self, tags: Mapping[str, str]) -> None:
        """Write title, artist, ...: before the first block."""
        lost = []
        for name, text in tags.items():
            if name in LOST_TAGS.get(self.format.container, ()) or (self.format.container == "MP3" and not text.isascii()):
                lost.append(name)
            else:
                setattr(self._file, name, text)
        if lost:
            where = "a pipe" if self.format.container == STREAM else self.format.container
            self.warnings.append(f"{where} cannot hold: {', '.join(lost)}")

    def _stored(self, block: np.ndarray) -> np.ndarray:
        """(channel, time) -> (time, channel): float32, or int32 with the level in the upper bits."""
        bits = BITS.get(self.format.subtype)
        if bits is None:
            return np.ascontiguousarray(block.T, np.float32)
        if not np.isfinite(block).all():
            raise AudioError(f"{self.name}: samples that are not finite cannot stand in {self.format.subtype}")
        self.clamped += int(np.count_nonzero(np.abs(block) > 1))
        full = 2.0 ** (bits - 1)
        lowest = 1 - full if self.format.subtype in COMPANDED else -full  # libsndfile turns the very lowest into the highest there
        levels = np.rint(block.T.astype(np.float64) * full).clip(lowest, full - 1)
        return np.ascontiguousarray(levels, np.int32) << (32 - bits)


@contextmanager
def writing(
    path: str | os.PathLike[str],
    sample_rate: int,
    channels: int,
    source: Format | None = None,
    tags: Mapping[str, str] | None = None,
    frames: int | None = None,
) -> Iterator[Writer]:
    """A new sound file, or ("-") WAV on the standard output. It replaces what has its name, at the end and only on success.

    Args:
        source: the format to keep as far as the name's suffix allows; WAV with float samples by default.
        frames: samples of a channel to expect, where known: a WAV beyond 4 GB becomes an RF64.

    Raises:
        AudioError: where the format cannot hold this sound, or the file cannot be written.
    """
    name = os.fspath(path)
    format = fitting(name, sample_rate, channels, source or Format(), frames)
    if name == "-":
        let_wait(sys.stdout.buffer)
        writer = Writer(WavPipeWriter(sys.stdout.buffer, sample_rate, channels, format.subtype), "standard output", channels, format)
        writer.keep_tags(tags or {})
        yield writer
        sys.stdout.buffer.flush()
        return
    with replacement(path) as temporary:
        try:
            file = SequentialFile(
                _native(temporary),
                "w",
                sample_rate,
                channels,
                format.subtype,
                format.endian,
                format.container,
                compression_level=QUALITY.get(format.subtype),
            )
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{name}: cannot be written ({_reason(error)})") from error
        with file:
            writer = Writer(file, name, channels, format)
            writer.keep_tags(tags or {})
            yield writer
        if not writer.frames:
            _finish_empty(temporary, name, sample_rate, channels, format)


@contextmanager
def replacement(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name in the folder of `path`; what is written there gets the name `path` on success, and is removed otherwise.

    Raises:
        AudioError: where `path` is no regular file, or the folder cannot be written to.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise AudioError(f"{path}: exists and is no regular file")
    temporary = path.parent / f".sgaudio-{secrets.token_hex(8)}.part"
    try:  # from before the file exists: an interruption may come while it is made
        try:
            temporary.touch(exist_ok=False)
        except OSError as error:
            raise AudioError(f"{path}: cannot be written ({_reason(error)})") from error
        yield temporary
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def let_wait(stream: BinaryIO) -> None:
    """A pipe that another program set not to wait would give short reads, and fail on writes."""
    if hasattr(os, "set_blocking"):  # Windows has no such pipes
        os.set_blocking(stream.fileno(), True)


class Header(NamedTuple):
    """What a file says of itself: its rate in Hz, and its samples of a channel."""

    sample_rate: int
    channels: int
    samples: int


def read_header(path: str | os.PathLike[str]) -> Header:
    """Rate, channels and length of a file. One that does not say how long it is is read to its end.

    Raises:
        AudioError: where this is no sound that can be read.
    """
    with Reader(path) as reader:
        samples = sum(block.shape[-1] for block in reader.blocks()) if reader.frames is None else reader.frames
        return Header(reader.sample_rate, reader.channels, samples)


def read(path: str | os.PathLike[str], start: int = 0, stop: int | None = None) -> tuple[np.ndarray, int]:
    """The sound of a file: float32 (channel, time), full scale at 1, and its sample rate in Hz. Warns where it is truncated.

    Args:
        start, stop: the samples to read, all by default; no more is decoded than them.

    Raises:
        AudioError: where this is no sound that can be read, or it ends before `stop`.
    """
    with Reader(path) as reader:
        blocks = list(reader.blocks(BLOCK, start, stop))
        for line in reader.warnings:
            warnings.warn(f"{reader.name}: {line}", stacklevel=2)
        return np.concatenate([np.zeros((reader.channels, 0), np.float32), *blocks], axis=1), reader.sample_rate


def write(
    path: str | os.PathLike[str],
    waveform: Any,
    sample_rate: int,
    *,
    subtype: str | None = None,
    like: str | os.PathLike[str] | None = None,
) -> None:
    """Write an array or a tensor, (time) or (channel, time), to a file whose suffix says the container.

    Args:
        sample_rate: in Hz.
        subtype: the sample format: "PCM_16", "PCM_24", "FLOAT" (default), ...; the nearest one that the container holds is taken.
        like: a file whose sample format and tags are kept instead.

    Warns where samples beyond full scale were clamped, or tags lost.

    Raises:
        AudioError: where the format cannot hold this sound, or the file cannot be written.
    """
    samples = np.asarray(waveform.detach().cpu() if hasattr(waveform, "detach") else waveform, np.float32)
    samples = samples[None] if samples.ndim == 1 else samples
    source, tags = Format(subtype=subtype or "FLOAT"), {}
    if like is not None:
        with Reader(like) as reader:
            source, tags = reader.format, reader.tags
    with writing(path, sample_rate, len(samples), source, tags, samples.shape[-1]) as writer:
        for start in range(0, samples.shape[-1], BLOCK):
            writer.write(samples[:, start : start + BLOCK])
    lines = writer.warnings + ([f"samples beyond full scale clamped: {writer.clamped}"] if writer.clamped else [])
    for line in lines:
        warnings.warn(f"{writer.name}: {line}", stacklevel=2)


def _finish_empty(temporary: Path, name: str, sample_rate: int, channels: int, format: Format) -> None:
    """libsndfile writes nothing, or nothing valid, where an encoder was given no sample."""
    if format.subtype in ("MPEG_LAYER_III", "OPUS"):
        raise AudioError(f"{name}: {format.container} cannot hold a recording of no samples: name it .wav")
    if format.container == "FLAC":  # RFC 9639, section 8.2: one block of stream information
        sizes = (4096).to_bytes(2) * 2 + bytes(6)
        sound = (sample_rate << 44 | (channels - 1) << 41 | (BITS[format.subtype] - 1) << 36).to_bytes(8)
        temporary.write_bytes(b"fLaC" + b"\x80\0\0\x22" + sizes + sound + bytes(16))


def _native(path: Path) -> Any:
    """A name as soundfile passes it on unharmed, also where it is no valid text."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def _reason(error: Exception) -> str:
    """What the system or libsndfile says, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
