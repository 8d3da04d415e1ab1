"""From syllables to the phones of a voice: by a dictionary, by English spelling (`english`), by Chinese (`pinyin`).

Words are looked up whole; their phones are dealt out to the syllables that the score writes, at the vowels.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from sgaudio.errors import ConfigError
from sgaudio.registry import nearest
from sgaudio.scores.score import Note, Phone, Score

ELISION = "‿"  # between two words that share a note
OUTER = re.compile(r"^[\W_]+|[\W_]+$")
APOSTROPHES = str.maketrans("‘’‛ʼ´`", "''''''")


@dataclass(frozen=True)
class PhoneSet:
    """The phones that a voice knows: those that can be held, the others, and its silence."""

    vowels: tuple[str, ...]
    consonants: tuple[str, ...]
    silence: str = "SP"
    breath: str | None = "AP"

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the silences first."""
        return (self.silence, *((self.breath,) if self.breath else ()), *self.consonants, *self.vowels)


@dataclass(frozen=True)
class Pronunciation:
    """A way to pronounce words.

    Args:
        name: for messages.
        look_up: from words in the order they are sung to the phones of each, None where it does not know one.
        known: words to offer for one that is unknown.
    """

    name: str
    look_up: Callable[[Sequence[str]], Sequence[tuple[str, ...] | None]]
    known: Collection[str] = ()


def read_dictionary(path: Path) -> Pronunciation:
    """A file with a word, a tab and its phones with blanks between them on each line. The last of two lines for a word counts.

    Raises:
        ConfigError: where it cannot be read, or names the line that is none of these.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no dictionary that can be read ({error})") from error
    entries = dict[str, tuple[str, ...]]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        word, tab, phones = line.partition("\t")
        if not tab or not plain_word(word) or not phones.split():
            raise ConfigError(f"{path}: line {number}: {line!r:.60}, expected a word, a tab and its phones")
        entries[plain_word(word)] = tuple(phones.split())
    if not entries:
        raise ConfigError(f"{path}: a dictionary without words")
    return Pronunciation(str(path), lambda words: [entries.get(word) for word in words], entries.keys())


def plain_word(text: str) -> str:
    """A word as dictionaries have it: lower case, without punctuation around it."""
    return OUTER.sub("", text.translate(APOSTROPHES)).lower()


def given_to_next(consonants: int) -> int:
    """How many of the consonants between two vowels begin the later syllable."""
    return min(2, (consonants + 1) // 2)


def with_phones(score: Score, phone_set: PhoneSet, *pronunciations: Pronunciation) -> Score:
    """The score with the phones of each syllable, without durations. The first pronunciation that knows a word says how it is.

    A word with more vowels than syllables has the rest in its last one; one with fewer holds its last vowel over the notes that are left.

    Raises:
        ConfigError: names bar, note and syllable of a word that nobody knows, or of a phone that the voice does not have.
    """
    words = _words(score)
    found = _look_up([text for text, _ in words], pronunciations)
    notes = [replace(note, leading=(), phones=(Phone(phone_set.silence),) if note.pitch is None else ()) for note in score.notes]
    parts, names = dict[tuple[int, ...], list[tuple[str, ...]]](), set(phone_set.names)
    for (text, places), phones in zip(words, found, strict=True):
        if not phones:
            asked = ", ".join(f"{each.name} ({nearest(text, each.known)})" if _near(text, each) else each.name for each in pronunciations)
            raise ConfigError(f"{score.place(places[0])}: the word {text!r} is unknown to {asked}: add it to a dictionary")
        if unknown := [phone for phone in phones if phone not in names]:
            raise ConfigError(
                f"{score.place(places[0])}: the voice has no phone {unknown[0]!r} (of {text!r}): {nearest(unknown[0], names)}"
            )
        parts.setdefault(places, []).append(phones)
    for places, several in parts.items():
        dealt = deal([phone for phones in several for phone in phones], len(places), phone_set.vowels)
        for place, (leading, phones) in zip(places, dealt, strict=False):
            notes[place] = replace(notes[place], leading=tuple(map(Phone, leading)), phones=tuple(map(Phone, phones)))
        if held := places[len(dealt) :]:
            last = places[len(dealt) - 1]
            notes[last] = replace(notes[last], lyric="".join(notes[place].lyric for place in (last, *held)), hyphen=False)
            for place in held:
                notes[place] = _held(score, place)
    return replace(score, notes=tuple(notes))


def check_phones(score: Score, phone_set: PhoneSet) -> None:
    """
    Raises:
        ConfigError: names bar, note and syllable of the first phone that the voice does not have, and its near ones.
    """
    names = set(phone_set.names)
    for index, note in enumerate(score.notes):
        for phone in (*note.leading, *note.phones):
            if phone.name not in names:
                raise ConfigError(f"{score.place(index)}: the voice has no phone {phone.name!r}: {nearest(phone.name, names)}")


def deal(phones: Sequence[str], count: int, vowels: Collection[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Phones of a word as (leading, from the vowel on) of at most `count` syllables; without a vowel, its last phone is held."""
    nuclei = [index for index, phone in enumerate(phones) if phone in vowels][:count] or [len(phones) - 1]
    starts = [0, *(now - given_to_next(now - before - 1) for before, now in pairwise(nuclei)), len(phones)]
    return [
        (tuple(phones[start:nucleus]), tuple(phones[nucleus:stop]))
        for start, nucleus, stop in zip(starts, nuclei, starts[1:], strict=False)
    ]


def _words(score: Score) -> list[tuple[str, tuple[int, ...]]]:
    """Each word and the notes that its syllables begin on; two that share a note stand after each other, with the same notes."""
    words, text, places = list[tuple[str, tuple[int, ...]]](), "", list[int]()
    for index, note in enumerate(score.notes):
        if note.pitch is None or note.slur:
            continue
        if not note.lyric:
            raise ConfigError(f"{score.place(index)}: no syllable to find phones for")
        text, places = text + note.lyric, [*places, index]
        if not note.hyphen:
            words += [(plain_word(word) or word, tuple(places)) for word in text.split(ELISION) if word]
            text, places = "", []
    return words + ([(plain_word(text) or text, tuple(places))] if places else [])


def _look_up(words: Sequence[str], pronunciations: Sequence[Pronunciation]) -> list[tuple[str, ...] | None]:
    found: list[tuple[str, ...] | None] = [None] * len(words)
    for each in pronunciations:
        if None in found:
            found = [before or now for before, now in zip(found, each.look_up(words), strict=True)]
    return found


def _near(word: str, pronunciation: Pronunciation) -> bool:
    """Something known is worth offering."""
    return bool(pronunciation.known) and "did you mean" in nearest(word, pronunciation.known)


def _held(score: Score, place: int) -> Note:
    if score.notes[place - 1].pitch is None:
        raise ConfigError(f"{score.place(place)}: the word has fewer vowels than syllables, and a rest stands before this one")
    return replace(score.notes[place], lyric="", hyphen=False, slur=True)
