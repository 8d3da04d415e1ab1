import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.registry import Range, Registry, bind, build, check, nearest


@dataclass(frozen=True)
class Cup:
    volume: Annotated[float, Range(0, 1)] = 0.3
    colour: Literal["white", "blue"] = "white"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Table:
    legs: Annotated[int, Range(3)]
    cup: Cup = field(default_factory=Cup)
    sizes: Annotated[tuple[float, ...], Range(0, 9)] = (1.0,)
    owner: str | None = None
    height: Annotated[float, Range(0, 3)] | None = None

    def __post_init__(self) -> None:
        check(self)


class Lines:
    def __repr__(self) -> str:
        return "one\ntwo"


@dataclass(frozen=True)
class Shelf:
    cups: dict[str, Cup] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)


THINGS = Registry("thing", {"cup": Cup, "table": Table})


def pour(cup: Cup, amount: Annotated[float, Range(0, 1)] = 0.5, hot: bool = False) -> None: ...


def test_a_registry_is_a_closed_mapping():
    assert list(THINGS) == ["cup", "table"]
    assert len(THINGS) == 2
    assert "cup" in THINGS
    assert "mug" not in THINGS
    assert THINGS["cup"] is Cup
    assert THINGS.name_of(Cup()) == "cup"


def test_a_range_may_stand_inside_of_an_optional():
    assert Table(legs=4, height=2.0).height == 2
    with pytest.raises(ConfigError, match="expected 0 to 3"):
        Table(legs=4, height=4.0)


def test_plain_values_become_nested_configurations():
    made = THINGS.build({"name": "table", "legs": 4, "cup": {"volume": 1, "colour": "blue"}, "sizes": [1, 2.5], "owner": "Ada"})
    assert made == Table(legs=4, cup=Cup(1, "blue"), sizes=(1, 2.5), owner="Ada")


def test_a_dictionary_of_configurations_is_built_item_by_item():
    made = build(Shelf, {"cups": {"mine": {"volume": 0.5}, "yours": {}}, "labels": {"sizes": [1, 2], "of": {"volume": 0.5}}})
    assert made == Shelf({"mine": Cup(0.5), "yours": Cup()}, {"sizes": (1, 2), "of": {"volume": 0.5}})
    assert build(Shelf, {"cups": {"mine": Cup(0.5)}}).cups == {"mine": Cup(0.5)}


@pytest.mark.parametrize(
    ("cups", "message"),
    [
        ({"mine": {"color": "blue"}}, "Shelf: cups: mine has no option 'color': did you mean 'colour'?"),
        ({"mine": {"volume": 2}}, "Cup: volume is 2, expected 0 to 1"),
        (["mine"], f"Shelf: cups is ('mine',), expected dict[str, {__name__}.Cup]"),
    ],
)
def test_what_is_wrong_in_such_a_dictionary_is_refused_by_its_place(cups: Any, message: str):
    with pytest.raises(ConfigError) as caught:
        build(Shelf, {"cups": cups})
    assert str(caught.value) == message


@given(st.floats(0, 1), st.integers(3, 100))
def test_what_is_in_range_is_taken_as_it_is(volume: float, legs: int):
    made = build(Table, {"legs": legs, "cup": {"volume": volume}})
    assert (made.legs, made.cup.volume) == (legs, volume)


@given(st.floats(allow_nan=True, allow_infinity=True).filter(lambda volume: not 0 <= volume <= 1))
def test_what_is_out_of_range_is_refused(volume: float):
    with pytest.raises(ConfigError, match=r"^Cup: volume is .*, expected (0 to 1|float)$"):
        Cup(volume=volume)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"name": "tabel"}, "unknown thing 'tabel': did you mean 'table'?"),
        ({"name": "xyz"}, "unknown thing 'xyz': known: cup, table"),
        ({"legs": 3}, "thing: a mapping with the key 'name' is expected, got {'legs': 3}"),
        ({"name": ["cup"]}, "unknown thing ['cup']: did you mean 'cup'?"),
        ({"name": "cup", "volume": 10**400}, f"Cup: volume is 1{'0' * 400}, expected 0 to 1"),
        ({"name": "cup", "colour": Lines()}, "Cup: colour is a Lines, expected one of 'white', 'blue'"),
        ({"name": "table"}, "thing 'table' needs the option 'legs'"),
        ({"name": "table", "legs": 4, "leg": 3}, "thing 'table' has no option 'leg': did you mean 'legs'?"),
        ({"name": "table", "legs": 2}, "Table: legs is 2, expected 3 or more"),
        ({"name": "table", "legs": 4.0}, "Table: legs is 4.0, expected int"),
        ({"name": "table", "legs": True}, "Table: legs is True, expected int"),
        ({"name": "table", "legs": 4, "sizes": [1, 10]}, "Table: sizes is (1, 10), expected 0 to 9"),
        ({"name": "table", "legs": 4, "cup": {"colour": "red"}}, "Cup: colour is 'red', expected one of 'white', 'blue'"),
        ({"name": "table", "legs": 4, "cup": {"color": "blue"}}, "thing 'table': cup has no option 'color': did you mean 'colour'?"),
        ({"name": "cup", "volume": math.inf}, "Cup: volume is inf, expected float"),
    ],
)
def test_what_is_wrong_is_refused_in_one_clear_line(config: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        THINGS.build(config)
    assert str(caught.value) == message


def test_options_are_checked_against_a_function_s_signature():
    assert bind(pour, {"amount": 1, "hot": True}, "pour") == {"amount": 1, "hot": True}
    with pytest.raises(ConfigError, match=r"^pour: amount is 2, expected 0 to 1$"):
        bind(pour, {"amount": 2}, "pour")
    with pytest.raises(ConfigError, match=r"^pour: hot is 1, expected bool$"):
        bind(pour, {"hot": 1}, "pour")
    with pytest.raises(ConfigError, match=r"^pour has no option 'amounts': did you mean 'amount'\?$"):
        bind(pour, {"amounts": 1}, "pour")
    with pytest.raises(ConfigError, match=r"^pour: a mapping of its options is expected, got \[\('hot', True\)\]$"):
        bind(pour, [("hot", True)], "pour")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"^pour has no option 'amount': did you mean|^pour has no option 'amount': known: hot$"):
        bind(pour, {"amount": 1}, "pour", given=2)
    with pytest.raises(ConfigError, match=r"^keep needs the option 'table'$"):
        bind(lambda cup, table: None, {}, "keep")
    with pytest.raises(ConfigError, match=r"^stand has no option 'still': it takes none$"):
        bind(lambda table: None, {"still": True}, "stand")


def test_numbers_of_numpy_are_options_like_any_other():
    got = bind(pour, {"amount": np.float32(0.5)}, "pour")
    assert (got, type(got["amount"])) == ({"amount": 0.5}, float)


def test_what_equals_a_literal_but_is_of_another_type_is_refused():
    def choose(cup: Cup, size: Literal[2, 3] = 2) -> None: ...

    assert bind(choose, {"size": np.int64(3)}, "choose") == {"size": 3}
    with pytest.raises(ConfigError, match=r"^choose: size is 2.0, expected one of 2, 3$"):
        bind(choose, {"size": 2.0}, "choose")


@given(st.text(min_size=1, max_size=8), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_an_unknown_name_is_always_answered_with_known_ones(name: str, names: list[str]):
    assert any(known in nearest(name, names) or repr(known) in nearest(name, names) for known in names)


def test_every_refusal_can_be_caught_as_ours_or_as_a_value_error():
    assert issubclass(ConfigError, SgaudioError)
    assert issubclass(ConfigError, ValueError)
