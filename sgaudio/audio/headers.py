"""What the header of a chunked file (WAV, RF64, W64, AIFF, CAF) claims about its sound, against what the file holds.

libsndfile silently reads what is there; the loss is seen here.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

UNCLOSED = 0  # what a recorder that was cut off leaves as the size
LONGEST_PAGE = 65_307  # bytes of an Ogg page
MOST_CHUNKS = 1000  # before the sound; beyond is no audio file
STREAMED = (range(0x7FFF_F000, 0x8000_0001), range(0xFFFF_F000, 0x1_0000_0000))  # what programs write into pipes as the size


@dataclass(frozen=True)
class Layout:
    """How chunks follow each other: a head (name, size), a body, padding."""

    container: str
    first: int  # byte where the first chunk starts
    head: str  # of a chunk, for struct
    data: bytes  # how the name of the chunk with the sound starts
    lead: int  # bytes of its body before the sound
    padding: int  # bodies end at multiples of it
    shortest: int  # bytes of the shortest header
    size_holds_head: bool = False


LAYOUTS = {
    b"RIFF": Layout("WAV", 12, "<4sI", b"data", 0, 2, 44),
    b"RIFX": Layout("WAV", 12, ">4sI", b"data", 0, 2, 44),
    b"RF64": Layout("RF64", 12, "<4sI", b"data", 0, 2, 80),
    b"FORM": Layout("AIFF", 12, ">4sI", b"SSND", 8, 2, 54),
    b"caff": Layout("CAF", 8, ">4sq", b"data", 4, 1, 68),
    b"riff": Layout("W64", 40, "<16sq", b"data", 0, 8, 112, size_holds_head=True),
}


@dataclass(frozen=True)
class Claim:
    """Where the sound starts (in half a header: how many bytes a whole one needs), its size by the header, the size of the file.

    `sample_rate` is that of WAV and its kin, None where it was not found.
    """

    container: str
    start: int
    size: int
    file_size: int
    followed_by_chunk: bool = False
    sample_rate: int | None = None

    @property
    def is_half(self) -> bool:
        return self.start > self.file_size

    @property
    def present(self) -> int:
        """Bytes from the start of the sound to the end of the file."""
        return max(0, self.file_size - self.start)

    @property
    def is_unknown(self) -> bool:
        """Whether the header leaves open how long the sound is, as in a WAV written through a pipe or never closed."""
        if self.container != "WAV" or self.is_half or not self.present:
            return False
        return (self.size == UNCLOSED and not self.followed_by_chunk) or (self.size > self.present and is_streamed(self.size))

    @property
    def is_truncated(self) -> bool:
        return not self.is_half and not self.is_unknown and self.size > self.present


def is_streamed(size: int) -> bool:
    """Whether a 32-bit size is one that says: until the end."""
    return any(size in sizes for sizes in STREAMED)


def claim(file: BinaryIO, file_size: int) -> Claim | None:
    """The claim of a file from its start; None where it is no chunked container, or where its sound is not found."""
    layout = LAYOUTS.get(file.read(4))
    return layout and _walk(file, layout, file_size)


def _walk(file: BinaryIO, layout: Layout, file_size: int) -> Claim | None:
    position, long_size, sample_rate = layout.first, None, None
    head_size = struct.calcsize(layout.head)
    for _ in range(MOST_CHUNKS):
        file.seek(position)
        head = file.read(head_size)
        if len(head) < head_size:
            return Claim(layout.container, max(layout.shortest, position + head_size), 0, file_size)
        name, size = struct.unpack(layout.head, head)
        size = max(0, size - head_size if layout.size_holds_head else size)
        if name == b"ds64":
            _, long_size = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        if name.startswith(b"fmt "):
            (sample_rate,) = struct.unpack(layout.head[0] + "4xI", file.read(8).ljust(8, b"\0"))
        if name.startswith(layout.data):
            start = position + head_size + layout.lead
            size = long_size if long_size is not None and size == 0xFFFF_FFFF else max(0, size - layout.lead)
            return Claim(layout.container, start, size, file_size, _is_chunk(file, layout, start, file_size), sample_rate)
        position += head_size + size + -size % layout.padding
    return None


def _is_chunk(file: BinaryIO, layout: Layout, position: int, file_size: int) -> bool:
    """Whether a chunk, and not sound, starts at this byte."""
    file.seek(position)
    head = file.read(struct.calcsize(layout.head))
    if len(head) < struct.calcsize(layout.head):
        return False
    name, size = struct.unpack(layout.head, head)
    return name[:4].isascii() and name[:4].decode().isprintable() and size <= file_size - position - len(head)


def is_cut_ogg(file: BinaryIO, file_size: int) -> bool:
    """Whether an Ogg file ends without its last page whole (RFC 3533, section 6: the header of a page)."""
    file.seek(max(0, file_size - LONGEST_PAGE))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    is_last = page[5] & 4
    return not is_last or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
