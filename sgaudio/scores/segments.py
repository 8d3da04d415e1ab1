"""A song is sung in segments, cut where it rests for long, and joined at their offsets.

A segment begins and ends with a rest, which gives its first consonants room, and starts on a frame: its frames are those of the whole.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sgaudio.errors import ConfigError
from sgaudio.scores.score import Curve, Note, Phone, Score
from sgaudio.scores.timing import NOISE, resampled

LONG = 1.0  # s: longer rests part segments
MARGIN = 0.5  # s of rest around a segment, at most half of LONG


def segments(score: Score, frame_rate: float, silence: str = "SP") -> tuple[Score, ...]:
    """The segments of a song. One whose phones are timed is one already.

    A song that begins with a note begins half a second later, for no consonant can sound before time 0; silence at its end goes.

    Args:
        frame_rate: in Hz; segments start on a frame.
        silence: the phone of the rests around a segment.
    """
    if score.is_timed:
        return (score,)
    onsets, parts = score.onsets, list[range]()
    for index in (index for index, note in enumerate(score.notes) if note.pitch is not None):
        near = bool(parts) and onsets[index] - onsets[parts[-1].stop] <= LONG
        parts[-1:] = [range(parts[-1].start, index + 1)] if near else [*parts[-1:], range(index, index + 1)]
    rest = (Phone(silence),) if score.phones else ()
    starts = [onsets[part.start] - MARGIN for part in parts]
    if parts[0].start > 0:
        starts[0] = max(starts[0], score.start)  # the rest that is written there
    first_frames = [math.floor(start * frame_rate + NOISE) for start in starts]
    delay = max(0, -first_frames[0])
    made = list[Score]()
    for part, first in zip(parts, first_frames, strict=True):
        start = first / frame_rate
        head = Note(float(onsets[part.start]) - start, None, phones=rest, bar=score.notes[part.start].bar)
        tail = Note(MARGIN, None, phones=rest, bar=score.notes[part.stop - 1].bar)
        notes = (head, *score.notes[part.start : part.stop], tail)
        length = float(onsets[part.stop]) + MARGIN - start
        curves = {name: _cut(curve, start - score.start, length) for name, curve in score.curves.items()}
        made.append(replace(score, notes=notes, start=(first + delay) / frame_rate, curves=curves))
    return tuple(made)


def _cut(curve: Curve, start: float, length: float) -> Curve:
    times = start + curve.step * np.arange(math.ceil(length / curve.step) + 1)
    return Curve(curve.step, tuple(resampled(curve, times).tolist()))


def joined(pieces: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """One sound of several, each at its offset: silence between them; where two overlap, one fades into the other, linearly.

    Args:
        pieces: (offset in samples, samples (..., time)); what lies before time 0 is dropped.

    Raises:
        ConfigError: where there is nothing to join.
    """
    if not pieces:
        raise ConfigError("segments: there is nothing to join")
    ordered = sorted(pieces, key=lambda piece: piece[0])
    length = max(0, *(offset + sound.shape[-1] for offset, sound in ordered))
    whole, end = np.zeros((*ordered[0][1].shape[:-1], length), ordered[0][1].dtype), 0
    for offset, sound in ordered:
        start, stop = max(offset, 0), offset + sound.shape[-1]
        if stop <= start:
            continue
        heard, shared = sound[..., start - offset :], min(max(end - start, 0), stop - start)
        weight = np.linspace(0, 1, shared, dtype=whole.dtype)
        whole[..., start : start + shared] = (1 - weight) * whole[..., start : start + shared] + weight * heard[..., :shared]
        whole[..., start + shared : stop] = heard[..., shared:]
        end = max(end, stop)
    return whole
