"""What hyper-parameters mean, for each kind of published file. They are written here as those files hold them."""

from dataclasses import replace

import pytest

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import Sampling
from sgaudio.models.convert.families import configuration, family_of, is_negated
from sgaudio.models.regenerator import RegeneratorConfig
from sgaudio.nets.ncsnpp import PUBLISHED
from sgaudio.processes import BBED, OUVE, BridgeVE, FlowSE

DATA = {"n_fft": 510, "hop_length": 128, "window": "hann", "spec_factor": 0.15, "spec_abs_exponent": 0.5, "transform_type": "exponent"}
AT_48K = {**DATA, "n_fft": 1534, "hop_length": 384, "spec_factor": 0.065, "spec_abs_exponent": 0.667}
PATH = {"sde": "ouve", "theta": 1.5, "sigma_min": 0.05, "sigma_max": 0.5}
PLAIN = {"network_scaling": None, "c_in": "1", "c_out": "1", "c_skip": "0", "sigma_data": 0.1, "sr": 16_000}
EDM = {**PLAIN, "c_in": "edm", "c_out": "edm", "c_skip": "edm"}
SIZES = {"nf": 128, "ch_mult": [1, 1, 2, 2, 2, 2, 2], "num_res_blocks": 2, "attn_resolutions": [16]}

OF_2022 = {**DATA, **PATH, "backbone": "ncsnpp", "loss_type": "mse", "t_eps": 0.03, "sde_n": 1000}
OF_TODAY = {**DATA, **PATH, **PLAIN, **SIZES, "backbone": "ncsnpp", "loss_type": "score_matching", "centered": True, "N": 30}
SGMSE_48K = {
    **AT_48K,
    **PLAIN,
    **SIZES,
    "attn_resolutions": [],
    "backbone": "ncsnpp_48k",
    "loss_type": "score_matching",
    "progressive": "none",
    "progressive_input": "none",
    "sde": "ouve",
    "theta": 2.0,
    "sigma_min": 0.1,
    "sigma_max": 1.0,
}
V2 = {**DATA, **PATH, **EDM, **SIZES, "backbone": "ncsnpp_v2", "loss_type": "denoiser"}
BRIDGE = {**DATA, **PLAIN, **SIZES, "backbone": "ncsnpp_v2", "loss_type": "data_prediction", "sde": "sbve", "k": 2.6, "c": 0.4, "eps": 1e-8}
OLD_BBED = {**DATA, "backbone": "ncsnpp", "sde": "bbve", "sigma_min": 1, "sigma_max": 2.7, "theta": 0.51, "loss_type": "mse"}
NEW_BBED = {**DATA, "backbone": "ncsnpp", "sde": "bbed", "k": 2.5, "theta": 0.52, "T_sampling": 0.999, "loss_type": "mse"}
FLOWSE = {**DATA, "backbone": "ncsnpp", "ode": "flowmatching", "sigma_min": 0.0, "sigma_max": 0.5, "loss_type": "mse"}
STORM_DATA = {**DATA, **PATH, "spec_factor": 0.33, "spatial_channels": 1, "return_time": False}
STAGES = {"loss_type_denoiser": "mse", "loss_type_score": "mse", "condition": "both", "discriminative": False, "input_channels": 6}
STORM = {**STORM_DATA, **STAGES, "backbone_denoiser": "ncsnpp", "backbone_score": "ncsnpp"}
STORM_SCORE = {**STORM_DATA, "backbone": "ncsnpp", "loss_type": "mse", "input_channels": 4}
STORM_DENOISER = {**STORM_SCORE, "discriminative": True}

ONE, TWO = {"dnn": 4}, {"denoiser_net": 2, "score_net": 6}


def walk(steps, compat, snr=0.5, **grid):
    return Sampling("predictor-corrector", steps, "linear", grid_options=grid, solver_options={"compat": compat, "snr": snr})


ODE = Sampling("bridge-ode", 50, grid_options={"end": 1e-4}, network_time="target", solver_options={"compat": "sgmse"})
FIVE = Sampling("euler", 5, "linear")


