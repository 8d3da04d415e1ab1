"""The pickle inside of a checkpoint, run by a machine that builds plain values only.

A pickle is a program for a stack machine (opcodes: Lib/pickletools.py). Python's own calls what the program names, sets attributes on
what comes back (BUILD), and makes room for any index of its memo. This one knows the opcodes that torch.save writes (protocol 2) and the
names that it is given. A step of it makes one small value at most, so memory and time are bounded by the length of the program.
"""

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

MOST_BYTES = 2 * 1024**2  # of a pickle; that of the largest published model, with its optimiser, takes 350 kB
MOST_ARGUMENTS = 10  # of a call
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
PUSHED = {"NONE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
BUILT = {"NEWTRUE", "NEWFALSE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
FILLED = {"APPEND", "APPENDS", "SETITEM", "SETITEMS"}
DONE = {"PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID"}
WRITTEN = PUSHED | BUILT | FILLED | DONE
NUMBERS = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "b1": "?"}  # numpy's names, and those of struct


def unpickle(data: bytes | bytearray, known: Mapping[str, object], persistent: Callable[[Any], object | None]) -> Any:
    """The value that a pickle describes: None, numbers, strings, lists, tuples, dictionaries, and what `known` and `persistent` give.

    The value may hold itself, and be as deep as its pickle is long: do not walk, compare or print it without a bound.

    Args:
        known: what a name of the pickle stands for: a value, or a function that the pickle may call; it gets anything, and returns None
            for arguments that torch.save does not write.
        persistent: gives, in the same way, what stands for the identity of something stored beside the pickle.

    Raises:
        ValueError: on anything else; what is not known is named.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"its pickle has {len(data)} bytes, {MOST_BYTES} are read at most")
    try:
        return _run(io.BytesIO(data), known, persistent)
    except (IndexError, KeyError) as error:
        raise ValueError("its pickle ends early or uses what is not there") from error


def _run(program: io.BytesIO, known: Mapping[str, object], persistent: Callable[[Any], object | None]) -> Any:
    stack, marked, memo = [], [], {}
    while True:
        opcode = OPCODES[program.read(1)]
        if opcode.name not in WRITTEN:  # before its argument is read
            raise ValueError(f"its pickle uses {opcode.name}, which torch.save does not write")
        argument: Any = opcode.arg.reader(program) if opcode.arg and opcode.name != "GLOBAL" else None
        match opcode.name:
            case "PROTO":
                pass  # what a later protocol adds is refused where it stands
            case "STOP":
                return stack.pop()
            case "MARK":
                marked.append(stack)
                stack = []
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(stack.pop() for _ in range(int(opcode.name[-1])))[::-1])
            case "TUPLE":
                stack, items = marked.pop(), stack
                stack.append(tuple(items))
            case "APPEND" | "SETITEM":
                size = 1 if opcode.name == "APPEND" else 2
                _fill(opcode.name, stack, [stack.pop() for _ in range(size)][::-1])
            case "APPENDS" | "SETITEMS":
                stack, items = marked.pop(), stack
                _fill(opcode.name, stack, items)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                name = b".".join(program.readline().rstrip(b"\n") for _ in range(2)).decode()  # pickletools would resolve escapes
                if name not in known:
                    raise ValueError(f"it names {name!r:.80}, which no published model needs")
                stack.append(known[name])
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                if not isinstance(function, FunctionType) or not isinstance(arguments, tuple) or len(arguments) > MOST_ARGUMENTS:
                    raise ValueError("its pickle calls what is no function, or with what are no arguments")
                stack.append(_recognised(function(*arguments), function.__name__))
            case "BUILD":
                match stack.pop(), stack[-1]:
                    case (dict(), dict()) | ((3, "<" | "|", None, None, None, -1, -1, 0), struct.Struct()):
                        pass  # what torch notes at an OrderedDict, what numpy notes at a number's type: not needed
                    case _:
                        raise ValueError("its pickle sets the state of something that has none")
            case "BINPERSID":
                stack.append(_recognised(persistent(stack.pop()), "a storage"))
            case _:
                if opcode.name == "LONG1" and argument.bit_length() > 63:
                    raise ValueError(f"its pickle holds a number of {argument.bit_length()} bits")
                stack.append(argument)


def _fill(how: str, stack: list[Any], items: list[Any]) -> None:
    """Put items into the list on top of the stack; keys and values, by turns, into the dictionary there."""
    match stack[-1]:
        case list() as target if how.startswith("APPEND"):
            target.extend(items)
        case dict() as target if how.startswith("SETITEM") and all(isinstance(key, str | int) for key in items[::2]):
            target.update(zip(items[::2], items[1::2], strict=True))
        case _:
            raise ValueError("its pickle fills what is no list and no dictionary of names")


def _recognised(value: object | None, what: str) -> object:
    if value is None:
        raise ValueError(f"its pickle describes {what} in a way that torch.save does not")
    return value


def ordered_dict(*arguments: Any) -> dict[Any, Any] | None:
    """collections.OrderedDict; its items follow."""
    return None if arguments else {}


def encode(*arguments: Any) -> bytes | None:
    """_codecs.encode: the bytes of a number, which protocol 2 writes as text."""
    match arguments:
        case (str(text), "latin1") if len(text) <= 8:
            return text.encode("latin-1")


def number_type(*arguments: Any) -> struct.Struct | None:
    """numpy.dtype of a number."""
    match arguments:
        case (str(name), False, True) if name in NUMBERS:
            return struct.Struct(f"<{NUMBERS[name]}")


def number(*arguments: Any) -> float | None:
    """numpy's scalar, as a plain number."""
    match arguments:
        case (struct.Struct() as layout, bytes(raw)) if layout.size == len(raw):
            return layout.unpack(raw)[0]


PLAIN: Mapping[str, object] = {
    "collections.OrderedDict": ordered_dict,
    "_codecs.encode": encode,
    "numpy.dtype": number_type,
    "numpy.core.multiarray.scalar": number,
    "numpy._core.multiarray.scalar": number,
}
