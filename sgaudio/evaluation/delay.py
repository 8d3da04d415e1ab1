"""The constant delay of an estimate, by generalised cross-correlation with phase transform (Knapp, Carter 1976)."""

import numpy as np

MOST = 0.5  # seconds, either way
CLEAR = 6.0  # times the root mean square of the correlation: a lower peak says nothing


def constant_delay(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> int | None:
    """By how many samples the estimate comes late (early: negative); None where no delay stands out.

    Both float32 (channel, time), of one shape. An estimate that lies in place gives 0 even where noise is correlated at other lags.
    """
    if not (np.isfinite(estimate).all() and np.isfinite(reference).all()):
        return None
    size = 2 * reference.shape[1]
    spectra = [np.fft.rfft(sound.sum(0, dtype=np.float64), size) for sound in (estimate, reference)]
    cross = spectra[0] * np.conj(spectra[1])
    magnitude = np.abs(cross)
    correlation = np.fft.irfft(cross / np.maximum(magnitude, 1e-6 * magnitude.max(initial=1e-30)), size)
    most = min(round(MOST * sample_rate), reference.shape[1] - 1)
    near = np.concatenate([correlation[size - most :], correlation[: most + 1]])
    peak = int(np.argmax(near))
    stands_out = near[peak] > CLEAR * np.sqrt(np.mean(np.square(near)))  # in silence nothing does
    return peak - most if stands_out else None