@pytest.mark.parametrize(
    ("options", "family", "network", "process", "prediction", "paper", "today"),
    [
        (OF_2022, "sgmse", "ncsnpp", OUVE(1.5, 0.05, 0.5), "score", walk(30, "sgmse-2022"), walk(30, "sgmse")),
        (OF_TODAY, "sgmse", "ncsnpp", OUVE(1.5, 0.05, 0.5), "score", walk(30, "sgmse-2022"), walk(30, "sgmse")),
        (SGMSE_48K, "sgmse", "ncsnpp-48k", OUVE(2.0, 0.1, 1.0), "score", walk(30, "sgmse-2022"), walk(30, "sgmse")),
        (V2, "sgmse", "ncsnpp-v2", OUVE(1.5, 0.05, 0.5), "sgmse", walk(30, "sgmse"), walk(30, "sgmse")),
        (BRIDGE, "bridge", "ncsnpp-v2", BridgeVE(2.6, 0.4), "sgmse", ODE, ODE),
        (OLD_BBED, "bbed", "ncsnpp", BBED(2.7, 0.51), "score", walk(30, "sgmse", first=0.999), walk(30, "sgmse", first=0.999)),
        (NEW_BBED, "bbed", "ncsnpp", BBED(2.5, 0.52), "score", walk(30, "sgmse", first=0.999), walk(30, "sgmse", first=0.999)),
        (FLOWSE, "flowse", "ncsnpp", FlowSE(0.0, 0.5), "flow", FIVE, FIVE),
        (STORM_SCORE, "storm", "ncsnpp-m", OUVE(1.5, 0.05, 0.5), "score", walk(50, "sgmse-2022"), walk(50, "sgmse-2022")),
    ],
    ids=["2022", "today", "48k", "v2", "bridge", "older bbed", "bbed", "flowse", "storm, score only"],
)
def test_each_kind_of_file_is_known_by_its_options(options, family, network, process, prediction, paper, today):
    config = configuration(options, ONE)
    assert family_of(options, ONE) == family
    assert config.network == replace(PUBLISHED[network], inputs=4)
    assert (config.process, config.prediction) == (process, prediction)
    assert config.presets == {"paper": paper, "public-code": today}
    assert 5 <= len(config.sampling.plan(process).calls) <= 10


@pytest.mark.parametrize(
    ("options", "rate", "spectrogram", "padding", "negated"),
    [
        (OF_2022, 16_000, Spectrogram(510, 128, 0.5, 0.15, "hann"), "zeros", True),
        (SGMSE_48K, 48_000, Spectrogram(1534, 384, 0.667, 0.065, "hann"), "reflection", True),
        (BRIDGE, 16_000, Spectrogram(510, 128, 0.5, 0.15, "hann"), "reflection", False),
        ({**BRIDGE, "sr": 24_000, "window": "sqrthann"}, 24_000, Spectrogram(510, 128, 0.5, 0.15, "sqrt_hann"), "reflection", False),
        ({**OF_2022, "transform_type": "none"}, 16_000, Spectrogram(510, 128, 1.0, 1.0, "hann"), "zeros", True),
        (FLOWSE, 16_000, Spectrogram(510, 128, 0.5, 0.15, "hann"), "zeros", True),
        (STORM_SCORE, 16_000, Spectrogram(510, 128, 0.5, 0.33, "hann"), "zeros", True),
    ],
    ids=["2022", "48k", "bridge", "bridge at 24k", "no transform", "flowse", "storm"],
)
def test_sound_goes_in_as_it_did_in_the_public_code(options, rate, spectrogram, padding, negated):
    config = configuration(options, ONE)
    assert (config.sample_rate, config.spectrogram) == (rate, spectrogram)
    assert (config.level, config.level_rule, config.padding) == (1.0, "peak", padding)
    assert is_negated(options, 4) == negated


def test_a_file_of_2022_is_that_of_today_with_its_defaults():
    assert configuration(OF_2022, ONE) == configuration(OF_TODAY, ONE) == configuration({}, ONE)


