"""A zip as torch.save writes it: entries stored as they are, one beside the other, in one folder. Nothing else is read.

PKWARE, APPNOTE.TXT 6.3.10: 4.3.7 (header of an entry), 4.3.12 (directory), 4.3.16 (end). Python's zipfile reads more: it lets entries
overlap, inflates what is deflated, and has built a million entries before one could count them.
"""

import os
import struct
import zlib
from pathlib import PureWindowsPath
from typing import Any, BinaryIO, NamedTuple

from sgaudio.errors import CheckpointError

MOST_BYTES = 4 * 1024**3 - 2  # of a file, what fits without zip64; 65.6 M weights, their average and optimiser take 1.3 GB
MOST_ENTRIES = 20_000  # the same file has 4000
MOST_DIRECTORY_BYTES = 200 * MOST_ENTRIES
HEADER = struct.Struct("<4s5H3I2H")
DIRECTORY = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
FLAGS = 0x0808  # sizes follow the entry, its name is UTF-8: all that torch.save sets
LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46"  # torch.serialization.MAGIC_NUMBER, pickled


class Entry(NamedTuple):
    """Bytes from `start` on, behind a header at `header`; `stored` as they are, or compressed or encrypted."""

    header: int
    start: int
    size: int
    checksum: int
    stored: bool


class Archive:
    """The entries of a file of torch.save by their names inside of its folder: 'data.pkl', 'data/0', ...

    Args:
        file: binary, seekable; entries are read from it when they are asked for.

    Raises:
        CheckpointError: on another kind of file; the message lacks the file's name.
        ValueError: on a file of the right kind that torch.save did not write so.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.length = file.seek(0, os.SEEK_END)
        if self.length > MOST_BYTES:
            raise CheckpointError(f"{self.length} bytes, {MOST_BYTES} are read at most: save it again without its 'optimizer_states'")
        start = bytes(self._bytes(0, min(len(LEGACY), self.length)))
        if start == LEGACY:
            raise CheckpointError("in the format before torch 1.6, not read here: save it again with a newer torch, where you trust it")
        if not start.startswith(b"PK\3\4"):
            found = "no zip" if start else "an empty file"
            raise CheckpointError(f"{found}, but a checkpoint of PyTorch is a zip: give the .ckpt or .pt that training wrote")
        entries = self._directory()
        roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if any(f"{root}constants.pkl" in entries for root in roots):
            raise CheckpointError("a TorchScript archive, which is a program: give the checkpoint that training wrote")
        if len(roots) != 1:
            raise CheckpointError(f"a zip with {len(roots)} checkpoints in it, expected one: unpack it and give the .ckpt inside")
        if not all(entry.stored for entry in entries.values()):
            raise CheckpointError(
                "a compressed or encrypted zip, which torch.save never writes: unpack it, zip its folder with 'zip -0 -r'"
            )
        self._entries = {name.removeprefix(roots[0]): entry for name, entry in entries.items()}

    def size(self, name: str) -> int | None:
        """Bytes of an entry; None where there is none of that name."""
        return self._entries[name].size if name in self._entries else None

    def read(self, name: str) -> bytearray:
        """The bytes of an entry, checked against its checksum."""
        entry = self._entries[name]
        data = self._bytes(entry.start, entry.size)
        if zlib.crc32(data) != entry.checksum:
            raise ValueError(f"its entry {name!r:.80} does not match its checksum")
        return data

    def _directory(self) -> dict[str, Entry]:
        """All entries by their full names."""
        _, _, _, count, size, first, _ = self._record(END, b"PK\5\6", max(0, self.length - END.size))
        if count > MOST_ENTRIES or size > MOST_DIRECTORY_BYTES:
            raise ValueError(f"{count} entries in a directory of {size} bytes, at most {MOST_ENTRIES} in {MOST_DIRECTORY_BYTES} are read")
        entries, at = {}, first
        for _ in range(count):
            fields = self._record(DIRECTORY, b"PK\1\2", at)
            _, _, flags, method, _, _, checksum, stored, length, *lengths, _, _, _, header = fields
            name = bytes(self._bytes(at + DIRECTORY.size, lengths[0]))
            *_, name_length, extra = self._record(HEADER, b"PK\3\4", header)
            start = header + HEADER.size + name_length + extra
            text = name.decode()
            if self._bytes(header + HEADER.size, name_length) != name or text in entries:
                raise ValueError(f"its entry {text!r:.80} has two names, or another entry has the same")
            if PureWindowsPath(text).anchor or ".." in PureWindowsPath(text).parts:
                raise ValueError(f"its entry {text!r:.80} wants to lie outside of the archive")
            entries[text] = Entry(header, start, stored, checksum, not method and not flags & ~FLAGS and stored == length)
            at += DIRECTORY.size + sum(lengths)
        if at != first + size:
            raise ValueError(f"its directory has {at - first} bytes, {size} are announced")
        free = 0
        for name, entry in sorted(entries.items(), key=lambda item: item[1]):
            if entry.header < free or entry.start + entry.size > first:
                raise ValueError(f"its entry {name!r:.80} overlaps what stands beside it")
            free = entry.start + entry.size
        return entries

    def _record(self, layout: struct.Struct, signature: bytes, start: int) -> tuple[Any, ...]:
        """The fields of a record of the zip, after its signature."""
        found, *fields = layout.unpack(self._bytes(start, layout.size))
        if found != signature:
            raise ValueError(f"no record {signature!r} at byte {start}, half a file?")
        return tuple(fields)

    def _bytes(self, start: int, size: int) -> bytearray:
        if start + size > self.length:
            raise ValueError(f"{self.length} bytes, {start + size} needed, half a file?")
        self._file.seek(start)
        data = bytearray(self._file.read(size))
        if len(data) != size:
            raise ValueError("it changed while it was read")
        return data
