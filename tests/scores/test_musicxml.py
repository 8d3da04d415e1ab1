import sys
import zipfile

import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores import Score, Tempo
from sgaudio.scores.beats import Written, from_beats
from sgaudio.scores.musicxml import read_musicxml, write_musicxml


def lyric(number, text, syllabic="single"):
    return f'<lyric number="{number}"><syllabic>{syllabic}</syllabic><text>{text}</text></lyric>'


def note(pitch, length, *inside, tie=""):
    body = f"<pitch><step>{pitch[0]}</step><octave>{pitch[1]}</octave></pitch>" if pitch else "<rest/>"
    return f"<note>{body}<duration>{length}</duration>{tie}{''.join(inside)}</note>"


def document(*measures, part="Voice", more=""):
    """One part in 4/4, two divisions a quarter, 90 quarters a minute; `more` is a second part."""
    bars = "".join(f'<measure number="{number}">{HEAD if number == 1 else ""}{bar}</measure>' for number, bar in enumerate(measures, 1))
    names = [(part, bars), *([("Piano", f'<measure number="1">{HEAD}{more}</measure>')] if more else [])]
    listed = "".join(f'<score-part id="P{k}"><part-name>{name}</part-name></score-part>' for k, (name, _) in enumerate(names))
    parts = "".join(f'<part id="P{k}">{content}</part>' for k, (_, content) in enumerate(names))
    return f'<?xml version="1.0"?><score-partwise version="4.0"><part-list>{listed}</part-list>{parts}</score-partwise>'


HEAD = (
    "<attributes><divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    "<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>90</per-minute></metronome></direction-type>"
    '<sound tempo="90"/></direction>'
)
SONG = document(
    note("C4", 2, lyric(1, "Jea", "begin"), lyric(2, "When"))
    + note("D4", 2, lyric(1, "nie", "end"), lyric(2, "I"))
    + note("E4", 4, lyric(1, "sings"), lyric(2, "sleep"), tie='<tie type="start"/>'),
    note("E4", 2, tie='<tie type="stop"/>') + note("F4", 2) + note(None, 2) + note("G4", 2, lyric(1, "on,"), lyric(2, "now")),
    more=note("C3", 8),
)
LINES = document(note("C4", 4, lyric(1, "one\ntwo\nthree")) + note("D4", 4, lyric(1, "ein\nzwei\ndrei")))


@pytest.fixture
def read(tmp_path):
    pytest.importorskip("music21")

    def written(text, **options):
        path = tmp_path / "song.musicxml"
        path.write_text(text, encoding="utf-8")
        return read_musicxml(path, **options)

    return written


def sung(score: Score):
    return [(n.pitch, n.lyric + "-" * n.hyphen, n.slur, n.bar) for n in score.notes]


def test_ties_are_joined_and_notes_without_lyrics_are_slurs(read):
    song = read(SONG)
    assert sung(song) == [
        *((60, "Jea-", False, 1), (62, "nie", False, 1), (64, "sings", False, 1), (65, "", True, 2)),
        *((None, "", False, 2), (67, "on,", False, 2)),
    ]
    assert [note.duration * 1.5 for note in song.notes] == pytest.approx([1, 1, 3, 1, 1, 1])
    assert song.tempos == (Tempo(0, 90),)
    assert song.meter == (4, 4)


def test_verses_are_chosen_by_number(read):
    assert [note.lyric for note in read(SONG, verse=2).notes] == ["When", "I", "sleep", "", "", "now"]
    with pytest.raises(ConfigError, match=r"song.musicxml: no verse 3: there are 1, 2"):
        read(SONG, verse=3)


def test_the_first_verse_is_sung_whatever_its_number(read):
    assert sung(read(document(note("C4", 8, lyric(3, "la") + lyric(4, "lo"))))) == [(60, "la", False, 1)]


def test_verses_stacked_in_one_text_are_separated(read):
    assert [[note.lyric for note in read(LINES, verse=verse).notes] for verse in (1, 2, 3)] == [
        ["one", "ein"],
        ["two", "zwei"],
        ["three", "drei"],
    ]


@pytest.mark.parametrize("part", [None, "Voice", 1, "1"])
def test_parts_are_chosen_by_name_or_number(read, part):
    assert len(read(SONG, part=part).notes) == 6


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("Voise", "no part 'Voise' among its 2: did you mean 'Voice'"),
        (3, "no part 3"),
        (0, "no part 0"),
        ("Piano", "none of the 1 notes has a lyric"),
    ],
)
def test_other_parts_are_refused(read, part, message):
    with pytest.raises(ConfigError, match=message):
        read(SONG, part=part)


