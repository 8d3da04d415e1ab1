import struct

import pytest

from sgaudio.errors import ConfigError
from sgaudio.scores import Tempo
from sgaudio.scores.beats import Written, from_beats
from sgaudio.scores.midi import read_midi, write_midi

pytest.importorskip("music21")
SONG = from_beats(
    [Written(1, 2, 60, 1, "Jea", True), Written(2, 3, 62, 1, "nie"), Written(3, 4, 64, 1), Written(5, 6.5, 65, 2, "小")],
    (Tempo(0, 120), Tempo(4, 100)),
    (3, 4),
    "song",
)


def track(*events, name=b""):
    """Events as (ticks since the last, bytes)."""
    named = b"\x00\xff\x03" + bytes([len(name)]) + name if name else b""
    body = named + b"".join(bytes([delta]) + event for delta, event in events) + b"\x00\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def on(pitch):
    return bytes([0x90, pitch, 80])


def off(pitch):
    return bytes([0x90, pitch, 0])  # as most programs write it


@pytest.fixture
def read(tmp_path):
    def written(*tracks, division=96, **options):
        path = tmp_path / "song.mid"
        path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), division) + b"".join(tracks))
        return read_midi(path, **options)

    return written


TWO = track((0, on(60)), (96, off(60)), (0, on(62)), (96, off(62)), name=b"Voice")


def test_what_was_written_is_read_as_the_same_score(tmp_path):
    path = tmp_path / "song.mid"
    write_midi(path, SONG)
    back = read_midi(path)
    assert [(n.pitch, n.lyric, n.hyphen, n.slur, n.bar) for n in back.notes] == [
        *((None, "", False, False, 1), (60, "Jea", True, False, 1), (62, "nie", False, False, 1), (64, "", False, True, 2)),
        *((None, "", False, False, 2), (65, "小", False, False, 2)),
    ]
    assert [note.duration for note in back.notes] == pytest.approx([note.duration for note in SONG.notes], abs=1e-6)
    assert back.tempos == SONG.tempos
    assert back.meter == SONG.meter
    with pytest.raises(ConfigError, match="cannot be written"):
        write_midi(tmp_path, SONG)


def test_lyrics_come_as_text(read):
    song = read(TWO, text="dream-er")
    assert [(note.pitch, note.lyric, note.hyphen) for note in song.notes] == [(60, "dream", True), (62, "er", False)]
    assert [note.duration for note in song.notes] == [0.5, 0.5]


def test_a_note_that_reaches_a_little_into_the_next_ends_there(read):
    song = read(track((0, on(60)), (96, on(62)), (6, off(60)), (90, off(62))), text="la lo")
    assert [note.duration for note in song.notes] == [0.5, 0.5]


@pytest.mark.parametrize("part", [None, "Voice", 1, "1"])
def test_tracks_are_chosen_by_name_or_number_among_those_with_notes(read, part):
    other = track((0, on(40)), (96, off(40)), name=b"Bass")
    assert len(read(track(), TWO, other, part=part, text="la lo").notes) == 2


@pytest.mark.parametrize(
    ("tracks", "options", "message"),
    [
        ([TWO], {}, "none of the 2 notes has a lyric"),
        ([TWO], {"text": "la"}, "2 notes and 1 syllables: the first note without a syllable is note 2, bar 1, D4"),
        ([TWO], {"text": "la lo li"}, "the first syllable without a note is 'li'"),
        ([TWO], {"text": "_ la"}, "bar 1, C4: no syllable"),
        ([TWO], {"text": "la lo", "part": "Voise"}, "no part 'Voise' among its 1 tracks with notes: did you mean 'Voice'"),
        ([track()], {"text": "la"}, "no track has notes"),
        ([track((0, on(60)))], {"text": "la"}, "1 notes never end"),
        ([track((0, on(60)), (0, on(64)), (96, off(60)), (0, off(64)))], {"text": "la lo"}, "bar 1, E4, 'lo': overlaps"),
        ([TWO], {"text": "la lo", "division": 0xE719}, "parts of a second"),
    ],
)
def test_what_cannot_be_sung_is_refused(read, tracks, options, message):
    with pytest.raises(ConfigError, match=f"song.mid: .*{message}"):
        read(*tracks, **options)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60MTrk\x00\x00\x00\x09\x00"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "song.mid"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"song.mid: no (MIDI file that can be read|track has notes)") as caught:
        read_midi(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_midi(tmp_path)
