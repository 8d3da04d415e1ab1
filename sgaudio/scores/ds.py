"""The .ds file of openvpi's DiffSinger: a list of segments in JSON, sequences as strings of numbers with blanks between them.

A word of the file begins with a vowel or a silence and takes in the consonants that lead the next one: `ph_num` counts its phones, and each
has a note and the slurs after it. Where a syllable ends and the next begins between two vowels, `ph_lead` says: the leading phones of each
word, a key of ours that other programs pass over; without it the rule of `sgaudio.scores.phones.given_to_next` does.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from sgaudio.errors import ConfigError
from sgaudio.registry import nearest
from sgaudio.scores.lyrics import syllables
from sgaudio.scores.phones import given_to_next
from sgaudio.scores.score import Curve, Note, Phone, Score, midi_number, note_name

SILENCES = ("SP", "AP")
NEEDED = ("ph_seq", "ph_num", "note_seq", "note_dur", "note_slur")
SCALARS = ("offset", "text", "ph_dur", "ph_lead", "spk_mix", "lang", "seed")
KEYS = {"f0": "f0_seq", "energy": "energy", "breathiness": "breathiness", "voicing": "voicing", "tension": "tension"}
CURVES = {**KEYS, "gender": "gender", "velocity": "velocity", "expr": "expr"}  # names of curves: their keys, beside NAME_timestep
SLACK = 0.1  # s: sums of notes and phones that differ by more do not belong together


@dataclass(frozen=True)
class DsFile:
    """What a file holds for a voice: its segments, each with its offset as `start`, and the keys that were passed over."""

    segments: tuple[Score, ...]
    ignored: tuple[str, ...]


def read_ds(path: Path, curves: Collection[str] = ("f0",)) -> DsFile:
    """The segments of a .ds file.

    Args:
        curves: names in CURVES of those that the voice can use; the others are ignored.

    Raises:
        ConfigError: where it cannot be read, a key is missing, a list is broken, or numbers do not match: names segment and key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: no .ds file that can be read ({error})") from error
    content = [content] if isinstance(content, Mapping) else content
    if not isinstance(content, list) or not content or not all(isinstance(each, Mapping) for each in content):
        raise ConfigError(f"{path}: no .ds file, expected a list of segments in JSON")
    ignored = dict[str, None]()
    segments = [_Segment(each, f"{path}: segment {number}", ignored).score(curves) for number, each in enumerate(content, 1)]
    return DsFile(tuple(segments), tuple(ignored))


