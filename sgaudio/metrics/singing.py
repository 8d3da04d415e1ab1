"""Scores of singing: a table of functions on what a voice makes and what was to be made, sound, F0, durations or mel spectrograms.

    SINGING["f0"].score(recorded_f0(sound, 24_000, hop=128)[: len(curve)], curve)  # {"F0 median": 1.1, ...}

None has a value where its docstring says that it raises: `AudioError`, with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sgaudio.errors import AudioError
from sgaudio.metrics.cepstra import distortion, warped_distortion
from sgaudio.metrics.metric import Column, Scores
from sgaudio.metrics.pairs import pair
from sgaudio.metrics.pitch import pitch_error, voicing_error
from sgaudio.registry import Registry

RATE = 24_000  # Hz, at which the resolutions are published
RESOLUTIONS = ((1024, 600, 120), (2048, 1200, 240), (512, 240, 50))  # samples: transform, window, hop
LEAST_POWER = 1e-7  # of a bin, at full scale 1: what lies deeper counts as this
AT_ONCE = 4096  # frames in memory
HARDLY = 1e-3  # of the mean variance


@dataclass(frozen=True)
class SingingMetric:
    """A score of singing.

    Args:
        score: from an estimate and a reference to a value for each column, and for those that weigh them.
        columns: what it gives.
        source: the paper.
        of: what it compares: "sound" (time), then `score` asks for the sample rate too; "f0" (frame) in Hz; "mel" (bin, frame), a
            logarithm; "durations" of phones (phone) in frames, then it takes the frame's length in ms too.
    """

    score: Callable[..., Scores]
    columns: tuple[Column, ...]
    source: str
    of: Literal["sound", "f0", "mel", "durations"]


def duration_error(
    estimate: np.ndarray, reference: np.ndarray, milliseconds: float = 1.0, notes: np.ndarray | None = None
) -> dict[str, float]:
    """Mean absolute errors of durations, and how many notes last exactly as long as they are to.

    Args:
        estimate, reference: of each phone (phone), in frames.
        milliseconds: a frame lasts; 1 gives errors in frames.
        notes: for each phone (phone), the number of what it belongs to; for notes as they are heard, count on with each vowel, for it
            begins the note. One for all by default.

    Returns:
        "phones" and "notes": mean absolute errors. "notes exact": share in % of those whose frames sum to the reference's.

    Raises:
        AudioError: on durations that are not whole frames, or shapes that do not fit.
    """
    estimate, reference = pair(estimate, reference, "durations")
    for frames in (estimate, reference):
        if (wrong := frames[(frames < 0) | (frames != np.floor(frames))]).size:
            raise AudioError(f"durations: a phone lasts {wrong[0]:g} frames, expected whole numbers, 0 or more")
    notes = np.zeros(len(estimate), np.int64) if notes is None else np.asarray(notes)
    if notes.shape != estimate.shape:
        raise AudioError(f"durations: notes has shape {notes.shape}, expected one for each of {len(estimate)} phones")
    error = estimate - reference
    _, belongs = np.unique(notes, return_inverse=True)
    sums = np.bincount(belongs, error)
    return {
        "phones": milliseconds * float(np.abs(error).mean()),
        "notes": milliseconds * float(np.abs(sums).mean()),
        "notes exact": 100 * float((sums == 0).mean()),
    }


def stft_distance(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Multi-resolution STFT distance (Yamamoto, Song, Kim 2020, 1910.11480, section 2.2) of two sounds (time) of one length.

    "STFT-SC" is spectral convergence, || |S| - |S_reference| ||_F / || |S_reference| ||_F, "STFT-log" the mean of the absolute difference
    of ln |S|, "STFT" their sum; each a mean over three resolutions, published at 24 kHz and scaled to other rates, Hann windows, zeros
    outside. A gain g costs |1 - g| and |ln g|.

    Raises:
        AudioError: on sounds that cannot be compared, or a silent reference.
    """
    estimate, reference = pair(estimate, reference, "STFT")
    if not reference.any():
        raise AudioError("STFT: the reference is silent")
    convergence, logarithmic = np.mean([_distances(estimate, reference, *_scaled(sizes, sample_rate)) for sizes in RESOLUTIONS], 0)
    return {"STFT": float(convergence + logarithmic), "STFT-SC": float(convergence), "STFT-log": float(logarithmic)}