@pytest.mark.parametrize(
    ("loss", "predicts"),
    [("score_matching", "score"), ("mse", "score"), ("mae", "score"), ("denoiser", "mean"), ("data_prediction", "data")],
)
def test_what_v2_predicts_is_said_by_its_loss(loss, predicts):
    for scaling in (None, "1/sigma", "1/t"):
        found = configuration({**V2, "loss_type": loss, "network_scaling": scaling, "sigma_data": 0.2}, ONE)
        assert found.prediction_options == {
            "predicts": predicts,
            "scaling": scaling or "none",
            "c_in": "edm",
            "c_out": "edm",
            "c_skip": "edm",
            "sigma_data": 0.2,
        }
    for name, values in {"c_in": ("1", "edm"), "c_out": ("1", "sigma", "1/sigma", "edm"), "c_skip": ("0", "edm")}.items():
        for value in values:
            assert configuration({**V2, "loss_type": loss, name: value}, ONE).prediction_options[name] == value


def test_preconditioning_is_that_of_v2_alone():
    assert configuration({**OF_TODAY, **EDM}, ONE).prediction_options == {}
    assert configuration({**OF_TODAY, "loss_type": "data_prediction"}, ONE).prediction == "data"


def test_a_bridge_that_divides_by_sigma_is_never_told_the_time_of_its_start():
    for options in ({"network_scaling": "1/sigma"}, {"c_out": "1/sigma"}):
        config = configuration({**BRIDGE, **options}, ONE)
        assert config.sampling == replace(ODE, steps=5, solver_options={})
        assert max(call.time for call in config.sampling.plan(config.process).calls) < 1
    config = configuration(BRIDGE, ONE)
    assert max(call.time for call in config.sampling.plan(config.process).calls) == 1


def test_dereverberation_has_its_own_steps_where_it_was_published():
    presets = configuration(OF_2022, ONE, "dereverberate").presets
    assert presets == {"paper": walk(50, "sgmse-2022", 0.33), "public-code": walk(50, "sgmse", 0.33)}
    for options in (SGMSE_48K, STORM_SCORE, NEW_BBED, BRIDGE, FLOWSE):
        assert configuration(options, ONE, "dereverberate") == configuration(options, ONE)
    assert configuration(OF_2022, ONE, "extend-bandwidth") == configuration(OF_2022, ONE)


def test_the_recommended_sampling_ends_where_training_did():
    for options in (OF_2022, NEW_BBED, FLOWSE, BRIDGE, STORM_SCORE):
        config = configuration({**options, "t_eps": 0.04}, ONE)
        assert config.sampling.times(config.process)[-2] == 0.04


@pytest.mark.parametrize(("theirs", "ours"), [("ncsnpp", "m"), ("ncsnpplarge", "large"), ("ncsnpp12M", "12m"), ("ncsnpp6M", "6m")])
def test_storm_has_two_stages_of_any_published_size(theirs, ours):
    published = PUBLISHED[f"ncsnpp-{ours}"]
    config = configuration({**STORM, "backbone_score": theirs}, TWO)
    assert isinstance(config, RegeneratorConfig)
    assert (config.network, config.predictor) == (published, PUBLISHED["ncsnpp-m"].as_denoiser())
    config = configuration({**STORM, "backbone_denoiser": theirs}, TWO)
    assert isinstance(config, RegeneratorConfig)
    assert (config.network, config.predictor) == (PUBLISHED["ncsnpp-m"], published.as_denoiser())
    assert (config.process, config.prediction, config.condition) == (OUVE(), "score", "both")
    assert config.presets == {"paper": walk(50, "sgmse-2022"), "public-code": walk(50, "sgmse-2022")}


@pytest.mark.parametrize(
    ("said", "inputs", "condition"),
    [("both", 6, "both"), ("noisy", 6, "both"), ("noisy", 4, "noisy"), ("post_denoiser", 4, "estimate"), (None, 4, "noisy")],
)
def test_what_a_second_stage_sees_is_said_by_its_inputs_first(said, inputs, condition):
    options = {name: value for name, value in STORM.items() if name != "condition"} | ({"condition": said} if said else {})
    config = configuration(options, {"denoiser_net": 2, "score_net": inputs})
    assert isinstance(config, RegeneratorConfig)
    assert (config.condition, config.network) == (condition, replace(PUBLISHED["ncsnpp-m"], inputs=inputs))


