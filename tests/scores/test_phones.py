import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.scores import Note, Phone, Score
from sgaudio.scores.phones import PhoneSet, Pronunciation, check_phones, deal, plain_word, read_dictionary, with_phones

VOICE = PhoneSet(vowels=("aa", "iy", "ow"), consonants=("b", "d", "k", "l", "n", "s", "t", "z"))
WORDS = "Body\tb aa d iy\nno\tn ow\nsky\ts k aa\nbad\tb q d\nl\tl l\n"


@pytest.fixture
def dictionary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(WORDS, encoding="utf-8")
    return read_dictionary(path)


def song(*syllables):
    """A note for each: "la" a syllable, "la-" one whose word goes on, "_" a slur, "" a rest."""
    notes = [
        Note(1, 60 if text else None, text.strip("_").removesuffix("-"), hyphen=text.endswith("-"), slur=text == "_", bar=number)
        for number, text in enumerate(syllables, 1)
    ]
    return Score(tuple(notes), name="song")


def sung(score):
    return [" ".join(p.name for p in note.leading) + " | " + " ".join(p.name for p in note.phones) for note in score.notes]


def test_a_words_phones_are_dealt_to_its_syllables(dictionary):
    found = with_phones(song("", "bo-", "_", "dy,", "Sky"), VOICE, dictionary)
    assert sung(found) == [" | SP", "b | aa", " | ", "d | iy", "s k | aa"]
    assert [note.lyric for note in found.notes] == ["", "bo", "", "dy,", "Sky"]


def test_more_vowels_than_syllables_are_in_the_last(dictionary):
    assert sung(with_phones(song("body", "no"), VOICE, dictionary)) == ["b | aa d iy", "n | ow"]


def test_fewer_vowels_than_syllables_are_held(dictionary):
    found = with_phones(song("n-", "o", "no"), VOICE, dictionary)
    assert [(note.lyric, note.hyphen, note.slur) for note in found.notes] == [("no", False, False), ("", False, True), ("no", False, False)]
    assert sung(found) == ["n | ow", " | ", "n | ow"]
    with pytest.raises(ConfigError, match=r"bar 3, note 3 \(C4, 'o'\): the word has fewer vowels than syllables, and a rest"):
        with_phones(song("n-", "", "o"), VOICE, dictionary)


def test_a_word_without_a_vowel_holds_its_last_phone(dictionary):
    assert sung(with_phones(song("l"), VOICE, dictionary)) == ["l | l"]


def test_two_words_may_share_a_note(dictionary):
    assert sung(with_phones(song("no‿no"), VOICE, dictionary)) == ["n | ow n ow"]


def test_the_first_that_knows_a_word_says_it(dictionary):
    asked = []

    def other(words):
        asked.append(list(words))
        return [("b", "ow")] * len(words)

    assert sung(with_phones(song("no", "bow"), VOICE, dictionary, Pronunciation("other", other))) == ["n | ow", "b | ow"]
    assert asked == [["no", "bow"]]
    with_phones(song("no"), VOICE, dictionary, Pronunciation("other", other))
    assert len(asked) == 1  # nothing was missing


def test_unknown_words_are_named_and_near_ones_offered(dictionary):
    with pytest.raises(
        ConfigError, match=r"song: bar 2, note 2 \(C4, 'bod'\): the word 'boddy' is unknown to .*words.txt \(did you mean 'body'"
    ):
        with_phones(song("no", "bod-", "dy"), VOICE, dictionary)


def test_phones_that_the_voice_does_not_have_are_named(dictionary):
    with pytest.raises(ConfigError, match=r"song: bar 1, note 1 \(C4, 'bad'\): the voice has no phone 'q' \(of 'bad'\): known: AP, SP, aa"):
        with_phones(song("bad"), VOICE, dictionary)
    with pytest.raises(ConfigError, match=r"note 2 \(C4, 'lo'\): the voice has no phone 'oww': did you mean 'ow'"):
        check_phones(Score((Note(1, None, phones=(Phone("SP"),)), Note(1, 60, "lo", phones=(Phone("oww"),)))), VOICE)
    check_phones(with_phones(song("no"), VOICE, dictionary), VOICE)


@given(st.lists(st.sampled_from(["aa", "iy", "b", "s"]), min_size=1), st.integers(1, 6))
def test_dealing_loses_no_phone_and_every_syllable_has_a_vowel(phones, count):
    dealt = deal(phones, count, VOICE.vowels)
    assert [phone for leading, rest in dealt for phone in (*leading, *rest)] == phones
    vowels = sum(phone in VOICE.vowels for phone in phones)
    assert len(dealt) == max(1, min(count, vowels))
    assert not vowels or all(rest[0] in VOICE.vowels and not set(leading) & set(VOICE.vowels) for leading, rest in dealt)


@pytest.mark.parametrize(("between", "given"), [("", 0), ("b", 1), ("bd", 1), ("bdk", 2), ("bdkl", 2)])
def test_of_the_consonants_between_two_vowels_some_lead(between, given):
    assert len(deal(["aa", *between, "iy"], 2, VOICE.vowels)[1][0]) == given


@pytest.mark.parametrize(("text", "word"), [("“Dream,", "dream"), ("o’er!", "o'er"), ("I'm", "i'm"), ("—", "")])
def test_words_lose_their_punctuation(text, word):
    assert plain_word(text) == word


@pytest.mark.parametrize(
    ("text", "message"), [("no n ow", "line 1: 'no n ow', expected a word, a tab"), ("\nno\t\n", "line 2"), ("\n", "without words")]
)
def test_broken_dictionaries_are_refused(tmp_path, text, message):
    path = tmp_path / "words.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_dictionary(path)
    with pytest.raises(ConfigError, match="no dictionary that can be read"):
        read_dictionary(tmp_path)
