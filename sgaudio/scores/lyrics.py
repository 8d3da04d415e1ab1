"""Lyrics as text: words between blanks, syllables of a word between hyphens, each Chinese character a syllable, "_" a note held on.

Beau-ti-ful dream-er, wake _ un-to me        小酒窝
"""

import re
from collections.abc import Sequence

from sgaudio.errors import ConfigError
from sgaudio.scores.beats import Written

HELD = "_"
HANZI = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
PIECE = re.compile(f"[{HANZI}]|[^{HANZI}]+")
DASHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": " "})


def syllables(text: str) -> list[tuple[str, bool]]:
    """The syllables, each with whether its word goes on in the next one; punctuation alone is none."""
    made = list[tuple[str, bool]]()
    for word in text.translate(DASHES).split():
        *begun, last = word.split("-")
        for part, goes_on in (*((part, True) for part in begun), (last, False)):
            pieces = [piece for piece in PIECE.findall(part) if piece == HELD or any(map(str.isalnum, piece))]
            made += [(piece, goes_on and number == len(pieces)) for number, piece in enumerate(pieces, 1)]
    return made


def with_lyrics(notes: Sequence[Written], text: str, name: str) -> list[Written]:
    """Notes with the syllables of a text, one each.

    Raises:
        ConfigError: where they do not match in number: names the first note, or syllable, that is left over.
    """
    given = syllables(text)
    if len(given) < len(notes):
        left = f"the first note without a syllable is note {len(given) + 1}, {notes[len(given)]}"
    elif len(given) > len(notes):
        left = f"the first syllable without a note is {given[len(notes)][0]!r}, number {len(notes) + 1}"
    else:
        return [
            note._replace(lyric="" if syllable == HELD else syllable, hyphen=hyphen)
            for note, (syllable, hyphen) in zip(notes, given, strict=True)
        ]
    raise ConfigError(
        f"{name}: {len(notes)} notes and {len(given)} syllables: {left} (write _ for a note that carries the last syllable on)"
    )
