"""A model as one safetensors file: weights, configuration and card. Nothing in it can run code.

The metadata holds `format` ("sgaudio"), `version`, `config` and `card` (JSON of plain values), and `sha256` of the weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models.enhancer import Enhancer, EnhancerConfig
from sgaudio.nets import CONFIGS, make_network
from sgaudio.processes import PROCESSES
from sgaudio.registry import build, check, nearest

VERSION = 1
SHIPPED = Path(__file__).parent.parent / "weights"
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
    """

    name: str
    summary: str
    training_data: str
    licence: str
    recipe: str

    def __post_init__(self) -> None:
        check(self)


def save(path: str | Path, enhancer: Enhancer, card: Card, dtype: torch.dtype = torch.float16) -> None:
    """Write a model; its weights are stored as `dtype`."""
    weights = {name: value.detach().to("cpu", dtype).contiguous() for name, value in enhancer.network.state_dict().items()}
    metadata = {
        "format": "sgaudio",
        "version": str(VERSION),
        "config": json.dumps(config_to_mapping(enhancer.config)),
        "card": json.dumps(asdict(card)),
        "sha256": digest(weights),
    }
    save_file(weights, path, metadata)


def load(model: str | Path = "denoise", device: str = "auto", dtype: str = "float32") -> Enhancer:
    """A model by its shipped name or from a file.

    Args:
        model: a name (see `shipped`) or a path.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "mps".
        dtype: in which the network computes: "float32", "bfloat16" or "float16".

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
    with torch.device("meta"):
        network = make_network(config.network)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if found != expected:
            odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            raise CheckpointError(f"{path}: {len(odd)} weights do not fit its configuration, the first is {odd[0]!r}: a damaged file")
        weights = {name: file.get_tensor(name) for name in found}
    if digest(weights) != metadata.get("sha256"):
        raise CheckpointError(f"{path}: its weights do not match their checksum: a damaged file")
    network = make_network(config.network)
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    network.eval().requires_grad_(False)
    return Enhancer(config, network, card.name).to(chosen, DTYPES[dtype])


def describe(model: str | Path) -> dict[str, Any]:
    """Configuration, card and checksum of a model, as plain values, without its weights."""
    path = find(model)
    metadata = read_metadata(path)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": metadata["sha256"],
        "card": json.loads(metadata["card"]),
        "config": json.loads(metadata["config"]),
    }


def shipped() -> dict[str, Path]:
    """The models that lie inside the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def find(model: str | Path) -> Path:
    """The file of a model given by name or path."""
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
    mapping = asdict(config)
    mapping["network"] = {"name": CONFIGS.name_of(config.network), **mapping["network"]}
    mapping["process"] = {"name": PROCESSES.name_of(config.process), **mapping["process"]}
    return mapping


def config_from_mapping(mapping: Mapping[str, Any]) -> EnhancerConfig:
    """The configuration that plain values describe.

    Raises:
        ConfigError: on unknown names, missing ones, or values of the wrong type or out of range.
    """
    built = {"network": CONFIGS, "process": PROCESSES}
    return build(EnhancerConfig, {name: built[name].build(value) if name in built else value for name, value in mapping.items()})


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
