"""A model as one safetensors file: weights, configuration and card. Nothing in it can run code.

The metadata holds `format` ("sgaudio"), `version`, `config` and `card` (JSON of plain values), and `sha256` of the weights.
"""

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import hub
from sgaudio.models.enhancer import Enhancer, EnhancerConfig
from sgaudio.models.regenerator import Regenerator, RegeneratorConfig
from sgaudio.nets import CONFIGS
from sgaudio.processes import PROCESSES
from sgaudio.registry import Registry, build, check, nearest

VERSION = 2  # 1 knew enhancers only, whose level is a root mean square
MODELS = Registry[type[EnhancerConfig]]("model", {"enhancer": EnhancerConfig, "regenerator": RegeneratorConfig})
CLASSES: dict[type[EnhancerConfig], type[Enhancer]] = {EnhancerConfig: Enhancer, RegeneratorConfig: Regenerator}
SHIPPED = Path(__file__).parent.parent / "weights"
TASKS = Registry(
    "task",
    {
        "denoise": "takes noise out of speech",
        "dereverberate": "takes the room out of speech",
        "denoise-dereverberate": "takes noise and room out of speech",
        "extend-bandwidth": "makes the upper band of speech",
    },
)
NAMED = {"network": CONFIGS, "predictor": CONFIGS, "process": PROCESSES}  # parts of a configuration that a name picks
CPU_INSTRUCTIONS = {"bfloat16": ("avx512_bf16", "amx_bf16", "bf16"), "float16": ("avx512_fp16", "amx_fp16", "fp16")}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Card:
    """What a person should know about a model.

    Args:
        name: of the model.
        summary: what it does, in one line.
        training_data: what it was trained on.
        licence: of the weights.
        recipe: how to train it again.
        task: one of `TASKS`.
    """

    name: str
    summary: str
    training_data: str
    licence: str
    recipe: str
    task: str = "denoise"

    def __post_init__(self) -> None:
        check(self)
        TASKS[self.task]


def save(path: str | Path, enhancer: Enhancer, card: Card, dtype: torch.dtype = torch.float16) -> None:
    """Write a model; its weights are stored as `dtype`, its buffers as they are: half precision would turn phases of a time embedding."""
    buffers = {name for name, _ in enhancer.network.named_buffers()}
    weights = {
        name: value.detach().to("cpu", value.dtype if name in buffers else dtype).contiguous()
        for name, value in enhancer.network.state_dict().items()
    }
    metadata = {
        "format": "sgaudio",
        "version": str(VERSION),
        "config": json.dumps(config_to_mapping(enhancer.config)),
        "card": json.dumps(asdict(card)),
        "sha256": digest(weights),
    }
    save_file(weights, path, metadata)


