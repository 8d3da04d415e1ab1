"""Which container holds which sample format, and what is taken where it cannot hold what comes.

Containers and sample formats (subtypes) have libsndfile's names. What stands in no table here is not read either.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath

from sgaudio.errors import AudioError, ConfigError
from sgaudio.registry import nearest

RATES = range(1_000, 768_001)  # Hz, that sound may have
STREAM = "STREAM"  # WAV of unknown length, through a pipe
SUFFIXES = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".rf64": "RF64",
    ".w64": "W64",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".caf": "CAF",
}
PLAIN = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
COMPANDED = ("ULAW", "ALAW")
HOLDS = {
    "WAV": ("PCM_U8", *PLAIN, *COMPANDED),
    "WAVEX": ("PCM_U8", *PLAIN, *COMPANDED),
    "RF64": ("PCM_U8", *PLAIN, *COMPANDED),
    "W64": ("PCM_U8", *PLAIN, *COMPANDED),
    "AIFF": ("PCM_S8", "PCM_U8", *PLAIN, *COMPANDED),
    "CAF": ("PCM_S8", *PLAIN, *COMPANDED, "ALAC_16"),  # ALAC of more bits comes out of libsndfile 1.2.2 damaged where it is loud
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
    STREAM: ("PCM_U8", *PLAIN),
}
ONLY_READ = {"MP3": ("MPEG_LAYER_I", "MPEG_LAYER_II")}
NEAREST = {  # before 16 bits, where a container does not hold the sample format itself
    "PCM_U8": ("PCM_S8",),
    "PCM_S8": ("PCM_U8",),
    "PCM_32": ("PCM_24",),
    "FLOAT": ("PCM_24",),
    "DOUBLE": ("FLOAT", "PCM_24"),
}
BITS = {  # of the integer formats
    "PCM_U8": 8,
    "PCM_S8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "ULAW": 16,
    "ALAW": 16,
    "ALAC_16": 16,
}
ALL_TAGS = frozenset(("title", "copyright", "artist", "comment", "date", "album", "license", "tracknumber", "genre"))
LOST_TAGS = {
    "WAV": {"license"},
    "WAVEX": {"license"},
    "RF64": {"license"},
    "AIFF": {"album", "date", "genre", "license", "tracknumber"},
    "MP3": {"copyright", "license"},
    "W64": ALL_TAGS,
    STREAM: ALL_TAGS,
}
FOUR_GIGABYTES = 2**32 - 2**20  # less some room for the header


@dataclass(frozen=True)
class Limit:
    """The sample rates (Hz) and the most channels that a codec holds."""

    codec: str
    rates: Collection[int]
    channels: int

    def __str__(self) -> str:
        rates = f"up to {self.rates[-1]}" if isinstance(self.rates, range) else ", ".join(map(str, self.rates))
        return f"{self.codec} holds {rates} Hz and up to {self.channels} channels"


MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
LIMITS = {
    ("OGG", "OPUS"): Limit("Opus", (8_000, 12_000, 16_000, 24_000, 48_000), 255),
    ("OGG", "VORBIS"): Limit("Vorbis", range(1, 200_001), 255),  # libsndfile 1.2.2 crashes beyond
    ("MP3", "MPEG_LAYER_III"): Limit("MP3", MP3_RATES, 2),
    **{("FLAC", subtype): Limit("FLAC", range(1, 655_351), 8) for subtype in HOLDS["FLAC"]},
    ("CAF", "ALAC_16"): Limit("ALAC", range(1, 768_001), 8),
}


@dataclass(frozen=True)
class Format:
    """How samples stand in a file."""

    container: str = "WAV"
    subtype: str = "FLOAT"
    endian: str = "FILE"

    @property
    def readable(self) -> bool:
        return self.subtype in (*HOLDS.get(self.container, ()), *ONLY_READ.get(self.container, ()))

    def frame_bytes(self, channels: int) -> int:
        """Bytes of one sample of all channels, where nothing is compressed."""
        bits = {"FLOAT": 32, "DOUBLE": 64, "ULAW": 8, "ALAW": 8}.get(self.subtype) or BITS[self.subtype]
        return channels * bits // 8


def is_audio(path: PurePath) -> bool:
    """Whether the name ends like one of the formats that are read and written."""
    return path.suffix.lower() in SUFFIXES


def fitting(path: str, sample_rate: int, channels: int, source: Format, frames: int | None = None) -> Format:
    """The format of a new file: the suffix says the container, and of `source` is kept what it can hold. "-" is a WAV stream.

    Raises:
        AudioError: where the format that the name asks for cannot hold this sound; the message names one that can.
        ConfigError: on a sample format that does not exist.
    """
    known = {subtype for subtypes in (*HOLDS.values(), *ONLY_READ.values()) for subtype in subtypes}
    if source.subtype not in known:
        raise ConfigError(f"unknown sample format {source.subtype!r}: {nearest(source.subtype, known)}")
    suffix = PurePath(path).suffix.lower()
    container = STREAM if path == "-" else SUFFIXES.get(suffix, source.container)
    if container == "WAV" and source.container in ("WAVEX", "RF64"):
        container = source.container
    if suffix == ".opus":
        subtype = "OPUS"
    else:
        wishes = (source.subtype, *NEAREST.get(source.subtype, ()), "PCM_16", HOLDS[container][0])
        subtype = next(wish for wish in wishes if wish in HOLDS[container])
    endian = source.endian if (container, subtype) == (source.container, source.subtype) else "FILE"
    limit = LIMITS.get((container, subtype))
    if limit and (sample_rate not in limit.rates or channels > limit.channels):
        other = ".flac" if container != "FLAC" and channels <= 8 and sample_rate <= 655_350 else ".wav"
        raise AudioError(f"{path}: {limit}; this has {sample_rate} Hz and {channels}: name it {other}")
    if frames is not None and too_long(format := Format(container, subtype, endian), frames, channels):
        if container == "AIFF":
            raise AudioError(f"{path}: AIFF holds up to 4 GB of samples: name it .caf")
        return Format("RF64", format.subtype)
    return Format(container, subtype, endian)


def too_long(format: Format, frames: int, channels: int) -> bool:
    """Whether the sound needs more than the 4 GB that the sizes in this container can say."""
    return format.container in ("WAV", "WAVEX", "AIFF") and frames * format.frame_bytes(channels) > FOUR_GIGABYTES
