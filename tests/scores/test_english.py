import sys

import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores import Note, Score
from sgaudio.scores import english as module
from sgaudio.scores.english import CMU, ENGLISH, english
from sgaudio.scores.phones import with_phones


@pytest.fixture
def espeak():
    pytest.importorskip("phonemizer")
    pytest.importorskip("espeakng_loader")
    return english()


def test_the_table_gives_phones_of_the_set_only():
    assert {phone for phones in CMU.values() for phone in phones.split()} == set(ENGLISH.names) - {"SP"}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("dream", "d r iy m"),
        ("a", "ax"),
        ("the", "dh ax"),
        ("choir", "k w ay er"),
        ("hair", "hh eh r"),
        ("o'er", "ao r"),
        ("city", "s ih t iy"),
        ("lady", "l ey d iy"),
        ("little", "l ih t ax l"),
        ("button", "b ah t ax n"),
        ("measure", "m eh zh er"),
        ("joy", "jh oy"),
    ],
)
def test_words_are_in_american_phones(espeak, word, phones):
    assert espeak.look_up([word]) == [tuple(phones.split())]


def test_syllables_as_written_are_sung(espeak):
    notes = (
        Note(1, None),
        Note(1, 60, "beau", True),
        Note(1, 60, "ti", True),
        Note(1, 60, "ful"),
        Note(1, 60, "Dream", True),
        Note(1, 60, "er,"),
    )
    found = with_phones(Score(notes), ENGLISH, espeak)
    assert [(" ".join(p.name for p in n.leading), " ".join(p.name for p in n.phones)) for n in found.notes] == [
        *(
            ("", "SP"),
            ("b y", "uw"),
            ("t", "iy"),
            ("f", "ax l"),
            ("d r", "iy"),
            ("m", "er"),
        ),
    ]


def test_words_of_which_nothing_is_heard_are_unknown(espeak):
    assert espeak.look_up(["♪", "dream"]) == [None, ("d", "r", "iy", "m")]


def test_sounds_that_the_table_lacks_are_unknown(espeak):
    assert english({"d": "d", "ɹ": "r", "iː": "i"}).look_up(["dream"]) == [None]


def test_without_phonemizer_the_line_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "phonemizer.backend", None)
    module._espeak.cache_clear()
    with pytest.raises(ConfigError, match=r"which is not installed: pip install 'sgaudio\[sing\]'"):
        english().look_up(["dream"])