class _Segment:
    """One segment as it stands in the file, and the keys of all segments so far that nobody asked for."""

    def __init__(self, entries: Mapping[str, Any], name: str, ignored: dict[str, None]):
        self.entries = {key: value for key, value in entries.items() if value is not None}
        self.name, self.ignored = name, ignored

    def score(self, curves: Collection[str]) -> Score:
        for key in NEEDED:
            if key not in self.entries:
                have = f" ({nearest(key, self.entries)})" if self.entries else ""
                raise ConfigError(f"{self.name}: the key {key!r} is missing, which a voice that sings notes needs{have}")
        used = {name: CURVES[name] for name in CURVES if name in curves}
        asked = {*NEEDED, *SCALARS, *used.values(), *(f"{name}_timestep" for name in used)}
        self.ignored.update(dict.fromkeys(key for key in self.entries if key not in asked))
        mix = self.entries.get("spk_mix", {})
        if not isinstance(mix, Mapping):
            raise ConfigError(f"{self.name}: spk_mix is {mix!r}, expected {{speaker: weight}}")
        if len(mix) > 1:
            self.ignored["spk_mix of several"] = None
        return Score(
            self.notes(),
            start=self.number("offset") if "offset" in self.entries else 0.0,
            curves={name: self.curve(key, f"{name}_timestep") for name, key in used.items() if key in self.entries},
            speaker=str(next(iter(mix))) if len(mix) == 1 else None,
            language=str(self.entries["lang"]) if "lang" in self.entries else None,
            seed=int(self.number("seed")) if "seed" in self.entries else None,
            name=self.name,
        )

    def notes(self) -> tuple[Note, ...]:
        names, durations, slurs = self.words("note_seq"), self.numbers("note_dur"), self.counts("note_slur")
        phones, counts = self.phones(), self.counts("ph_num")
        self.match("note_dur", len(durations), "note_seq", len(names))
        self.match("note_slur", len(slurs), "note_seq", len(names))
        self.match("the sum of ph_num", sum(counts), "ph_seq", len(phones))
        firsts = [index for index, slur in enumerate(slurs) if not slur]
        self.match("notes without slur", len(firsts), "ph_num", len(counts))
        if slurs[0]:
            raise ConfigError(f"{self.name}: note 1 ({names[0]}) is a slur, but no note comes before it")
        if phones[0].duration is not None and abs(sum(durations) - sum(phone.duration or 0.0 for phone in phones)) > SLACK:
            raise ConfigError(
                f"{self.name}: the notes last {sum(durations):.3f} s, the phones {sum(p.duration or 0.0 for p in phones):.3f} s"
            )
        pitches = [self.pitch(name) for name in names]
        words = [phones[start:stop] for start, stop in pairwise(accumulate(counts, initial=0))]
        leads = self.leads(words, [pitches[index] is not None for index in firsts])
        texts = self.texts([pitches[index] is not None for index in firsts])
        made = [Note(duration, pitch, slur=bool(slur)) for duration, pitch, slur in zip(durations, pitches, slurs, strict=True)]
        for number, index in enumerate(firsts):
            own = len(words[number]) - (leads[number + 1] if number + 1 < len(leads) else 0)
            leading = words[number - 1][-leads[number] :] if leads[number] else ()
            text, hyphen = texts[number]
            made[index] = Note(durations[index], pitches[index], text, hyphen, False, tuple(leading), tuple(words[number][:own]))
        return tuple(made)

    def pitch(self, name: str) -> float | None:
        try:
            return None if name == "rest" else midi_number(name)
        except ConfigError as error:
            raise ConfigError(f"{self.name}: note_seq: {error}") from error

    def phones(self) -> list[Phone]:
        names = self.words("ph_seq")
        if "ph_dur" not in self.entries:
            return [Phone(name) for name in names]
        durations = self.numbers("ph_dur")
        self.match("ph_dur", len(durations), "ph_seq", len(names))
        return [Phone(*pair) for pair in zip(names, durations, strict=True)]

    def leads(self, words: Sequence[Sequence[Phone]], sung: Sequence[bool]) -> list[int]:
        """How many phones lead each word, from the end of the word before."""
        if "ph_lead" in self.entries:
            leads = self.counts("ph_lead")
            self.match("ph_lead", len(leads), "ph_num", len(words))
            if leads[0] or any(lead >= len(word) for lead, word in zip(leads[1:], words, strict=False)):
                raise ConfigError(f"{self.name}: ph_lead takes more phones than the word before has to give")
            return leads
        leads = [0]
        for word, this, following in zip(words, sung, sung[1:], strict=False):
            rest = len(word) - 1 if this else sum(phone.name.rpartition("/")[2] not in SILENCES for phone in word[1:])
            leads.append((given_to_next(rest) if this else rest) if following else 0)
        return leads

    def texts(self, sung: Sequence[bool]) -> list[tuple[str, bool]]:
        """The syllable of each word and whether its own word goes on; where `text` has another number of them, it is ignored."""
        text = str(self.entries.get("text", ""))
        given = [(word.removesuffix("-"), word.endswith("-")) for word in text.split()]
        if len(given) not in (len(sung), sum(sung)):
            given = syllables(text)  # written without blanks, as Chinese is
        if len(given) == sum(sung):
            left = iter(given)
            given = [next(left) if voiced else ("", False) for voiced in sung]
        if len(given) != len(sung):
            if given:
                self.ignored[f"text ({len(given)} syllables for {sum(sung)} sung)"] = None
            return [("", False)] * len(sung)
        return [word if voiced else ("", False) for word, voiced in zip(given, sung, strict=True)]

    def curve(self, key: str, step: str) -> Curve:
        value = self.entries[key]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Curve(1.0, (self.number(key),))
        if step not in self.entries:
            raise ConfigError(f"{self.name}: the key {step!r} is missing, which says how far the values of {key} stand apart")
        values, seconds = self.numbers(key), self.number(step)
        if seconds <= 0:
            raise ConfigError(f"{self.name}: {step} is {seconds:g}, expected more than 0 s")
        return Curve(seconds, tuple(values))

    def words(self, key: str) -> list[str]:
        value = self.entries[key]
        if not isinstance(value, str) or not value.split():
            raise ConfigError(f"{self.name}: {key} is {value!r:.60}, expected a string with blanks between its items")
        return value.split()

    def numbers(self, key: str) -> list[float]:
        return [self.real(item, f"{key}: item {number}") for number, item in enumerate(self.words(key), 1)]

    def counts(self, key: str) -> list[int]:
        values = self.numbers(key)
        for number, value in enumerate(values, 1):
            if value < (key == "ph_num") or value != int(value):
                raise ConfigError(f"{self.name}: {key}: item {number} is {value:g}, expected a whole number")
        return [int(value) for value in values]

    def number(self, key: str) -> float:
        return self.real(self.entries[key], key)

    def real(self, value: object, what: str) -> float:
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ConfigError(f"{self.name}: {what} is {value!r:.60}, expected a number")
        return number

    def match(self, what: str, found: int, other: str, expected: int) -> None:
        if found != expected:
            raise ConfigError(f"{self.name}: {what} and {other} do not match in number: {found} and {expected}")