GRACE = "<note><grace/><pitch><step>B</step><octave>4</octave></pitch>{}</note>"
CHORD = "<note><chord/><pitch><step>B</step><octave>4</octave></pitch><duration>4</duration></note>"


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ("", "the part is empty"),
        (note(None, 8), "the part is empty"),
        (note("C4", 8), "none of the 1 notes has a lyric"),
        (note("C4", 4, lyric(1, "la")) + CHORD, "bar 1: 2 pitches in one note"),
        (GRACE.format(lyric(1, "la")) + note("C4", 4, lyric(1, "lo")), "bar 1, grace note \\('la'\\)"),
        (note("C4", 4, lyric(1, "la")) + note(None, 2) + note("D4", 2), "bar 1, D4: no syllable"),
        (
            note("C4", 8, lyric(1, "la")) + "<backup><duration>4</duration></backup>" + note("D4", 2, lyric(1, "lo")),
            "bar 1, D4, 'lo': overlaps",
        ),
    ],
)
def test_what_cannot_be_sung_is_refused_by_bar_and_syllable(read, bar, message):
    with pytest.raises(ConfigError, match=f"song.musicxml: {message}") as caught:
        read(document(bar))
    assert "\n" not in str(caught.value)


def test_names_of_chords_above_the_staff_are_not_sung(read):
    harmony = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    assert sung(read(document(harmony + note("C4", 8, lyric(1, "la"))))) == [(60, "la", False, 1)]


def test_grace_notes_are_left_out(read):
    assert sung(read(document(GRACE.format("") + note("C4", 8, lyric(1, "la"))))) == [(60, "la", False, 1)]


@pytest.mark.parametrize("text", ["", "<score-partwise>", "no xml"])
def test_other_files_are_refused(read, text):
    with pytest.raises(ConfigError, match=r"song.musicxml: no (MusicXML|parts)") as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    pytest.importorskip("music21")
    with pytest.raises(ConfigError, match="no such file"):
        read_musicxml(tmp_path / "none.musicxml")


def test_compressed_files_are_read(read, tmp_path):
    path = tmp_path / "song.mxl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/container.xml", '<container><rootfiles><rootfile full-path="song.xml"/></rootfiles></container>')
        archive.writestr("song.xml", SONG)
    assert read_musicxml(path) == read(SONG)


def test_a_file_that_changed_is_read_anew(read):
    read(SONG)
    assert len(read(LINES).notes) == 2


def test_what_was_written_is_read_as_the_same_score(read, tmp_path):
    song = read(SONG)
    path = tmp_path / "back.musicxml"
    write_musicxml(path, song)
    assert read_musicxml(path) == song
    with pytest.raises(ConfigError, match="cannot be written"):
        write_musicxml(tmp_path / "none" / "song.musicxml", song)


@pytest.mark.parametrize(
    "lengths",
    [(1, 1 / 3, 1 / 3, 1 / 3, 2), (1 / 4, 3 / 4, 1.5, 1 / 2, 5), (1 / 6, 1 / 6, 2 / 3, 7, 1 / 4), (0.1, 1.234, 1 / 3, 0.77, 3.001)],
)
def test_any_rhythm_survives(read, tmp_path, lengths):
    ends = [round(48 * sum(lengths[:number])) / 48 for number in range(len(lengths) + 1)]
    kinds = ["la", "", "rest", "la-", ""]
    notes = [
        Written(ends[n], ends[n + 1], 60.0 + n, 1, kind.strip("-"), kind.endswith("-")) for n, kind in enumerate(kinds) if kind != "rest"
    ]
    song = from_beats(notes, [Tempo(0, 100), Tempo(2, 60)], (3, 4), "song")
    path = tmp_path / "back.musicxml"
    write_musicxml(path, song)
    back = read_musicxml(path)
    assert [(note.pitch, note.lyric, note.slur) for note in back.notes] == [(note.pitch, note.lyric, note.slur) for note in song.notes]
    assert [note.duration for note in back.notes] == pytest.approx([note.duration for note in song.notes], abs=1e-4)
    assert (back.tempos, back.meter) == (song.tempos, song.meter)


def test_without_music21_the_line_to_install_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(ConfigError, match=r"music21, which is not installed: pip install 'sgaudio\[sing\]'"):
        read_musicxml(tmp_path / "song.musicxml")
