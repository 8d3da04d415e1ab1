"""Chinese to the phones of Opencpop (Wang et al. 2022, 2201.07429), as the published DiffSinger voices have them: an initial and a final.

Lyrics are pinyin without tones, or Hanzi, which pypinyin reads in their context.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from sgaudio.errors import ConfigError
from sgaudio.scores.lyrics import HANZI
from sgaudio.scores.phones import PhoneSet, Pronunciation

FINALS = {  # those that each initial takes
    "": "a ai an ang ao e ei en eng er o ou",
    "b": "a ai an ang ao ei en eng i ian iao ie in ing o u",
    "c": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "ch": "a ai an ang ao e en eng i ong ou u ua uai uan uang ui un uo",
    "d": "a ai an ang ao e ei en eng i ia ian iao ie ing iu ong ou u uan ui un uo",
    "f": "a an ang ei en eng o ou u",
    "g": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "h": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "j": "i ia ian iang iao ie in ing iong iu v van ve vn",
    "k": "a ai an ang ao e ei en eng ong ou u ua uai uan uang ui un uo",
    "l": "a ai an ang ao e ei eng i ia ian iang iao ie in ing iu o ong ou u uan un uo v ve",
    "m": "a ai an ang ao e ei en eng i ian iao ie in ing iu o ou u",
    "n": "a ai an ang ao e ei en eng i ian iang iao ie in ing iu ong ou u uan un uo v ve",
    "p": "a ai an ang ao ei en eng i ian iao ie in ing o ou u",
    "q": "i ia ian iang iao ie in ing iong iu v van ve vn",
    "r": "an ang ao e en eng i ong ou u ua uan ui un uo",
    "s": "a ai an ang ao e en eng i ong ou u uan ui un uo",
    "sh": "a ai an ang ao e ei en eng i ou u ua uai uan uang ui un uo",
    "t": "a ai an ang ao e ei eng i ian iao ie ing ong ou u uan ui un uo",
    "w": "a ai an ang ei en eng o u",
    "x": "i ia ian iang iao ie in ing iong iu v van ve vn",
    "y": "a an ang ao e i in ing o ong ou v van ve vn",
    "z": "a ai an ang ao e ei en eng i ong ou u uan ui un uo",
    "zh": "a ai an ang ao e ei en eng i ong ou u ua uai uan uang ui un uo",
}
ONE_HANZI = re.compile(f"[{HANZI}]")
HUMMED = {"m": ("m",), "n": ("n",), "hm": ("h", "m"), "ng": ("n", "g")}
OPENCPOP = PhoneSet(
    vowels=tuple(sorted({final for finals in FINALS.values() for final in finals.split()})),
    consonants=tuple(initial for initial in FINALS if initial),
)


def _spelled(initial: str, final: str) -> str:
    """After j, q, x and y a u is written for v, which is ü."""
    return initial + (final.replace("v", "u") if initial in ("j", "q", "x", "y") else final)


SYLLABLES = {
    **{
        _spelled(initial, final): (initial, final) if initial else (final,)
        for initial, finals in FINALS.items()
        for final in finals.split()
    },
    **HUMMED,
}


def pinyin() -> Pronunciation:
    """Pinyin and Hanzi, a syllable a word.

    Raises:
        ConfigError: at the first Hanzi, where pypinyin is missing.
    """
    return Pronunciation("Opencpop's pinyin", lambda words: [SYLLABLES.get(_plain(word)) for word in _read(words)], SYLLABLES)


def _plain(word: str) -> str:
    word = word.replace("ü", "v").replace("u:", "v")
    return _spelled(word[0], word[1:]) if word[:1] in ("j", "q", "x", "y") else word


def _read(words: Sequence[str]) -> list[str]:
    """Runs of Hanzi in pinyin, for how one is read depends on its neighbours."""
    runs = [(is_hanzi, list(run)) for is_hanzi, run in groupby(words, lambda word: bool(ONE_HANZI.fullmatch(word)))]
    return [word for is_hanzi, run in runs for word in (_pinyin("".join(run)) if is_hanzi else run)]


def _pinyin(text: str) -> list[str]:
    try:
        from pypinyin import lazy_pinyin  # pyright: ignore[reportMissingImports] - of an extra
    except ModuleNotFoundError as error:
        raise ConfigError("Hanzi lyrics need pypinyin, which is not installed: pip install 'sgaudio[sing]'") from error
    return lazy_pinyin(text, errors=lambda unknown: list(unknown))  # pyright: ignore[reportArgumentType] - its documented use