def write_ds(path: Path, segments: Sequence[Score]) -> None:
    """Write segments, whose phones are there; reading them gives the same ones.

    Raises:
        ConfigError: where there is none, or one that has no place in such a file.
    """
    if not segments:
        raise ConfigError(f"{path}: no segment to write")
    text = json.dumps([_entries(segment) for segment in segments], ensure_ascii=False, indent=2)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error


def _entries(score: Score) -> dict[str, Any]:
    groups = [score.notes[group.start] for group in score.syllables]
    for group, note in zip(score.syllables, groups, strict=True):
        if not note.phones:
            raise ConfigError(f"{score.place(group.start)}: no phones yet: a .ds file needs them")
    if groups[0].leading:
        raise ConfigError(f"{score.place(0)}: its consonants need a rest before it: cut the score into segments first")
    if score.start < 0:
        raise ConfigError(f"{score.name}: it starts at {score.start:g} s, expected 0 or later")
    leads = [len(note.leading) for note in groups]
    written: dict[str, Any] = {"offset": score.start}
    if all(note.lyric or note.pitch is None for note in groups):
        written["text"] = " ".join(note.lyric + "-" * note.hyphen if note.lyric else note.phones[0].name for note in groups)
    written["ph_seq"] = " ".join(phone.name for phone in score.phones)
    if score.is_timed:
        written["ph_dur"] = _joined([phone.duration or 0.0 for phone in score.phones])
    written |= {
        "ph_num": " ".join(str(len(note.phones) + lead) for note, lead in zip(groups, (*leads[1:], 0), strict=True)),
        "ph_lead": " ".join(map(str, leads)),
        "note_seq": " ".join("rest" if note.pitch is None else note_name(note.pitch) for note in score.notes),
        "note_dur": _joined([note.duration for note in score.notes]),
        "note_slur": " ".join(str(int(note.slur)) for note in score.notes),
    }
    for name, curve in score.curves.items():
        written |= {CURVES[name]: _joined(curve.values), f"{name}_timestep": repr(curve.step)}
    if score.speaker is not None:
        written["spk_mix"] = {score.speaker: 1.0}
    return written | {key: value for key, value in (("lang", score.language), ("seed", score.seed)) if value is not None}


def _joined(values: Sequence[float]) -> str:
    """In full, so that reading gives the same numbers."""
    return " ".join(map(repr, map(float, values)))
