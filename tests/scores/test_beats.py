import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.scores import Tempo
from sgaudio.scores.beats import Written, beats, from_beats, seconds

TEMPOS = (Tempo(0, 120),)


def test_tempos_hold_from_their_beat_on():
    tempos = (Tempo(0, 60), Tempo(4, 120), Tempo(6, 30))
    assert seconds(np.array([0, 2, 4, 5, 6, 7]), tempos).tolist() == [0, 2, 4, 4.5, 5, 7]


@given(st.lists(st.tuples(st.floats(0.25, 8), st.floats(20, 300)), min_size=1, max_size=5), st.lists(st.floats(0, 100), min_size=1))
def test_beats_undo_seconds(steps, places):
    tempos = [Tempo(beat - steps[0][0], rate) for beat, (_, rate) in zip(np.cumsum([step for step, _ in steps]), steps, strict=True)]
    np.testing.assert_allclose(beats(seconds(np.array(places), tempos), tempos), places, atol=1e-9)


def test_gaps_are_rests_and_notes_without_a_syllable_that_touch_are_slurs():
    song = from_beats([Written(1, 2, 60, 1, "la"), Written(2, 3, 62, 1), Written(4, 6, 64, 2, "lo")], TEMPOS, (4, 4), "song")
    assert [(note.duration, note.pitch, note.lyric, note.slur) for note in song.notes] == [
        *((0.5, None, "", False), (0.5, 60, "la", False), (0.5, 62, "", True), (0.5, None, "", False), (1.0, 64, "lo", False)),
    ]


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([], "song: the part is empty"),
        ([Written(0, 1, 60, 1)], "none of the 1 notes has a lyric"),
        ([Written(0, 2, 60, 1, "la"), Written(1, 3, 62, 1, "lo")], "song: bar 1, D4, 'lo': overlaps the note before it"),
        ([Written(0, 1, 60, 1, "la"), Written(2, 3, 62, 1)], "song: bar 1, D4: no syllable, and no note right before it"),
        ([Written(0, 1, 62, 1), Written(1, 2, 62, 1, "la")], "song: bar 1, D4: no syllable"),
        ([Written(0, 0, 62, 1, "la")], r"song: bar 1, note 1 \(D4, 'la'\): lasts 0.0 s"),
    ],
)
def test_what_cannot_be_sung_is_refused(notes, message):
    with pytest.raises(ConfigError, match=message):
        from_beats(notes, TEMPOS, (4, 4), "song")


def test_a_tempo_must_move():
    with pytest.raises(ConfigError, match="a tempo of 0 quarters a minute at beat 4"):
        from_beats([Written(0, 1, 60, 1, "la")], (Tempo(0, 60), Tempo(4, 0)), (4, 4), "song")
