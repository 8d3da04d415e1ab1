"""Copies of sound that went through a lossy codec, prepared ahead by libsndfile: training on what calls and archives hold.

Codecs run on the CPU, so a mixture made on the device cannot be coded. What is coded is the speech as it was heard, before noise is added;
the clean speech stays what is to come out. `data.codecs` names the codecs of which `sgaudio.training.mixtures` lays a copy behind the
speech, beside the same target.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile

from sgaudio.audio.formats import LIMITS
from sgaudio.audio.resampling import resample
from sgaudio.errors import ConfigError
from sgaudio.registry import Registry
from sgaudio.training.data import as_int16, side_by_side

PIECE = 20  # seconds that are coded alike
BLOCK = 65_536  # samples: libsndfile 1.2.2 crashes where it is given much at once to make Vorbis of


@dataclass(frozen=True)
class Codec:
    """A codec as libsndfile knows it.

    Args:
        container, subtype: its names there.
        levels: compression levels (0 best, 1 smallest) to draw from. At 16 kHz they make 58 to 16 kbit/s of MP3, 25 to 13 of Opus, and
            44 to 29 of Vorbis.
        mode: how MP3 spends its bits.
    """

    container: str
    subtype: str
    levels: tuple[float, ...]
    mode: str | None = None


CODECS = Registry[Codec](
    "codec",
    {
        "mp3": Codec("MP3", "MPEG_LAYER_III", (0.7, 0.8, 0.9, 0.95), "CONSTANT"),
        "opus": Codec("OGG", "OPUS", (0.93, 0.95, 0.97, 0.98)),
        "vorbis": Codec("OGG", "VORBIS", (0.6, 0.8, 0.9, 1.0)),
    },
)


def coded_copies(sound: np.ndarray, sample_rate: int, kinds: Sequence[str], seed: int) -> np.ndarray:
    """A copy of a sound for each codec, in pieces each of which has a level of its own: a function of the arguments alone.

    Args:
        sound: int16 (time).
        sample_rate: in Hz.
        kinds: names in `CODECS`.

    Returns:
        int16 (codec, time), aligned with the sound within a sample.

    Raises:
        ConfigError: on a codec that is unknown, or that this libsndfile does not have.
    """
    generator = np.random.default_rng(seed)
    pieces = np.array_split(sound, max(1, math.ceil(len(sound) / (PIECE * sample_rate))))
    copies = np.empty((len(kinds), len(sound)), np.int16)
    for copy, kind in zip(copies, kinds, strict=True):
        levels = generator.choice(CODECS[kind].levels, len(pieces))
        work = [(piece, kind, float(level)) for piece, level in zip(pieces, levels, strict=True)]
        copy[:] = np.concatenate(side_by_side(lambda each: coded(each[0], sample_rate, *each[1:]), work))
    return copies


def coded(sound: np.ndarray, sample_rate: int, kind: str, level: float) -> np.ndarray:
    """A sound after a codec, int16 (time) as it came; at a rate that the codec does not know, by way of the next higher one.

    Raises:
        ConfigError: on a codec that is unknown, or that this libsndfile does not have.
    """
    if not len(sound):
        return sound
    rate = coding_rate(kind, sample_rate)
    there = resample(sound.astype(np.float32) / 32768, sample_rate, rate)
    heard = _aligned(_through(there, rate, kind, level), delay(kind, level, rate), len(there))
    return _aligned(as_int16(resample(heard, rate, sample_rate)), 0, len(sound))


def coding_rate(kind: str, sample_rate: int) -> int:
    """The rate itself where the codec knows it, else the next higher one, else its highest."""
    codec = CODECS[kind]
    rates = LIMITS[codec.container, codec.subtype].rates
    return sample_rate if sample_rate in rates else min((rate for rate in rates if rate > sample_rate), default=max(rates))


@lru_cache
def delay(kind: str, level: float, sample_rate: int) -> int:
    """Samples by which a codec delays sound, negative where it comes early: measured on a second of noise, by cross-correlation.

    libsndfile cuts a codec's delay where the file says how long it is; MP3 of few bits does not.
    """
    steps = np.random.default_rng(0).standard_normal(sample_rate)
    probe = np.convolve(steps, 0.8 ** np.arange(32))[:sample_rate].astype(np.float32) / 16  # brighter below than above, like speech
    heard = _through(probe, sample_rate, kind, level)
    size = 2 * max(len(probe), len(heard))
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(probe, size).conj(), size)
    lag = int(match.argmax())
    return lag if lag < size // 2 else lag - size


def _through(sound: np.ndarray, sample_rate: int, kind: str, level: float) -> np.ndarray:
    """Encoded and decoded: float32 (time), as it comes."""
    codec = CODECS[kind]
    if codec.subtype not in soundfile.available_subtypes(codec.container):
        raise ConfigError(f"codec {kind!r}: libsndfile {soundfile.__libsndfile_version__} was built without it: pip install -U soundfile")
    memory = io.BytesIO()
    with soundfile.SoundFile(
        memory, "w", sample_rate, 1, codec.subtype, format=codec.container, compression_level=level, bitrate_mode=codec.mode
    ) as file:
        for start in range(0, len(sound), BLOCK):
            file.write(sound[start : start + BLOCK])
    memory.seek(0)
    return soundfile.read(memory, dtype="float32")[0]


def _aligned(sound: np.ndarray, delay: int, length: int) -> np.ndarray:
    """`length` samples from `delay` on; silence where nothing is."""
    sound = np.pad(sound, (max(0, -delay), 0))[max(0, delay) :][:length]
    return np.pad(sound, (0, length - len(sound)))