def test_a_first_stage_by_itself_predicts_at_once():
    config = configuration(STORM_DENOISER, {"dnn": 2})
    assert config.network == PUBLISHED["ncsnpp-m"].as_denoiser()
    assert (config.prediction, config.walks, config.sampling, config.presets) == ("data", False, Sampling("ddim", 1), {})
    assert not is_negated(STORM_DENOISER, 2)


def test_a_score_model_of_storm_is_told_apart_by_its_data():
    of_sgmse = {name: value for name, value in STORM_SCORE.items() if name != "spatial_channels"}
    assert (family_of(STORM_SCORE, ONE), family_of(of_sgmse, ONE)) == ("storm", "sgmse")
    assert configuration(STORM_SCORE, ONE).network == replace(PUBLISHED["ncsnpp-m"], inputs=4)
    assert configuration(of_sgmse, ONE).network == PUBLISHED["ncsnpp"]


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"nf": 64}, "channels", 64),
        ({"ch_mult": [1, 2, 2, 2, 2]}, "multipliers", (1, 2, 2, 2, 2)),
        ({"num_res_blocks": 1}, "blocks", 1),
        ({"attn_resolutions": (64, 8)}, "attention", (8, 64)),
        ({"attn_resolutions": [16, 1000]}, "attention", (16,)),  # the public code builds none where there is no such resolution
        ({"centered": False}, "centered", False),
        ({"scale_by_sigma": False}, "division", "never"),
        ({"progressive": "none", "progressive_input": "none"}, "progressive", False),
    ],
    ids=str,
)
def test_sizes_and_form_of_the_network_come_from_the_file(options, field, value):
    assert configuration(OF_2022 | options, ONE).network == replace(PUBLISHED["ncsnpp"], **{field: value})


def test_a_network_at_48_khz_may_have_pyramids():
    options = {**SGMSE_48K, "progressive": "output_skip", "progressive_input": "input_skip"}
    assert configuration(options, ONE).network == replace(PUBLISHED["ncsnpp-48k"], progressive=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "dcunet"}, r"its backbone is 'dcunet', expected one of ncsnpp, ncsnpp_v2, ncsnpp_48k, "),
        ({"backbone": ["ncsnpp"]}, r"its backbone is \['ncsnpp'\], expected one of"),
        ({"sde": "ouvp"}, r"its sde is 'ouvp', expected one of ouve"),
        ({"ode": "straight"}, r"its ode is 'straight', expected one of flowmatching"),
        ({"transform_type": "log"}, r"its transform_type is 'log', expected one of exponent, none"),
        ({"window": "hamming"}, r"its window is 'hamming'"),
        ({"loss_type": "sisdr"}, r"its loss_type is 'sisdr'"),
        ({"progressive": "none"}, r"a pyramid of inputs or of outputs alone"),
        ({"progressive_input": "none"}, r"a pyramid of inputs or of outputs alone"),
        ({"progressive": "residual"}, r"its progressive is 'residual', expected one of output_skip, none"),
        ({"n_fft": 1022}, r"512 bins, and attention counted from 256: the public code cannot run it either"),
        ({"nonlinearity": "relu"}, r"its nonlinearity is 'relu', and that of all published models 'swish'"),
        ({"resblock_type": "ddpm"}, r"its resblock_type is 'ddpm'"),
        ({"fir": False}, r"its fir is False"),
        ({"fir_kernel": [1, 2, 1]}, r"its fir_kernel is \[1, 2, 1\]"),
        ({"skip_rescale": False}, r"its skip_rescale is False"),
        ({"conditional": False}, r"its conditional is False"),
        ({"progressive_combine": "cat"}, r"its progressive_combine is 'cat'"),
        ({"embedding_type": "positional"}, r"its embedding_type is 'positional'"),
        ({"spatial_channels": 2}, r"its spatial_channels is 2"),
        ({"image_size": 512}, r"its image_size is 512"),
        ({"sde": "sbve", "eps": 1e-4}, r"its eps is 0.0001, and that of all published models 1e-08"),
    ],
    ids=str,
)
def test_what_no_published_model_has_is_refused_by_name(options, message):
    with pytest.raises(CheckpointError, match=message):
        configuration(OF_2022 | options, ONE)


