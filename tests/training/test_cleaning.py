"""Targets with a lowered noise floor."""

from types import SimpleNamespace

import pytest
import torch

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.training.cleaning import clean_targets


def judge(share: float):
    """A model that takes this share of the compressed magnitude for speech."""
    config = SimpleNamespace(spectrogram=Spectrogram(512, 256), level=1 / 12)
    return SimpleNamespace(config=config, sample_rate=4000, device="cpu", denoise=lambda state, noisy, time: state * share)


@pytest.fixture
def sound() -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.randn(37_001) * 3000).to(torch.int16)


def test_what_is_all_speech_is_left_alone(sound):
    out = clean_targets(judge(1.0), sound, -20)
    assert out.shape == sound.shape
    assert out.dtype == torch.int16
    assert (out.int() - sound.int()).abs().max() <= 2


def test_noise_goes_down_to_the_floor_and_no_further(sound):
    out = clean_targets(judge(0.01), sound, -20)
    assert out.double().std() / sound.double().std() == pytest.approx(0.1, rel=0.02)


def test_between_them_the_gain_is_the_network_s(sound):
    out = clean_targets(judge(0.5**0.5), sound, -20)
    assert out.double().std() / sound.double().std() == pytest.approx(0.5, rel=0.02)


def test_silence_stays_silent():
    assert not clean_targets(judge(0.5), torch.zeros(9000, dtype=torch.int16), -20).any()