def mel_variance(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Whether detail is smoothed away: the variance over time of each mel bin, a global variance (Toda, Tokuda 2007, IEICE E90-D, 816-824).

    "mel variance" is the mean over bins of the ratio of the estimate's to the reference's, less one, in %: 0 as lively as the reference,
    -20 a fifth less. Left out are bins that hardly vary in the reference, by less than a thousandth of the mean over bins, for one of them
    would outweigh the others. Rests add variance to both: leave their frames out to compare what is sung.

    Args:
        estimate, reference: log mel spectrograms (bin, frame), as `sgaudio.audio.mel` makes them of sound.

    Raises:
        AudioError: where no bin varies in the reference, or on shapes that do not fit.
    """
    estimate, reference = pair(estimate, reference, "mel variance", 2)
    variances = estimate.var(1), reference.var(1)
    varies = variances[1] > HARDLY * variances[1].mean()
    if not np.ptp(reference, axis=1).any():
        raise AudioError("mel variance: the reference does not vary")
    return {"mel variance": 100 * float(np.mean(variances[0][varies] / variances[1][varies]) - 1)}


SINGING = Registry[SingingMetric](
    "score of singing",
    {
        "mcd": SingingMetric(
            distortion, (Column("MCD", "lowest", unit="dB"),), "Kubichek 1993, envelope by WORLD, package pyworld", "sound"
        ),
        "mcd-dtw": SingingMetric(
            warped_distortion,
            (Column("MCD-DTW", "lowest", unit="dB"),),
            "Kubichek 1993, paths by Sakoe, Chiba 1978, envelope by WORLD, package pyworld",
            "sound",
        ),
        "f0": SingingMetric(
            pitch_error,
            (
                Column("F0 median", "lowest", digits=1, unit="cents", weight="voiced"),
                Column("F0 RMSE", "lowest", digits=1, unit="cents", weight="voiced"),
                Column("F0 within 50", digits=1, unit="%", weight="voiced"),
                Column("GPE", "lowest", unit="%", weight="voiced"),
            ),
            "cents over frames voiced in both; gross errors: Nakatani et al. 2008",
            "f0",
        ),
        "voicing": SingingMetric(
            voicing_error,
            (Column("VDE", "lowest", unit="%", weight="frames"), Column("FFE", "lowest", unit="%", weight="frames")),
            "Chu, Alwan 2009",
            "f0",
        ),
        "durations": SingingMetric(
            duration_error,
            (
                Column("phones", "lowest", digits=1, unit="ms"),
                Column("notes", "lowest", digits=1, unit="ms"),
                Column("notes exact", digits=1, unit="%"),
            ),
            "mean absolute errors, sums over notes",
            "durations",
        ),
        "stft": SingingMetric(
            stft_distance,
            (Column("STFT", "lowest", digits=3), Column("STFT-SC", "lowest", digits=3), Column("STFT-log", "lowest", digits=3)),
            "Yamamoto, Song, Kim 2020, 1910.11480",
            "sound",
        ),
        "mel-variance": SingingMetric(
            mel_variance, (Column("mel variance", "zero", digits=1, unit="%"),), "global variance: Toda, Tokuda 2007", "mel"
        ),
    },
)


def _scaled(sizes: tuple[int, int, int], sample_rate: int) -> tuple[int, int, int]:
    transform, window, hop = (max(1, round(size * sample_rate / RATE)) for size in sizes)
    return transform, window, hop


def _distances(estimate: np.ndarray, reference: np.ndarray, transform: int, window: int, hop: int) -> tuple[float, float]:
    """Spectral convergence and log distance at one resolution, frames on hops."""
    shape = np.zeros(transform)
    start = (transform - window) // 2
    shape[start : start + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    cuts = [np.lib.stride_tricks.sliding_window_view(np.pad(sound, transform // 2), transform)[::hop] for sound in (estimate, reference)]
    wrong = power = logarithm = 0.0
    for first in range(0, len(cuts[0]), AT_ONCE):
        powers = (np.square(np.abs(np.fft.rfft(cut[first : first + AT_ONCE] * shape))) for cut in cuts)
        ours, theirs = (np.sqrt(np.maximum(each, LEAST_POWER)) for each in powers)
        wrong += np.square(ours - theirs).sum()
        power += np.square(theirs).sum()
        logarithm += np.abs(np.log(ours) - np.log(theirs)).sum()
    return float(np.sqrt(wrong / power)), float(logarithm / (len(cuts[0]) * (transform // 2 + 1)))
