"""Checkpoints as Lightning writes them, with tiny networks: what `convert` makes of them, and what it refuses."""

import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sgaudio.errors import AudioError, CheckpointError, ConfigError
from sgaudio.models import Regenerator, load
from sgaudio.models.convert import convert
from sgaudio.models.convert.families import configuration
from sgaudio.nets.ncsnpp import NCSNpp, NCSNppConfig, published_keys

SIZES = {"nf": 4, "ch_mult": [1, 2], "num_res_blocks": 1, "attn_resolutions": [], "n_fft": 30, "hop_length": 8}
SGMSE = {**SIZES, "backbone": "ncsnpp", "sde": "ouve", "loss_type": "score_matching"}
WIDE = {**SIZES, "progressive": "none", "progressive_input": "none", "backbone": "ncsnpp_48k"}
V2 = {**SIZES, "backbone": "ncsnpp_v2", "sde": "sbve", "loss_type": "data_prediction"}
FLOWSE = {**SIZES, "backbone": "ncsnpp", "ode": "flowmatching"}
DENOISER = {**SIZES, "backbone": "ncsnpp", "spatial_channels": 1, "discriminative": True}
STORM = {**SIZES, "backbone_denoiser": "ncsnpp", "backbone_score": "ncsnpp", "spatial_channels": 1, "condition": "both"}
TIMES = "dnn.all_modules.0.W"


def drawn(config: NCSNppConfig, prefix: str, seed: int) -> dict[str, torch.Tensor]:
    """Weights by the names of the public code."""
    with torch.device("meta"):
        timed = NCSNpp(replace(config, timed=True)).state_dict()
    shapes = [value.shape for name, value in timed.items() if config.timed or not name.startswith(("time.inner", "time.outer"))]
    generator = torch.Generator().manual_seed(seed)
    names = published_keys(config)
    return {f"{prefix}.{name}": torch.randn(shape, generator=generator) / 4 for name, shape in zip(names, shapes, strict=True)}


def checkpoint(options, inputs, *, seed=0, average=True, **changes):
    """What Lightning and torch-ema write of a model; its average is not its last weights."""
    config = configuration(options, inputs)
    networks = {"dnn": config.network, "denoiser_net": getattr(config, "predictor", None), "score_net": config.network}
    weights = {name: value for prefix in inputs for name, value in drawn(networks[prefix], prefix, seed + len(prefix)).items()}
    shadow = [value / 2 for value in weights.values()]
    return {
        "epoch": 326,
        "global_step": 408_750,
        "pytorch-lightning_version": "1.6.5",
        "state_dict": weights,
        "hyper_parameters": options,
        **({"ema": {"decay": 0.999, "num_updates": 7, "shadow_params": shadow, "collected_params": None}} if average else {}),
        **changes,
    }


@pytest.fixture
def converted(tmp_path):
    """Convert what is saved as a checkpoint."""

    def run(saved, **options):
        torch.save(saved, tmp_path / "epoch=326.ckpt")
        return convert(tmp_path / "epoch=326.ckpt", tmp_path / "model.safetensors", **options)

    return run


@pytest.fixture
def refused(tmp_path, converted):
    """The message with which what is saved as a checkpoint is refused; no file is left."""

    def run(saved, **options):
        with pytest.raises(CheckpointError) as caught:
            converted(saved, **options)
        message = str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["epoch=326.ckpt"]
        assert message.startswith(f"{tmp_path / 'epoch=326.ckpt'}: ")
        assert "\n" not in message
        assert len(message) < 2000
        return message

    return run


def public(weights, config, prefix="dnn") -> NCSNpp:
    """A network with its published weights as they are."""
    network = NCSNpp(config)
    network.load_state_dict({ours: weights[f"{prefix}.{theirs}"] for theirs, ours in published_keys(config).items() if ours})
    return network


def spectrograms(count):
    draws = torch.randn(count, 2, 1, 16, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(9))
    return list(draws)


TIME = torch.tensor([0.3, 0.8])


