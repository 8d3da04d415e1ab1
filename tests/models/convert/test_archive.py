import io
import os
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import CheckpointError
from sgaudio.models.convert.archive import MOST_BYTES, MOST_ENTRIES, Archive

ENTRIES = {"a/data.pkl": b"N.", "a/data/0": b"12345678", "a/data/1": b""}


def header(name, data):
    return struct.pack("<4s5H3I2H", b"PK\3\4", 0, 0, 0, 0, 0, zlib.crc32(data), len(data), len(data), len(name), 0) + name.encode()


def listed(name, data, place, flags=0, method=0, stored=None, size=None):
    sizes = len(data) if stored is None else stored, len(data) if size is None else size
    numbers = (0, 0, flags, method, 0, 0, zlib.crc32(data), *sizes, len(name), 0, 0, 0, 0, 0, place)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers) + name.encode()


def zipped(body, directory, count):
    return body + b"".join(directory) + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, sum(map(len, directory)), len(body), 0)


def made(entries=ENTRIES, twice=(), **changes):
    """A zip of these entries, each listed with these changes, some twice."""
    body, directory = b"", []
    for name, data in entries.items():
        directory += [listed(name, data, len(body), **changes)] * (2 if name in twice else 1)
        body += header(name, data) + data
    return zipped(body, directory, len(directory))


def opened(data):
    return Archive(io.BytesIO(data))


def test_entries_are_read_as_they_were_written():
    archive = opened(made())
    assert [archive.read(name) for name in ("data.pkl", "data/0", "data/1")] == list(ENTRIES.values())
    assert archive.size("data/0") == 8
    assert archive.size("data/2") is None


def test_a_zip_of_another_program_is_read_too():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.mkdir("a")
        for name, data in ENTRIES.items():
            archive.writestr(name, data)
    assert opened(file.getvalue()).read("data/0") == b"12345678"


@pytest.mark.parametrize("name", ["/etc/passwd", "a/../../b", "..", "C:\\b", "c:b", "a\\..\\..\\b", "//host/b", "\\b"])
def test_no_entry_lies_outside(name):
    with pytest.raises(ValueError, match="outside of the archive"):
        opened(made(ENTRIES | {name: b""}))


def test_no_two_entries_have_one_name():
    with pytest.raises(ValueError, match="another entry has the same"):
        opened(made(twice=["a/data/0"]))


def test_no_entry_has_two_names():
    with pytest.raises(ValueError, match="has two names"):
        opened(made().replace(b"a/data/0", b"a/data/9", 1))


def test_no_entry_lies_in_another():
    inner = header("a/data/1", b"12") + b"12"
    outer = header("a/data/0", inner)
    body = header("a/data.pkl", b"N.") + b"N."
    directory = [listed("a/data.pkl", b"N.", 0), listed("a/data/0", inner, len(body)), listed("a/data/1", b"12", len(body) + len(outer))]
    with pytest.raises(ValueError, match="'a/data/1' overlaps"):
        opened(zipped(body + outer + inner, directory, 3))


@pytest.mark.parametrize("size", [100, 2**32 - 1])
def test_no_entry_reaches_over_its_end(size):
    with pytest.raises(ValueError, match="overlaps"):
        opened(made({"a/data.pkl": b"N."}, stored=size, size=size))


def test_no_entry_starts_behind_the_file():
    with pytest.raises(ValueError, match="half a file"):
        opened(zipped(header("a/data.pkl", b"N.") + b"N.", [listed("a/data.pkl", b"N.", 2**31)], 1))


@pytest.mark.parametrize("changes", [{"method": 8}, {"method": 99}, {"flags": 1}, {"flags": 0x40}, {"size": 2**30}])
def test_what_is_compressed_or_encrypted_is_refused(changes):
    with pytest.raises(CheckpointError, match="compressed or encrypted"):
        opened(made(**changes))


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(ValueError, match="utf-8"):
        opened(made().replace(b"a/data/0", b"a/data/\xff"))


@pytest.mark.parametrize("count", [MOST_ENTRIES + 1, 0xFFFF])
def test_many_entries_are_refused_before_they_are_read(count):
    with pytest.raises(ValueError, match=f"{count} entries"):
        opened(zipped(header("a/data.pkl", b"N.") + b"N.", [], count))


def test_a_large_directory_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match="0 entries in a directory of 4000001 bytes"):
        opened(zipped(header("a/data.pkl", b"N.") + b"N.", [bytes(4_000_001)], 0))


def test_a_directory_of_another_size_is_refused():
    data = made()
    with pytest.raises(ValueError, match="announced"):
        opened(data[:-10] + struct.pack("<I", struct.unpack("<I", data[-10:-6])[0] - 1) + data[-6:])


def test_a_file_above_the_limit_is_refused_unread(tmp_path):
    (tmp_path / "large.ckpt").touch()
    os.truncate(tmp_path / "large.ckpt", MOST_BYTES + 1)
    with (tmp_path / "large.ckpt").open("rb") as file, pytest.raises(CheckpointError, match="optimizer_states"):
        Archive(file)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"PK", "no zip"),
        (b"\x10\0\0\0\0\0\0\0{}", "no zip"),
        (made({}), "no zip"),
        (made({"epoch=3.ckpt": b""}), "0 checkpoints"),
        (made({"data.pkl": b""}), "0 checkpoints"),
        (made({"a/b/data.pkl": b""}), "0 checkpoints"),
        (made({"a/data.pkl": b"", "b/data.pkl": b""}), "2 checkpoints"),
        (made(ENTRIES | {"a/constants.pkl": b""}), "TorchScript"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(data, message):
    with pytest.raises(CheckpointError, match=message):
        opened(data)


def test_half_a_file_is_refused_wherever_it_ends():
    data = made()
    for length in range(len(data)):
        with pytest.raises((CheckpointError, ValueError)):
            opened(data[:length])


def test_damaged_bytes_are_noticed():
    with pytest.raises(ValueError, match="checksum"):
        opened(made().replace(b"12345678", b"12345679")).read("data/0")


@given(st.lists(st.tuples(st.integers(0, len(made()) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damage_is_refused_or_harmless(changes):
    data = bytearray(made())
    for place, byte in changes:
        data[place] = byte
    try:
        archive = opened(data)
        for name in ("data.pkl", "data/0", "data/1"):
            if (size := archive.size(name)) is not None:
                assert len(archive.read(name)) == size
    except (CheckpointError, ValueError):
        pass
