"""How well a melody is kept: the F0 of what is sung against the curve that was to be sung.

F0 curves are (frame) in Hz, 0 where unvoiced. How far the pitch is off is asked of the frames that are voiced in both, whether voicing is
right of all frames: two functions, for the first has no value where the second still has one.
"""

from types import ModuleType

import numpy as np

from sgaudio.errors import AudioError, ConfigError
from sgaudio.metrics.pairs import numbers, pair

FLOOR, CEILING = 71.0, 1100.0  # Hz: WORLD's own floor, and a ceiling for sopranos
GROSS = 0.2  # of the reference's frequency: an error beyond it is gross
CLOSE = 50.0  # cents, a quarter tone


def recorded_f0(sound: np.ndarray, sample_rate: int, hop: int, floor: float = FLOOR, ceiling: float = CEILING) -> np.ndarray:
    """The F0 of a recording by Harvest (Morise 2017, Interspeech, 2321-2325), as WORLD has it.

    Args:
        sound: (time).
        hop: distance of the frames in samples: frame k lies on sample k hop, as a `MelSpectrogram`'s on hops.
        floor, ceiling: Hz between which it is looked for.

    Returns:
        float64 (1 + time // hop), in Hz, 0 where unvoiced.

    Raises:
        AudioError: where the sound is not (time) of finite numbers.
        ConfigError: where pyworld is missing, or on a hop or frequencies that nothing can be found with.
    """
    if hop < 1 or not 0 < floor < ceiling < sample_rate / 2:
        expected = "a hop of 1 or more, and 0 < floor < ceiling < half the sample rate"
        raise ConfigError(f"F0: hop {hop}, floor {floor:g}, ceiling {ceiling:g} Hz at {sample_rate} Hz: expected {expected}")
    waveform = numbers(sound, "F0: the sound")
    frames = 1 + len(waveform) // hop
    padded = np.pad(waveform, (0, hop))  # the last frame does not hang on how a division is rounded
    found, _ = world().harvest(padded, sample_rate, f0_floor=floor, f0_ceil=ceiling, frame_period=1000 * hop / sample_rate)
    return found[:frames]


def pitch_error(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Errors of the pitch over the frames that are voiced in both curves, gross ones included.

    In cents, 1200 log2(f / f_reference): "F0 median" of the absolute error and "F0 RMSE". In %: "F0 within 50" cents, and "GPE", gross
    pitch errors: those of more than 20 % of the reference (Nakatani et al. 2008, Speech Communication 50, 203-214). "voiced" is the number
    of these frames: weighted by it, the shares of several files are those of all their frames.

    Raises:
        AudioError: where no frame is voiced in both, or on curves that cannot be compared.
    """
    estimate, reference = _curves(estimate, reference)
    voiced = (estimate > 0) & (reference > 0)
    if not voiced.any():
        raise AudioError(f"F0: of {len(voiced)} frames none is voiced in both curves")
    ratio = estimate[voiced] / reference[voiced]
    cents = np.abs(1200 * np.log2(ratio))
    return {
        "F0 median": float(np.median(cents)),
        "F0 RMSE": float(np.sqrt(np.mean(np.square(cents)))),
        "F0 within 50": 100 * float(np.mean(cents <= CLOSE)),
        "GPE": 100 * float(np.mean(np.abs(ratio - 1) > GROSS)),
        "voiced": float(voiced.sum()),
    }


def voicing_error(estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Errors in % of all frames (Chu, Alwan 2009, ICASSP, 3969-3972).

    "VDE": voicing decision errors, frames that are voiced in one curve alone. "FFE": F0 frame errors, these and the gross pitch errors.
    "frames" is their number: weighted by it, the errors of several files are those of all their frames.

    Raises:
        AudioError: on curves that cannot be compared.
    """
    estimate, reference = _curves(estimate, reference)
    wrong = (estimate > 0) != (reference > 0)
    gross = ~wrong & (np.abs(estimate - reference) > GROSS * reference)  # where both are unvoiced, 0 > 0
    return {"VDE": 100 * float(wrong.mean()), "FFE": 100 * float((wrong | gross).mean()), "frames": float(len(wrong))}


def world() -> ModuleType:
    """
    Raises:
        ConfigError: where it is not installed.
    """
    try:
        import pyworld  # pyright: ignore[reportMissingImports] - of an extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"F0 and MCD need {error.name}, which is not installed: pip install 'sgaudio[sing]'") from error
    return pyworld


def _curves(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    estimate, reference = pair(estimate, reference, "F0")
    if (lowest := min(estimate.min(), reference.min())) < 0:
        raise AudioError(f"F0: a curve has {lowest:g} Hz, expected 0 where unvoiced, more where voiced")
    return estimate, reference