@pytest.mark.parametrize(
    ("options", "inputs", "sign"),
    [(SGMSE, 4, -1), (WIDE, 4, -1), (FLOWSE, 4, -1), (V2, 4, 1), (DENOISER, 2, 1)],
    ids=["sgmse", "48k", "flowse", "v2", "denoiser"],
)
def test_a_network_says_what_the_public_model_makes_of_it(converted, options, inputs, sign):
    saved = checkpoint(options, {"dnn": inputs}, average=False)
    model = converted(saved).model
    given = spectrograms(2)[: inputs // 2] + ([TIME] if inputs == 4 else [])
    expected = public(saved["state_dict"], model.config.network)(*given)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(model.network(*given), sign * expected, rtol=1e-6, atol=1e-6)


def test_both_stages_of_storm_arrive_and_only_the_score_is_turned(converted):
    saved = checkpoint(STORM, {"denoiser_net": 2, "score_net": 6}, average=False)
    model = converted(saved).model
    assert isinstance(model, Regenerator)
    noisy, state, estimate = spectrograms(3)
    first = public(saved["state_dict"], model.config.predictor, "denoiser_net")(noisy)
    score = public(saved["state_dict"], model.config.network, "score_net")(state, noisy, estimate, TIME)
    torch.testing.assert_close(model.first_stage(noisy), first)
    torch.testing.assert_close(model.network.get_submodule("score")(state, noisy, estimate, TIME), -score, rtol=1e-6, atol=1e-6)


def test_the_first_stage_may_stand_alone(converted, refused, tmp_path):
    saved = checkpoint(STORM, {"denoiser_net": 2, "score_net": 6}, average=False)
    converted(saved, stage="predictor")
    model = load(tmp_path / "model.safetensors", device="cpu")
    noisy = spectrograms(1)[0]
    expected = public(saved["state_dict"], model.config.network, "denoiser_net")(noisy)
    assert not isinstance(model, Regenerator)
    torch.testing.assert_close(model.network(noisy), expected)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"epoch=326.ckpt: has one stage alone, expected StoRM's two for stage 'predictor'$"):
        converted(checkpoint(SGMSE, {"dnn": 4}), stage="predictor")
    with pytest.raises(ConfigError, match=r"^stage is 'score', expected one of all, predictor$"):
        converted(saved, stage="score")


def test_a_model_is_written_in_single_precision_and_comes_back(converted, tmp_path, equal):
    saved = checkpoint(SGMSE, {"dnn": 4})
    saved["state_dict"] = {name: value.double() for name, value in saved["state_dict"].items()}
    made = converted(saved)
    loaded = load(tmp_path / "model.safetensors", device="cpu")
    assert loaded.config == made.model.config == configuration(SGMSE, {"dnn": 4})
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}
    for name, value in made.model.network.state_dict().items():
        assert equal(loaded.network.state_dict()[name], value)
    assert not made.model.network.training
    given = torch.sin(torch.arange(900.0))
    torch.testing.assert_close(loaded.enhance(given, 16_000, steps=1), made.model.enhance(given, 16_000, steps=1))


@pytest.mark.parametrize("left_out", [[], [TIMES]], ids=["torch-ema 0.3", "torch-ema 0.2"])
def test_averaged_weights_are_taken(converted, left_out, equal):
    saved = checkpoint(SGMSE, {"dnn": 4})
    averaged = {name: value / 2 for name, value in saved["state_dict"].items() if name not in left_out}
    saved["ema"]["shadow_params"] = list(averaged.values())
    made = converted(saved)
    found, expected = made.model.network.state_dict(), saved["state_dict"] | averaged
    assert made.warnings == ()
    for theirs, ours in published_keys(made.model.config.network).items():
        sign = -1 if theirs.startswith("output_layer.") else 1
        assert equal(found[ours], sign * expected[f"dnn.{theirs}"]), theirs


def test_the_average_of_both_stages_goes_by_order(converted, equal):
    for left_out in ([], ["denoiser_net.all_modules.0.W", "score_net.all_modules.0.W"]):
        saved = checkpoint(STORM, {"denoiser_net": 2, "score_net": 6})
        saved["ema"]["shadow_params"] = [value / 2 for name, value in saved["state_dict"].items() if name not in left_out]
        found = converted(saved, overwrite=True).model.network.state_dict()
        assert equal(found["score.first.weight"], saved["state_dict"]["score_net.all_modules.3.weight"] / 2)
        assert equal(found["predictor.first.weight"], saved["state_dict"]["denoiser_net.all_modules.1.weight"] / 2)