def test_a_second_stage_of_four_inputs_does_not_see_both():
    with pytest.raises(CheckpointError, match=r"its condition is 'both', expected one of noisy, post_denoiser"):
        configuration(STORM, {"denoiser_net": 2, "score_net": 4})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nf": 10**9}, r"channels is 1000000000, expected 4 to 512"),
        ({"nf": -128}, r"channels is -128, expected 4 to 512"),
        ({"nf": 128.0}, r"channels is 128.0, expected int"),
        ({"nf": "128"}, r"channels is '128', expected int"),
        ({"n_fft": 10**9}, r"window is 1000000000, expected 2 to 65536"),
        ({"n_fft": 2**16, "attn_resolutions": []}, r"bins is 32769, expected 1 to 4096"),
        ({"hop_length": 0}, r"hop is 0, expected 1 to"),
        ({"hop_length": 10**9}, r"hop is 1000000000, expected 1 to"),
        ({"ch_mult": [10**9] * 7}, r"multipliers is .*, expected 1 to 16"),
        ({"ch_mult": [1] * 10**6}, r"256 bins cannot be halved to 1000000 resolutions"),
        ({"ch_mult": []}, r"256 bins cannot be halved to 0 resolutions"),
        ({"ch_mult": "1122"}, r"multipliers is \('1', '1', '2', '2'\), expected"),
        ({"num_res_blocks": 10**6}, r"blocks is 1000000, expected 1 to 16"),
        ({"centered": "no"}, r"centered is 'no', expected bool"),
        ({"theta": "big"}, r"theta is 'big', expected float"),
        ({"theta": float("nan")}, r"theta is nan, expected float"),
        ({"sigma_max": float("inf")}, r"sigma_max is inf, expected float"),
        ({"sigma_max": 0.01}, r"sigma_max is 0.01, expected more than sigma_min"),
        ({"spec_factor": 0}, r"factor is 0, expected"),
        ({"spec_abs_exponent": None}, r"exponent is None, expected float"),
        ({"sr": 10**9}, r"sample_rate is 1000000000, expected"),
        ({"t_eps": 2}, r"grid"),
        ({"t_eps": "soon"}, r"grid"),
        ({"backbone": "ncsnpp_v2", "c_in": "2"}, r"c_in is '2', expected one of '1', 'edm'"),
        ({"backbone": "ncsnpp_v2", "network_scaling": "t"}, r"scaling is 't', expected one of"),
        ({"backbone": "ncsnpp_v2", "sigma_data": 0}, r"sigma_data is 0, expected"),
        ({"sde": "sbve", "k": 1}, r"k is 1, expected"),
        ({"ode": "flowmatching", "sigma_max": 0.0}, r"sigma_max is 0.0, expected"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_numbers_out_of_bounds_are_refused_before_anything_is_built(options, message):
    with pytest.raises(ConfigError, match=message):
        configuration(OF_2022 | options, ONE)


def test_an_unknown_task_is_refused():
    with pytest.raises(ConfigError, match=r"unknown task 'denoies': did you mean 'denoise'"):
        configuration(OF_2022, ONE, "denoies")


def test_a_bridge_has_the_steps_of_its_file_and_a_name_of_its_own():
    presets = configuration({**BRIDGE, "N": 20}, ONE).presets
    assert presets["paper"] == presets["public-code"] == replace(ODE, steps=20)
    assert family_of(BRIDGE, ONE) == "bridge"


def test_a_bbed_model_begins_where_its_file_says():
    config = configuration({"backbone": "ncsnpp", "sde": "bbed", "T_sampling": 0.9}, ONE)
    assert {sampling.grid_options["first"] for sampling in (config.sampling, *config.presets.values())} == {0.9}
