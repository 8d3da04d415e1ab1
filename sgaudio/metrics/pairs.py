"""What two sequences must be to be compared."""

import numpy as np

from sgaudio.errors import AudioError


def numbers(values: np.ndarray, name: str, dimensions: int = 1) -> np.ndarray:
    """As float64.

    Raises:
        AudioError: on other dimensions, nothing in them, or numbers that are not finite.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != dimensions or not values.size:
        raise AudioError(f"{name} has shape {values.shape}, expected {dimensions} dimension{'s' * (dimensions > 1)} with something in each")
    if not np.isfinite(values).all():
        raise AudioError(f"{name} has NaN or infinite numbers")
    return values


def pair(estimate: np.ndarray, reference: np.ndarray, title: str, dimensions: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, of one shape.

    Raises:
        AudioError: as `numbers`, or on two shapes.
    """
    estimate, reference = (
        numbers(values, f"{title}: the {name}", dimensions) for values, name in ((estimate, "estimate"), (reference, "reference"))
    )
    if estimate.shape != reference.shape:
        raise AudioError(f"{title}: the estimate has shape {estimate.shape}, the reference {reference.shape}: cut both to what they share")
    return estimate, reference