def test_a_file_without_average_warns(converted, equal):
    saved = checkpoint(SGMSE, {"dnn": 4}, average=False)
    made = converted(saved)
    assert made.warnings == ("there is no moving average in it: its last weights are taken",)
    assert equal(made.model.network.state_dict()["first.weight"], saved["state_dict"]["dnn.all_modules.3.weight"])


def test_the_average_of_another_network_is_refused(refused):
    saved = checkpoint(SGMSE, {"dnn": 4})
    del saved["ema"]["shadow_params"][3:]
    assert "its 'ema' is of another network: 3 tensors" in refused(saved)


def test_missing_and_surplus_weights_are_listed(refused):
    saved = checkpoint(SGMSE, {"dnn": 4})
    for name in ("dnn.all_modules.3.bias", "dnn.all_modules.4.Conv_0.weight"):
        del saved["state_dict"][name]
    saved["state_dict"]["dnn.extra"] = torch.ones(1)
    message = refused(saved)
    assert message.endswith("missing 'dnn.all_modules.3.bias', 'dnn.all_modules.4.Conv_0.weight'; not known 'dnn.extra'")


def test_weights_of_a_loss_and_bookkeeping_are_ignored(converted):
    saved = checkpoint(V2, {"dnn": 4})
    plain = converted(saved).model.network.state_dict()
    saved["state_dict"] |= {"pesq_loss.fbank.fbank": torch.ones(49, 256), "table._float_tensor": torch.tensor([float("nan")])}
    found = converted(saved, overwrite=True).model.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in plain.items())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor([float("nan"), 0.0]), "'dnn.output_layer.bias' is not finite: its training diverged"),
        (torch.tensor([0.0, -float("inf")]), "'dnn.output_layer.bias' is not finite: its training diverged"),
        (torch.tensor([1e300, 0.0], dtype=torch.float64), "'dnn.output_layer.bias' is not finite: its training diverged"),
        (torch.tensor([1j, 0.0]), "'dnn.output_layer.bias' has numbers of torch.complex64, expected those of float32"),
        (torch.tensor([1, 0]), "'dnn.output_layer.bias' has numbers of torch.int64"),
        (torch.tensor([1.0, 0.0, 0.0]), "1 weights have other shapes .*: the first is 'output.bias' with (3,), expected (2,)"),
    ],
    ids=["nan", "infinite", "beyond single precision", "complex", "integers", "shape"],
)
def test_weights_that_are_none_are_refused(refused, value, message):
    saved = checkpoint(SGMSE, {"dnn": 4}, average=False)
    saved["state_dict"]["dnn.output_layer.bias"] = value
    found, (start, _, end) = refused(saved), message.partition(".*")
    assert start in found
    assert end in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nf": 8}, "weights have other shapes than its hyper-parameters say: the first is 'time.frequencies' with (4,), expected (8,)"),
        ({"ch_mult": [1, 1]}, "its weights are those of another network"),
        ({"num_res_blocks": 16}, "its weights are those of another network"),
        ({"nf": 10**9}, "channels is 1000000000, expected 4 to 512"),
        ({"nf": "a" * 10**6}, "channels is 'aaaa"),
        ({"nonlinearity": "a" * 10**6}, "its nonlinearity is 'aaaa"),
        ({"ch_mult": 2}, "its hyper-parameters are not those of a published model: "),
        ({"ch_mult": [1] * 1001}, "its hyper-parameter 'ch_mult' is neither"),
        ({"backbone": "dcunet"}, "its backbone is 'dcunet', expected one of ncsnpp"),
        ({"n_fft": "wide"}, "window is 'wide', expected int"),
        ({"attn_resolutions": 16}, "its hyper-parameters are not those of a published model: "),
        ({"transform_type": "log\n\x1b[2J"}, r"its transform_type is 'log\n\x1b[2J', expected one of"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hyper_parameters_that_are_not_those_of_the_weights_are_refused(refused, options, message):
    saved = checkpoint(SGMSE, {"dnn": 4})
    assert message in refused(saved | {"hyper_parameters": SGMSE | options})


@pytest.mark.parametrize(
    "weights",
    [
        {"model.encoder.weight": (3, 4)},
        {"dnn.output_layer.weight": (2, 6, 1, 1)},
        {"dnn.output_layer.weight": (2, 4)},
        {"denoiser_net.output_layer.weight": (2, 2, 1, 1)},
        {"denoiser_net.output_layer.weight": (2, 4, 1, 1), "score_net.output_layer.weight": (2, 6, 1, 1)},
        {"denoiser_net.output_layer.weight": (2, 2, 1, 1), "score_net.output_layer.weight": (2, 2, 1, 1)},
        {"dnn.output_layer.weight": (2, 4, 1, 1), "score_net.output_layer.weight": (2, 6, 1, 1)},
        {},
    ],
    ids=str,
)
def test_another_network_is_refused(refused, weights):
    saved = {"state_dict": {name: torch.ones(shape) for name, shape in weights.items()}, "hyper_parameters": SGMSE}
    first = next(iter(weights), "none")
    assert "no NCSN++ in it: expected weights 'dnn.output_layer.weight' of 2 or 4 inputs, or " in refused(saved)
    assert refused(saved).endswith(f"its first weight is {first!r}")


def test_a_target_is_checked_before_anything_is_read(tmp_path):
    (tmp_path / "old.safetensors").write_bytes(b"old")
    for target, message in {
        "old.safetensors": r"old\.safetensors: exists: use --overwrite$",
        "new.ckpt": r"new\.ckpt: a name that ends in \.safetensors is expected$",
        "none/new.safetensors": r"new\.safetensors: there is no folder .*none$",
    }.items():
        with pytest.raises(ConfigError, match=message):
            convert(tmp_path / "none.ckpt", tmp_path / target)
    with pytest.raises(ConfigError, match=r"^unknown task 'denoies': did you mean 'denoise'"):
        convert(tmp_path / "none.ckpt", tmp_path / "new.safetensors", task="denoies")
    (tmp_path / "folder.safetensors").mkdir()
    torch.save(checkpoint(SGMSE, {"dnn": 4}), tmp_path / "a.ckpt")
    with pytest.raises(AudioError, match=r"folder\.safetensors: exists and is no regular file$"):
        convert(tmp_path / "a.ckpt", tmp_path / "folder.safetensors", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "folder.safetensors", "old.safetensors"]


def test_a_file_is_replaced_where_asked_and_stays_on_failure(converted, tmp_path):
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"old")
    saved = checkpoint(SGMSE, {"dnn": 4})
    with pytest.raises(CheckpointError):
        converted(saved | {"hyper_parameters": SGMSE | {"nf": 8}}, overwrite=True)
    with pytest.raises(ConfigError, match=r"Card has no option 'author'"):
        converted(saved, overwrite=True, author="me")
    assert target.read_bytes() == b"old"
    converted(saved, overwrite=True)
    assert load(target, device="cpu").name == "epoch=326"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch=326.ckpt", "model.safetensors"]


