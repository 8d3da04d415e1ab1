"""What a run needs to go on as if it had never stopped, as one safetensors file: nothing in it can run code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sgaudio.errors import CheckpointError

FORMAT, VERSION = "sgaudio training state", "1"
TENSOR = "tensor"  # key of the mapping that stands for one: its name, and the order of its dimensions in memory


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a tree of mappings, lists, tensors and plain values; its keys are strings or integers."""
    tensors: dict[str, Tensor] = {}
    plain = _split(state, "", tensors)
    save_file(tensors, path, {"format": FORMAT, "version": VERSION, "tree": json.dumps(plain)})


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """The tree of a file, its tensors on `device`. Keys that were integers are strings.

    Raises:
        CheckpointError: on another file, or a damaged one.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
                raise CheckpointError(f"{path}: no state of a training run of this version")
            return _joined(json.loads(metadata["tree"]), file.get_tensor)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: no state of a training run ({error})") from error


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The plain part of a tree; its tensors go to `tensors` by their path."""
    if isinstance(value, Tensor):
        order = sorted(range(value.ndim), key=value.stride, reverse=True)  # sums depend on it in their last digits
        tensors[path] = value.detach().cpu().permute(order).clone(memory_format=torch.contiguous_format)
        return {TENSOR: path, "order": order}
    if isinstance(value, Mapping):
        return {str(key): _split(each, f"{path}/{key}", tensors) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_split(each, f"{path}/{i}", tensors) for i, each in enumerate(value)]
    return value


def _joined(value: Any, tensor: Any) -> Any:
    if isinstance(value, dict) and TENSOR in value:
        return tensor(value[TENSOR]).permute([value["order"].index(i) for i in range(len(value["order"]))])
    if isinstance(value, dict):
        return {key: _joined(each, tensor) for key, each in value.items()}
    if isinstance(value, list):
        return [_joined(each, tensor) for each in value]
    return value
