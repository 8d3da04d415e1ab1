import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import Card, Enhancer, EnhancerConfig, Sampling, checkpoint, describe, load, save, shipped
from sgaudio.nets import NCSNppConfig
from sgaudio.processes import BridgeVE
from sgaudio.registry import build

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


def test_a_file_of_the_first_version_is_still_read(model, file):
    metadata = checkpoint.read_metadata(file)
    config, card = json.loads(metadata["config"]), json.loads(metadata["card"])
    for name in ("model", "prediction_options", "level_rule", "presets", "padding"):
        del config[name]
    del config["sampling"]["network_time"], card["task"]
    loaded = load(rewritten(file, version="1", config=json.dumps(config), card=json.dumps(card)), device="cpu")
    assert loaded.config == model.config
    assert loaded.config.level_rule == "rms"


def test_the_default_model_is_such_a_file():
    assert checkpoint.read_metadata(shipped()["denoise"])["version"] == "1"
    assert load("denoise", device="cpu").config.level_rule == "rms"
    assert build(Card, describe("denoise")["card"]).task == "denoise"


def test_presets_and_all_that_is_new_come_back(model, tmp_path):
    walk = Sampling("ddim", 4, grid_options={"end": 0.01}, network_time="target", solver_options={"eta": 0.5})
    presets = {"paper": walk, "fast": Sampling("dpmpp-2m", 2, start="drawn")}
    config = dataclasses.replace(model.config, level_rule="peak", level=1.0, padding="reflection", presets=presets)
    save(tmp_path / "new.safetensors", Enhancer(config, model.network), CARD)
    assert load(tmp_path / "new.safetensors", device="cpu").config == config


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
        ({"version": "3"}, "update sgaudio"),
        ({"version": "two"}, "not a model of sgaudio"),
        ({"config": "{"}, "not valid"),
        ({"config": "{}"}, "needs the option 'network'"),
        ({"config": '{"network": {"name": "pickle"}}'}, "unknown network 'pickle'"),
        ({"card": "{}"}, "needs the option 'name'"),
        ({"card": json.dumps(dataclasses.asdict(CARD) | {"task": "denose"})}, r"not valid: unknown task 'denose': did you mean 'denoise'"),
        ({"config": '{"model": "enhancers"}'}, r"not valid: unknown model 'enhancers': did you mean 'enhancer'"),
        ({"config": "[]"}, r"not valid: model: a mapping is expected, got \[\]"),
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


def test_a_card_says_one_of_the_known_tasks():
    assert dataclasses.replace(CARD, task="dereverberate").task == "dereverberate"
    with pytest.raises(ConfigError, match=r"^unknown task 'sing': known: denoise, denoise-dereverberate, dereverberate, extend-"):
        dataclasses.replace(CARD, task="sing")


@pytest.mark.parametrize(("dtype", "others"), [("bfloat16", ("avx512_fp16", "amx_fp16")), ("float16", ("avx512_bf16", "amx_bf16"))])
def test_a_cpu_without_half_precision_computes_in_single_precision_and_says_so(file, monkeypatch, dtype, others):
    capabilities = {"avx512_f": True, "amx_bf16": False, "amx_fp16": False} | dict.fromkeys(others, True)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with pytest.warns(UserWarning, match=rf"^{dtype} is not computed by this CPU, .*: float32 is used$") as warned:
        loaded = load(file, device="cpu", dtype=dtype)
    assert loaded.dtype == torch.float32
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize(
    ("instruction", "dtype"),
    [("avx512_bf16", torch.bfloat16), ("amx_bf16", torch.bfloat16), ("bf16", torch.bfloat16), ("avx512_fp16", torch.float16)],
)
def test_a_cpu_with_half_precision_computes_in_it(file, monkeypatch, instruction, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instruction: True})
    assert load(file, device="cpu", dtype=str(dtype).removeprefix("torch.")).dtype == dtype


def test_single_precision_asks_nothing_of_the_cpu(file, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert load(file, device="cpu").dtype == torch.float32


def test_a_file_of_half_precision_keeps_the_frequencies_of_a_time_embedding(tmp_path):
    network = NCSNppConfig(channels=4, multipliers=(1, 2), blocks=1, attention=(), bins=32)
    sizes = {"spectrogram": Spectrogram(62, 16), "windows": Windows(1024, 64, 64)}
    torch.manual_seed(0)
    model = Enhancer(EnhancerConfig(network, BridgeVE(), **sizes))
    save(tmp_path / "half.safetensors", model, CARD, torch.float16)
    stored = load_file(tmp_path / "half.safetensors")
    assert {name for name, value in stored.items() if value.dtype == torch.float32} == {"time.frequencies"}
    assert {value.dtype for value in stored.values()} == {torch.float16, torch.float32}
    loaded = load(tmp_path / "half.safetensors", device="cpu")
    assert torch.equal(loaded.network.time.frequencies, model.network.time.frequencies)
    assert not torch.equal(loaded.network.time.frequencies.half().float(), model.network.time.frequencies)  # half precision would not do
