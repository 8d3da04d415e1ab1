import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.errors import ConfigError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sgmse_stft.npz")
PUBLISHED = {
    "16k": Spectrogram(510, 128, 0.5, 0.15, "hann"),
    "48k": Spectrogram(1534, 384, 0.667, 0.065, "hann"),
    "16k_storm": Spectrogram(510, 128, 0.5, 0.33, "hann"),
    "16k_sqrthann": Spectrogram(510, 128, 0.5, 0.15, "sqrt_hann"),
}


def noise(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@settings(max_examples=40)
@given(
    window=st.sampled_from([62, 64, 510, 512]),
    part=st.sampled_from([2, 4, 5, 8]),
    exponent=st.floats(0.3, 1),
    factor=st.floats(0.05, 20),
    shape=st.sampled_from(["sqrt_hann", "hann"]),
    length=st.integers(600, 3000),
    scale=st.sampled_from([1e-12, 1e-6, 1.0, 1e3]),
)
def test_inverse_undoes_forward(window, part, exponent, factor, shape, length, scale):
    spectrogram = Spectrogram(window, window // part, exponent, factor, shape)
    whole = length - length % spectrogram.hop  # the last samples of a broken hop lie at the edge of one window alone
    waveform = noise(2, 1, whole, scale=scale)
    back = spectrogram.inverse(spectrogram.forward(waveform), whole)
    torch.testing.assert_close(back, waveform, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_that_of_the_public_code(name):
    draws = np.random.Generator(np.random.Philox(key=zlib.crc32(b"stft/sig"))).random((1, 16_000))
    waveform = torch.from_numpy(draws - 0.5)[:, : 16_000 if name == "48k" else 5_000]
    found = PUBLISHED[name].forward(waveform)
    assert found.abs().sum().item() == pytest.approx(GOLDEN[f"{name}/abs_sum"].item(), rel=1e-9)
    part = found[0, :: 10 if name == "48k" else 5, ::3]
    torch.testing.assert_close(part, torch.from_numpy(GOLDEN[name]), rtol=0, atol=1e-9)


def test_a_hop_need_not_divide_the_window():
    waveform = noise(1, 16 * 60)
    spectrogram = Spectrogram(62, 16, 0.5, 0.15, "hann")
    torch.testing.assert_close(spectrogram.inverse(spectrogram.forward(waveform), 16 * 60), waveform, rtol=1e-9, atol=1e-11)


def test_the_magnitude_is_compressed_and_the_phase_is_kept():
    waveform = noise(1, 4096)
    plain = Spectrogram(512, 128, exponent=1.0).forward(waveform)
    compressed = Spectrogram(512, 128, exponent=0.5, factor=0.15).forward(waveform)
    torch.testing.assert_close(compressed, torch.polar(0.15 * plain.abs().sqrt(), plain.angle()))


def test_frame_j_is_centred_on_sample_j_hop():
    waveform = torch.zeros(1, 4096)
    waveform[0, 5 * 256] = 1
    energy = Spectrogram(exponent=1.0).forward(waveform).abs().sum(-2)[0]
    assert energy.argmax() == 5


def test_silence_has_finite_slopes():
    waveform = torch.zeros(1, 2048, requires_grad=True)
    spectrogram = Spectrogram()
    spectrogram.inverse(spectrogram.forward(waveform), 2048).sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()


@pytest.mark.parametrize("options", [{"window": 511}, {"hop": 257}, {"hop": 512}, {"exponent": 0.0}, {"shape": "hamming"}])
def test_what_could_not_be_inverted_is_refused(options):
    with pytest.raises(ConfigError):
        Spectrogram(**options)
