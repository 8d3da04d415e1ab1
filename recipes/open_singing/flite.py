"""Flite (Black and Lenzo 2001, http://cmuflite.org), a small synthesiser of speech: it knows the phones of words, and says phones and when.

It is a program: `apt-get install flite`, `brew install flite`, or built from github.com/festvox/flite with ./configure && make.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgaudio.audio.files import read
from sgaudio.errors import ConfigError
from sgaudio.scores.english import ENGLISH
from sgaudio.scores.phones import PhoneSet, Pronunciation

PAUSE = "pau"  # SP in scores
PHONES = PhoneSet(ENGLISH.vowels, ENGLISH.consonants, breath=None)
READER = "slt"  # the voice that is asked for the phones of words: kal has fewer
PLAIN = re.compile(r"[a-z']+")
SUNG = {  # where a singer, or an old word, is not what flite reads
    "a": "ax",
    "abash": "ax b ae sh",
    "acquaintance": "ax k w ey n t ax n s",
    "auld": "ao l d",
    "baa": "b aa",
    "discourteously": "d ih s k er ch ax s l iy",
    "dost": "d ah s t",
    "doth": "d ah th",
    "every": "eh v r iy",
    "excavating": "eh k s k ax v ey t ih ng",
    "greensleeves": "g r iy n s l iy v z",
    "hath": "hh ae th",
    "heavenly": "hh eh v ax n l iy",
    "lead": "l iy d",
    "nowell": "n ow eh l",
    "o'er": "ao r",
    "of": "ah v",
    "paidled": "p ey d ax l d",
    "rosebuds": "r ow z b ah d z",
    "saviour": "s ey v y er",
    "slumbers": "s l ah m b er z",
    "syne": "s ay n",
    "temperate": "t eh m p er ax t",
    "the": "dh ax",
    "thirty": "th er t iy",
    "tis": "t ih z",
    "to": "t uw",
    "topses": "t aa p s ax z",
    "trembling": "t r eh m b l ih ng",
    "twas": "t w ah z",
    "was": "w ah z",
    "xanadu": "z ae n ax d uw",
}


class Voice(NamedTuple):
    """A voice of flite: the pitch that it speaks with here, in Hz, and the lowest and highest note that it sings, as MIDI numbers."""

    hertz: float
    low: int
    high: int


VOICES = {"slt": Voice(170, 55, 77), "rms": Voice(105, 43, 65), "awb": Voice(118, 45, 67), "kal16": Voice(100, 43, 65)}


class Speech(NamedTuple):
    """What a voice said: mono sound, its rate in Hz, and where each phone ends in it, in seconds."""

    sound: np.ndarray
    sample_rate: int
    ends: tuple[float, ...]


def check_voices(voices: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: where flite is missing, or has no voice of a name: it would speak with another without a word.
    """
    there = _run("-lv").rpartition(":")[2].split()
    for voice in voices:
        if voice not in there:
            raise ConfigError(f"flite has no voice {voice!r}, it has {', '.join(there)}")


def speak(voice: str, phones: Sequence[str]) -> Speech:
    """Say phones in one breath and on one pitch: left to itself, flite creaks where phones stand for no words.

    Args:
        voice: a name in VOICES.

    Raises:
        ConfigError: where flite is missing, fails, or says other phones.
    """
    asked = " ".join(PAUSE if phone == PHONES.silence else phone for phone in phones)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "said.wav"
        flat = ("--setf", f"int_f0_target_mean={VOICES[voice].hertz:g}", "--setf", "int_f0_target_stddev=1")
        printed = _run("-voice", voice, *flat, "-p", asked, "-psdur", "-o", str(file))
        said = [item.rpartition(":")[::2] for item in printed.split()]
        if " ".join(phone for phone, _ in said) != asked:
            raise ConfigError(f"flite: asked for the phones {asked!r}, said {' '.join(phone for phone, _ in said)!r:.200}")
        sound, rate = read(file)
    return Speech(sound[0], rate, tuple(float(end) for _, end in said))


def pronunciation() -> Pronunciation:
    """English by flite, word by word."""
    return Pronunciation("flite", lambda words: [_spell(word) for word in words])


@lru_cache(None)
def _spell(word: str) -> tuple[str, ...] | None:
    """The phones of a word; None for what is none, which flite would read out as signs."""
    if not PLAIN.fullmatch(word):
        return None
    phones = SUNG.get(word) or _run("-voice", READER, "-t", f"{word} ", "-ps", "none")
    return tuple(phone for phone in phones.split() if phone != PAUSE) or None


def _run(*arguments: str) -> str:
    """What flite prints."""
    try:
        done = subprocess.run(["flite", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigError("flite is missing: apt-get install flite, brew install flite, or build github.com/festvox/flite") from error
    except OSError as error:
        raise ConfigError(f"flite cannot be run ({error})") from error
    if done.returncode:
        raise ConfigError(f"flite {' '.join(arguments)[:100]}: exit code {done.returncode} {' '.join(done.stderr.split())[:200]}")
    return done.stdout
