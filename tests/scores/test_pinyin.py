import sys

import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores import Note, Score
from sgaudio.scores.phones import with_phones
from sgaudio.scores.pinyin import OPENCPOP, SYLLABLES, pinyin


def song(text):
    return Score(tuple(Note(1, 60, syllable, bar=3) for syllable in text.split()), name="song")


def sung(score):
    return [" ".join(phone.name for phone in (*note.leading, *note.phones)) for note in score.notes]


def test_the_phones_are_those_of_the_published_voices():
    assert len(OPENCPOP.names) == 60
    assert len(SYLLABLES) == 417  # the published table has hng too, whose phone its voices lack
    assert set(OPENCPOP.names) >= {phone for phones in SYLLABLES.values() for phone in phones}


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("xiao jiu wo", ["x iao", "j iu", "w o"]),
        ("ju yuan jv lv nü lu", ["j v", "y van", "j v", "l v", "n v", "l u"]),
        ("a er ang", ["a", "er", "ang"]),
        ("hm ng", ["h m", "n g"]),
        ("Zhong,", ["zh ong"]),
    ],
)
def test_pinyin_is_an_initial_and_a_final(text, phones):
    assert sung(with_phones(song(text), OPENCPOP, pinyin())) == phones


def test_syllables_that_are_none_are_refused_with_near_ones():
    with pytest.raises(
        ConfigError, match=r"song: bar 3, note 2 \(C4, 'xiat'\): the word 'xiat' is unknown to Opencpop's pinyin \(did you mean 'xia'"
    ):
        with_phones(song("wo xiat"), OPENCPOP, pinyin())


def test_hanzi_are_read_in_their_context():
    pytest.importorskip("pypinyin")
    assert sung(with_phones(song("小 酒 窝 ni 长 大 长 江"), OPENCPOP, pinyin())) == [
        *("x iao", "j iu", "w o", "n i", "zh ang", "d a", "ch ang", "j iang"),
    ]


def test_without_pypinyin_hanzi_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    with pytest.raises(ConfigError, match=r"pypinyin, which is not installed: pip install 'sgaudio\[sing\]'"):
        with_phones(song("小"), OPENCPOP, pinyin())
    assert sung(with_phones(song("xiao"), OPENCPOP, pinyin())) == ["x iao"]
