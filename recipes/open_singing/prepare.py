"""A corpus of labelled singing from free parts, made on the spot: `python prepare.py FOLDER [--minutes 60]`.

Songs of the public domain (songs.py), and verse of the public domain with melodies made up for it (verse.py, melody.py), are spoken by
flite, whose voices are free, and put on the notes by WORLD, at 24 kHz; above 8 kHz, where flite's voices end, is nothing. Other formants
make more singers of a voice. Phones, notes and F0 are exact to the frame (128 samples) by construction. FOLDER gets

    sound/ID.flac    f0/ID.npy: Hz a frame, 0 where unvoiced    scores/ID.ds    train.tsv validation.tsv test.tsv

with columns for each phone as it is sung, a held vowel once for each of its notes: phones, frames, notes, note_frames, slurs. No piece is
in two tables. The same seed makes the same corpus, a longer one begins with the shorter one, and an interrupted run goes on where it was.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from flite import VOICES, check_voices
from melody import melody
from music21_songs import music21_songs
from render import FRAME_RATE, HOP, SAMPLE_RATE, on_frames, pyworld_package, sing
from rich.console import Console
from rich.progress import track
from songs import SONGS, Phrase, Song
from verse import POEMS

from sgaudio.audio.files import read_header, replacement, write
from sgaudio.errors import AudioError, ConfigError, SgaudioError
from sgaudio.scores import Note, Score, Tempo
from sgaudio.scores.beats import Written, from_beats
from sgaudio.scores.ds import read_ds, write_ds
from sgaudio.scores.lyrics import with_lyrics
from sgaudio.scores.score import note_name
from sgaudio.scores.timing import note_frames, row_frames, rows
from sgaudio.training.tables import Row, write_table

COLUMNS = ("id", "file", "split", "voice", "piece", "text", "phones", "frames", "notes", "note_frames", "slurs", "f0", "score")
SHARES = {"train": 0.9, "validation": 0.05, "test": 0.05}  # of the minutes
VALIDATION = ("london_bridge", "old_hundredth", "the_lamb", "bed_in_summer")  # pieces
TEST = ("amazing_grace", "my_bonnie", "row_your_boat", "daffodils", "hope")
WARPS = (0.85, 0.92, 1.0, 1.1, 1.2)
SUNG = 0.5  # of the items are songs, the others verse with melodies made up
TEMPOS = (0.85, 1.2)  # times that of a song
MADE_UP = (80.0, 130.0)  # beats a minute, of a melody made up
SHORTEST = 0.2  # s a note
HEAD, TAIL = (0.4, 0.7), (0.3, 0.6)  # s of rest around an item
REST = (0.3, 1.0)  # s between two phrases
LEAST = 1.0  # minutes
SETTINGS = "corpus.json"


class Item(NamedTuple):
    """What is sung in one file."""

    name: str
    split: str
    piece: str
    voice: str
    warp: float
    score: Score

    @property
    def singer(self) -> str:
        """The voice of flite and how high its formants are, in percent."""
        return f"{self.voice}_{round(100 * self.warp):03}"


def main(arguments: Sequence[str]) -> int:
    """Make what is missing of the corpus, and its tables; exit code 1 where it cannot be made, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="A corpus of labelled singing from free parts.")
    parser.add_argument("folder", type=Path, help="an empty folder, or one that an earlier run with the same options filled")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N", help="of sound; 60")
    parser.add_argument("--voices", nargs="+", default=list(VOICES), choices=VOICES, metavar="NAME", help=f"{' '.join(VOICES)}")
    parser.add_argument("--warps", nargs="+", type=float, default=list(WARPS), metavar="X", help="formants, times; 0.85 0.92 1 1.1 1.2")
    parser.add_argument("--seed", type=int, default=0, help="of the draws; 0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes; one a core")
    parser.add_argument("--music21", action="store_true", help="train on songs of music21's corpus as well, where their rights allow it")
    options = parser.parse_args(arguments)
    if options.seed < 0 or options.jobs < 1 or not all(0.5 <= warp <= 2 for warp in options.warps):
        parser.error("--seed expects 0 or more, --jobs 1 or more, --warps 0.5 to 2")
    try:
        if not LEAST <= options.minutes < 1e5:
            raise ConfigError(f"--minutes is {options.minutes:g}, expected {LEAST:g} or more: a twentieth of it is for each of two splits")
        check_voices(options.voices)
        pyworld_package()
        open_folder(options.folder, {name: getattr(options, name) for name in ("voices", "warps", "seed", "music21")})
        songs = SONGS | (music21_songs() if options.music21 else {})
        singers = [(voice, warp) for voice in options.voices for warp in options.warps]
        items = [item for split in SHARES for item in plan(split, options.minutes, singers, options.seed, songs)]
        make(options.folder, items, options.jobs)
        found = {split: [describe(options.folder, item) for item in items if item.split == split] for split in SHARES}
        for split, described in found.items():
            sys.stdout.write(write_table(options.folder / f"{split}.tsv", COLUMNS, described))
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def open_folder(folder: Path, settings: dict[str, object]) -> None:
    """Note the settings in a new or empty folder.

    Raises:
        ConfigError: where the folder holds something else, or a corpus made with other settings.
    """
    path = folder / SETTINGS
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: no folder")
    if path.is_file():
        if (there := path.read_text(encoding="utf-8")) != json.dumps(settings):
            raise ConfigError(f"{folder}: holds a corpus made with {there}, asked for {json.dumps(settings)}: choose another folder")
        return
    if folder.is_dir() and (there := sorted(found.name for found in folder.iterdir())):
        raise ConfigError(f"{folder}: holds {', '.join(there[:4])}, and no {SETTINGS} of this corpus: choose an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    with replacement(path) as temporary:
        temporary.write_text(json.dumps(settings), encoding="utf-8")


def pieces(split: str, songs: Mapping[str, Song]) -> tuple[list[str], list[str]]:
    """Names of the songs and of the poems of a split: those that are not held out train."""
    held = {"validation": VALIDATION, "test": TEST}

    def chosen(names: Sequence[str]) -> list[str]:
        return [name for name in names if (name in held[split] if split in held else name not in (*VALIDATION, *TEST))]

    return chosen(tuple(songs)), chosen(tuple(POEMS))


def plan(split: str, minutes: float, singers: Sequence[tuple[str, float]], seed: int, songs: Mapping[str, Song] = SONGS) -> Iterator[Item]:
    """The items of a split, as many as its share of the minutes needs, each by its number alone; all singers in turn."""
    seconds, number = 60 * minutes * SHARES[split], 0
    while seconds > 0:
        generator = np.random.default_rng([seed, list(SHARES).index(split), number])
        voice, warp = singers[number % len(singers)]
        piece, phrases, tempo = draw(split, songs, generator)
        score = set_to_music(phrases, tempo, generator, piece)
        score = score.transposed(draw_key(score, voice, warp, generator))
        item = Item("", split, piece, voice, warp, score)
        yield item._replace(name=f"{piece}_{number:05}_{item.singer}", score=replace(score, speaker=item.singer, language="en"))
        seconds -= float(score.onsets[-1])
        number += 1


def draw(split: str, songs: Mapping[str, Song], generator: np.random.Generator) -> tuple[str, tuple[Phrase, ...], float]:
    """A piece, one or two phrases of it, and beats a minute."""
    sung, poems = pieces(split, songs)
    if generator.random() < SUNG:
        piece = str(generator.choice(sung, p=_shares([sum(map(len, songs[name].verses)) for name in sung])))
        verse = songs[piece].verses[generator.integers(len(songs[piece].verses))]
        return piece, _some(verse, generator), songs[piece].tempo * generator.uniform(*TEMPOS)
    piece = str(generator.choice(poems, p=_shares([len(POEMS[name]) for name in poems])))
    return piece, tuple(melody(line, generator) for line in _some(POEMS[piece], generator)), generator.uniform(*MADE_UP)


def _shares(sizes: Sequence[int]) -> list[float]:
    return [size / sum(sizes) for size in sizes]


def _some(lines: Sequence, generator: np.random.Generator) -> tuple:
    """One line or two that follow each other."""
    first = int(generator.integers(len(lines)))
    return tuple(lines[first : first + 1 + int(generator.integers(2))])


def set_to_music(phrases: Sequence[Phrase], tempo: float, generator: np.random.Generator, name: str) -> Score:
    """Phrases as a score on frames, with rests before, between and after them; slower where a note would be too short."""
    shortest = min(tone.beats for phrase in phrases for tone in phrase.tones)
    beat = max(60 / tempo, SHORTEST / shortest)  # s
    written, place = list[Written](), generator.uniform(*HEAD) / beat
    for number, (tones, words) in enumerate(phrases, 1):
        onsets = place + np.cumsum([0.0, *(tone.beats for tone in tones)])
        notes = [Written(float(on), float(off), tone.pitch, number) for on, off, tone in zip(onsets, onsets[1:], tones, strict=False)]
        written += with_lyrics(notes, words, name)
        place = float(onsets[-1]) + generator.uniform(*REST) / beat
    score = from_beats(written, (Tempo(0.0, 60 / beat),), (4, 4), name)
    return on_frames(replace(score, notes=(*score.notes, Note(generator.uniform(*TAIL), None))))


def draw_key(score: Score, voice: str, warp: float, generator: np.random.Generator) -> int:
    """Semitones to the key in which a voice sings; one with higher formants sings higher, by half of it."""
    shift = round(6 * np.log2(warp))
    low, high = VOICES[voice].low + shift, VOICES[voice].high + shift
    pitches = [note.pitch for note in score.notes if note.pitch is not None]
    least, most = int(low - min(pitches)), int(high - max(pitches))
    return int(generator.integers(least, most + 1)) if least <= most else (least + most) // 2


def make(folder: Path, items: Sequence[Item], jobs: int) -> None:
    """Sing the items that are not there yet, in so many processes."""
    for name in ("sound", "f0", "scores"):
        (folder / name).mkdir(exist_ok=True)
    tasks = [(folder, item) for item in items if not sound_file(folder, item).is_file()]
    if not tasks:
        return
    alone = min(jobs, len(tasks)) < 2
    with nullcontext() if alone else ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context("spawn")) as pool:
        done = map(make_item, tasks) if pool is None else pool.map(make_item, tasks, chunksize=4)
        for _ in track(done, "singing", len(tasks), console=Console(stderr=True)):
            pass


