"""Means and their intervals."""

import numpy as np
import pytest

from sgaudio.metrics.statistics import Mean, mean


def test_the_interval_holds_the_mean_of_the_population_in_about_95_of_100_samples():
    generator = np.random.default_rng(1)
    samples = generator.standard_normal((300, 40)) + 3
    hits = sum(found.low <= 3 <= found.high for found in map(mean, samples))
    assert 0.90 < hits / 300 < 0.98


def test_the_interval_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).standard_normal(2000)
    found = mean(values)
    width = 1.96 * values.std() / np.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx([values.mean() - width, values.mean() + width], abs=2e-3)
    assert mean(values) == found


def test_files_without_a_value_do_not_count():
    values = np.array([1.0, np.nan, 3.0])
    assert mean(values) == mean(np.array([1.0, 3.0]))
    assert mean(values).files == 2
    assert mean(np.array([np.nan])) == Mean(None, None, None, 0)
    assert mean(np.array([5.0])) == Mean(5.0, None, None, 1)


def test_a_weighted_mean_is_the_ratio_of_sums():
    errors, words = np.array([1.0, 4.0, 0.0, np.nan]), np.array([2.0, 16.0, 2.0, np.nan])
    found = mean(100 * errors / words, words)
    assert found.value == pytest.approx(100 * 5 / 20)
    assert found.low is not None
    assert found.low < found.value < found.high


def test_an_interval_says_whether_there_is_a_difference():
    assert mean(np.array([1.0, 1.2, 0.9, 1.1])).excludes_zero
    assert not mean(np.array([1.0, -1.2, 0.9, -1.1])).excludes_zero
    assert not mean(np.array([1.0])).excludes_zero
