import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores import Curve, Note, Phone, Score, Tempo
from sgaudio.scores.score import midi_number, note_name

LA = Note(0.5, 60, "la", bar=3)
REST = Note(0.5, None)
SLUR = Note(0.5, 62, slur=True)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ((), "song: the part is empty"),
        ((REST, REST), "rests only \\(2\\)"),
        ((LA, Note(0, 60, "lo", bar=4)), "song: bar 4, note 2 \\(C4, 'lo'\\): lasts 0 s, expected more than 0"),
        ((LA, Note(float("nan"), 60, "lo")), "note 2 .*lasts nan s"),
        ((LA, Note(0.5, 200, "lo")), "pitch 200, expected a MIDI number"),
        ((LA, Note(0.5, None, "lo")), "note 2 \\(rest, 'lo'\\): a rest has no syllable"),
        ((LA, Note(0.5, 60, "lo", slur=True)), "a slur has no syllable of its own"),
        ((LA, Note(0.5, 60, "l o")), "'l o' has blanks"),
        ((LA, Note(0.5, 60, "lo-")), "'lo-' has blanks in it or a hyphen"),
        ((LA, Note(0.5, 60)), "note 2 \\(C4\\): no syllable"),
        ((SLUR, LA), "note 1 \\(D4, slur\\): a slur, but no note before it"),
        ((LA, REST, SLUR), "note 3 \\(D4, slur\\): a slur, but no note before it"),
        ((LA, Note(0.5, None, slur=True)), "a rest cannot be a slur"),
        ((LA, Note(0.5, None, leading=(Phone("b"),))), "a rest has no leading phones"),
        ((LA, Note(0.5, 62, slur=True, phones=(Phone("b"),))), "a slur has no phones"),
        ((Note(0.5, 60, "la", phones=(Phone("a", 0.5), Phone("n"))),), "1 of 2 phones have no duration"),
        ((Note(0.5, 60, "la", phones=(Phone("a", -0.5),)),), "phone 'a' lasts -0.5 s"),
        ((Note(0.5, 60, "la", leading=(Phone("l", 0.1),), phones=(Phone("a", 0.5),)),), "'l' leads the note, but nothing comes before it"),
    ],
)
def test_what_cannot_be_sung_is_refused_by_bar_note_and_syllable(notes, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Score(notes, name="song")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("step", "values"), [(0, (1.0,)), (float("nan"), (1.0,)), (0.1, ()), (0.1, (1.0, float("inf")))])
def test_curves_without_values_or_time_are_refused(step, values):
    with pytest.raises(ConfigError, match="curve"):
        Curve(step, values)


def test_ten_thousand_notes_are_a_song():
    song = Score((LA, SLUR) * 5000)
    assert len(song.syllables) == 5000
    assert song.onsets[-1] == 5000


def test_scores_are_the_same_where_the_same_is_sung():
    assert Score((LA,), tempos=(Tempo(0, 60),), meter=(3, 4), name="a") == Score((Note(0.5, 60, "la"),), name="b")
    assert Score((LA,)) != Score((Note(0.5, 61, "la"),))


@pytest.mark.parametrize(
    ("name", "number"), [("C4", 60), ("Bb3", 58), ("C#4+12", 61.12), ("A4", 69), ("C-1", 0), ("D#4/Eb4", 63), ("B4-50", 70.5)]
)
def test_names_of_notes_are_midi_numbers(name, number):
    assert midi_number(name) == number
    assert midi_number(note_name(number)) == number


@pytest.mark.parametrize("name", ["H4", "C", "", "4", "c4x"])
def test_other_names_are_refused(name):
    with pytest.raises(ConfigError, match="is no note"):
        midi_number(name)


def test_key_moves_notes_and_f0():
    song = Score((REST, LA), curves={"f0": Curve(0.1, (0.0, 220.0)), "energy": Curve(0.1, (1.0,))}).transposed(12)
    assert [note.pitch for note in song.notes] == [None, 72]
    assert song.curves == {"f0": Curve(0.1, (0.0, 440.0)), "energy": Curve(0.1, (1.0,))}


def test_slower_stretches_all_that_has_time():
    song = Score((REST, Note(1, 60, "la", phones=(Phone("a"),))), start=1, curves={"f0": Curve(0.1, (1.0,))}).slower(2)
    assert song.onsets.tolist() == [2, 3, 5]
    assert song.curves["f0"].step == 0.2
    assert song.tempos == (Tempo(0, 60),)


def test_range_names_the_note_and_the_key_that_would_do():
    song = Score((LA, Note(0.5, 72, "lo", bar=4)), name="song")
    song.check_range(60, 72)
    with pytest.raises(ConfigError, match=r"song: bar 4, note 2 \(C5, 'lo'\): outside of the voice's range, F3 to A#4: --key -2 brings"):
        song.check_range(53, 70)
    with pytest.raises(ConfigError, match=r"note 1 .* --key \+5 brings"):
        song.check_range(65, 80)
    with pytest.raises(ConfigError, match="no key brings"):
        song.check_range(60, 65)
