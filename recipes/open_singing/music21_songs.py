"""Songs of music21's corpus (https://music21.org) whose files say that they are in the public domain: of those with English words, one."""

import warnings
from pathlib import Path

from songs import Phrase, Song, Tone

from sgaudio.errors import ConfigError
from sgaudio.scores import Note
from sgaudio.scores.lyrics import HELD
from sgaudio.scores.musicxml import music21_package, read_musicxml

FILES = {"jeanie": "leadSheet/fosterBrownHair.mxl"}  # Stephen Foster 1854
FREE = "public domain"
HELD_LONG = 3.0  # beats of a syllable that may end a phrase
LEAST, MOST = 5, 16  # notes of a phrase, but for what is left of its last word


def music21_songs() -> dict[str, Song]:
    """
    Raises:
        ConfigError: where music21 or its corpus is missing, or a file of it has other rights by now.
    """
    music21 = music21_package()
    found = dict[str, Song]()
    for name, file in FILES.items():
        path = Path(str(music21.__file__)).parent / "corpus" / file
        found[name] = read_song(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rights = str(music21.converter.parse(path, forceSource=True, storePickle=False).metadata.copyright)
        if FREE not in rights.lower():
            raise ConfigError(f"{path}: its rights are {rights!r}, expected {FREE!r}: leave --music21 out")
    return found


def read_song(path: Path) -> Song:
    """A song of a MusicXML file with lyrics, in phrases that end at rests and, where they get long, between words.

    Raises:
        ConfigError: as of `read_musicxml`.
    """
    score = read_musicxml(path)
    tempo = score.tempos[0].per_minute
    groups, ends = list[list[Note]](), True
    for notes in (list(score.notes[group.start : group.stop]) for group in score.syllables):
        if notes[0].pitch is None:
            ends = True
            continue
        if ends:
            groups.append([])
        groups[-1] += notes
        beats = sum(note.duration for note in notes) * tempo / 60
        ends = not notes[0].hyphen and (len(groups[-1]) >= MOST or (beats >= HELD_LONG and len(groups[-1]) >= LEAST))
    return Song(tempo, (tuple(phrase(group, tempo) for group in groups),))


def phrase(notes: list[Note], tempo: float) -> Phrase:
    """Notes of a score as a phrase."""
    words, goes_on = "", False
    for note in notes:
        goes_on = note.hyphen if note.lyric else goes_on
        words += (note.lyric or HELD) + ("-" if goes_on else " ")
    return Phrase(tuple(Tone(note.pitch or 0.0, note.duration * tempo / 60) for note in notes), words.rstrip(" -"))
