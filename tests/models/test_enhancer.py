"""On a tiny network with random weights: what holds for any model."""

import numpy as np
import pytest
import torch

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.models import Enhancer, EnhancerConfig, Sampling
from sgaudio.nets import BandDiTConfig
from sgaudio.processes import OUVE, BridgeVE

NETWORK = BandDiTConfig(width=8, depth=1, heads=2, bands=(1, 8, 8, 16))
RANDOM = Sampling("ddim", steps=4, solver_options={"eta": 1.0})


def config(**options) -> EnhancerConfig:
    defaults = {
        "network": NETWORK,
        "process": BridgeVE(k=2.6, c=0.1),
        "spectrogram": Spectrogram(64, 32),
        "windows": Windows(4096, 256, 512),
        "sampling": RANDOM,
    }
    return EnhancerConfig(**(defaults | options))


@pytest.fixture(scope="module")
def model() -> Enhancer:
    torch.manual_seed(0)
    return Enhancer(config())


def sound(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(9000,), (2, 9000), (2, 2, 5000), (1, 1), (3, 0), (0,)])
def test_the_same_shape_and_kind_come_out(model, shape):
    waveform = sound(*shape)
    out = model.enhance(waveform, 16_000)
    assert isinstance(out, np.ndarray)
    assert out.shape == shape
    assert out.dtype == np.float32
    tensor = model.enhance(torch.from_numpy(waveform), 16_000)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(tensor.numpy(), out)


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_sound(model):
    waveform = sound(2, 20_000)
    first, again, other = (model.enhance(waveform, 16_000, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


def test_the_sound_does_not_depend_on_the_window_batch(model):
    waveform = sound(2, 30_000)
    one, eight = (model.enhance(waveform, 16_000, batch=batch) for batch in (1, 8))
    np.testing.assert_allclose(one, eight, atol=1e-5)


def test_batch_mates_do_not_change_a_sound(model):
    waveform = sound(3, 1, 9000)
    together = model.enhance(waveform, 44_100, batch=1)
    assert np.array_equal(together[1], model.enhance(waveform[1], 44_100, batch=1))


def test_channels_share_one_noise_draw(model):
    same = np.repeat(sound(1, 9000), 2, axis=0)
    out = model.enhance(same, 16_000, batch=1)
    assert np.array_equal(out[0], out[1])


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_stream_gives_the_samples_of_the_whole_however_it_is_cut(model, rate):
    waveform = sound(2, 30_000)
    whole = model.enhance(waveform, rate, batch=4)
    results = []
    for size in (1_777, 30_000):
        with model.stream(rate, channels=2) as stream:
            blocks = [waveform[:, i : i + size] for i in range(0, 30_000, size)]
            results.append(np.concatenate([stream.push(waveform[:, :0]), *map(stream.push, blocks), stream.flush()], -1))
    assert np.array_equal(*results)
    np.testing.assert_allclose(results[0], whole, atol=1e-5)


def test_the_level_does_not_matter(model):
    waveform = sound(1, 9000)
    quiet, loud = (scale * model.enhance(waveform / scale, 16_000) for scale in (100.0, 0.05))
    np.testing.assert_allclose(quiet, loud, atol=1e-5)


def test_strength_and_attenuation_keep_a_share_of_the_input(model):
    waveform = sound(1, 9000)
    full = model.enhance(waveform, 16_000)
    np.testing.assert_allclose(model.enhance(waveform, 16_000, strength=0.0), waveform, atol=1e-6)
    half = 0.5 * (full + waveform)
    np.testing.assert_allclose(model.enhance(waveform, 16_000, strength=0.5), half, atol=1e-6)
    np.testing.assert_allclose(model.enhance(waveform, 16_000, max_attenuation=20 * np.log10(2)), half, atol=1e-6)


@pytest.mark.parametrize(
    "odd",
    [
        np.ones((1, 9000)),
        np.sign(np.sin(np.arange(9000)))[None],
        20.0 * np.sin(np.arange(9000))[None],
        np.eye(1, 9000, 4000),
        1e-30 * np.ones((1, 9000)),
        1e30 * np.sin(np.arange(9000))[None],
    ],
    ids=["dc", "square", "peak 20", "click", "denormal", "huge"],
)
@pytest.mark.parametrize("rate", [8_000, 16_000, 11_025, 192_000])
def test_odd_sounds_stay_finite(model, odd, rate):
    out = model.enhance(odd.astype(np.float32), rate)
    assert out.shape == odd.shape
    assert np.isfinite(out).all()


def test_sound_that_lies_the_wrong_way_round_is_told(model):
    with pytest.raises(ConfigError, match="transpose it"):
        model.enhance(sound(9000, 2), 16_000)
    with pytest.raises(AudioError, match="is a list"):
        model.enhance([0.0, 0.0], 16_000)


def test_a_stream_does_not_wait_for_a_batch(model):
    assert model.stream(16_000).latency < 4096 + 16_000


@pytest.mark.parametrize("shape", [(), (0, 100), (1, 1, 1, 100)])
def test_other_shapes_are_refused(model, shape):
    with pytest.raises(AudioError, match="expected"):
        model.enhance(np.zeros(shape, np.float32), 16_000)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"solver": "dimm"}, "did you mean 'ddim'"),
        ({"steps": 0}, "1 to 1000"),
        ({"seed": -1}, "seed"),
        ({"strength": 1.5}, "strength"),
        ({"strength": "half"}, "strength"),
        ({"max_attenuation": -3.0}, "max_attenuation"),
        ({"high_band": "keep"}, "high_band"),
        ({"batch": 0}, "batch"),
    ],
)
def test_wrong_options_are_refused_before_any_work(model, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        model.stream(16_000, **options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"prediction": "noise"}, "prediction 'noise' on BridgeVE says nothing of the clean sound at time 1: use 'data'"),
        ({"prediction": "flow"}, "prediction 'flow' on BridgeVE says nothing"),
        ({"prediction": "edm", "prediction_options": {"sigma_date": 1.0}}, "did you mean 'sigma_data'"),
        ({"prediction": "clean"}, "unknown prediction"),
        ({"windows": Windows(4100, 256, 512)}, "multiples"),
        ({"spectrogram": Spectrogram()}, "33 bins, the spectrogram 257"),
        ({"sampling": Sampling("ddim", solver_options={"eat": 1.0})}, "did you mean 'eta'"),
    ],
)
def test_parts_that_do_not_fit_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        config(**options)


