"""Between notes written in beats, as in MusicXML and MIDI, and a score in seconds.

A beat is a quarter. Notes without a syllable that touch the one before are slurs of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sgaudio.errors import ConfigError
from sgaudio.scores.score import Note, Score, Tempo, note_name

SAME = 1e-6  # beats between places that are the same but for rounding


class Written(NamedTuple):
    """A note as it is written; onset and end in quarters from the start."""

    onset: float
    end: float
    pitch: float
    bar: int
    lyric: str = ""
    hyphen: bool = False

    def __str__(self) -> str:
        return f"bar {self.bar}, {note_name(self.pitch)}" + (f", {self.lyric!r}" if self.lyric else "")


def seconds(beats: np.ndarray, tempos: Sequence[Tempo]) -> np.ndarray:
    """Times of places in beats, of any shape."""
    starts, rates, at = _map(tempos)
    part = np.searchsorted(starts, beats, side="right").clip(1) - 1
    return at[part] + (beats - starts[part]) * rates[part]


def beats(times: np.ndarray, tempos: Sequence[Tempo]) -> np.ndarray:
    """Places in beats of times in seconds, of any shape: undoes `seconds`."""
    starts, rates, at = _map(tempos)
    part = np.searchsorted(at, times, side="right").clip(1) - 1
    return starts[part] + (times - at[part]) / rates[part]


def _map(tempos: Sequence[Tempo]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each tempo starts in beats, how long its beats are, and where it starts in seconds."""
    starts, rates = np.array([tempo.beat for tempo in tempos]), np.array([60 / tempo.per_minute for tempo in tempos])
    return starts, rates, np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])]) + starts[0] * rates[0]


def from_beats(written: Sequence[Written], tempos: Sequence[Tempo], meter: tuple[int, int], name: str) -> Score:
    """The score of one part, from beat 0 on, with rests in its gaps.

    Raises:
        ConfigError: where the part is empty or has no lyrics, and, with bar, note and syllable, where notes overlap or have no syllable.
    """
    if not written:
        raise ConfigError(f"{name}: the part is empty: there is nothing to sing")
    if not any(note.lyric for note in written):
        raise ConfigError(f"{name}: none of the {len(written)} notes has a lyric: write lyrics below them, or choose another part or verse")
    if bad := [tempo for tempo in tempos if not 0 < tempo.per_minute < 10_000]:
        raise ConfigError(f"{name}: a tempo of {bad[0].per_minute!r} quarters a minute at beat {bad[0].beat:g}, expected more than 0")
    ordered, notes, end = sorted(written, key=lambda note: note.onset), list[Note](), 0.0
    bounds = seconds(np.array([[note.onset, note.end] for note in ordered], float), tempos)
    last = 0.0
    for note, (start, stop) in zip(ordered, bounds.tolist(), strict=True):
        if note.onset < end - SAME:
            raise ConfigError(
                f"{name}: {note}: overlaps the note before it, expected one note at a time: choose a part with a single voice"
            )
        touches = bool(notes) and note.onset < end + SAME
        if not touches and start > last:
            notes.append(Note(start - last, None, bar=note.bar))
            last = start
        if not note.lyric and not touches:
            raise ConfigError(
                f"{name}: {note}: no syllable, and no note right before it whose syllable it could carry on: write a lyric below it"
            )
        notes.append(Note(stop - last, note.pitch, note.lyric, note.hyphen, slur=not note.lyric, bar=note.bar))
        last, end = stop, note.end
    return Score(tuple(notes), tempos=tuple(tempos), meter=meter, name=name)
