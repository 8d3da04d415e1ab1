"""A checkpoint that the public code writes, and the sound that its own script makes with it: one half of the proof, `compare.py` the other.

    python public.py --repository CLONE --family storm --size tiny --out FOLDER

Runs where the public code runs (README.md), without sgaudio. The public script is run as it stands, up to where it writes the sound. Only
what it need not have here is replaced: compiled extensions (by its own plain path), metrics, loggers, readers of files, `cuda`. Weights,
their average and all draws follow rules, so nothing is trained, and each can be made again.
"""

import argparse
import importlib
import json
import math
import os
import runpy
import sys
import tempfile
import zlib
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

SECONDS = 0.33  # of the sound: 42 frames, padded to 64
METRICS = ("torch_pesq", "pesq", "pystoi", "pandas", "pypapi", "utils")
LOGGERS = ("wandb", "tensorboard", "matplotlib", "matplotlib.pyplot")
READERS = ("torchaudio", "librosa", "pydub", "h5py")

TINY_STORM = {"nf": 4, "ch_mult": [1, 2]}
TINY_48K = {"nf": 4, "ch_mult": [1, 1, 2], "num_res_blocks": 1}
TINY = {**TINY_STORM, "num_res_blocks": 1, "attn_resolutions": [128]}


@dataclass(frozen=True)
class Family:
    """One kind of published checkpoint.

    Args:
        options: what its command line for training says; for what it does not say, the defaults are taken.
        arguments: what its command line for enhancement says.
        sampling: the same as fields of `sgaudio.models.Sampling`, where they are not those of the preset "public-code".
        tiny: options of the small one.
        released: hyper-parameters as released files have them, where today's code writes others; None is left out.
        rate: of the sound, in Hz.
        doubles: whether the script is also run in double precision.
        model, package, script, output: how the public code calls its model, and the option for what is written.
    """

    options: dict[str, Any]
    arguments: tuple[str, ...]
    sampling: dict[str, Any] = field(default_factory=lambda: {"steps": 3})
    tiny: dict[str, Any] = field(default_factory=lambda: TINY)
    released: dict[str, Any] = field(default_factory=dict)
    rate: int = 16000
    doubles: bool = False
    model: str = "ScoreModel"
    package: str = "sgmse"
    script: str = "enhancement.py"
    output: str = "--enhanced_dir"


SGMSE = {"backbone": "ncsnpp", "sde": "ouve"}
AT_48K = {"n_fft": 1534, "hop_length": 384, "spec_factor": 0.065, "spec_abs_exponent": 0.667}
SGMSE_48K = {"backbone": "ncsnpp_48k", "sde": "ouve", "sigma_min": 0.1, "sigma_max": 1.0, "theta": 2.0}
PRECONDITIONED = {"backbone": "ncsnpp_v2", "sde": "ouve", "c_in": "edm", "c_out": "edm", "c_skip": "edm"}
BRIDGE = {"backbone": "ncsnpp_v2", "sde": "sbve", "loss_type": "data_prediction", "N": 4}  # its script takes N from the file
STORM = {"backbone": "ncsnpp", "sde": "ouve"}
STAGES = {"backbone_denoiser": "ncsnpp", "backbone_score": "ncsnpp", "sde": "ouve", "mode": "regen-joint-training"}
PRECONDITIONING = ("network_scaling", "c_in", "c_out", "c_skip", "sigma_data")
SINCE_2023 = (*PRECONDITIONING, "N", "sampler_type", "loss_weighting", "l1_weight", "pesq_weight", "sr")
CPU = ("--device", "cpu")
THREE = ("--N", "3")

