"""The parts that recipes share hold the numbers of the papers: models as published, and their training."""

from dataclasses import replace

import pytest
import torch
from torch.optim import SGD

from sgaudio.models import Enhancer
from sgaudio.models.convert.families import configuration
from sgaudio.nets import BandDiTConfig
from sgaudio.training.learner import set_rate
from sgaudio.training.objective import Plain

OUVE = {"sde": "ouve", "theta": 1.5, "sigma_min": 0.05, "sigma_max": 0.5}
STORM = {**OUVE, "spec_factor": 0.33, "spatial_channels": 1}
PLAIN = {"network_scaling": None, "c_in": "1", "c_out": "1", "c_skip": "0", "sigma_data": 0.1}
AT_48K = {"backbone": "ncsnpp_48k", "n_fft": 1534, "hop_length": 384, "spec_factor": 0.065, "spec_abs_exponent": 0.667}
BRIDGE = {"sde": "sbve", "k": 2.6, "c": 0.4, "N": 50, "loss_type": "data_prediction"}

# Hyper-parameters as published files hold them, and the number of inputs of each of their networks
FILES = {
    "sgmse": ({**OUVE, "backbone": "ncsnpp", "loss_type": "mse"}, {"dnn": 4}),
    "sgmse_bridge": ({**BRIDGE, **PLAIN, "backbone": "ncsnpp_v2"}, {"dnn": 4}),
    "storm": (
        {**STORM, "backbone_denoiser": "ncsnpp", "backbone_score": "ncsnpp", "condition": "both"},
        {"denoiser_net": 2, "score_net": 6},
    ),
    "storm_predictor": ({**STORM, "backbone": "ncsnpp", "discriminative": True}, {"dnn": 2}),
    "flowse": ({"backbone": "ncsnpp", "ode": "flowmatching", "sigma_min": 0.0, "sigma_max": 0.487}, {"dnn": 4}),
    "sgmse_48k": ({**AT_48K, "sde": "ouve", "theta": 2.0, "sigma_min": 0.1, "sigma_max": 1.0}, {"dnn": 4}),
}
MODELS = (*FILES, "bridge_48k")
PAPERS = {"sgmse": "sgmse", "bridge": "sgmse_bridge", "flowse": "flowse", "storm_predictor": "storm_predictor"}  # of methods


@pytest.fixture
def part(recipe, tmp_path):
    """A recipe of parts alone."""

    def build(*parts: str, **sections: object):
        lines = "".join(f"  - /parts/{name}\n" for name in parts)
        card = "card: { name: a, summary: a, training_data: a, licence: a, recipe: a }"
        path = tmp_path / "own.yaml"
        path.write_text(f"# @package _global_\ndefaults:\n{lines}  - _self_\n{card}\ndata: {{ name: pairs, root: here }}\n")
        return recipe(str(path), "trainer.output=out", "trainer.steps=1", *(f"{name}={value}" for name, value in sections.items()))

    return build


@pytest.mark.parametrize("name", FILES)
def test_a_model_is_the_one_that_a_published_file_becomes(part, name):
    assert part(name).model == configuration(*FILES[name])


def test_the_bridge_at_48_khz_is_that_of_16_khz_in_the_network_and_domain_of_sgmse_there(part):
    bridge, sgmse, low = part("bridge_48k").model, part("sgmse_48k").model, part("sgmse_bridge").model
    assert (bridge.process, bridge.sampling, bridge.presets) == (low.process, low.sampling, low.presets)
    assert (bridge.spectrogram, bridge.windows, bridge.sample_rate) == (sgmse.spectrogram, sgmse.windows, sgmse.sample_rate)
    assert bridge.network == replace(sgmse.network, division="never")
    assert part("bridge_48k").objective == part("sgmse_bridge").objective


@pytest.mark.parametrize("name", MODELS)
def test_a_crop_has_256_frames(part, name):
    built = part(name)
    assert round(built.trainer.seconds * built.model.sample_rate) == 255 * built.model.spectrogram.hop


@pytest.mark.parametrize("name", MODELS)
def test_training_is_adam_at_one_rate_and_an_average(part, name):
    built = part(name)
    optimizer = SGD([torch.zeros(1)])
    for step, done in ((0, 0.0), (7, 0.5), (10**6, 1.0)):
        set_rate(optimizer, built.optimizer.rate, step, built.optimizer.rise, done, built.optimizer.last)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert (built.optimizer.betas, built.optimizer.weight_decay) == ((0.9, 0.999), 0)
    assert built.trainer.average == 0.999


@pytest.mark.parametrize(
    ("name", "loss", "earliest", "batch"),
    [
        ("sgmse", "score-matching", 0.03, 32),
        ("sgmse_bridge", "data-prediction", 0.03, 32),
        ("storm", "regeneration", 0.03, 8),
        ("storm_predictor", "denoising", 0.0, 8),
        ("flowse", "flow-matching", 0.03, 8),
        ("sgmse_48k", "score-matching", 0.03, 32),
    ],
)
def test_losses_and_batches_are_those_of_the_papers(part, name, loss, earliest, batch):
    built = part(name)
    assert (built.objective.loss, built.objective.times[0], built.objective.at_latest) == (loss, earliest, 0)
    assert built.trainer.batch * built.trainer.accumulate == batch


def test_a_predictor_learns_half_the_squared_error(part):
    small = {"model.network.channels": 8, "model.network.multipliers": "[1,1]"}
    built = part("storm_predictor", **small)
    torch.manual_seed(0)
    enhancer = Enhancer(built.model)
    clean, noisy = 0.1 * torch.randn(2, 2, 4000)
    noisy[:, 100] = 1.0  # its peak, the level of training
    loss, _ = Plain(built.objective, enhancer, torch.Generator().manual_seed(1)).loss(clean, noisy, 0)
    forward = built.model.spectrogram.forward
    estimate = enhancer.network(forward(noisy[:, None]))
    expected = 0.5 * (estimate - forward(clean[:, None])).abs().square().sum() / 2
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("method", "inputs"), [("sgmse", 4), ("bridge", 4), ("flowse", 4), ("storm_predictor", 2)])
def test_a_method_takes_the_network_of_the_shipped_model(part, method, inputs):
    built, paper = part(f"method/{method}", "band_dit"), part(PAPERS[method]).model
    assert built.model.network == BandDiTConfig(inputs=inputs)
    assert (built.model.process, built.model.sampling) == (paper.process, paper.sampling)
    assert (built.trainer.minutes, built.trainer.batch, built.trainer.accumulate, built.validation.every) == (8, 32, 1, None)


def test_storm_takes_it_twice(part):
    model = part("method/storm", "band_dit", "band_dit_predictor").model
    assert (model.predictor, model.network) == (BandDiTConfig(inputs=2), BandDiTConfig(inputs=6))


@pytest.mark.parametrize("method", ["sgmse", "flowse"])
def test_a_network_is_preconditioned_for_what_its_method_goes_through(part, method):
    built = part(f"method/{method}", "band_dit", "preconditioned")
    assert (built.model.prediction, built.objective.loss) == ("edm", part(method).objective.loss)
    assert built.model.prediction_options == {"sigma_data": 0.07}
