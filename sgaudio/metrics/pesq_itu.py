"""Perceptual evaluation of speech quality: ITU-T P.862 (2001) with the mappings of P.862.1 (narrow band) and P.862.2 (wide band)."""

import numpy as np

from sgaudio.errors import AudioError

NARROW, WIDE = "nb", "wb"


def wide_band(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Wide band, 1.04 to 4.64.

    Raises:
        AudioError: where PESQ has no value: no speech in one of the two, or less than a quarter of a second.
    """
    return {"PESQ-wb": _pesq(estimate, reference, sample_rate, WIDE)}


def narrow_band(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Narrow band, 1.02 to 4.55.

    Raises:
        AudioError: as for the wide band.
    """
    return {"PESQ-nb": _pesq(estimate, reference, sample_rate, NARROW)}


def _pesq(estimate: np.ndarray, reference: np.ndarray, sample_rate: int, mode: str) -> float:
    import pesq  # pyright: ignore[reportMissingImports] - of an extra

    try:
        return float(pesq.pesq(sample_rate, reference, estimate, mode))
    except pesq.PesqError as error:
        detail = error.args[0] if error.args else type(error).__name__
        raise AudioError(f"PESQ-{mode}: {detail.decode() if isinstance(detail, bytes) else detail}") from error
    except ValueError as error:
        raise AudioError(f"PESQ-{mode}: no value for this sound, which is all but silent ({error})") from error
