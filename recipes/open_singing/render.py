"""A score sung by flite and WORLD (Morise, Yokomori, Ozawa 2016): said once, then stretched onto the notes and given their pitch.

Frames of analysis, of synthesis and of the labels are one grid, so the labels are exact by construction: every phone has the frames that
the score gives it, and F0 is the curve that was asked for.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import soxr
from flite import PHONES, VOICES, Speech, pronunciation, speak

from sgaudio.errors import ConfigError
from sgaudio.scores import Curve, Note, Phone, Score
from sgaudio.scores.phones import with_phones
from sgaudio.scores.timing import fitted, frames_at, note_frames, row_frames, rows

SAMPLE_RATE = 24_000  # Hz
HOP = 128  # samples
FRAME_RATE = SAMPLE_RATE / HOP  # Hz
PORTAMENTO = 0.07  # s: Hann window that pitches are smoothed with
VIBRATO = 5.5  # Hz
DEPTH = 0.3  # semitones
STEADY = 0.25  # s from the onset until vibrato sets in; it is full after as long again
LONG = 0.5  # s: shorter notes have none
EDGES = 0.25  # of a vowel at either end, that keep their natural length
RELEASE = 0.02  # s that a sound takes to die away before a silence
SILENCE = 1e-12  # power of the envelope
PEAK = 0.8
SPOKEN = (0.6, 1.6)  # times the pitch of the voice, where F0 is looked for in what it said
VOICELESS = frozenset(("ch", "f", "hh", "k", "p", "s", "sh", "t", "th", PHONES.silence))


class Sung(NamedTuple):
    """A score with the times of its phones and its F0, and its sound (time), which has HOP samples a frame."""

    score: Score
    sound: np.ndarray


def on_frames(score: Score) -> Score:
    """The score with each note and phone that it times as long as its frames."""
    counts = note_frames(score, FRAME_RATE)
    notes = [replace(note, duration=int(count) / FRAME_RATE) for note, count in zip(score.notes, counts, strict=True)]
    if score.is_timed:
        durations = iter([count / FRAME_RATE for _, count in phone_frames(score)])

        def rounded(phones: tuple[Phone, ...]) -> tuple[Phone, ...]:
            return tuple(Phone(phone.name, next(durations)) for phone in phones)

        notes = [replace(note, leading=rounded(note.leading), phones=rounded(note.phones)) for note in notes]
    return replace(score, notes=tuple(notes), start=int(frames_at(score.start, FRAME_RATE)) / FRAME_RATE)


def timed(score: Score, voice: str) -> tuple[Score, Speech]:
    """The score with phones, the vowels on the onsets, consonants as long as the voice says them where there is room; and what it said.

    Raises:
        ConfigError: where flite is missing or knows no phones for a word.
    """
    spelled = with_phones(score, PHONES, pronunciation())
    speech = speak(voice, [phone.name for phone in spelled.phones])
    return on_frames(fitted(spelled, np.diff(speech.ends, prepend=0).tolist())), speech


def sing(score: Score, voice: str, warp: float) -> Sung:
    """
    Args:
        score: notes with lyrics on frames, a rest at either end.
        voice: of flite.
        warp: formants are so many times as high.

    Raises:
        ConfigError: where flite or pyworld is missing, or flite knows no phones for a word.
    """
    world, pitch = pyworld_package(), VOICES[voice].hertz
    score, speech = timed(score, voice)
    f0 = target_f0(score)
    said = soxr.resample(speech.sound.astype(np.float64), speech.sample_rate, SAMPLE_RATE)
    period = 1000 / FRAME_RATE  # ms
    found, times = world.harvest(said, SAMPLE_RATE, SPOKEN[0] * pitch, SPOKEN[1] * pitch, period)
    spoken = spoken_f0(found, times, score, speech, pitch)
    envelope = world.cheaptrick(said, spoken, times, SAMPLE_RATE)
    aperiodicity = world.d4c(said, spoken, times, SAMPLE_RATE)
    places = source_places(score, speech.ends).clip(0, len(spoken) - 1)
    frames = phone_frames(score)
    silent = np.repeat([name == PHONES.silence for name, _ in frames], [count for _, count in frames])
    envelope = np.exp(_between(np.log(_warped(envelope, warp)), places)) * _release(silent)[:, None]
    envelope[silent] = SILENCE
    voiced = np.flatnonzero((aperiodicity < 1 - 1e-6).any(1))  # D4C gives 1 throughout for the others
    aperiodicity = _between(aperiodicity[_nearest(voiced, len(spoken))], places) if len(voiced) else np.ones_like(envelope)
    aperiodicity[f0 == 0] = 1.0
    arrays = (f0, envelope, aperiodicity)
    more = (np.ascontiguousarray(np.concatenate([each, each[-1:]])) for each in arrays)  # WORLD ends on the last frame
    sound = world.synthesize(next(more), next(more), next(more), SAMPLE_RATE, period)[: HOP * len(f0)]
    curve = Curve(1 / FRAME_RATE, tuple(f0.tolist()))
    return Sung(replace(score, curves={"f0": curve}), sound * (PEAK / max(np.abs(sound).max(), 1e-9)))


def spoken_f0(found: np.ndarray, times: np.ndarray, score: Score, speech: Speech, pitch: float) -> np.ndarray:
    """F0 of what was said: where and only where its phones are voiced, between the frames where it was found."""
    phones = np.searchsorted(speech.ends, times, side="right").clip(max=len(speech.ends) - 1)
    voiced = np.array([phone.name not in VOICELESS for phone in score.phones])[phones]
    known = np.flatnonzero(voiced & (found > 0))
    return np.where(voiced, np.interp(np.arange(len(found)), known, found[known]) if len(known) else pitch, 0.0)


def pyworld_package():
    """
    Raises:
        ConfigError: where it is not installed.
    """
    try:
        import pyworld  # pyright: ignore[reportMissingImports] - of an extra
    except ImportError as error:
        raise ConfigError("pyworld is missing, which sings: pip install 'sgaudio[sing]', or pyworld-prebuilt") from error
    return pyworld


def phone_frames(score: Score) -> list[tuple[str, int]]:
    """Each phone and how many frames it has, a vowel once however many notes it is held over."""
    counts = np.zeros(len(score.phones), np.int64)
    np.add.at(counts, [row.source for row in rows(score)], row_frames(score, FRAME_RATE))
    return [(phone.name, int(count)) for phone, count in zip(score.phones, counts, strict=True)]


def target_f0(score: Score) -> np.ndarray:
    """The pitch that is sung: (frame) in Hz to a thousandth, 0 where unvoiced; notes, smoothed, with vibrato on long ones.

    Rests have the pitch of the nearer note, for the consonants that lead the next one sound in them.
    """
    counts = note_frames(score, FRAME_RATE)
    written = np.repeat([np.nan if note.pitch is None else note.pitch for note in score.notes], counts)
    curve = written[_nearest(np.flatnonzero(~np.isnan(written)), len(written))]
    half = round(PORTAMENTO * FRAME_RATE / 2)
    hann = np.hanning(2 * half + 3)[1:-1]
    curve = np.convolve(np.pad(curve, half, mode="edge"), hann / hann.sum(), "valid")
    curve += np.concatenate([_vibrato(note, int(count)) for note, count in zip(score.notes, counts, strict=True)])
    voiced = np.concatenate([np.full(count, name not in VOICELESS) for name, count in phone_frames(score)])
    return np.where(voiced, np.round(440 * 2 ** ((curve - 69) / 12), 3), 0.0)


def _vibrato(note: Note, count: int) -> np.ndarray:
    """What a note wavers around its pitch, in semitones, on each of its frames: nothing at its ends."""
    times = np.arange(count) / FRAME_RATE
    if note.pitch is None or note.duration <= LONG:
        return np.zeros(count)
    fade = np.clip((times - STEADY) / STEADY, 0, 1) * np.clip((note.duration - times) / PORTAMENTO, 0, 1)
    return DEPTH * fade * np.sin(2 * np.pi * VIBRATO * (times - STEADY))


def source_places(score: Score, ends: Sequence[float]) -> np.ndarray:
    """Where in what was said each frame comes from: (frame), in frames.

    Consonants are stretched evenly; vowels that grow keep their edges and stretch what is between them.
    """
    places, start = list[np.ndarray](), 0.0
    for (name, count), end in zip(phone_frames(score), np.array(ends) * FRAME_RATE, strict=True):
        length = end - start
        edge = EDGES * length
        target = np.arange(count) + 0.5
        if name in PHONES.vowels and count > length:
            places.append(start + np.interp(target, [0, edge, count - edge, count], [0, edge, length - edge, length]))
        else:
            places.append(start + target * length / max(count, 1))
        start = end
    return np.concatenate(places) - 0.5


def _warped(envelope: np.ndarray, warp: float) -> np.ndarray:
    """Envelope (frame, bin) with every formant `warp` times as high, the last bin held."""
    bins = envelope.shape[1]
    return _between(envelope.T, np.clip(np.arange(bins) / warp, 0, bins - 1)).T


def _between(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows at places between them, linearly."""
    left = np.minimum(places.astype(np.int64), len(rows) - 2)
    part = (places - left)[:, None]
    return (1 - part) * rows[left] + part * rows[left + 1]


def _nearest(places: np.ndarray, count: int) -> np.ndarray:
    """For each index below `count` the nearest of `places`, which are in order."""
    indices = np.arange(count)
    right = np.searchsorted(places, indices).clip(0, len(places) - 1)
    left = (right - 1).clip(0)
    return np.where(indices - places[left] <= places[right] - indices, places[left], places[right])


def _release(silent: np.ndarray) -> np.ndarray:
    """Power that goes down to nothing over the last frames before each silence."""
    frames = max(1, round(RELEASE * FRAME_RATE))
    gain = np.ones(len(silent))
    for stop in np.flatnonzero(silent[1:] & ~silent[:-1]) + 1:
        reach = min(frames, stop)
        gain[stop - reach : stop] = np.minimum(gain[stop - reach : stop], np.linspace(1, 0, reach + 2)[1:-1] ** 2)
    return gain
