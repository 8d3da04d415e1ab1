"""Scale-invariant energy ratios: SI-SDR, SI-SIR, SI-SAR (Le Roux, Wisdom, Erdogan, Hershey 2018, 1811.02508).

Means are not removed. In float64, and limited to 100 dB, so that an estimate that equals its reference has a number too.
"""

import numpy as np

from sgaudio.errors import AudioError

LIMIT = 100.0  # dB


def si_sdr(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Scale-invariant signal-to-distortion ratio in dB."""
    target, error = _target_and_error(estimate, reference)
    return {"SI-SDR": _decibels(target, error)}


def si_sir(estimate: np.ndarray, reference: np.ndarray, sample_rate: int, noise: np.ndarray) -> dict[str, float]:
    """Scale-invariant signal-to-interference and signal-to-artifacts ratios in dB.

    The error is split into what `noise` and `reference` can explain, by projection on their plane, and the rest. The two are orthogonal,
    so that 10^(-SI-SDR/10) = 10^(-SI-SIR/10) + 10^(-SI-SAR/10).

    Raises:
        AudioError: where the noise is a copy of the reference.
    """
    target, error = _target_and_error(estimate, reference)
    clean, other = np.asarray(reference, np.float64), np.asarray(noise, np.float64)
    new = other - _dot(other, clean) / _dot(clean, clean) * clean  # of the plane, what is orthogonal to the reference, as the error is
    if _dot(new, new) <= 1e-12 * _dot(other, other):
        raise AudioError("SI-SIR: the noise is a copy of the reference")
    interference = _dot(error, new) / _dot(new, new) * new
    return {"SI-SIR": _decibels(target, interference), "SI-SAR": _decibels(target, error - interference)}


def _target_and_error(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The estimate as a multiple of the reference and what is orthogonal to it, float64 (time)."""
    estimate, reference = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    target = _dot(estimate, reference) / _dot(reference, reference) * reference
    return target, estimate - target


def _decibels(signal: np.ndarray, error: np.ndarray) -> float:
    levels = [10 * np.log10(max(_dot(sound, sound), np.finfo(np.float64).tiny)) for sound in (signal, error)]
    return float(np.clip(levels[0] - levels[1], -LIMIT, LIMIT))


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """The same bits on any number of threads, which those of a product by BLAS are not."""
    return float(np.sum(a * b))
