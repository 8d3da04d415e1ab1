"""MusicXML with lyrics, by music21: one part and one verse to a score, and a score to a file that music programs open."""

import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from sgaudio.errors import ConfigError
from sgaudio.registry import nearest
from sgaudio.scores.beats import Written, beats, from_beats
from sgaudio.scores.phones import ELISION
from sgaudio.scores.score import Score, Tempo

GRID = 48  # parts of a quarter that are written: sixteenths of triplets and 64ths stand on it


def read_musicxml(path: Path, part: str | int | None = None, verse: int | None = None) -> Score:
    """One voice of a score, as it stands: repeats are not unfolded, grace notes left out.

    Args:
        part: its name, or its number from 1; by default the first that has lyrics.
        verse: number of the lyric line; by default the first that is there, whatever its number.

    Raises:
        ConfigError: where music21 is missing or cannot read the file, or there is no such part or verse; with bar, note and syllable,
            where there is nothing to sing or something that one voice cannot.
    """
    score = _parsed(path)
    chosen = _part(list(score.parts), part, path)
    notes = chosen.toSoundingPitch().stripTies().flatten().notes
    elements = [each for each in notes if "Harmony" not in each.classes]  # but for chords' names
    lyrics = [_lines(each.lyrics) for each in elements]
    verses = sorted({number for lines in lyrics for number in lines})
    line = min(verses, default=1) if verse is None else verse
    if verses and line not in verses:
        raise ConfigError(f"{path}: no verse {line}: there {'are' if len(verses) > 1 else 'is'} {', '.join(map(str, verses))}")
    pairs = zip(elements, lyrics, strict=True)
    written = [note for each, lines in pairs if (note := _written(each, lines.get(line, ("", False)), path))]
    meters = [(meter.numerator, meter.denominator) for meter in chosen.recurse().getElementsByClass("TimeSignature")]
    return from_beats(written, _tempos(score), meters[0] if meters else (4, 4), str(path))


def write_musicxml(path: Path, score: Score) -> None:
    """Write notes and lyrics; times go to the nearest 48th of a quarter. A score that was read from such a file gives the same notes back.

    Raises:
        ConfigError: where music21 is missing, or the file cannot be written.
    """
    music21 = music21_package()
    part = music21.stream.Part()
    part.append(music21.meter.TimeSignature(f"{score.meter[0]}/{score.meter[1]}"))
    for tempo in score.tempos:
        part.insert(tempo.beat, music21.tempo.MetronomeMark(number=tempo.per_minute))
    places = [Fraction(round(place * GRID), GRID) for place in beats(score.onsets, score.tempos).tolist()]
    inside = False
    for note, onset, end in zip(score.notes, places, places[1:], strict=False):
        length = max(end - onset, Fraction(1, GRID))
        if note.pitch is None:
            part.insert(onset, music21.note.Rest(quarterLength=length))
            continue
        made = music21.note.Note(quarterLength=length)
        made.pitch.ps = note.pitch
        if note.lyric:
            syllabic = ("middle" if note.hyphen else "end") if inside else ("begin" if note.hyphen else "single")
            made.lyrics.append(music21.note.Lyric(text=note.lyric, number=1, syllabic=syllabic, applyRaw=True))
            inside = note.hyphen
        part.insert(onset, made)
    whole = music21.stream.Score([part])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole.write("musicxml", fp=path)
    except (OSError, music21.exceptions21.Music21Exception) as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error


def music21_package() -> ModuleType:
    """
    Raises:
        ConfigError: where it is not installed.
    """
    try:
        import music21  # pyright: ignore[reportMissingImports] - of an extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"MusicXML and MIDI need {error.name}, which is not installed: pip install 'sgaudio[sing]'") from error
    return music21


def _parsed(path: Path) -> Any:
    """Never from a cache of pickles that music21 may keep, nor into one."""
    music21 = music21_package()
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return music21.converter.parse(path, format="musicxml", forceSource=True, storePickle=False)
    except Exception as error:  # music21 and the parsers below it raise whatever they meet
        raise ConfigError(
            f"{path}: no MusicXML that can be read ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        ) from error


def _part(parts: Sequence[Any], part: str | int | None, path: Path) -> Any:
    """The part of this name or number."""
    names = [str(each.partName or f"part {number}") for number, each in enumerate(parts, 1)]
    if not parts:
        raise ConfigError(f"{path}: no parts: there is nothing to sing")
    if part is None:
        return next((each for each in parts if any(note.lyrics for note in each.recurse().notes)), parts[0])
    if isinstance(part, str) and part in names:
        return parts[names.index(part)]
    if str(part).isdigit() and 1 <= int(part) <= len(parts):
        return parts[int(part) - 1]
    raise ConfigError(f"{path}: no part {part!r} among its {len(parts)}: {nearest(str(part), names)}")


def _written(element: Any, syllable: tuple[str, bool], path: Path) -> Written | None:
    """A note of music21's, None for a grace note."""
    (text, hyphen), place = syllable, f"{path}: bar {element.measureNumber}"
    if element.duration.isGrace:
        if text:
            raise ConfigError(f"{place}, grace note ({text!r}): it has no length to sing its syllable in: put it on the main note")
        return None
    if len(element.pitches) != 1:
        raise ConfigError(f"{place}: {len(element.pitches)} pitches in one note, expected one: choose a part with a single voice")
    onset, pitch = float(element.offset), float(element.pitches[0].ps)
    return Written(onset, onset + float(element.quarterLength), pitch, element.measureNumber, text, hyphen)


def _lines(lyrics: Sequence[Any]) -> dict[int, tuple[str, bool]]:
    """Syllable and hyphen by the number of the verse. Verses stacked in one text, with line breaks, count on from its number."""
    lines = dict[int, tuple[str, bool]]()
    for lyric in lyrics:
        for number, text in enumerate(str(lyric.text or "").split("\n"), lyric.number):
            syllable = ELISION.join(text.replace("\u00a0", " ").split()).rstrip("-")
            if syllable:
                lines[number] = (syllable, lyric.syllabic in ("begin", "middle") or text.rstrip().endswith("-"))
    return lines


def _tempos(score: Any) -> tuple[Tempo, ...]:
    """All tempos of the score, whichever part they stand in."""
    marks = {float(start): mark.getQuarterBPM() for start, _, mark in score.flatten().metronomeMarkBoundaries()}
    return tuple(Tempo(start, float(quarters)) for start, quarters in marks.items() if quarters) or (Tempo(0.0, 120.0),)