def test_a_card_says_what_the_checkpoint_does_and_what_is_given(converted):
    saved = checkpoint(SGMSE, {"dnn": 4})
    card = converted(saved).card
    assert (card.name, card.task, card.summary) == ("epoch=326", "denoise", "SGMSE+, epoch 326, step 408750")
    assert card.training_data == card.licence == "not said in the checkpoint: ask who published it"
    assert card.recipe == "converted from epoch=326.ckpt"
    given = {"name": "reverb", "task": "dereverberate", "summary": "Dry.", "training_data": "WSJ0-REVERB", "licence": "MIT"}
    made = converted(saved, overwrite=True, **given)
    assert {name: getattr(made.card, name) for name in given} == given
    assert made.model.config.presets["paper"].steps == 50
    assert converted(saved | {"epoch": "\x1b[2J", "global_step": None}, overwrite=True).card.summary == "SGMSE+"


SPARE = "9999"


def forged(forge, name, weights=None, options=None, entries=None, more=None, **zip_options):
    """A checkpoint that `convert` takes, but for these changes; beside its storages there is one, SPARE, of four numbers."""
    saved = checkpoint(SGMSE, {"dnn": 4})["state_dict"]
    stored = {
        key: forge.tensor(tuple(value.shape), value.stride(), storage=forge.storage(str(index), value.numel()))
        for index, (key, value) in enumerate(saved.items())
    }
    data = {f"data/{index}": value.numpy().tobytes() for index, value in enumerate(saved.values())} | {f"data/{SPARE}": bytes(16)}
    root = (more or {}) | {"state_dict": stored | (weights or {}), "hyper_parameters": SGMSE | (options or {})}
    return forge.file(name, program=forge.pickled(root), entries=data | (entries or {}), **zip_options)