FAMILIES = {
    "sgmse": Family(SGMSE, (*CPU, *THREE)),
    "sgmse-2022": Family(SGMSE, (*CPU, *THREE), released={**dict.fromkeys(SINCE_2023), "loss_type": "mse", "sde_n": 1000}),
    "sgmse-48k": Family({**SGMSE_48K, **AT_48K}, (*CPU, *THREE), tiny=TINY_48K, rate=48000),
    "sgmse-v2-denoiser": Family({**PRECONDITIONED, "loss_type": "denoiser", "loss_weighting": "edm"}, (*CPU, *THREE)),
    "sgmse-v2-score": Family({**PRECONDITIONED, "c_out": "1/sigma", "network_scaling": "1/t"}, (*CPU, *THREE)),
    "bridge": Family(BRIDGE, CPU, {"steps": 4}, doubles=True),
    "bridge-sde": Family(
        {**PRECONDITIONED, **BRIDGE, "network_scaling": "1/sigma"},
        (*CPU, "--sampler_type", "sde"),
        {"steps": 4, "solver": "bridge-sde"},
    ),
    "storm": Family(STAGES, ("--mode", "storm", *THREE), tiny=TINY_STORM, model="StochasticRegenerationModel"),
    "storm-score": Family(STORM, ("--mode", "score-only", *THREE), tiny=TINY_STORM),
    "storm-denoiser": Family(
        {**STORM, "discriminative": True}, ("--mode", "denoiser-only"), {}, tiny=TINY_STORM, model="DiscriminativeModel"
    ),
    "bbed": Family(
        {**SGMSE, "sde": "bbed"},
        ("--N", "30", "--reverse_starting_point", "0.5", "--force_N", "3"),
        {"steps": 3, "grid_options": {"first": 0.5}},
        released={"sde": "bbve", "sigma_min": 1, "sigma_max": 2.6, "k": None},
        script="eval.py",
        output="--destination_folder",
    ),
    "flowse": Family(
        {"backbone": "ncsnpp", "ode": "flowmatching"},
        THREE,
        model="VFModel",
        package="flowmse",
        script="evaluate.py",
        output="--folder_destination",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True, help="folder of the public code")
    parser.add_argument("--family", choices=FAMILIES, required=True)
    parser.add_argument("--size", choices=("tiny", "full"), default="tiny")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.ckpt and run.npz")
    given = parser.parse_args()
    family, script = FAMILIES[given.family], given.repository / FAMILIES[given.family].script
    given.out.mkdir(parents=True, exist_ok=True)
    checkpoint, noisy = given.out / "checkpoint.ckpt", sound(family.rate)
    prepare(given.repository)
    write_checkpoint(built(family, given.size), checkpoint)
    enhanced, draws = run(script, family, checkpoint, noisy, torch.float32)
    sounds: dict[str, Any] = {"noisy": noisy, "enhanced": enhanced}
    if family.doubles:
        sounds["double"] = run(script, family, checkpoint, noisy, torch.float64)[0].astype(np.float32)
    facts = {"family": given.family, "size": given.size, "arguments": family.arguments, "sampling": family.sampling, "draws": draws}
    np.savez_compressed(given.out / "run.npz", rate=family.rate, facts=json.dumps(facts), **sounds)
    print(f"{given.out}: {checkpoint.stat().st_size} bytes, {len(draws)} draws, peak {np.abs(enhanced).max():.3g}")


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """On 0 to 1: a stream for each name."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(name.encode()))).random(shape)


def draw(number: int, shape: tuple[int, ...]) -> Tensor:
    """Complex normal numbers, E|z|^2 = 1: what the public code gets when it asks for noise for the first (0), second (1), ... time."""
    radius, turn = uniform(f"noise/{number}", (2, *shape))
    return torch.from_numpy(np.sqrt(-np.log1p(-radius)) * np.exp(2j * math.pi * turn))


def weight(name: str, like: Tensor) -> Tensor:
    """One that keeps the size of what goes through it; the public code begins with many that are zero, which would prove nothing.

    Queries and keys are small, as they begin there: an attention that picks single places multiplies rounding errors.
    """
    values = 2 * uniform(name, tuple(like.shape)) - 1
    if name.endswith(("NIN_0.W", "NIN_1.W")):
        values *= math.sqrt(0.3 / len(like))
    elif name.endswith(".W"):
        values *= math.sqrt(3 / len(like)) if like.ndim > 1 else 16
    elif like.ndim > 1:
        values *= math.sqrt(3 / math.prod(like.shape[1:]))
    else:
        values = 0.1 * values + name.endswith("weight")  # of a group norm
    return torch.from_numpy(values).to(like.dtype)


def sound(rate: int) -> np.ndarray:
    """Gliding harmonics and noise, (time)."""
    time = np.arange(round(SECONDS * rate)) / rate
    turns = 2 * math.pi * (140 * time + 60 * time**2)
    voice = sum(np.sin(k * turns + k * k) / k for k in range(1, 25)) * np.sin(math.pi * time / SECONDS)
    return (0.1 * voice + 0.1 * uniform("sound", time.shape) - 0.05).astype(np.float32)


def prepare(repository: Path) -> None:
    """Let the public code be imported, and run on a CPU."""
    importlib.import_module("pytorch_lightning")  # looks for what is replaced below
    extension: Any = importlib.import_module("torch.utils.cpp_extension")
    sys.modules |= {name: MagicMock(name=name) for name in (*METRICS, *LOGGERS, *READERS)}
    extension.load = lambda *_, **__: None
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # a checkpoint names the class of its data
    sys.path.insert(0, str(repository))


def built(family: Family, size: str) -> Any:
    """The public model as its training makes it, but for weights and average."""
    options = family.options | (family.tiny if size == "tiny" else {})
    data = importlib.import_module(f"{family.package}.data_module").SpecsDataModule
    model_class = getattr(importlib.import_module(f"{family.package}.model"), family.model)
    backbones = importlib.import_module(f"{family.package}.backbones").BackboneRegistry
    process = "ode" if "ode" in options else "sde"
    processes = getattr(importlib.import_module(f"{family.package}.{process}s"), f"{process.upper()}Registry")
    network = options.get("backbone") or options["backbone_score"]
    parser = argparse.ArgumentParser(add_help=False)
    for part in (model_class, backbones.get_by_name(network), processes.get_by_name(options[process]), data):
        part.add_argparse_args(parser)
    defaults = {action.dest: action.default for action in parser._actions}
    model = model_class(data_module_cls=data, **(defaults | {"base_dir": "data"} | options))
    for (name, parameter), average in zip(model.named_parameters(), model.ema.shadow_params, strict=True):
        parameter.data = weight(f"weight/{name}", parameter)
        average.copy_(weight(f"average/{name}", average))
    for name, value in family.released.items():
        model.hparams.pop(name, None)
        if value is not None:
            model.hparams[name] = value
    return model


def write_checkpoint(model: Any, path: Path) -> None:
    """Let Lightning write what it does in a training, but for the states of optimisers."""
    lightning: Any = importlib.import_module("pytorch_lightning")
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(accelerator="cpu", devices=1, **quiet)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)


def run(script: Path, family: Family, checkpoint: Path, noisy: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, list[Any]]:
    """The sound (time) that the public script makes, and the shapes of the noises for which it asks, in their order."""
    draws, sounds = [], []
    write, conv2d, load_weights = soundfile.write, F.conv2d, torch.nn.Module.load_state_dict

    def randn_like(x: Tensor) -> Tensor:
        draws.append(tuple(x.shape))
        return draw(len(draws) - 1, draws[-1]).to(x.dtype)

    def load(path: str) -> tuple[Tensor, int]:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()).to(dtype), rate

    def written(path: str, samples: Any, rate: int) -> None:
        sounds.append(np.asarray(samples).reshape(-1))
        sys.exit()  # metrics would follow

    def load_state_dict(model: torch.nn.Module, *arguments: Any, **options: Any) -> Any:
        return load_weights(model.to(dtype=dtype), *arguments, **options)  # parts of it are made in single precision always

    def filtered(x: Tensor, kernel: Tensor, *arguments: Any, **options: Any) -> Tensor:
        return conv2d(x, kernel.to(x.dtype), *arguments, **options)  # so are the kernels of the resampling

    torch.set_default_dtype(dtype)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as replaced:
        for place in ("", "test/clean", "test/noisy"):  # where one script or another looks
            (Path(folder) / place).mkdir(parents=True, exist_ok=True)
            write(Path(folder) / place / "sound.wav", noisy, family.rate, subtype="FLOAT")
        paths = ("--test_dir", folder, family.output, f"{folder}/enhanced", "--ckpt", str(checkpoint))
        for place, name, value in (
            (sys, "argv", [script.name, *paths, *family.arguments]),
            (sys.modules["torchaudio"], "load", load),
            (sys.modules["torchaudio"], "save", written),
            (soundfile, "write", written),
            (torch, "randn_like", randn_like),
            (F, "conv2d", filtered),
            (torch.nn.Module, "load_state_dict", load_state_dict),
            (torch.Tensor, "cuda", lambda x: x),
            (sys.modules["pytorch_lightning"].LightningModule, "cuda", lambda model: model),
        ):
            replaced.enter_context(patch.object(place, name, value))
        with suppress(SystemExit):
            runpy.run_path(str(script), run_name="__main__")
    torch.set_default_dtype(torch.float32)
    return sounds[0], draws


if __name__ == "__main__":
    main()
