"""On tiny networks with random weights: what holds for any model of two stages."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import ConfigError
from sgaudio.models import Card, Enhancer, EnhancerConfig, Regenerator, RegeneratorConfig, Sampling, describe, load, save
from sgaudio.models.losses import Loss
from sgaudio.nets import NCSNppConfig
from sgaudio.processes import OUVE
from sgaudio.solvers import keyed_noise

NETWORK = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32)
PREDICTOR = NETWORK.as_denoiser()
SCORES = {"both": replace(NETWORK, inputs=6), "noisy": NETWORK, "estimate": NETWORK}
CONDITIONS = list(SCORES)
CARD = Card(name="two stages", summary="A test.", training_data="None.", licence="CC0-1.0", recipe="none")


def config(condition: str = "both", **options) -> RegeneratorConfig:
    defaults = {
        "network": SCORES.get(condition, NETWORK),
        "predictor": PREDICTOR,
        "process": OUVE(),
        "spectrogram": Spectrogram(62, 16, 0.5, 0.15, "hann"),
        "windows": Windows(1024, 64, 64),
        "sampling": Sampling("ddim", 2, "linear"),
        "prediction": "score",
        "level": 1.0,
        "level_rule": "peak",
        "padding": "zeros",
    }
    return RegeneratorConfig(**(defaults | {"condition": condition} | options))


def with_weights(model: Regenerator) -> Regenerator:
    """Random ones: with those that its training begins with, a network hardly heeds what it sees."""
    torch.manual_seed(0)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, Regenerator]:
    return {condition: with_weights(Regenerator(config(condition))) for condition in CONDITIONS}


def spectrograms(count: int) -> torch.Tensor:
    """Complex (count, 2, 1, bins, frame)."""
    return torch.randn(count, 2, 1, 32, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


def walked(model: Regenerator, noisy: torch.Tensor, seed: int = 0, first: torch.Tensor | None = None) -> torch.Tensor:
    """`estimate`, or `regenerate` where the estimate of a first stage is given."""
    sampling, noise = model.config.sampling, keyed_noise(seed, noisy)
    plan = sampling.plan(model.config.process)
    return model.estimate(noisy, plan, noise) if first is None else model.regenerate(noisy, first, plan, noise)


@pytest.mark.parametrize("condition", CONDITIONS)
@torch.inference_mode()
def test_it_predicts_and_then_walks_back_from_noise_around_the_prediction(models, condition):
    model, (noisy,) = models[condition], spectrograms(1)
    process, times = model.config.process, model.config.sampling.times(model.config.process)
    first = model.network["predictor"](noisy)
    beside = {"both": (noisy, first), "noisy": (noisy,), "estimate": (first,)}[condition]
    state = first + process.at(1.0).sigma * keyed_noise(0, noisy)(0, "start", 0)
    for t, u in zip(map(process.at, times[:-1]), map(process.at, times[1:]), strict=True):
        score = model.network["score"](state, *beside, torch.full((2,), t.time))
        z = state - t.kappa * first
        clean = (z + t.sigma**2 * score) / t.alpha
        state = u.kappa * first + u.alpha * clean + u.sigma * (z - t.alpha * clean) / t.sigma
    got = walked(model, noisy)
    torch.testing.assert_close(got, state, rtol=1e-5, atol=1e-5 * float(state.abs().max()))


def test_the_predictor_by_itself_is_the_first_stage(models):
    model, (noisy,) = models["both"], spectrograms(1)
    predictor = model.predictor
    with torch.inference_mode():
        first = model.first_stage(noisy)
    assert torch.equal(predictor.estimate(noisy, predictor.config.sampling.plan(predictor.config.process), keyed_noise(0, noisy)), first)
    halved = Regenerator(model.config, model.network).to("cpu", torch.bfloat16)
    assert (halved.predictor.dtype, predictor.dtype) == (torch.bfloat16, torch.float32)
    with pytest.raises(ConfigError, match=r"^model 'enhancer, predictor' predicts the clean sound at once: steps is 5, expected 1$"):
        predictor.stream(16_000, steps=5)


def test_the_second_stage_goes_on_from_any_estimate(models):
    model, (noisy, other) = models["both"], spectrograms(2)
    with torch.inference_mode():
        first = model.first_stage(noisy)
    whole = walked(model, noisy)
    assert torch.equal(walked(model, noisy, first=first), whole)
    assert (walked(model, noisy, first=other) - whole).abs().max() > 1e-2


def test_from_the_noisy_sound_itself_the_second_stage_is_a_model_of_one(models):
    model, (noisy,) = models["noisy"], spectrograms(1)
    parts = {name: getattr(model.config, name) for name in ("network", "process", "spectrogram", "windows", "sampling", "prediction")}
    alone = Enhancer(EnhancerConfig(**parts), model.network["score"])
    plan = model.config.sampling.plan(model.config.process)
    assert torch.equal(walked(model, noisy, first=noisy), alone.estimate(noisy, plan, keyed_noise(0, noisy)))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_one_seed_gives_one_sound_with_and_without_windows(models, condition):
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3000)).astype(np.float32)
    for whole_file in (False, True):
        first, again, other = (models[condition].enhance(waveform, 16_000, seed=seed, whole_file=whole_file) for seed in (0, 0, 1))
        assert first.shape == waveform.shape
        assert np.isfinite(first).all()
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_both_stages_come_back_as_they_were_saved(models, condition, tmp_path):
    model, path = models[condition], tmp_path / "two.safetensors"
    save(path, model, CARD, torch.float32)
    loaded = load(path, device="cpu")
    assert type(loaded) is Regenerator
    assert loaded.config == model.config
    weights = model.network.state_dict()
    assert loaded.network.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.network.state_dict().items())
    (noisy,) = spectrograms(1)
    assert torch.equal(walked(loaded, noisy), walked(model, noisy))
    found = describe(path)
    assert found["parameters"] == sum(value.numel() for value in weights.values())
    assert (found["config"]["model"], found["config"]["condition"]) == ("regenerator", condition)
    assert (found["config"]["network"]["name"], found["config"]["predictor"]["name"]) == ("ncsnpp", "ncsnpp")


@pytest.mark.parametrize(
    ("condition", "options", "complaint"),
    [
        ("both", {"network": NETWORK}, r"^the network takes state, noisy, time, which is not for condition 'both': "),
        ("noisy", {"network": SCORES["both"]}, r"^the network takes state, noisy, estimate, time, which is not for condition 'noisy': "),
        ("estimate", {"network": SCORES["both"]}, r"which is not for condition 'estimate': one takes noisy and estimate for 'both' alone$"),
        ("clean", {}, r"^RegeneratorConfig: condition is 'clean', expected one of 'noisy', 'estimate', 'both'$"),
        ("both", {"predictor": NETWORK}, r"^the predictor takes state, noisy, time, expected noisy alone$"),
        ("both", {"predictor": replace(PREDICTOR, bins=16)}, r"^the network has 16 bins, the spectrogram 32$"),
        ("both", {"network": replace(SCORES["both"], bins=64)}, r"^the network has 64 bins, the spectrogram 32$"),
        ("both", {"predictor": None}, r"^RegeneratorConfig: predictor is None, expected BandDiTConfig or NCSNppConfig$"),
        ("both", {"prediction": "scores"}, r"^unknown prediction 'scores': did you mean 'score'\?$"),
    ],
)
def test_stages_that_do_not_fit_are_refused_at_construction(condition, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        config(condition, **options)


def test_a_model_of_one_stage_has_no_estimate_to_give():
    parts = {"process": OUVE(), "spectrogram": Spectrogram(62, 16), "windows": Windows(1024, 64, 64), "prediction": "score"}
    with pytest.raises(ConfigError, match=r"^the network takes state, noisy, estimate, time, of which this model does not give estimate$"):
        EnhancerConfig(network=SCORES["both"], **parts)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_training_lowers_the_loss_and_reaches_both_stages(condition):
    torch.manual_seed(0)
    model = Regenerator(config(condition))
    clean = torch.sin(torch.arange(1024) * torch.tensor([[0.1], [0.3]]))
    noisy = clean + 0.5 * torch.randn(2, 1024, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.network.parameters(), 1e-2)
    losses, how = [], Loss("regeneration", model.config.process)
    for _ in range(12):
        loss = model.loss(clean, noisy, torch.Generator().manual_seed(0), loss=how, times=[0.3, 0.9])
        optimizer.zero_grad()
        loss.backward()
        for stage in model.network.values():
            assert max(float(parameter.grad.abs().max()) for parameter in stage.parameters()) > 0
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_prediction_s_own_error_trains_the_predictor_alone(models):
    clean, noisy = torch.randn(2, 2, 512, generator=torch.Generator().manual_seed(3)).unbind()
    network = models["both"].network
    models["both"].loss(clean, noisy, loss=Loss("regeneration", OUVE(), weight=1.0), times=[0.3, 0.9]).backward()
    assert max(float(parameter.grad.abs().max()) for parameter in network["predictor"].parameters()) > 0
    assert not any(parameter.grad.any() for parameter in network["score"].parameters() if parameter.grad is not None)


@torch.no_grad()
def test_the_loss_is_that_of_the_prediction_and_of_the_score_around_it():
    model, generator = with_weights(Regenerator(config())), torch.Generator().manual_seed(3)
    clean, noisy = torch.randn(2, 2, 512, generator=generator).unbind()
    level = noisy.abs().amax(-1, keepdim=True)
    x, y = (model.config.spectrogram.forward((sound / level)[:, None]) for sound in (clean, noisy))
    first = model.first_stage(y)
    prediction, score_matching = (
        model.loss(clean, noisy, generator.manual_seed(0), loss=Loss("regeneration", OUVE(), weight=weight), times=[0.5, 0.5]).item()
        for weight in (1.0, 0.0)
    )
    assert prediction == pytest.approx(0.5 * float((first - x).abs().square().sum()) / 2, rel=1e-5)
    t, noise = OUVE().at(0.5), torch.randn(x.shape, dtype=x.dtype, generator=generator.manual_seed(0))
    state = t.alpha * x + t.kappa * first + t.sigma * noise
    score = model.network["score"](state, y, first, torch.full((2,), t.time))
    assert score_matching == pytest.approx(0.5 * float((t.sigma * score + noise).abs().square().sum()) / 2, rel=1e-4)
