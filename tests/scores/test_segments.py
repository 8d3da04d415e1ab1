from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.scores import Curve, Note, Phone, Score
from sgaudio.scores.segments import joined, segments
from sgaudio.scores.timing import frames_at

RATE = 187.5


def la(duration=1.0):
    return Note(duration, 60, "la", phones=(Phone("a"),))


def rest(duration):
    return Note(duration, None, phones=(Phone("SP"),))


@given(st.data())
def test_frames_of_segments_are_those_of_the_song(songs, data):
    song = data.draw(songs)
    parts = segments(song, RATE)
    wanted = frames_at(song.onsets[:-1], RATE)[[note.pitch is not None for note in song.notes]]
    found = []
    for part in parts:
        first = frames_at(part.start, RATE)
        assert abs(part.start * RATE - first) < 1e-6  # offsets stand on a frame
        assert first >= 0
        own = frames_at(part.onsets, RATE) - first  # as the voice sings it: from its own start
        found += [first + frame for frame, note in zip(own, part.notes, strict=False) if note.pitch is not None]
    assert found == wanted.tolist()


@given(st.data())
def test_segments_hold_all_that_is_sung_and_do_not_overlap(songs, data):
    song = data.draw(songs)
    parts = segments(song, RATE)
    sung = [note for part in parts for note in part.notes[1:-1]]
    assert [note for note in sung if note.pitch is not None] == [note for note in song.notes if note.pitch is not None]
    assert all(part.notes[0].pitch is None and part.notes[-1].pitch is None for part in parts)
    assert all(now.onsets[-1] < after.start + 1 / RATE for now, after in pairwise(parts))
    assert all(note.duration <= 1 for part in parts for note in part.notes[1:-1] if note.pitch is None)


def test_only_rests_longer_than_a_second_part():
    assert len(segments(Score((la(), rest(1.0), la())), RATE)) == 1
    first, second = segments(Score((rest(2), la(), rest(1.2), la(), rest(3))), RATE)
    assert [note.duration for note in first.notes] == pytest.approx([0.5, 1, 0.5], abs=1 / RATE)
    assert (first.start, second.start) == pytest.approx((1.5, 3.7), abs=1 / RATE)


def test_a_song_that_begins_at_once_begins_a_little_later():
    first, second = segments(Score((la(), rest(1.5), la())), RATE)
    assert first.start == 0
    delay = first.notes[0].duration
    assert 0.5 <= delay < 0.5 + 1 / RATE
    assert second.onsets[1] == pytest.approx(2.5 + delay, abs=1e-9)


def test_the_rest_that_is_written_before_the_song_stays():
    (only,) = segments(Score((rest(0.2), la())), RATE)
    assert only.start == 0
    assert only.onsets[1] == pytest.approx(0.2)


def test_rests_around_a_segment_have_the_voices_silence():
    (only,) = segments(Score((la(),)), RATE, silence="pau")
    assert only.notes[0].phones == only.notes[-1].phones == (Phone("pau"),)


def test_curves_are_cut_where_the_song_is():
    curve = Curve(0.25, tuple(float(value) for value in range(1, 41)))
    _, second = segments(Score((rest(1), la(), rest(2), la()), curves={"f0": curve}), 4)
    assert second.start == 3.5
    assert second.curves["f0"].values == tuple(range(15, 24))


def test_timed_songs_are_one_segment():
    song = Score((Note(5, None, phones=(Phone("SP", 5.0),)), Note(1, 60, "la", phones=(Phone("a", 1.0),))))
    assert segments(song, RATE) == (song,)


# Joining: what other programs get wrong where segments meet


def test_pieces_stand_at_their_offsets_with_silence_between():
    assert joined([(5, np.ones(2)), (1, 2 * np.ones(2))]).tolist() == [0, 2, 2, 0, 0, 1, 1]
    assert joined([(1, np.ones((2, 1)))]).tolist() == [[0, 1], [0, 1]]


def test_pieces_that_overlap_fade():
    published = [1, 1, 1, 1, 1, 1, 1, 4 / 3, 5 / 3, 2, 2, 2, 2, 2]  # openvpi/DiffSinger 753b7cc
    np.testing.assert_allclose(joined([(0, np.ones(10)), (6, 2 * np.ones(8))]), published)


def test_a_piece_shorter_than_the_overlap_leaves_the_rest():
    found = joined([(0, np.ones(10)), (2, 2 * np.ones(3)), (9, 3 * np.ones(3))])
    np.testing.assert_allclose(found, [1, 1, 1, 1.5, 2, 1, 1, 1, 1, 1, 3, 3])


def test_what_lies_before_the_start_is_dropped():
    assert joined([(-2, np.arange(4.0)), (-9, np.ones(3))]).tolist() == [2, 3]
    assert joined([(-9, np.ones(3))]).tolist() == []


def test_pieces_are_not_written_to():
    piece = np.ones(4)
    joined([(0, piece), (2, piece)])[:] = 9
    assert piece.tolist() == [1] * 4


def test_nothing_is_not_joined():
    with pytest.raises(ConfigError, match="nothing to join"):
        joined([])
