"""What is sung: notes with their syllables and phones, one after another in seconds.

Notes and phones run side by side, each a list of durations without gaps or overlaps (silence is a rest), so that sums are exact and a
.ds file (`sgaudio.scores.ds`) can hold all of it. A syllable is a note and the slurs after it; its leading consonants sound before the
note's onset, its vowel on it. Beats are for files that are written in them: `sgaudio.scores.beats`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sgaudio.errors import ConfigError

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
NOTE_NAME = re.compile(r"([A-Ga-g])([#♯b♭]*)(-?\d+)([+-]\d+)?")


class Phone(NamedTuple):
    """A phone and how long it lasts, in seconds, where that is known."""

    name: str
    duration: float | None = None


class Tempo(NamedTuple):
    """From this beat on, counted in quarters from time 0, so many quarters a minute."""

    beat: float
    per_minute: float


@dataclass(frozen=True)
class Note:
    """A note or a rest.

    Args:
        duration: in seconds.
        pitch: MIDI number (60 is C4) with cents as hundredths, None for a rest.
        lyric: the syllable that begins here, without blanks or hyphens at its ends.
        hyphen: the word goes on in the next syllable.
        slur: the note carries on the syllable of the one before.
        leading: phones of the syllable that sound before the note's onset.
        phones: those from the onset on, the vowel first; a rest's are silences.
        bar: for messages.
    """

    duration: float
    pitch: float | None
    lyric: str = ""
    hyphen: bool = False
    slur: bool = False
    leading: tuple[Phone, ...] = ()
    phones: tuple[Phone, ...] = ()
    bar: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Curve:
    """A quantity over time: `values` stand every `step` seconds from the start of the score. F0 is in Hz, 0 where unvoiced."""

    step: float
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not 0 < self.step < math.inf:
            raise ConfigError(f"curve: its step is {self.step!r} s, expected more than 0")
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ConfigError("curve: it has no values, or some that are not finite")


@dataclass(frozen=True)
class Score:
    """One voice's notes, from `start` on.

    What is written about it (bars, tempos, meter, its name) plays no part in whether two scores are the same.

    Args:
        notes: one after another.
        start: of the first note, in seconds from the start of the song.
        curves: by name: "f0", "energy", ...; they hold their last value.
        speaker, language, seed: what the voice is told, where it asks.
        tempos, meter: for writing it in beats.
        name: of the file, for messages.

    Raises:
        ConfigError: names bar, note and syllable of what cannot be sung.
    """

    notes: tuple[Note, ...]
    start: float = 0.0
    curves: Mapping[str, Curve] = field(default_factory=dict)
    speaker: str | None = None
    language: str | None = None
    seed: int | None = None
    tempos: tuple[Tempo, ...] = field(default=(Tempo(0.0, 120.0),), compare=False)
    meter: tuple[int, int] = field(default=(4, 4), compare=False)
    name: str = field(default="score", compare=False)

    def __post_init__(self) -> None:
        if not self.notes:
            raise ConfigError(f"{self.name}: the part is empty: there is nothing to sing")
        if all(note.pitch is None for note in self.notes):
            raise ConfigError(f"{self.name}: there are rests only ({len(self.notes)}): nothing to sing")
        for index, note in enumerate(self.notes):
            if fault := _fault(note, self.notes[index - 1] if index else None):
                raise ConfigError(f"{self.place(index)}: {fault}")
        known = [phone.duration is not None for phone in self.phones]
        if any(known) and not all(known):
            raise ConfigError(
                f"{self.name}: {known.count(False)} of {len(known)} phones have no duration, expected all or none to have one"
            )
        if any(known) and self.notes[0].leading:
            raise ConfigError(
                f"{self.place(0)}: phone {self.notes[0].leading[0].name!r} leads the note, but nothing comes before it: add a rest"
            )

    def place(self, index: int) -> str:
        """What a message calls a note: bar, note and syllable."""
        note = self.notes[index]
        bar = "" if note.bar is None else f"bar {note.bar}, "
        words = ["rest" if note.pitch is None else note_name(note.pitch)]
        words += [repr(note.lyric)] if note.lyric else ["slur"] if note.slur else []
        return f"{self.name}: {bar}note {index + 1} ({', '.join(words)})"

    @cached_property
    def onsets(self) -> np.ndarray:
        """Start of each note and the end of the last, in seconds: (notes + 1)."""
        return self.start + np.cumsum([0.0, *(note.duration for note in self.notes)])

    @cached_property
    def phones(self) -> tuple[Phone, ...]:
        """All phones, in the order of time."""
        return tuple(phone for note in self.notes for phone in (*note.leading, *note.phones))

    @cached_property
    def syllables(self) -> tuple[range, ...]:
        """Indices of the notes of each syllable, or of a rest: a note and its slurs."""
        starts = [index for index, note in enumerate(self.notes) if not note.slur]
        return tuple(range(*pair) for pair in pairwise([*starts, len(self.notes)]))

    @property
    def is_timed(self) -> bool:
        """Its phones' durations are known."""
        return bool(self.phones) and self.phones[0].duration is not None

    def transposed(self, semitones: float) -> "Score":
        """Higher by so many semitones, its F0 curve too."""
        notes = tuple(replace(note, pitch=None if note.pitch is None else note.pitch + semitones) for note in self.notes)
        factor = 2 ** (semitones / 12)
        raised = {"f0": Curve(f0.step, tuple(factor * hertz for hertz in f0.values))} if (f0 := self.curves.get("f0")) else {}
        return replace(self, notes=notes, curves={**self.curves, **raised})

    def slower(self, factor: float) -> "Score":
        """Everything lasts `factor` times as long."""

        def longer(phones: tuple[Phone, ...]) -> tuple[Phone, ...]:
            return tuple(Phone(name, None if duration is None else factor * duration) for name, duration in phones)

        notes = (replace(n, duration=factor * n.duration, leading=longer(n.leading), phones=longer(n.phones)) for n in self.notes)
        curves = {name: Curve(factor * curve.step, curve.values) for name, curve in self.curves.items()}
        tempos = tuple(Tempo(beat, per_minute / factor) for beat, per_minute in self.tempos)
        return replace(self, notes=tuple(notes), start=factor * self.start, curves=curves, tempos=tempos)

    def check_range(self, low: float, high: float) -> None:
        """
        Raises:
            ConfigError: names the first note outside of the voice's range, and what would bring all into it.
        """
        pitches = [note.pitch for note in self.notes if note.pitch is not None]
        for index, note in enumerate(self.notes):
            if note.pitch is not None and not low <= note.pitch <= high:
                least, most = math.ceil(low - min(pitches)), math.floor(high - max(pitches))
                key = least if least > 0 else most
                cure = f"--key {key:+d} brings all notes into it" if least <= most else "no key brings all notes into it"
                raise ConfigError(f"{self.place(index)}: outside of the voice's range, {note_name(low)} to {note_name(high)}: {cure}")


