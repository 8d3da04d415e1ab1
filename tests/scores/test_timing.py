from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import ConfigError
from sgaudio.scores import Curve, Note, Phone, Score
from sgaudio.scores.timing import fitted, frame_times, frames_at, note_frames, resampled, row_ends, row_frames, rows

RATE = 187.5
SP = Note(1, None, phones=(Phone("SP"),))


def syllable(duration, leading=(), vowel="a", finals=(), **options):
    return Note(duration, 60, "la", leading=tuple(map(Phone, leading)), phones=(Phone(vowel), *map(Phone, finals)), **options)


@given(st.data())
def test_frames_of_phones_sum_to_those_of_their_note_and_of_the_song(songs, data):
    song = data.draw(songs)
    natural = data.draw(st.lists(st.floats(0, 2), min_size=len(song.phones), max_size=len(song.phones)))
    timed = fitted(song, natural)
    frames, made = row_frames(timed, RATE), rows(timed)
    assert (frames >= 0).all()
    assert frames.sum() == frames_at(song.onsets[-1], RATE) - frames_at(song.start, RATE)
    ends = frames_at(song.start, RATE) + np.cumsum(frames)
    begins = ends - frames
    vowels = {row.note: at for at, row in reversed(list(enumerate(made))) if row.phone in ("a", "SP")}
    assert [begins[vowels[note]] for note in range(len(song.notes))] == frames_at(
        song.onsets[:-1], RATE
    ).tolist()  # the vowel is on the onset
    between = [*(vowels[note] for note in range(len(song.notes))), len(made)]
    assert [frames[start:stop].sum() for start, stop in pairwise(between)] == note_frames(song, RATE).tolist()


def test_leading_consonants_sound_before_the_note_and_the_vowel_on_it():
    timed = fitted(Score((SP, syllable(1, "st", finals="k"), syllable(1, "b"))), [9, 0.1, 0.2, 9, 0.25, 0.125, 9])
    assert [(phone.name, round(phone.duration, 6)) for phone in timed.phones] == [
        *(("SP", 0.7), ("s", 0.1), ("t", 0.2), ("a", 0.625), ("k", 0.25), ("b", 0.125), ("a", 1.0)),
    ]


def test_consonants_that_have_no_room_are_shortened_alike():
    timed = fitted(Score((SP, syllable(1, finals="kk"), syllable(1, "bb"))), [0, 0, 1, 3, 1, 1, 0])
    assert [phone.duration for phone in timed.phones] == pytest.approx([1, 0.03, 0.1, 0.3, 0.285, 0.285, 1])


def test_a_held_vowel_passes_to_each_note_on_its_onset_and_the_finals_stay_in_the_last():
    timed = fitted(Score((SP, syllable(1, "b", finals="k"), Note(0.5, 62, slur=True))), [0, 0.1, 0, 0.9])
    assert [(row.phone, row.note, row.slur) for row in rows(timed)] == [
        ("SP", 0, False),
        ("b", 1, False),
        ("a", 1, False),
        ("a", 2, True),
        ("k", 2, True),
    ]
    assert row_ends(timed) == pytest.approx([0.9, 1, 2, 2.3, 2.5])


def test_given_durations_are_kept():
    notes = (Note(0.5, None, phones=(Phone("SP", 0.4),)), Note(0.5, 60, "la", leading=(Phone("b", 0.1),), phones=(Phone("a", 0.5),)))
    assert row_ends(Score(notes, start=1)) == pytest.approx([1.4, 1.5, 2])


def test_ends_are_rounded_and_durations_are_not():
    song = Score((Note(1.4 / RATE, 60, "la", phones=(Phone("a", 1.4 / RATE),)),) * 100)
    assert row_frames(song, RATE).sum() == 140
    assert set(row_frames(song, RATE)) == {1, 2}


@given(st.integers(0, 10**7))
def test_half_way_goes_to_the_later_frame_whatever_the_noise(frame):
    time = (frame + 0.5) / RATE
    assert {int(frames_at(time + noise, RATE)) for noise in (-1e-11, 0, 1e-11)} == {frame + 1}
    assert frames_at(frame / RATE, RATE) == frame


def test_what_cannot_be_fitted_is_refused():
    song = Score((SP, syllable(1)), name="song")
    for natural in ([1], [1, -1], [1, float("nan")]):
        with pytest.raises(ConfigError, match="durations for 2 phones"):
            fitted(song, natural)
    with pytest.raises(ConfigError, match=r"note 1 \(C4, 'la'\): its consonants need a rest before it"):
        fitted(Score((syllable(1, "b"),)), [0, 0])
    with pytest.raises(ConfigError, match="not known"):
        row_ends(song)
    with pytest.raises(ConfigError, match=r"note 1 \(C4, 'la'\): no phones yet"):
        rows(Score((Note(1, 60, "la"),)))


# Curves: what other programs get wrong at their ends


def test_curves_are_linear_between_values():
    step = 512 / 44100
    published = [1, 2.32199546, 5.28798186, 11.86394558]  # openvpi/DiffSinger 753b7cc; its two last frames repeat the fourth
    found = resampled(Curve(0.01, (1, 2, 4, 8, 16)), frame_times(6, 1 / step))
    np.testing.assert_allclose(found, [*published, 16, 16], rtol=1e-8)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=20), st.floats(1e-3, 1))
def test_a_curve_at_its_own_points_is_itself(values, step):
    np.testing.assert_allclose(resampled(Curve(step, tuple(values)), step * np.arange(len(values))), values, rtol=1e-9)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=20), st.floats(1e-3, 1))
def test_ends_are_exact_and_held(values, step):
    found = resampled(Curve(step, tuple(values)), np.array([-1.0, 0.0, step * len(values), 1e6]))
    assert found.tolist() == [values[0], values[0], values[-1], values[-1]]


def test_one_value_is_a_curve():
    assert resampled(Curve(0.005, (440.0,)), frame_times(3, RATE)).tolist() == [440.0] * 3


def test_three_values_at_the_same_rate_keep_the_last():
    assert resampled(Curve(1 / RATE, (1, 2, 3)), frame_times(3, RATE)) == pytest.approx([1, 2, 3], abs=1e-12)


def test_between_a_pitch_and_no_pitch_there_is_none():
    found = resampled(Curve(1.0, (0, 200, 300, 0)), np.array([0.4, 0.6, 1.5, 2.4, 2.6]))
    assert found.tolist() == [0, 200, 250, 300, 0]
