"""What public code of SGMSE+ does wrong without a word, a model of its kind does not do here: a tiny one, with random weights."""

import numpy as np
import pytest
import torch

from sgaudio.audio.files import read, write
from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.jobs import Settings, Task, run
from sgaudio.models import Enhancer, EnhancerConfig, Sampling
from sgaudio.nets import NCSNppConfig
from sgaudio.processes import OUVE, BridgeVE
from sgaudio.solvers import keyed_noise

either_way = pytest.mark.parametrize("whole_file", [False, True], ids=["windows", "whole file"])


def made(**options) -> Enhancer:
    parts = {
        "network": NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32),
        "process": OUVE(),
        "prediction": "score",
        "sampling": Sampling("predictor-corrector", 2, "linear"),
        "spectrogram": Spectrogram(62, 16, 0.5, 0.15, "hann"),
        "windows": Windows(1024, 64, 64),
        "level": 1.0,
        "level_rule": "peak",
        "padding": "zeros",
    }
    model = Enhancer(EnhancerConfig(**(parts | options)))
    torch.manual_seed(0)
    for parameter in model.network.parameters():  # with those that its training begins with, a network hardly heeds what it sees
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def model() -> Enhancer:
    return made()


def sound(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)


@either_way
def test_silence_stays_silence(model, whole_file):
    """There, it is divided by its peak, which is 0."""
    out = model.enhance(np.zeros((2, 3000), np.float32), 16_000, whole_file=whole_file)
    assert out.shape == (2, 3000)
    assert not out.any()


@either_way
def test_a_silent_channel_stays_silent_beside_one_that_sounds(model, whole_file):
    out = model.enhance(sound(2, 3000) * np.float32([[0], [1]]), 16_000, whole_file=whole_file)
    assert not out[0].any()
    assert np.isfinite(out).all()
    assert out[1].any()


@either_way
def test_each_channel_of_a_stereo_sound_is_enhanced_as_if_it_were_alone(model, whole_file):
    """There, the network takes the second channel for the noisy sound of the first."""
    left, right = waveform = sound(2, 3000)
    together = model.enhance(waveform, 16_000, whole_file=whole_file, batch=1)
    for channel, out in zip((left, right), together, strict=True):
        assert np.array_equal(out, model.enhance(channel, 16_000, whole_file=whole_file))
    at_once = model.enhance(waveform, 16_000, whole_file=whole_file, batch=16)
    np.testing.assert_allclose(at_once, together, atol=1e-5 * np.abs(together).max())


@torch.inference_mode()
def test_each_channel_is_judged_by_its_own_noisy_sound(model):
    state, noisy, other = torch.randn(3, 2, 1, 32, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    mixed = torch.stack([noisy[0], other[1]])
    first, second = (model.denoise(state, mixed, 0.5) - model.denoise(state, noisy, 0.5)).abs().amax((1, 2, 3))
    assert first == 0
    assert second > 1e-3


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_a_file_keeps_its_rate_its_channels_and_its_length(model, tmp_path, rate):
    """There, it is written at the rate of the model."""
    write(tmp_path / "in.wav", sound(2, 5000), rate)
    (outcome,) = run([Task(str(tmp_path / "in.wav"), str(tmp_path / "out.wav"))], model, Settings())
    assert outcome.status == "done"
    enhanced, found = read(tmp_path / "out.wav")
    assert (found, enhanced.shape) == (rate, (2, 5000))
    assert not np.array_equal(enhanced, read(tmp_path / "in.wav")[0])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "process": BridgeVE(),
            "prediction": "data",
            "sampling": Sampling("bridge-ode", 2, grid_options={"end": 1e-4}, network_time="target"),
        },
    ],
    ids=["ouve", "bridge"],
)
def test_all_is_computed_on_the_device_that_was_asked_for(monkeypatch, device, options):
    """There, a bridge runs on the first GPU whatever was asked for, and not at all where there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    model, seen = made(**options), []
    expected = model.enhance(sound(2, 2000), 16_000)
    for kind in (torch.Tensor, torch.nn.Module):
        monkeypatch.setattr(kind, "cuda", lambda *_: pytest.fail("moved to a GPU by itself"))
    model.to(device)
    model.network.register_forward_hook(lambda network, given, output: seen.extend([*given, output]))
    out = model.enhance(sound(2, 2000), 16_000)
    assert {tensor.device.type for tensor in seen} == {device}
    np.testing.assert_allclose(out, expected, atol=1e-4 * np.abs(expected).max())


@either_way
def test_a_run_can_be_repeated_and_drawn_anew(model, whole_file):
    """There, every run is another one."""
    waveform = sound(2, 3000)
    torch.manual_seed(1)
    first = model.enhance(waveform, 16_000, whole_file=whole_file)
    torch.manual_seed(2)
    again, other = (model.enhance(waveform, 16_000, seed=seed, whole_file=whole_file) for seed in (0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_click_changes_what_is_near_it_alone(model):
    """There, all of a file is divided by its peak: so it is here, for a whole file only."""
    waveform = 0.1 * sound(8000)
    clicked = waveform.copy()
    clicked[100] = 1.0
    in_windows, whole = (
        [model.enhance(each, 16_000, whole_file=whole_file) for each in (waveform, clicked)] for whole_file in (False, True)
    )
    assert np.array_equal(in_windows[0][1024:], in_windows[1][1024:])  # the first window ends there
    assert not np.array_equal(in_windows[0][:1024], in_windows[1][:1024])
    assert np.abs(whole[0][4000:] - whole[1][4000:]).max() > 1e-3


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_sound_of_20_ms_is_enhanced(padding, rate):
    """There, reflection fails on less than a quarter of a second."""
    waveform = sound(rate // 50)
    for whole_file in (False, True):
        out = made(padding=padding).enhance(waveform, rate, whole_file=whole_file)
        assert out.shape == waveform.shape
        assert np.isfinite(out).all()
        assert out.any()


def test_batch_mates_do_not_matter(model):
    """There, losses and one of the walks mix the items of a batch."""
    noisy = (
        torch.randn(3, 1, 32, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
        * torch.tensor([0.1, 1, 10])[:, None, None, None]
    )
    walk, noise = model.config.sampling.plan(model.config.process), keyed_noise(0, noisy)
    together = model.estimate(noisy, walk, noise)
    for one, found in zip(noisy.split(1), together.split(1), strict=True):
        alone = model.estimate(one, walk, noise)
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5 * float(alone.abs().max()))
