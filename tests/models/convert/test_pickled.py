import pickle
import pickletools
import struct
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.models.convert.pickled import PLAIN, WRITTEN, unpickle

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(-(2**63) + 1, 2**63 - 1), inner),
)


def read(program: bytes):
    return unpickle(program, PLAIN, lambda identity: None)


@given(plain)
def test_plain_values_are_read_as_python_reads_them(value):
    assert repr(read(pickle.dumps(value, protocol=2))) == repr(value)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32, np.int64, np.bool_])
def test_numbers_of_numpy_become_plain(kind):
    written = pickle.dumps([kind(1), kind(0)], protocol=2)
    for program in (written, written.replace(b"numpy._core.", b"numpy.core.")):
        found = read(program)
        assert found == [1, 0]
        assert type(found[0]) is type(kind(1).item())


def test_an_ordered_dict_becomes_a_dictionary_without_its_attributes():
    value = OrderedDict(a=1, b=2)
    value._metadata = OrderedDict(version=1)
    found = read(pickle.dumps(value, protocol=2))
    assert type(found) is dict
    assert found == {"a": 1, "b": 2}


def test_a_value_may_be_deep_or_hold_itself():
    depth = 200_000
    assert isinstance(read(b"\x80\x02)" + b"\x85" * depth + b"."), tuple)
    assert isinstance(read(b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."), list)
    found = read(b"\x80\x02]q\x00h\x00a.")
    assert found[0] is found


def test_an_index_of_the_memo_takes_no_room():
    assert read(b"\x80\x02Nr\xff\xff\xff\x7fj\xff\xff\xff\x7f.") is None


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"", "ends early"),
        (b".", "ends early"),
        (b"\x80\x02N", "ends early"),
        (b"\x80\x02h\x05.", "ends early"),
        (b"\x80\x02t.", "ends early"),
        (b"\x80\x02N\x86.", "ends early"),
        (b"\x80\x02X\xff\xff\xff\x7fa.", "not enough data|expected 2147483647 bytes"),
        (b"\x80\x02" + b"N" * 3_000_000, "3000002 bytes"),
        (b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", "2039 bits"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4"),
        (b"L" + b"9" * 100_000 + b"L\n.", "LONG"),
        (b"I1\n.", "INT"),
        (b"S'\\z'\n.", "STRING"),
        (b"cos\nsystem\n.", "'os.system'"),
        (b"ccollections\nOrdered\\x44ict\n.", "x44ict'"),
        (b"ccollections\nOrdered\\Dict\n.", "Dict'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "SHORT_BINUNICODE"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"(S'true'\nios\nsystem\n.", "STRING"),
        (b"(ios\nsystem\n.", "INST"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
        (b"P0\n.", "PERSID"),
        (b"\x80\x02NQ.", "a storage"),
        (b"\x80\x02N)R.", "calls what is no function"),
        (b"\x80\x02ccollections\nOrderedDict\nNR.", "what are no arguments"),
        (b"\x80\x02ccollections\nOrderedDict\n(" + b"N" * 11 + b"tR.", "what are no arguments"),
        (b"\x80\x02ccollections\nOrderedDict\n]\x85R.", "ordered_dict"),
        (b"\x80\x02ccollections\nOrderedDict\n}b.", "sets the state"),
        (b"\x80\x02]}b.", "sets the state"),
        (b"\x80\x02)Na.", "no list"),
        (b"\x80\x02]NNs.", "no list"),
        (b"\x80\x02})Ns.", "no dictionary of names"),
        (b"\x80\x02}(X\x01\x00\x00\x00au.", "zip"),
        (b"\x80\x02)" + b"\x85" * 100_000 + b"q\x00}h\x00Ns.", "no dictionary of names"),
    ],
)
def test_what_torch_does_not_write_is_refused(program, message):
    with pytest.raises(ValueError, match=message):
        read(program)


def test_bytes_are_those_of_a_number_only():
    text = b"X" + struct.pack("<I", 1_000_000) + b"a" * 1_000_000
    with pytest.raises(ValueError, match="encode"):
        read(b"\x80\x02c_codecs\nencode\n" + text + b"X\x06\x00\x00\x00latin1\x86R.")


def test_a_number_has_the_bytes_of_its_type():
    program = pickle.dumps(np.float32(1), protocol=2)
    with pytest.raises(ValueError, match="describes number "):
        read(program.replace(b"f4", b"f8"))
    with pytest.raises(ValueError, match="describes number_type"):
        read(program.replace(b"f4", b"O8"))


opcodes = st.sampled_from([opcode.code.encode("latin-1") for opcode in pickletools.opcodes if opcode.name in WRITTEN])


@given(st.lists(opcodes | st.binary(max_size=4), max_size=30))
def test_any_program_ends_in_a_value_or_a_refusal(parts):
    try:
        value = read(b"\x80\x02" + b"".join(parts) + b".")
    except ValueError:
        return
    assert value is None or isinstance(value, bool | int | float | str | bytes | tuple | list | dict)
