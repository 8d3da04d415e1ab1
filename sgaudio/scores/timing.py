"""Phones on a grid of frames: the vowel on the note's onset, sums exact.

Only ends are rounded, each from the time since the start, so that the frames of a note's phones sum to the frames of the note, and those
of all phones to the length. (Durations rounded one by one drift.) Of the room between two onsets the final consonants take at most 40 %,
the leading ones of the next syllable 95 % of what is left; the vowel has the rest.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from sgaudio.errors import ConfigError
from sgaudio.scores.score import Curve, Phone, Score

FINAL = 0.4  # of the note, for the consonants that end a syllable
LEADING = 0.95  # of what they leave, for those that begin the next one
NOISE = 1e-6  # frames: what stands half way between two but for the noise of sums goes to the later one, everywhere


class Row(NamedTuple):
    """A phone as a voice sings it: a vowel that is held over slurs has a row for each note.

    Args:
        phone: its name.
        source: its index in `Score.phones`.
        note: index of the note that it belongs to; leading consonants belong to their own syllable's.
        slur: that note is a slur.
    """

    phone: str
    source: int
    note: int
    slur: bool


def frames_at(times: np.ndarray | float, frame_rate: float) -> np.ndarray:
    """The nearest frames to times in seconds, half way to the later one: int64, of the same shape."""
    return np.floor(np.asarray(times, float) * frame_rate + 0.5 + NOISE).astype(np.int64)


def rows(score: Score) -> tuple[Row, ...]:
    """The phones of a score in the order of time, vowels once for each note.

    Raises:
        ConfigError: names the first note without phones.
    """
    made, index = list[Row](), 0
    for group in score.syllables:
        note = score.notes[group.start]
        if not note.phones:
            raise ConfigError(f"{score.place(group.start)}: no phones yet")
        names = [phone.name for phone in (*note.leading, *note.phones)]
        vowel = len(note.leading)
        for number, name in enumerate(names):
            held = group if number == vowel else group[:1] if number < vowel else group[-1:]
            made += [Row(name, index + number, at, score.notes[at].slur) for at in held]
        index += len(names)
    return tuple(made)


def fitted(score: Score, natural: Sequence[float]) -> Score:
    """The score with a duration for each phone: those of consonants natural where there is room, those of vowels what is left.

    Args:
        natural: durations in seconds, one for each of `score.phones`; those of vowels and rests are not looked at.

    Raises:
        ConfigError: where their number or a value is wrong, or the first syllable's consonants have nothing before them.
    """
    if len(natural) != len(score.phones) or not all(0 <= duration < np.inf for duration in natural):
        raise ConfigError(f"{score.name}: {len(natural)} durations for {len(score.phones)} phones, expected one each, of 0 s or more")
    if score.notes[0].leading:
        raise ConfigError(f"{score.place(0)}: its consonants need a rest before it: cut the score into segments first")
    wanted, notes, lead = iter(natural), list(score.notes), tuple[Phone, ...]()
    for number, group in enumerate(score.syllables):
        note, last = notes[group.start], notes[group[-1]]
        after = notes[group.stop] if number + 1 < len(score.syllables) else None
        _, *finals = (next(wanted) for _ in note.phones)
        finals = _at_most(FINAL * last.duration, finals)
        following = after.leading if after else ()
        leading = _at_most(LEADING * (last.duration - sum(finals)), [next(wanted) for _ in following])
        vowel = sum(notes[index].duration for index in group) - sum(finals) - sum(leading)
        phones = tuple(Phone(phone.name, length) for phone, length in zip(note.phones, (vowel, *finals), strict=True))
        notes[group.start] = replace(note, leading=lead, phones=phones)
        lead = tuple(Phone(phone.name, length) for phone, length in zip(following, leading, strict=True))
    return replace(score, notes=tuple(notes))


def _at_most(room: float, durations: list[float]) -> list[float]:
    """Durations shortened alike so that they fit."""
    total = sum(durations)
    return [duration * room / total for duration in durations] if total > room else durations


def row_ends(score: Score) -> np.ndarray:
    """Where each of `rows` ends, in seconds: float64 (rows). A held vowel passes to the next note on its onset.

    Raises:
        ConfigError: where the durations of phones are not known.
    """
    if not score.is_timed:
        raise ConfigError(f"{score.name}: the durations of its phones are not known")
    bounds = [score.start, *accumulate((phone.duration or 0.0 for phone in score.phones), initial=score.start)][1:]
    made, ends = rows(score), list[float]()
    for row, after in zip(made, (*made[1:], None), strict=True):
        held = after is not None and after.source == row.source
        ends.append(
            float(np.clip(score.onsets[row.note + 1], bounds[row.source], bounds[row.source + 1])) if held else bounds[row.source + 1]
        )
    return np.array(ends)


def row_frames(score: Score, frame_rate: float) -> np.ndarray:
    """How many frames each of `rows` lasts: int64 (rows). Their sum is that of the whole."""
    ends = frames_at(row_ends(score), frame_rate)
    return np.diff(ends, prepend=frames_at(score.start, frame_rate))


def note_frames(score: Score, frame_rate: float) -> np.ndarray:
    """How many frames each note lasts: int64 (notes)."""
    return np.diff(frames_at(score.onsets, frame_rate))


def resampled(curve: Curve, times: np.ndarray) -> np.ndarray:
    """Values of a curve at times in seconds from its start: float64, of their shape.

    Linear between two values, exact on them, the first and the last held outside; where one of the two is 0, the nearer
    one, for an F0 of 0 is no pitch.
    """
    values = np.array(curve.values)
    place = np.clip(np.asarray(times, float) / curve.step, 0, len(values) - 1)
    left = np.minimum(place.astype(np.int64), max(len(values) - 2, 0))
    right = np.minimum(left + 1, len(values) - 1)
    part = place - left
    nearer = np.where(part < 0.5, values[left], values[right])
    return np.where((values[left] == 0) | (values[right] == 0), nearer, (1 - part) * values[left] + part * values[right])


def frame_times(frames: int, frame_rate: float) -> np.ndarray:
    """Times of frames, from 0 on, in seconds: float64 (frames)."""
    return np.arange(frames) / frame_rate
