"""MIDI files with lyrics, by music21's reader of events: a track to a score, and a score to a file.

The syllables come from the file's own lyric events, or from a text (`sgaudio.scores.lyrics`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgaudio.errors import ConfigError
from sgaudio.registry import nearest
from sgaudio.scores.beats import Written, beats, from_beats
from sgaudio.scores.lyrics import syllables, with_lyrics
from sgaudio.scores.musicxml import music21_package
from sgaudio.scores.phones import ELISION
from sgaudio.scores.score import Score, Tempo

TICKS = 960  # a quarter, as written
LEGATO = 1 / 8  # quarters that a note may reach into the next one: it ends where that begins
VELOCITY = 90


class _Event(NamedTuple):
    tick: int
    kind: str  # as music21 names it
    pitch: int
    data: bytes


def read_midi(path: Path, text: str | None = None, part: str | int | None = None) -> Score:
    """One track of a MIDI file.

    Args:
        text: the lyrics; by default those in the file.
        part: name of the track, or its number from 1 among those that have notes; by default the first.

    Raises:
        ConfigError: where music21 is missing or cannot read the file, there is no such track, or lyrics and notes do not match in number.
    """
    quarter, tracks = _tracks(path)
    everywhere = sorted((event for track in tracks for event in track), key=lambda event: event.tick)
    tempos = {event.tick: 6e7 / max(1, int.from_bytes(event.data)) for event in everywhere if event.kind == "SET_TEMPO"}
    meters = [(event.data[0], 2 ** event.data[1]) for event in everywhere if event.kind == "TIME_SIGNATURE" and len(event.data) > 1]
    meter = meters[0] if meters else (4, 4)
    track = _track([track for track in tracks if any(event.kind == "NOTE_ON" for event in track)], part, path)
    notes = _notes(track, quarter, 4 * meter[0] / meter[1], path)
    if text is not None:
        notes = with_lyrics(notes, text, str(path))
    return from_beats(notes, [Tempo(tick / quarter, rate) for tick, rate in tempos.items()] or [Tempo(0.0, 120.0)], meter, str(path))


def write_midi(path: Path, score: Score) -> None:
    """Write notes, lyrics and tempos; times go to the nearest tick, about half a millisecond.

    Raises:
        ConfigError: where music21 is missing, or the file cannot be written.
    """
    midi = music21_package().midi
    track = midi.MidiTrack(0)
    meta, voice = midi.MetaEvents, midi.ChannelVoiceMessages
    events = [(0, 0, meta.TIME_SIGNATURE, bytes([score.meter[0], score.meter[1].bit_length() - 1, 24, 8]))]
    events += [(round(tempo.beat * TICKS), 0, meta.SET_TEMPO, round(6e7 / tempo.per_minute).to_bytes(3)) for tempo in score.tempos]
    ticks = [round(place * TICKS) for place in beats(score.onsets, score.tempos).tolist()]
    for note, onset, end in zip(score.notes, ticks, ticks[1:], strict=False):
        if note.pitch is None:
            continue
        if note.lyric:
            events.append((onset, 2, meta.LYRIC, (note.lyric + "-" * note.hyphen).encode()))
        events += [(onset, 3, voice.NOTE_ON, round(note.pitch)), (end, 1, voice.NOTE_OFF, round(note.pitch))]
    events.append((ticks[-1], 4, meta.END_OF_TRACK, b""))
    now = 0
    for tick, _, kind, content in sorted(events, key=lambda event: event[:2]):
        event = midi.MidiEvent(track, type=kind, channel=1)
        if isinstance(content, int):
            event.pitch, event.velocity = content, VELOCITY if kind is voice.NOTE_ON else 0
        else:
            event.data = content
        track.events += [midi.DeltaTime(track, time=tick - now), event]
        now = tick
    file = midi.MidiFile()
    file.tracks, file.format, file.ticksPerQuarterNote = [track], 0, TICKS
    try:
        path.write_bytes(file.writestr())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error})") from error


def _tracks(path: Path) -> tuple[int, list[list[_Event]]]:
    """Ticks of a quarter, and the events of each track with their times."""
    midi = music21_package().midi
    file = midi.MidiFile()
    try:
        file.readstr(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except Exception as error:  # of broken files music21 raises whatever it meets
        raise ConfigError(f"{path}: no MIDI file that can be read ({type(error).__name__}: {error})") from error
    if file.ticksPerSecond is not None:
        raise ConfigError(f"{path}: its times are in parts of a second, expected a MIDI file in ticks of a quarter")
    return file.ticksPerQuarterNote, [_timed(track) for track in file.tracks]


def _timed(track: Any) -> list[_Event]:
    made, now = list[_Event](), 0
    for event in track.events:
        if event.isDeltaTime():
            now += event.time
        else:
            kind = "NOTE_ON" if event.isNoteOn() else "NOTE_OFF" if event.isNoteOff() else getattr(event.type, "name", "")
            made.append(_Event(now, kind, event.pitch or 0, event.data if isinstance(event.data, bytes) else b""))
    return made


def _track(tracks: Sequence[list[_Event]], part: str | int | None, path: Path) -> list[_Event]:
    """The track of this name or number."""
    names = [next((_text(event) for event in track if event.kind == "SEQUENCE_TRACK_NAME"), str(n)) for n, track in enumerate(tracks, 1)]
    if not tracks:
        raise ConfigError(f"{path}: no track has notes: there is nothing to sing")
    if part is None:
        return tracks[0]
    if part in names:
        return tracks[names.index(str(part))]
    if str(part).isdigit() and 1 <= int(part) <= len(tracks):
        return tracks[int(part) - 1]
    raise ConfigError(f"{path}: no part {part!r} among its {len(tracks)} tracks with notes: {nearest(str(part), names)}")


def _notes(track: Sequence[_Event], quarter: int, bar: float, path: Path) -> list[Written]:
    """The notes of a track, with the lyrics that stand at their onsets; `bar` in quarters."""
    lyrics = {event.tick: syllables(_text(event)) for event in track if event.kind == "LYRIC"}
    open_since, spans = dict[int, int](), list[tuple[int, int, int]]()
    for event in track:
        if event.kind in ("NOTE_ON", "NOTE_OFF") and event.pitch in open_since:
            spans.append((open_since.pop(event.pitch), event.tick, event.pitch))
        if event.kind == "NOTE_ON":
            open_since[event.pitch] = event.tick
    if open_since:
        raise ConfigError(f"{path}: {len(open_since)} notes never end")
    spans.sort()
    notes = list[Written]()
    for number, (start, end, pitch) in enumerate(spans):
        following = spans[number + 1][0] if number + 1 < len(spans) else end
        end = following if start < following < end <= following + LEGATO * quarter else end
        found = lyrics.get(start, [])
        text, hyphen = ELISION.join(syllable for syllable, _ in found), bool(found) and found[-1][1]
        notes.append(Written(start / quarter, end / quarter, pitch, int(start / quarter / bar) + 1, text, hyphen))
    return notes


def _text(event: _Event) -> str:
    try:
        return event.data.decode()
    except UnicodeDecodeError:
        return event.data.decode("latin-1")
