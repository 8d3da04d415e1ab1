"""Closed tables of names, and the strict door through which plain values become configurations.

A configuration is a frozen dataclass whose `__post_init__` calls `check`; a range stands in its annotation:

    theta: Annotated[float, Range(0, 100)] = 1.5

`build` makes one from plain values (JSON, YAML, a command line). Nothing is imported, evaluated or guessed.
"""

import difflib
import inspect
import math
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from numbers import Number
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sgaudio.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Range:
    """The closed interval that a number must lie in."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{self.low:g} or more"
        return f"{self.low:g} to {self.high:g}"


def nearest(name: str, names: Iterable[str]) -> str:
    """What to offer instead of an unknown name: its nearest neighbours, else all of them."""
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else f"known: {', '.join(names)}"


class Registry(Mapping[str, T]):
    """The closed table of one kind of thing; an unknown name is answered with the nearest ones."""

    def __init__(self, kind: str, entries: Mapping[str, T]):
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        if not isinstance(name, str) or name not in self._entries:
            raise ConfigError(f"unknown {self.kind} {name!r}: {nearest(str(name), self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def build(self, mapping: Mapping[str, Any]) -> Any:
        """The configuration that `mapping` describes; its key `name` picks the entry, the rest are its fields."""
        if not isinstance(mapping, Mapping) or "name" not in mapping:
            raise ConfigError(f"{self.kind}: a mapping with the key 'name' is expected, got {mapping!r}")
        cls: Any = self[mapping["name"]]
        return build(cls, {key: value for key, value in mapping.items() if key != "name"}, f"{self.kind} {mapping['name']!r}")

    def name_of(self, value: object) -> str:
        """The name under which the class of `value` is registered."""
        return next(name for name, entry in self._entries.items() if entry is type(value))


def build(cls: type[T], mapping: Mapping[str, Any], what: str | None = None) -> T:
    """A dataclass from plain values: names, types and ranges are checked, nested dataclasses are built.

    Raises:
        ConfigError: on an unknown or missing name, or a value of the wrong type or out of its range.
    """
    what = what or cls.__name__
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{what}: a mapping is expected, got {mapping!r}")
    known = {field.name: field for field in fields(cls) if field.init}  # pyright: ignore[reportArgumentType]
    hints = get_type_hints(cls, include_extras=True)
    for name in mapping:
        if name not in known:
            raise ConfigError(f"{what} has no option {name!r}: {nearest(str(name), known)}")
    for name, field in known.items():
        if name not in mapping and field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{what} needs the option {name!r}")
    return cls(**{name: _plain(value, hints[name], f"{what}: {name}") for name, value in mapping.items()})


def _plain(value: Any, hint: Any, what: str) -> Any:
    """Turn what JSON and YAML can say into what a dataclass holds: mappings into dataclasses or dictionaries of them, lists into tuples."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if is_dataclass(hint) and isinstance(value, Mapping):
        return build(hint, value, what)  # pyright: ignore[reportArgumentType]
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {key: _plain(item, get_args(hint)[1], f"{what}: {key}") for key, item in value.items()}
    if isinstance(value, list):
        inner = get_args(hint)[0] if get_origin(hint) is tuple else Any
        return tuple(_plain(item, inner, what) for item in value)
    return value


def check(instance: Any) -> None:
    """Check the types and ranges of a dataclass's fields: the last line of its `__post_init__`.

    Raises:
        ConfigError: names the field, the value found and what was expected.
    """
    hints = get_type_hints(type(instance), include_extras=True)
    for field in fields(instance):
        check_value(getattr(instance, field.name), hints[field.name], f"{type(instance).__name__}: {field.name}")


def bind(function: Callable[..., Any], options: Mapping[str, Any], what: str, given: int = 1) -> dict[str, Any]:
    """The keyword options of `function` (all but the first parameters, which are `given`), checked against its signature.

    Numbers of numpy become plain ones.

    Raises:
        ConfigError: on an unknown or missing option or a value of the wrong type or out of its range.
    """
    if not isinstance(options, Mapping):
        raise ConfigError(f"{what}: a mapping of its options is expected, got {_shown(options)}")
    parameters = list(inspect.signature(function).parameters.values())[given:]
    known = {each.name: each.default for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    hints, values = get_type_hints(function, include_extras=True), dict[str, Any]()
    for name, value in options.items():
        if name not in known:
            raise ConfigError(f"{what} has no option {name!r}: {nearest(str(name), known) if known else 'it takes none'}")
        values[name] = plain(value)
        check_value(values[name], hints.get(name, Any), f"{what}: {name}")
    for name, default in known.items():
        if default is inspect.Parameter.empty and name not in values:
            raise ConfigError(f"{what} needs the option {name!r}")
    return values


def plain(value: Any) -> Any:
    """A number of numpy as one of Python; anything else as it is."""
    item = getattr(value, "item", None)
    return item() if item and isinstance(value, Number) else value


def check_value(value: Any, hint: Any, what: str) -> None:
    """Check one value against an annotation.

    Raises:
        ConfigError: says what it is, the value found and what was expected.
    """
    parts = [part for part in get_args(hint) if part is not types.NoneType]
    if get_origin(hint) in (Union, types.UnionType) and value is not None and len(parts) == 1:
        hint = parts[0]  # a range may stand inside of an optional
    ranges = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Range)]
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if not _is(value, hint):
        raise ConfigError(f"{what} is {_shown(value)}, expected {_describe(hint)}")
    if value is None:
        return
    for allowed in ranges:
        for number in value if isinstance(value, tuple) else (value,):
            if not allowed.low <= number <= allowed.high:
                raise ConfigError(f"{what} is {value!r}, expected {allowed}")


def _is(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return any(isinstance(value, type(known)) and value == known for known in get_args(hint))
    if origin in (Union, types.UnionType):
        return any(_is(value, part) for part in get_args(hint))
    if origin is tuple:
        inner = get_args(hint)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return isinstance(value, tuple) and all(_is(item, inner[0]) for item in value)
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_is, value, inner))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or hint)


def _shown(value: object) -> str:
    """A value in a message, which is one line."""
    text = repr(value)
    return f"a {type(value).__name__}" if "\n" in text else text


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_describe, get_args(hint)))
    return getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint)  # pyright: ignore[reportReturnType]
