"""Short-time objective intelligibility: STOI (Taal et al. 2011) and extended STOI (Jensen, Taal 2016)."""

import warnings

import numpy as np

from sgaudio.errors import AudioError


def intelligibility(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """STOI, up to 1.

    Raises:
        AudioError: where there is too little speech: less than 0.4 s.
    """
    return {"STOI": _stoi(estimate, reference, sample_rate, extended=False)}


def extended_intelligibility(estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
    """Extended STOI, up to 1; the same at every call, though the method adds noise.

    Raises:
        AudioError: where there is too little speech: less than 0.4 s.
    """
    return {"ESTOI": _stoi(estimate, reference, sample_rate, extended=True)}


def _stoi(estimate: np.ndarray, reference: np.ndarray, sample_rate: int, extended: bool) -> float:
    from pystoi import stoi  # pyright: ignore[reportMissingImports] - of an extra

    generator = np.random.get_state()  # noqa: NPY002 - pystoi draws from numpy's global generator
    np.random.seed(0)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            return float(stoi(reference, estimate, sample_rate, extended=extended))
    except (RuntimeWarning, ValueError) as error:
        raise AudioError(f"{'ESTOI' if extended else 'STOI'}: too little speech in the reference") from error
    finally:
        np.random.set_state(generator)  # noqa: NPY002