@pytest.mark.parametrize(("process", "prediction"), [(BridgeVE(), "edm"), (OUVE(), "flow")])
def test_a_time_for_each_item_gives_what_each_gives_by_itself(process, prediction):
    torch.manual_seed(0)
    model, times = Enhancer(config(process=process, prediction=prediction)), [0.2, 0.6, 1.0]
    state, noisy = torch.randn(2, 3, 1, 33, 8, dtype=torch.complex64)
    each = [model.denoise(state[i : i + 1], noisy[i : i + 1], time) for i, time in enumerate(times)]
    torch.testing.assert_close(model.denoise(state, noisy, times), torch.cat(each), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("process", "prediction"),
    [
        (BridgeVE(), "data"),
        (OUVE(), "score"),
        (OUVE(), "noise"),
        (BridgeVE(), "velocity"),
        (OUVE(), "flow"),
        (BridgeVE(), "edm"),
        (BridgeVE(), "residual"),
    ],
)
def test_training_lowers_the_loss(process, prediction):
    torch.manual_seed(0)
    model = Enhancer(config(process=process, prediction=prediction))
    generator = torch.Generator().manual_seed(0)
    clean = torch.sin(torch.arange(2048) * torch.tensor([[0.1], [0.3]]))
    noisy = clean + 0.5 * torch.randn(2, 2048, generator=generator)
    optimizer = torch.optim.Adam(model.network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = model.loss(clean, noisy, torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_an_ouve_model_starts_from_noise_around_the_noisy_sound():
    torch.manual_seed(0)
    model = Enhancer(config(process=OUVE(), sampling=Sampling("dpmpp-2m", steps=3)))
    waveform = sound(1, 5000)
    first, other = (model.enhance(waveform, 16_000, seed=seed) for seed in (0, 1))
    assert np.abs(first - other).max() > 1e-4