def _fault(note: Note, before: Note | None) -> str | None:
    """Why a note cannot be sung."""
    if not 0 < note.duration < math.inf:
        return f"lasts {note.duration!r} s, expected more than 0"
    for phone in (*note.leading, *note.phones):
        if phone.duration is not None and not 0 <= phone.duration < math.inf:
            return f"phone {phone.name!r} lasts {phone.duration!r} s, expected 0 or more"
    if note.lyric and (note.slur or note.pitch is None):
        return f"a {'slur' if note.slur else 'rest'} has no syllable of its own"
    if any(map(str.isspace, note.lyric)) or note.lyric.endswith("-"):
        return f"the syllable {note.lyric!r} has blanks in it or a hyphen at its end"
    if note.pitch is None:
        return "a rest cannot be a slur" if note.slur else "a rest has no leading phones" if note.leading else None
    if not 0 <= note.pitch <= 127:
        return f"pitch {note.pitch!r}, expected a MIDI number, 0 to 127"
    if note.slur and (before is None or before.pitch is None):
        return "a slur, but no note before it to carry on"
    if note.slur and (note.leading or note.phones):
        return "a slur has no phones of its own"
    return "no syllable" if not note.slur and not note.lyric and not note.phones else None


def note_name(pitch: float) -> str:
    """ "C4" for 60, "C#4+12" for 61.12: to the cent."""
    number = round(pitch)
    cents = round(100 * (pitch - number))
    return f"{NAMES[number % 12]}{number // 12 - 1}" + (f"{cents:+d}" if cents else "")


def midi_number(name: str) -> float:
    """The pitch that `note_name` names; also flats, and of two spellings ("D#4/Eb4") the first.

    Raises:
        ConfigError: where it is no such name.
    """
    found = NOTE_NAME.fullmatch(name.partition("/")[0])
    if not found:
        raise ConfigError(f"{name!r} is no note, expected one like C4, F#3, Bb4 or C4+12, or 'rest'")
    letter, signs, octave, cents = found.groups()
    shift = sum(1 if sign in "#♯" else -1 for sign in signs)
    number = STEPS[letter.upper()] + shift + 12 * (int(octave) + 1)
    return number + int(cents) / 100 if cents else float(number)
