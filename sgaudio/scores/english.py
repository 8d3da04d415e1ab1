"""English words to phones: espeak-ng's American pronunciation (through phonemizer, GPL-3, and espeakng-loader), mapped by a table.

The table is for a voice's phones: CMU is that of the CMU Pronouncing Dictionary and of flite, with "ax" for the schwa.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sgaudio.errors import ConfigError
from sgaudio.scores.phones import PhoneSet, Pronunciation

VOWELS = """
    aa=ɑː,ɑ ae=æ,a ah=ʌ ao=ɔː,ɔ aw=aʊ ax=ə,ɐ ay=aɪ eh=ɛ,e er=ɜː,ɚ ey=eɪ ih=ɪ,ᵻ iy=iː,i ow=oʊ,o oy=ɔɪ
    uh=ʊ uw=uː,u
"""
CONSONANTS = """
    b=b ch=tʃ d=d dh=ð f=f g=ɡ hh=h,x jh=dʒ k=k l=l,ɬ m=m n=n ng=ŋ p=p r=ɹ,r s=s sh=ʃ t=t,ʔ th=θ v=v w=w
    y=j z=z zh=ʒ
"""


def _table(text: str) -> dict[str, str]:
    """From "phone=ipa,ipa ..." to the phone of each piece of IPA."""
    rows = (row.split("=") for row in text.split())
    return {ipa: phone for phone, spellings in rows for ipa in spellings.split(",")}


ENGLISH = PhoneSet(tuple(dict.fromkeys(_table(VOWELS).values())), tuple(dict.fromkeys(_table(CONSONANTS).values())), breath=None)
CMU = {**_table(VOWELS), **_table(CONSONANTS), "n̩": "ax n", "l̩": "ax l"}
SUNG = {"a": "ə"}  # alone, espeak-ng spells it as a letter


def english(table: Mapping[str, str] = CMU) -> Pronunciation:
    """English by espeak-ng.

    Args:
        table: phones of the voice, with blanks between them, for IPA; the longest piece of IPA that it has wins.

    Raises:
        ConfigError: at the first word, where a package is missing.
    """
    piece = re.compile("|".join(map(re.escape, sorted(table, key=len, reverse=True))))

    def phones(word: str, ipa: str) -> tuple[str, ...] | None:
        tokens = SUNG.get(word, _without_flaps(word, ipa)).split()
        if any(piece.sub("", token) for token in tokens):
            return None
        return tuple(phone for token in tokens for found in piece.findall(token) for phone in table[found].split()) or None

    def look_up(words: Sequence[str]) -> list[tuple[str, ...] | None]:
        distinct = list(dict.fromkeys(words))
        found = {word: phones(word, ipa) for word, ipa in zip(distinct, _ipa(distinct), strict=True)}
        return [found[word] for word in words]

    return Pronunciation("English by espeak-ng", look_up)


def _without_flaps(word: str, ipa: str) -> str:
    """A singer says "city" with a t and "lady" with a d, where American speech has the same flap in both."""
    return ipa.replace("ɾ", "t" if "t" in word and "d" not in word else "d")


def _ipa(words: Sequence[str]) -> list[str]:
    """Each word alone, its sounds with blanks between them."""
    backend, separator = _espeak()
    return [ipa.replace("|", " ") for ipa in backend.phonemize(list(words), separator=separator, strip=True)]


@lru_cache
def _espeak() -> tuple[Any, Any]:
    try:
        import espeakng_loader  # pyright: ignore[reportMissingImports] - of an extra, as the next
        from phonemizer.backend import EspeakBackend  # pyright: ignore[reportMissingImports]
        from phonemizer.backend.espeak.wrapper import EspeakWrapper  # pyright: ignore[reportMissingImports]
        from phonemizer.separator import Separator  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise ConfigError(f"English lyrics need {error.name}, which is not installed: pip install 'sgaudio[sing]'") from error
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return EspeakBackend("en-us", language_switch="remove-flags"), Separator(phone=" ", word="|", syllable="")
