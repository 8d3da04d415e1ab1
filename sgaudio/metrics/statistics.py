"""What a mean over files is worth: percentile bootstrap intervals (Efron, Tibshirani 1993), the same at every call."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

DRAWS, SEED, CONFIDENCE = 10_000, 0, 0.95
AT_ONCE = 1_000_000  # draws in memory


@dataclass(frozen=True)
class Mean:
    """A mean over files.

    Args:
        value: the mean; None over no file.
        low, high: its 95 % interval; None over less than two files.
        files: number of files that have a value.
    """

    value: float | None
    low: float | None
    high: float | None
    files: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """(low, high)."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside of the interval."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> Mean:
    """The weighted mean of a value a file, NaN where a file has none, and its interval over resampled files.

    Both float64 (file).
    """
    there = ~np.isnan(values)
    weights = np.ones(len(values)) if weights is None else weights
    return _mean(values[there].tobytes(), weights[there].tobytes())


@lru_cache(4096)
def _mean(value_bytes: bytes, weight_bytes: bytes) -> Mean:
    """Of float64, by their bytes: the same means stand in several tables, and thousands of files take a second each."""
    values, weights = np.frombuffer(value_bytes), np.frombuffer(weight_bytes)
    count = len(values)
    if not count or not weights.sum():
        return Mean(None, None, None, count)
    value = float(np.sum(values * weights) / np.sum(weights))
    if count < 2:
        return Mean(value, None, None, count)
    generator = np.random.default_rng(SEED)
    means = []
    rows = max(1, AT_ONCE // count)
    for first in range(0, DRAWS, rows):
        drawn = generator.integers(0, count, (min(rows, DRAWS - first), count))
        means.append((values * weights)[drawn].sum(1) / weights[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Mean(value, float(low), float(high), count)
