"""On a tiny network with random weights: what holds for any model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.models import Enhancer, EnhancerConfig, Sampling
from sgaudio.models.enhancer import predictive
from sgaudio.nets import BandDiTConfig, NCSNppConfig
from sgaudio.processes import BBED, OUVE, BridgeVE
from sgaudio.solvers import keyed_noise

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
        ({"preset": ["paper"]}, r"preset is \['paper'\], expected"),
        ({"whole_file": "yes"}, "whole_file is 'yes', expected True or False"),
        ({"whole_file": True, "noise": 5}, "noise is a int, expected a list of tensors or arrays"),
        ({"whole_file": True, "noise": ["a"]}, "noise is a list, expected a list of tensors or arrays"),
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
        ({"sampling": Sampling("bridge-ode", 2, network_time="target")}, "sampling: the network would be told time 0"),
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
        loss = model.loss(clean, noisy, torch.Generator().manual_seed(0), times=[0.4, 1.0])
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


TINY = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32)
OUVE_WALK = {"process": OUVE(), "prediction": "score", "sampling": Sampling("predictor-corrector", 2, "linear")}
BRIDGE_WALK = {"process": BridgeVE(), "prediction": "data", "sampling": Sampling("bridge-sde", 3, "even", grid_options={"end": 1e-4})}


def with_weights(model: Enhancer) -> Enhancer:
    """Random ones: with those that its training begins with, a network hardly heeds what it sees."""
    torch.manual_seed(0)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def published(**options) -> Enhancer:
    """A model such as published ones are, but for its size and weights."""
    parts = {
        "network": TINY,
        "spectrogram": Spectrogram(62, 16, 0.5, 0.15, "hann"),
        "windows": Windows(1024, 64, 64),
        "level": 1.0,
        "level_rule": "peak",
        "padding": "zeros",
    }
    return with_weights(Enhancer(EnhancerConfig(**(parts | OUVE_WALK | options))))


def seen(model: Enhancer, waveform: np.ndarray) -> list[torch.Tensor]:
    """The noisy spectrograms (batch, 1, bins, frame) that the network sees of a whole file."""
    found = []
    place = model.config.network.takes.index("noisy")
    with model.network.register_forward_hook(lambda network, given, output: found.append(given[place])):
        out = model.enhance(waveform, 16_000, whole_file=True)
    assert out.shape == waveform.shape
    assert np.isfinite(out).all()
    return found


def test_a_network_that_takes_the_noisy_sound_alone_predicts_at_once():
    parts = {"spectrogram": Spectrogram(62, 16, 0.5, 0.15, "hann"), "windows": Windows(1024, 64, 64)}
    model = with_weights(Enhancer(predictive(TINY.as_denoiser(), **parts), name="at once"))
    noisy = torch.randn(2, 1, 32, 8, dtype=torch.complex64)
    with torch.inference_mode():
        assert torch.equal(
            model.estimate(noisy, model.config.sampling.plan(model.config.process), keyed_noise(0, noisy)), model.network(noisy)
        )
    waveform = sound(1, 3000)
    assert np.array_equal(model.enhance(waveform, 16_000, seed=1), model.enhance(waveform, 16_000, seed=2))
    with pytest.raises(ConfigError, match=r"^model 'at once' predicts the clean sound at once: steps is 4, expected 1$"):
        model.stream(16_000, steps=4)
    with pytest.raises(ConfigError, match=r"^model 'at once' predicts the clean sound at once: steps is 2, expected 1$"):
        model.stream(16_000, preset=Sampling("ddim", 2))


def test_a_preset_is_a_way_of_sampling_by_its_name():
    paper = Sampling("ddpm", 3, "linear")
    model, waveform = published(presets={"paper": paper}), sound(1, 1000)
    by_name, by_hand, recommended = (model.enhance(waveform, 16_000, preset=preset) for preset in ("paper", paper, None))
    assert np.array_equal(by_name, by_hand)
    assert not np.array_equal(by_name, recommended)
    assert model.sampling(preset="paper") == paper
    assert model.sampling() == model.config.sampling


def test_solver_and_steps_change_a_preset_s_own():
    paper = Sampling("predictor-corrector", 3, "linear", grid_options={"last": 0.1}, solver_options={"snr": 0.3})
    model = published(presets={"paper": paper})
    assert model.sampling(steps=5, preset="paper") == replace(paper, steps=5)
    assert model.sampling("predictor-corrector", preset="paper") == paper
    assert model.sampling("ddim", preset="paper") == replace(paper, solver="ddim", solver_options={})


def test_an_unknown_preset_is_answered_with_near_ones():
    with pytest.raises(ConfigError, match=r"^model 'enhancer' has no preset 'papers': did you mean 'paper'\?$"):
        published(presets={"paper": Sampling("ddpm", 3)}).stream(16_000, preset="papers")
    with pytest.raises(ConfigError, match=r"^model 'enhancer' has no preset 'paper': it has none$"):
        published().stream(16_000, preset="paper")


def test_presets_are_checked_at_construction():
    with pytest.raises(ConfigError, match=r"^EnhancerConfig: paper is 3, expected Sampling$"):
        published(presets={"paper": 3})
    with pytest.raises(ConfigError, match=r"did you mean 'snr'"):
        published(presets={"paper": Sampling("predictor-corrector", 3, solver_options={"snrs": 0.3})})
    with pytest.raises(ConfigError, match=r"^prediction 'score' on BBED says nothing of the clean sound at time 1: "):
        published(
            process=BBED(), sampling=Sampling("ddim", 2, "linear", grid_options={"first": 0.9}), presets={"paper": Sampling("ddim", 2)}
        )


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
@pytest.mark.parametrize("length", [5000, 1024, 1008, 320, 40, 1])
def test_published_models_see_multiples_of_64_frames_of_a_whole_file(padding, length):
    frames = [noisy.shape[-1] for noisy in seen(published(padding=padding), sound(length))]
    assert frames == 4 * [-(-(max(length, 32) // 16 + 1) // 64) * 64]


@pytest.mark.parametrize("padding", ["zeros", "reflection"])
def test_a_sound_of_no_samples_calls_nothing(padding):
    assert seen(published(padding=padding), sound(2, 0)) == []


def test_frames_are_filled_with_zeros_or_with_the_end_mirrored():
    waveform = sound(5000)  # 313 frames
    zeros, reflection = (seen(published(padding=padding), waveform)[0] for padding in ("zeros", "reflection"))
    assert torch.equal(zeros[..., :313], reflection[..., :313])
    assert not zeros[..., 313:].any()
    assert torch.equal(reflection[..., 313:], reflection[..., 305:312].flip(-1))


def test_where_there_is_too_little_to_mirror_zeros_follow():
    """The public code fails there."""
    noisy = seen(published(padding="reflection"), sound(320))[0]  # 21 frames
    assert noisy[..., :21].abs().amin(-2).all()
    assert not noisy[..., 21:].any()


@pytest.mark.parametrize("shape", [(900,), (2, 1024), (2, 20), (0,)])
def test_a_sound_of_one_window_is_the_same_in_one_piece(shape):
    model, waveform = published(padding="none"), sound(*shape)
    assert np.array_equal(model.enhance(waveform, 16_000, whole_file=True), model.enhance(waveform, 16_000))


def test_in_one_piece_a_file_is_seen_as_a_whole():
    model, waveform = published(padding="none"), sound(5000)
    assert [noisy.shape[-1] for noisy in seen(model, waveform)] == 4 * [5008 // 16 + 1]


def test_windows_are_not_filled_as_whole_files_are():
    waveform = sound(3000)
    none, zeros, reflection = (published(padding=padding).enhance(waveform, 16_000) for padding in ("none", "zeros", "reflection"))
    assert np.array_equal(none, zeros)
    assert np.array_equal(none, reflection)


def draws_of(model: Enhancer, seed: int, frames: int) -> list[torch.Tensor]:
    """All noises of a walk, in its order."""
    process, like = model.config.process, torch.zeros(1, 1, 32, frames, dtype=torch.complex64)
    keys = model.config.sampling.plan(process).draws
    keys = [(0, "start", 0), *keys] if process.at(1.0).sigma else keys
    noise = keyed_noise(seed, like)
    return [noise(*key).reshape(like.shape) for key in keys]


@pytest.mark.parametrize("walk", [OUVE_WALK, BRIDGE_WALK], ids=["ouve", "bridge-sde"])
def test_a_seed_s_own_draws_give_its_sound_again(walk):
    model, waveform = published(**walk), sound(2, 3000)
    draws = draws_of(model, 7, 192)
    assert len(draws) > 1
    expected = model.enhance(waveform, 16_000, seed=7, whole_file=True)
    assert np.array_equal(model.enhance(waveform, 16_000, noise=draws, whole_file=True), expected)
    replayed = model.enhance(waveform, 16_000, noise=[*(draw.numpy() for draw in draws), draws[0].numpy()], seed=8, whole_file=True)
    assert np.array_equal(replayed, expected)
    others = model.enhance(waveform, 16_000, noise=draws_of(model, 8, 192), whole_file=True)
    assert np.abs(others - expected).max() > 1e-4


def test_draws_of_double_precision_do_not_change_that_of_the_walk():
    model, waveform = published(), sound(1, 1000)
    draws, dtypes = draws_of(model, 7, 64), (torch.complex64, torch.complex128)
    single, double = (model.enhance(waveform, 16_000, noise=[draw.to(dtype) for draw in draws], whole_file=True) for dtype in dtypes)
    assert np.array_equal(single, double)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda draw: [draw] * 3, r"^noise: got 3 draws to replay, expected 4: one for each noise of the walk, in its order$"),
        (lambda draw: [], r"^noise: got 0 draws to replay, expected 4: one for each noise of the walk, in its order$"),
        (
            lambda draw: [draw[..., 1:]] * 4,
            r"^sample: the noise \(0, 'start', 0\) has the shape \(1, 1, 32, 63\), expected what broadcasts",
        ),
        (lambda draw: [draw, *3 * [draw[..., 1:]]], r"^sample: the noise \(0, 'corrector', 0\) has the shape \(1, 1, 32, 63\), expected"),
        (lambda draw: [draw.real] * 4, r"^sample: the noise \(0, 'start', 0\) is torch.float32 on cpu, expected torch.complex64 on cpu"),
    ],
    ids=["too few", "none", "short", "short later", "real"],
)
def test_draws_that_are_not_those_of_the_walk_are_refused(change, complaint):
    model = published()
    with pytest.raises(ConfigError, match=complaint):
        model.enhance(sound(1000), 16_000, noise=change(draws_of(model, 0, 64)[0]), whole_file=True)


def test_draws_are_those_of_a_whole_file():
    model = published()
    with pytest.raises(ConfigError, match=r"^noise is replayed for a whole file: give whole_file=True too$"):
        model.stream(16_000, noise=draws_of(model, 0, 64))


@pytest.mark.parametrize("whole_file", [False, True])
def test_a_model_that_is_told_the_peak_gives_a_louder_sound_for_a_louder_one(whole_file):
    model, waveform = published(), sound(2, 3000)
    expected = model.enhance(waveform, 16_000, whole_file=whole_file)
    for scale in (2.0**-6, 8.0):
        assert np.array_equal(model.enhance(np.float32(scale) * waveform, 16_000, whole_file=whole_file), np.float32(scale) * expected)


def test_the_level_rule_says_what_is_brought_to_the_level():
    waveform = sound(5000)
    waveform[2500] = -0.9  # the peak is one of magnitude
    of_rule = {"peak": np.abs(waveform).max(), "rms": np.sqrt(np.mean(waveform.astype(np.float64) ** 2))}
    for rule, level in of_rule.items():
        model = published(level_rule=rule, level=0.5)
        expected = model.config.spectrogram.forward(torch.from_numpy(waveform * np.float32(0.5 / level)))
        torch.testing.assert_close(seen(model, waveform)[0][0, 0, :, :313], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match=r"^unknown level 'peek': did you mean 'peak'\?$"):
        published(level_rule="peek")
    with pytest.raises(ConfigError, match=r"^EnhancerConfig: padding is 'mirror', expected one of 'none', 'zeros', 'reflection'$"):
        published(padding="mirror")


def test_several_steps_are_refused_where_the_network_predicts_at_once():
    predictor = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32).as_denoiser()
    with pytest.raises(ConfigError, match=r"^often: the network predicts the clean sound at once: steps is 4, expected 1$"):
        config(network=predictor, spectrogram=Spectrogram(62, 16), sampling=Sampling("ddim"), presets={"often": Sampling("ddim", 4)})


def test_a_network_that_was_rounded_goes_on_by_itself_where_float32_is_asked_for():
    network = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32)
    model = Enhancer(config(network=network, spectrogram=Spectrogram(62, 16), sampling=Sampling("ddim"))).to("cpu", torch.bfloat16)
    waveform = sound(1, 2000)
    rounded = model.for_inference().enhance(waveform, 16_000)
    assert np.array_equal(model.to("cpu").enhance(waveform, 16_000), rounded)