def make_item(task: tuple[Path, Item]) -> None:
    """Write F0 and score of an item and at last its sound, each when it is whole."""
    folder, item = task
    score, sound = sing(item.score, item.voice, item.warp)
    with replacement(folder / "f0" / f"{item.name}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, np.array(score.curves["f0"].values, np.float32))
    with replacement(score_file(folder, item)) as temporary:
        write_ds(temporary, [score])
    write(sound_file(folder, item), sound, SAMPLE_RATE, subtype="PCM_16")


def sound_file(folder: Path, item: Item) -> Path:
    """Where the sound of an item is: it is there when the item is whole."""
    return folder / "sound" / f"{item.name}.flac"


def score_file(folder: Path, item: Item) -> Path:
    """Where the score of an item is."""
    return folder / "scores" / f"{item.name}.ds"


def describe(folder: Path, item: Item) -> Row:
    """The row of an item, from its score as it was written.

    Raises:
        AudioError: where its sound is not as long as its phones: it was changed.
    """
    score, sound = read_ds(score_file(folder, item)).segments[0], sound_file(folder, item)
    sung, frames, lengths = rows(score), row_frames(score, FRAME_RATE), note_frames(score, FRAME_RATE)
    if (samples := read_header(sound).samples) != HOP * frames.sum():
        raise AudioError(f"{sound}: has {samples} samples, its phones {HOP * frames.sum()}: delete it and run again")
    notes = [score.notes[row.note] for row in sung]
    columns = (
        (row.phone for row in sung),
        frames,
        ("rest" if note.pitch is None else note_name(note.pitch) for note in notes),
        (lengths[row.note] for row in sung),
        (int(row.slur) for row in sung),
    )
    text = "".join(note.lyric + (" " if note.lyric and not note.hyphen else "") for note in score.notes).strip()
    joined = (" ".join(map(str, column)) for column in columns)
    files = folder / "f0" / f"{item.name}.npy", score_file(folder, item)
    return item.name, sound, item.split, item.singer, item.piece, text, *joined, *files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