MEASURED = """
import re, sys
from pathlib import Path
from sgaudio.errors import CheckpointError
from sgaudio.models.convert import convert
def peak():
    return int(re.search("VmHWM: *\\t *([0-9]+) kB", Path("/proc/self/status").read_text())[1]) // 1024
genuine, *hostile = sys.argv[1:]
convert(genuine, genuine + ".safetensors")
before = peak()
for path in hostile:
    try:
        convert(path, path + ".safetensors")
        print(path, "was converted")
    except CheckpointError as error:
        print(error)
print(peak() - before)
taken = b"a" * 2**28
print(peak() - before)
"""


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.skipif(sys.platform != "linux", reason="is told by Linux what the process takes")
def test_a_hostile_file_runs_nothing_writes_nothing_and_takes_little_memory(forge, tmp_path):
    ran, spare, output = tmp_path / "it_ran", forge.storage(SPARE), "dnn.output_layer.weight"
    payload = forge.call(os.system, f"touch {ran}")
    many = {"ema": {"shadow_params": [forge.tensor(storage=spare)] * 1_000_000}}
    hostile = {
        forged(forge, "weight", {output: payload}): "it names 'posix.system'",
        forged(forge, "option", options={"nf": payload}): "it names 'posix.system'",
        forged(forge, "callback", more={"callbacks": {"a": payload}}): "it names 'posix.system'",
        forged(forge, "deflated", entries={"data/a": bytes(220 * 2**20)}, compression=zipfile.ZIP_DEFLATED, compresslevel=1): "compressed",
        forged(forge, "stride", {output: forge.tensor((2, 4, 5000, 5000), (0, 0, 0, 0), storage=spare)}): "a tensor of shape",
        forged(forge, "overflow", {output: forge.tensor((2**40, 2**40), (2**40, 1), storage=spare)}): "a tensor of shape",
        forged(forge, "outside", entries={"../../it_ran": b"#!/bin/sh"}): "wants to lie outside",
        forged(forge, "many", more=many): "more than 10000",
        forged(forge, "wide", options={"nf": 512, "ch_mult": [1, 16]}): "weights have other shapes",
        forged(forge, "tall", options={"nf": 512, "ch_mult": [16] * 12, "n_fft": 8190}): "are those of another network",
        forged(forge, "endless", options={"num_res_blocks": 10**6}): "blocks is 1000000",
    }
    twice = forged(forge, "twice")
    with zipfile.ZipFile(twice, "a") as file:
        file.writestr("archive/data/0", bytes(16))
    hostile[twice] = "another entry has the same"
    genuine = forged(forge, "genuine")
    before = sorted([*tmp_path.iterdir(), tmp_path / "genuine.safetensors"])
    command = [sys.executable, "-c", MEASURED, genuine, *hostile]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    *found, growth, shown = run.stdout.splitlines()
    assert len(found) == len(hostile), run.stderr
    for line, (path, reason) in zip(found, hostile.items(), strict=True):
        assert line.startswith(f"{path}: ")
        assert reason in line
        assert len(line) < 1000
    assert int(growth) < 100 < 200 < int(shown)  # MiB beyond what the genuine one took; that it would be seen
    assert sorted(tmp_path.iterdir()) == before
    assert not any((folder / "it_ran").exists() for folder in (Path.cwd(), tmp_path, tmp_path.parent))
