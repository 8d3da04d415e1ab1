"""WAV through pipes: of a length that the header does not know, read and written without ever seeking.

libsndfile writes no WAV into a pipe, and takes a size of 0 in one that it reads for the truth.
"""

import struct
from typing import BinaryIO

import numpy as np

from sgaudio.audio.formats import BITS
from sgaudio.audio.headers import UNCLOSED, is_streamed
from sgaudio.errors import AudioError

INTEGER, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # format tags
SUBTYPES = {
    (INTEGER, 8): "PCM_U8",
    (INTEGER, 16): "PCM_16",
    (INTEGER, 24): "PCM_24",
    (INTEGER, 32): "PCM_32",
    (FLOAT, 32): "FLOAT",
    (FLOAT, 64): "DOUBLE",
}
CODES = {subtype: code for code, subtype in SUBTYPES.items()}
LONGEST_FORMAT = 1024  # bytes; the standard ones have 16 to 40


class WavPipeReader:
    """WAV from a stream of bytes: the part of `soundfile.SoundFile` that reading in blocks needs.

    Attributes:
        frames: how many the header claims, None where it leaves that open.
    """

    def __init__(self, stream: BinaryIO, name: str):
        self.stream, self.name = stream, name
        self._header()

    def read(self, frames: int) -> np.ndarray:
        """The next samples, (time, channel) float32; fewer than `frames` at the end only."""
        if self._left is not None:
            frames = min(frames, self._left // self._frame_bytes)
        raw = self._take(frames * self._frame_bytes)
        if self._left is not None:
            self._left -= len(raw)
        raw = raw[: len(raw) // self._frame_bytes * self._frame_bytes]
        return _decoded(raw, self.subtype).reshape(-1, self.channels)

    def _header(self) -> None:
        form = self._exactly(12)
        if form[:4] != b"RIFF" or form[8:] != b"WAVE":
            raise AudioError(f"{self.name}: not a WAV stream (starts with {form[:4]!r}): only WAV is read from a pipe")
        code = None
        while True:
            name, size = struct.unpack("<4sI", self._exactly(8))
            if name == b"data":
                break
            if name == b"fmt " and size > LONGEST_FORMAT:
                raise AudioError(f"{self.name}: a WAV header with {size} bytes of format, at most {LONGEST_FORMAT} expected")
            body = self._exactly(size + size % 2, keep=name == b"fmt ")
            if name == b"fmt ":
                code = self._format(body)
        if code not in SUBTYPES or self._frame_bytes != self.channels * code[1] // 8 or not self.channels:
            raise AudioError(f"{self.name}: a WAV stream of another kind than 8, 16, 24, 32 bits or float")
        self.subtype = SUBTYPES[code]
        unknown = size == UNCLOSED or is_streamed(size)
        self._left = None if unknown else size
        self.frames = None if unknown else size // self._frame_bytes

    def _format(self, body: bytes) -> tuple[int, int]:
        """(format tag, bits) of a format chunk."""
        tag, self.channels, self.samplerate, _, self._frame_bytes, bits = struct.unpack("<HHIIHH", body[:16].ljust(16, b"\0"))
        return (struct.unpack("<H", body[24:26])[0] if tag == EXTENSIBLE and len(body) >= 26 else tag), bits

    def _exactly(self, size: int, keep: bool = True) -> bytes:
        kept, missing = b"", size
        while missing:
            part = self._take(min(missing, 65_536))
            if not part:
                raise AudioError(f"{self.name}: half a WAV header (the stream ends {missing} bytes too soon)")
            missing -= len(part)
            if keep:
                kept += part
        return kept

    def _take(self, size: int) -> bytes:
        """`size` bytes, fewer at the end only, however short the reads of the stream are."""
        parts = []
        while size > 0 and (part := self.stream.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class WavPipeWriter:
    """WAV into a stream of bytes: the part of `soundfile.SoundFile` that writing in blocks needs."""

    def __init__(self, stream: BinaryIO, sample_rate: int, channels: int, subtype: str):
        self.stream, self.subtype = stream, subtype
        tag, bits = CODES[subtype]
        frame_bytes = channels * bits // 8
        rate_bytes = min(sample_rate * frame_bytes, 0xFFFF_FFFF)
        header = struct.pack("<4sI4s", b"RIFF", 0xFFFF_FFFF, b"WAVE")
        header += struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, sample_rate, rate_bytes, frame_bytes, bits)
        self.stream.write(header + struct.pack("<4sI", b"data", 0xFFFF_FFFF))

    def write(self, samples: np.ndarray) -> None:
        """Samples (time, channel): float32, or int32 with the value in the upper bits."""
        self.stream.write(_encoded(samples, self.subtype))


def _decoded(raw: bytes, subtype: str) -> np.ndarray:
    """Bytes of whole samples -> float32, full scale at 1."""
    if subtype == "FLOAT":
        return np.frombuffer(raw, "<f4").astype(np.float32)
    if subtype == "DOUBLE":
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and counted as such
            return np.frombuffer(raw, "<f8").astype(np.float32)
    size = BITS[subtype] // 8
    upper = np.zeros((len(raw) // size, 4), np.uint8)
    upper[:, 4 - size :] = np.frombuffer(raw, np.uint8).reshape(-1, size)
    if subtype == "PCM_U8":
        upper[:, 3] ^= 0x80
    return upper.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)


def _encoded(samples: np.ndarray, subtype: str) -> bytes:
    if subtype in ("FLOAT", "DOUBLE"):
        return samples.astype("<f4" if subtype == "FLOAT" else "<f8").tobytes()
    size = BITS[subtype] // 8
    upper = np.ascontiguousarray(samples, "<i4").view(np.uint8).reshape(-1, 4)[:, 4 - size :].copy()
    if subtype == "PCM_U8":
        upper ^= 0x80
    return upper.tobytes()
