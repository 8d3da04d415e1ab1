"""A published PyTorch checkpoint, read without running anything that stands in it: never torch.load.

    checkpoint = read_checkpoint("epoch=326-step=408750.ckpt")
    weights = select(checkpoint, names, beside=["pesq_loss.*"])
    weights = ema_weights(checkpoint, weights, untrained=["dnn.all_modules.0.W"])

The layout is that of Lightning, with torch-ema 0.2 or 0.3 beside it, as sgmse, storm, sgmse-bbed and flowmse write it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sgaudio.errors import CheckpointError
from sgaudio.models.convert.archive import Archive
from sgaudio.models.convert.pickled import PLAIN, unpickle
from sgaudio.models.convert.tensors import TORCH, find_storage, read_tensors

MOST_OPTIONS = 1000  # hyper-parameters, and items in one
MOST_LISTED = 10  # names in an error


@dataclass(frozen=True)
class Checkpoint:
    """What a published checkpoint says.

    Args:
        path: of the file.
        hyper_parameters: numbers, strings, booleans, None, and lists and tuples of them; a class is the string of its name.
        weights: the `state_dict`, in its order.
        shadow: the exponential average of the weights, in the order of the parameters; None where there is none.
        facts: epoch, global_step, pytorch-lightning_version; decay and num_updates of the average: those that are there.
    """

    path: Path
    hyper_parameters: dict[str, Any]
    weights: dict[str, torch.Tensor]
    shadow: list[torch.Tensor] | None
    facts: dict[str, int | float | str]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file of at most 4 GiB. What its weights and their average share in the file, they share in memory; the rest is not read.

    Raises:
        CheckpointError: on a file that is no such checkpoint, is damaged, or holds what no published checkpoint needs.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: {'a folder: give the checkpoint in it' if path.is_dir() else 'no such file'}")
    try:
        with path.open("rb") as file:
            return _read(path, Archive(file))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except ValueError as error:
        what = f"{path}: not a checkpoint as torch.save writes it: {error}"
        raise CheckpointError(f"{what}. Nothing in it was run: fetch it again, or write it anew where you trust it") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


def select(checkpoint: Checkpoint, names: Sequence[str], beside: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """The weights of these names, in the order of `names`; every other one must fit a pattern (of fnmatch) in `beside`.

    Raises:
        CheckpointError: lists missing and surplus names.
    """
    known = set(names)
    missing = [name for name in names if name not in checkpoint.weights]
    surplus = [name for name in checkpoint.weights if name not in known and not any(fnmatchcase(name, pattern) for pattern in beside)]
    if missing or surplus:
        raise CheckpointError(
            f"{checkpoint.path}: its weights are those of another network, {len(names)} are expected: "
            f"missing {_listed(missing)}; not known {_listed(surplus)}"
        )
    return {name: checkpoint.weights[name] for name in names}


def ema_weights(checkpoint: Checkpoint, weights: Mapping[str, torch.Tensor], untrained: Collection[str]) -> dict[str, torch.Tensor]:
    """The exponential average in place of the `weights`, whose order is that of the network's parameters.

    torch-ema 0.3 averages all parameters; 0.2 all but the `untrained`, which stay as they are.

    Raises:
        CheckpointError: on no average, one of another number of tensors, or of other shapes.
    """
    if checkpoint.shadow is None:
        raise CheckpointError(f"{checkpoint.path}: no 'ema' in it: use its weights as they are")
    trained = [name for name in weights if name not in untrained]
    names = list(weights) if len(checkpoint.shadow) == len(weights) else trained
    averaged = dict(zip(names, checkpoint.shadow, strict=False))
    odd = [name for name, average in averaged.items() if average.shape != weights[name].shape]
    if len(checkpoint.shadow) != len(names) or odd:
        raise CheckpointError(
            f"{checkpoint.path}: its 'ema' is of another network: {len(checkpoint.shadow)} tensors, {len(odd)} of them of another shape; "
            f"expected {len(weights)}, or {len(trained)} without the untrained ones"
        )
    return {**weights, **averaged}


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - MOST_LISTED} more"] if len(names) > MOST_LISTED else []
    return ", ".join([f"{name!r:.80}" for name in names[:MOST_LISTED]] + more) or "none"


def _read(path: Path, archive: Archive) -> Checkpoint:
    if archive.size("byteorder") is not None and archive.read("byteorder") != b"little":
        raise CheckpointError("written by a big-endian machine: save it again on another one")
    root = unpickle(archive.read("data.pkl"), KNOWN, partial(find_storage, archive))
    if not isinstance(root, dict) or not {"state_dict", "hyper_parameters"} <= root.keys():
        found = _listed([str(name) for name in root]) if isinstance(root, dict) else f"a {type(root).__name__}"
        raise CheckpointError(f"a file of PyTorch, but no checkpoint of Lightning: {found}; expected 'state_dict' and 'hyper_parameters'")
    weights, ema = root["state_dict"], root.get("ema") or {"shadow_params": []}
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError("its 'state_dict' is no dictionary of names")
    if not isinstance(ema, dict) or not isinstance(ema.get("shadow_params"), list):
        raise ValueError("its 'ema' has no list 'shadow_params'")
    tensors = read_tensors(archive, [*weights.values(), *ema["shadow_params"]])
    facts = {name: root.get(name) for name in ("epoch", "global_step", "pytorch-lightning_version")}
    facts |= {name: ema.get(name) for name in ("decay", "num_updates")}
    return Checkpoint(
        path=path,
        hyper_parameters=_options(root["hyper_parameters"]),
        weights=dict(zip(weights, tensors, strict=False)),
        shadow=tensors[len(weights) :] or None,
        facts={name: fact for name, fact in facts.items() if isinstance(fact, int | float | str)},
    )


def _options(found: object) -> dict[str, Any]:
    if not isinstance(found, dict) or len(found) > MOST_OPTIONS:
        raise ValueError(f"its 'hyper_parameters' are no dictionary of at most {MOST_OPTIONS} options")
    for name, value in found.items():
        items = value if isinstance(value, list | tuple) else [value]
        if len(items) > MOST_OPTIONS or not isinstance(name, str) or not all(isinstance(item, str | int | float | None) for item in items):
            raise ValueError(f"its hyper-parameter {name!r:.80} is neither a number, a string, nor a list of them")
    return found


CLASSES = (  # which published files name without needing them: each stands for its name
    "sgmse.data_module.SpecsDataModule",
    "flowmse.data_module.SpecsDataModule",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
)
KNOWN: Mapping[str, object] = {**PLAIN, **TORCH, **{name: name for name in CLASSES}}
