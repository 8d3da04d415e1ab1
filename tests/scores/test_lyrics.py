import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores.beats import Written
from sgaudio.scores.lyrics import syllables, with_lyrics

NOTES = [Written(beat, beat + 1, 60 + beat, 1 + beat // 4) for beat in range(5)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Beau-ti-ful dream-er, wake", [("Beau", True), ("ti", True), ("ful", False), ("dream", True), ("er,", False), ("wake", False)]),
        ("Jea- nie", [("Jea", True), ("nie", False)]),
        ("a _ b", [("a", False), ("_", False), ("b", False)]),
        ("小酒窝，la", [("小", False), ("酒", False), ("窝", False), ("，la", False)]),
        ("night—and day – \n !", [("night", False), ("and", False), ("day", False)]),
        ("  ", []),
    ],
)
def test_text_is_syllables(text, found):
    assert syllables(text) == found


def test_notes_get_their_syllables():
    notes = with_lyrics(NOTES, "Jea-nie _ with light", "song")
    assert [(note.lyric, note.hyphen) for note in notes] == [("Jea", True), ("nie", False), ("", False), ("with", False), ("light", False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("I dream", "song: 5 notes and 2 syllables: the first note without a syllable is note 3, bar 1, D4"),
        ("I dream of Jea-nie with", "song: 5 notes and 6 syllables: the first syllable without a note is 'with', number 6"),
        ("", "5 notes and 0 syllables"),
    ],
)
def test_lyrics_and_notes_that_do_not_match_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        with_lyrics(NOTES, text, "song")
