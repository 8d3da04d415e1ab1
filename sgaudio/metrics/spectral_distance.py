"""Log-spectral distance (Gray, Markel 1976, Distance measures for speech processing)."""

import numpy as np

WINDOW, HOP = 0.032, 0.008  # seconds
DEPTH = 80.0  # dB below the loudest bin of the reference: what lies deeper counts as this


def log_spectral_distance(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Root mean square over the bins of the difference of the power spectra in dB, mean over frames of 32 ms, 8 ms apart."""
    powers = [_power(sound, sample_rate) for sound in (estimate, reference)]
    floor = max(powers[1].max() * 10 ** (-DEPTH / 10), np.finfo(np.float64).tiny)
    levels = [10 * np.log10(np.maximum(power, floor)) for power in powers]
    return {"LSD": float(np.sqrt(np.square(levels[0] - levels[1]).mean(1)).mean())}


def _power(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """(time) -> (frame, bin), float64; the last frame is filled up with zeros."""
    window, hop = round(WINDOW * sample_rate), round(HOP * sample_rate)
    frames = 1 + max(0, -(-(len(sound) - window) // hop))
    padded = np.pad(sound.astype(np.float64), (0, (frames - 1) * hop + window - len(sound)))
    cut = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.square(np.abs(np.fft.rfft(cut * np.hanning(window))))
