import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import Card, Enhancer, checkpoint, describe, load, save, shipped

CARD = Card(name="tiny", summary="A test.", training_data="Nothing.", licence="CC0-1.0", recipe="none")


@pytest.fixture(scope="module")
def model(tiny) -> Enhancer:
    return load(tiny, device="cpu")


@pytest.fixture
def file(model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save(path, model, CARD, torch.float32)
    return path


def rewritten(file, **changes):
    """The same weights with some of the metadata changed."""
    metadata = dict(checkpoint.read_metadata(file)) | changes
    save_file(load_file(file), file, metadata)
    return file


def test_a_model_comes_back_as_it_was_saved(model, file):
    loaded = load(file, device="cpu")
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 9000).astype(np.float32)
    assert loaded.name == "tiny"
    assert loaded.config == model.config
    assert np.array_equal(loaded.enhance(waveform, 16_000), model.enhance(waveform, 16_000))


def test_how_the_network_is_read_comes_back_too(model, tmp_path):
    config = dataclasses.replace(model.config, prediction="edm", prediction_options={"sigma_data": 0.25})
    save(tmp_path / "edm.safetensors", Enhancer(config, model.network), CARD)
    loaded = load(tmp_path / "edm.safetensors", device="cpu")
    assert loaded.config == config
    assert loaded.prediction.at(0.5) == config.predicted.at(0.5) != model.prediction.at(0.5)


def test_its_metadata_say_all_without_the_weights(file):
    found = describe(file)
    assert found["card"]["licence"] == "CC0-1.0"
    assert found["config"]["process"] == {"name": "bridge-ve", "k": 2.6, "c": 0.1}
    assert len(found["sha256"]) == 64
    json.dumps(found)


def test_the_default_model_lies_in_the_package_and_is_small():
    assert "denoise" in shipped()
    assert describe("denoise")["bytes"] < 15_000_000


def test_a_damaged_weight_is_found(file):
    weights = load_file(file)
    weights["band"][0] += 1e-3
    save_file(weights, file, dict(checkpoint.read_metadata(file)))
    with pytest.raises(CheckpointError, match="checksum"):
        load(file)


def test_weights_that_do_not_fit_are_refused_before_they_are_read(file):
    weights = load_file(file)
    weights.pop("band")
    save_file(weights, file, dict(checkpoint.read_metadata(file)))
    with pytest.raises(CheckpointError, match="1 weights do not fit its configuration, the first is 'band'"):
        load(file)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": "other"}, "not a model of sgaudio"),
        ({"version": "2"}, "update sgaudio"),
        ({"version": "two"}, "not a model of sgaudio"),
        ({"config": "{"}, "not valid"),
        ({"config": "{}"}, "needs the option 'network'"),
        ({"config": '{"network": {"name": "pickle"}}'}, "unknown network 'pickle'"),
        ({"card": "{}"}, "needs the option 'name'"),
    ],
)
def test_a_foreign_or_newer_file_is_refused(file, changes, complaint):
    with pytest.raises(CheckpointError, match=complaint):
        load(rewritten(file, **changes))


def test_a_configuration_that_asks_for_a_terabyte_is_refused(file):
    config = describe(file)["config"]
    config["network"]["width"] = 10**9
    with pytest.raises(CheckpointError, match="width is 1000000000"):
        load(rewritten(file, config=json.dumps(config)))


def test_a_pickle_is_never_read(tmp_path):
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="never a pickle"):
        load(path)


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(ConfigError, match="did you mean 'denoise'"):
        load("denose")
    with pytest.raises(CheckpointError, match="no such model file"):
        load("models/mine.safetensors")
    with pytest.raises(ConfigError, match="did you mean 'float16'"):
        load("denoise", dtype="float6")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        load("denoise", device="gpu")
