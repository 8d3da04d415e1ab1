import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sgaudio.audio.mel import PUBLISHED, MelSpectrogram, _constants, slaney_filters
from sgaudio.errors import ConfigError
from sgaudio.registry import build

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "diffsinger" / "mel.npz")
SINGER = PUBLISHED["diffsinger-24k"]
OPENVPI = PUBLISHED["openvpi-44k"]


def sound(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return 0.1 * torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 5e-5), (torch.float64, 5e-6)])  # the golden numbers are in float32
@pytest.mark.parametrize(("rate", "config"), [("24k", SINGER), ("44k", OPENVPI)])
def test_it_computes_what_the_public_code_computed(rate, config, dtype, bound):
    mel = config.forward(torch.from_numpy(GOLDEN[f"{rate}/wav"]).to(dtype))
    golden = torch.from_numpy(GOLDEN[f"{rate}/mel"])
    assert mel.dtype == dtype
    torch.testing.assert_close(mel, golden.to(dtype), rtol=0, atol=bound)


def test_its_triangles_have_the_areas_of_the_public_ones():
    sums = slaney_filters(SINGER).sum(1)
    torch.testing.assert_close(sums, torch.from_numpy(GOLDEN["24k/filter_sums"]).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED)
def test_its_triangles_are_librosas(config):
    filters = pytest.importorskip("librosa.filters")
    options = {"sr": config.sample_rate, "n_fft": config.window, "n_mels": config.bins, "fmin": config.fmin, "fmax": config.fmax}
    torch.testing.assert_close(slaney_filters(config), torch.from_numpy(filters.mel(**options, dtype=np.float64)), rtol=1e-12, atol=1e-15)


def test_an_impulse_shows_where_the_frames_lie():
    for config, first in ((SINGER, 0.0), (OPENVPI, 0.5)):
        k, hop = 10, config.hop
        here = config.forward(F.pad(torch.ones(1), (round((k + first) * hop), 20 * hop)))
        loudness = here.mean(0)
        assert loudness.argmax() == k
        torch.testing.assert_close(loudness[k - 1], loudness[k + 1])


def test_on_hops_there_is_one_frame_more_than_between_hops():
    between = replace(SINGER, frames="between hops")
    for length in (512, 639, 640):
        assert SINGER.forward(torch.zeros(length)).shape == (80, 1 + length // 128)
        assert between.forward(torch.zeros(length)).shape == (80, length // 128)


def test_silence_is_the_floor_and_its_gradient_is_finite():
    silence = torch.zeros(1, 1000, requires_grad=True)
    mel = SINGER.forward(silence)
    torch.testing.assert_close(mel, torch.full_like(mel, -6))
    torch.testing.assert_close(OPENVPI.forward(torch.zeros(4000)), torch.full((128, 7), math.log(1e-5)))
    mel.sum().backward()
    assert silence.grad is not None
    assert torch.equal(silence.grad, torch.zeros_like(silence))


def test_gradients_are_right():
    config = MelSpectrogram(8000, 32, 8, 4, 0, 4000)
    assert torch.autograd.gradcheck(config.forward, sound(2, 40).requires_grad_())


@pytest.mark.parametrize("config", [SINGER, OPENVPI])
def test_any_leading_axes_are_a_batch_of_sounds_that_do_not_meet(config):
    waveform = sound(2, 3, 5000)
    together = config.forward(waveform)
    alone = torch.stack([torch.stack([config.forward(channel) for channel in item]) for item in waveform])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


def test_on_hops_filling_up_with_silence_changes_no_frame():
    waveform = sound(3000)
    torch.testing.assert_close(SINGER.forward(F.pad(waveform, (0, 1000)))[:, : 1 + 3000 // 128], SINGER.forward(waveform))


def test_constants_are_made_once_for_all_that_they_depend_on():
    waveform = sound(4096)
    _constants.cache_clear()
    for _ in range(2):  # the second time nothing is made
        for config in (SINGER, replace(SINGER, sample_rate=32_000), replace(SINGER, window=1024), replace(SINGER, fmax=8000)):
            found = config.forward(waveform)
            filters = slaney_filters(config)
            spectrum = torch.stft(
                waveform,
                config.window,
                128,
                window=torch.hann_window(config.window, dtype=torch.float64),
                pad_mode="constant",
                return_complex=True,
            )
            torch.testing.assert_close(found, (filters @ spectrum.abs()).clamp_min(1e-6).log10())
    assert (_constants.cache_info().misses, _constants.cache_info().hits) == (4, 4)


def test_what_inference_made_first_serves_training():
    _constants.cache_clear()
    with torch.inference_mode():
        SINGER.forward(torch.zeros(1000))
    waveform = sound(1000, dtype=torch.float32).requires_grad_()
    SINGER.forward(waveform).sum().backward()
    assert waveform.grad is not None


def test_autocast_does_not_round_it():
    waveform = sound(2, 2000, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rough = SINGER.forward(waveform)
    assert torch.equal(rough, SINGER.forward(waveform))


def test_a_configuration_is_made_from_plain_values():
    assert build(MelSpectrogram, json.loads(json.dumps(asdict(OPENVPI)))) == OPENVPI


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fmax": 12_001}, "fmin 30 and fmax 12001 Hz: expected fmin below fmax, .* 12000$"),
        ({"fmin": 500, "fmax": 400}, "fmin 500 and fmax 400"),
        ({"hop": 513}, "hop is 513, expected at most the window, 512"),
        ({"bins": 200}, "mel bin 4 of 200 holds no frequency: use fewer bins or a longer window"),
        ({"base": "log2"}, "base is 'log2', expected one of 'log10', 'ln'"),
        ({"floor": 0}, "floor is 0"),
        ({"frames": "centred"}, "expected one of 'on hops', 'between hops'"),
    ],
)
def test_wrong_settings_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        MelSpectrogram(**options)


def test_a_sound_too_short_for_its_reflections_is_refused():
    assert OPENVPI.forward(torch.zeros(769)).shape == (128, 1)
    with pytest.raises(ConfigError, match="the sound has 768 samples, expected 769 or more"):
        OPENVPI.forward(torch.zeros(768))
    with pytest.raises(ConfigError, match="the sound has 0 samples, expected 1 or more"):
        SINGER.forward(torch.zeros(2, 0))
