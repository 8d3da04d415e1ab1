"""Mixtures for validation, and their measure."""

import numpy as np
import pytest
import soundfile

from sgaudio.errors import ConfigError
from sgaudio.training.validation import load_mixtures

from .conftest import RATE, hiss, tone

HEADER = "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples\n"


def test_a_mixture_has_the_ratio_of_its_row(tmp_path):
    soundfile.write(tmp_path / "s.wav", tone(1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "n.wav", hiss(0.4), RATE, subtype="FLOAT")
    (tmp_path / "m.tsv").write_text(HEADER + "a\ts.wav\tn.wav\t-5\t0\nb\ts.wav\tn.wav\t10\t100\n")
    (mixture,) = load_mixtures(tmp_path / "m.tsv", (0, 15), RATE)
    noise = mixture.noisy - mixture.clean
    assert 10 * np.log10(np.square(mixture.clean).sum() / np.square(noise).sum()) == pytest.approx(10, abs=1e-3)
    assert np.corrcoef(noise, np.resize(np.roll(hiss(0.4), -100), RATE))[0, 1] == pytest.approx(1, abs=1e-4)


def test_a_table_without_a_mixture_in_range_is_refused(tmp_path):
    (tmp_path / "m.tsv").write_text(HEADER + "a\ts.wav\tn.wav\t-5\t0\n")
    with pytest.raises(ConfigError, match="no mixture between 0 and 15 dB"):
        load_mixtures(tmp_path / "m.tsv", (0, 15), RATE)