def load(model: str | Path = "denoise", device: str = "auto", dtype: str = "float32", compile: bool = False) -> Enhancer:
    """A model by its shipped name or from a file.

    Args:
        model: a name (see `shipped`), a path, or "hf://owner/repo/file.safetensors" (extra `hub`).
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
        dtype: in which the network computes: "float32", "bfloat16" or "float16". A CPU without instructions for it would be hundreds of
            times slower: it warns and computes in float32.
        compile: compile an NCSN++, on a GPU: the first call takes a minute or two, the others are faster.

    Raises:
        CheckpointError: on a file that is not a model of ours, is damaged, or newer than this version.
        ConfigError: on an unknown name, device or dtype.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"unknown dtype {dtype!r}: {nearest(dtype, DTYPES)}")
    chosen = choose_device(device)
    path = find(model)
    metadata = read_metadata(path)
    try:
        config, card = config_from_mapping(json.loads(metadata["config"])), build(Card, json.loads(metadata["card"]))
    except (ConfigError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: its configuration is not valid: {error}") from error
    make = CLASSES[type(config)]
    with torch.device("meta"):
        network = make.new_network(config)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if found != expected:
            odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            raise CheckpointError(f"{path}: {len(odd)} weights do not fit its configuration, the first is {odd[0]!r}: a damaged file")
        weights = {name: file.get_tensor(name) for name in found}
    if digest(weights) != metadata.get("sha256"):
        raise CheckpointError(f"{path}: its weights do not match their checksum: a damaged file")
    network = make.new_network(config)
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    network.eval().requires_grad_(False)
    return make(config, network, card.name).to(chosen, computed_dtype(dtype, chosen)).for_inference(compile)


def describe(model: str | Path) -> dict[str, Any]:
    """Configuration, card, checksum and number of parameters of a model, as plain values, without its weights."""
    path = find(model)
    metadata = read_metadata(path)
    with safe_open(path, "pt") as file:
        parameters = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "parameters": parameters,
        "sha256": metadata["sha256"],
        "card": json.loads(metadata["card"]),
        "config": json.loads(metadata["config"]),
    }


def shipped() -> dict[str, Path]:
    """The models that lie inside the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def find(model: str | Path) -> Path:
    """The file of a model given by name, by path, or by its place on the Hugging Face Hub."""
    if str(model).startswith(hub.SCHEME):
        return hub.fetch(str(model))
    names = shipped()
    if str(model) in names:
        return names[str(model)]
    path = Path(model)
    if path.is_file():
        return path
    if path.suffix or path.parent != Path():
        raise CheckpointError(f"{model}: no such model file")
    raise ConfigError(f"unknown model {str(model)!r}: {nearest(str(model), names)}, or give the path of a .safetensors file")


def read_metadata(path: Path) -> Mapping[str, str]:
    """The metadata of a model file of ours."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error}): sgaudio loads no other kind, and never a pickle") from error
    version = metadata.get("version", "")
    if metadata.get("format") != "sgaudio" or not version.isdecimal():
        raise CheckpointError(f"{path}: a safetensors file, but not a model of sgaudio")
    if int(version) > VERSION:
        raise CheckpointError(f"{path}: made by a newer sgaudio (format {version}, known: {VERSION}): update sgaudio")
    return metadata


def config_to_mapping(config: EnhancerConfig) -> dict[str, Any]:
    """Plain values that JSON can hold, and that `config_from_mapping` turns back."""
    mapping = {"model": MODELS.name_of(config), **asdict(config)}
    for name, registry in NAMED.items():
        if name in mapping:
            mapping[name] = {"name": registry.name_of(getattr(config, name)), **mapping[name]}
    return mapping


def config_from_mapping(mapping: Mapping[str, Any]) -> EnhancerConfig:
    """The configuration that plain values describe; without a "model" it is that of an enhancer.

    Raises:
        ConfigError: on unknown names, missing ones, or values of the wrong type or out of range.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"model: a mapping is expected, got {mapping!r}")
    parts = {name: NAMED[name].build(value) if name in NAMED else value for name, value in mapping.items() if name != "model"}
    return build(MODELS[mapping.get("model", "enhancer")], parts)


def digest(weights: Mapping[str, torch.Tensor]) -> str:
    """sha256 over names, dtypes, shapes and bytes of the weights, in the order of their names."""
    total = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" takes a GPU if there is one."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(device for device in ("cuda", "mps", "cpu") if available[device]))
    if name not in available:
        raise ConfigError(f"unknown device {name!r}: {nearest(name, [*available, 'auto'])}")
    if not available[name]:
        raise ConfigError(f"device {name!r} is not available here: use 'auto' or 'cpu'")
    return torch.device(name)


def computed_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of that name, or float32 and a warning, where it is a CPU's that has no instructions for it."""
    if device.type == "cpu" and name in CPU_INSTRUCTIONS:
        capabilities = torch.cpu.get_capabilities()
        if not any(capabilities.get(instruction) for instruction in CPU_INSTRUCTIONS[name]):
            warnings.warn(f"{name} is not computed by this CPU, which would be hundreds of times slower: float32 is used", stacklevel=3)
            return torch.float32
    return DTYPES[name]
