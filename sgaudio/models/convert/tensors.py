"""The tensors of a checkpoint: as its pickle describes them, checked against what the archive holds, and read last.

torch's own rebuild functions trust sizes and strides: a tensor of stride 0 in a file of 1.6 kB becomes 800 MB as soon as it is copied.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from sgaudio.errors import CheckpointError
from sgaudio.models.convert.archive import Archive

MOST_TENSORS = 10_000  # that are read of a file; the largest published model has 1300 with its average
MOST_GROWTH = 2  # their bytes over those of the file: they may share storages
MOST_AXES = 8
MOST_ELEMENTS = 2**32  # along the axes that are not empty, so that strides do not overflow
MOST_DIGITS = 9  # of the number of a storage


@dataclass(frozen=True)
class Storage:
    """The numbers of one entry of the archive, as one tensor sees them."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class StoredTensor:
    """A contiguous piece of a storage, from the element `offset` on; not yet read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)


def read_tensors(archive: Archive, tensors: Sequence[Any]) -> list[torch.Tensor]:
    """Read these tensors, each storage once; before that it is certain that they do not grow."""
    if len(tensors) > MOST_TENSORS or not all(isinstance(tensor, StoredTensor) for tensor in tensors):
        raise ValueError(f"its 'state_dict' and 'ema' hold something else than tensors, or more than {MOST_TENSORS}")
    size = sum(tensor.count * tensor.storage.dtype.itemsize for tensor in tensors)
    if size > MOST_GROWTH * archive.length:
        raise ValueError(f"its tensors would take {size} bytes, the file has {archive.length}")
    read = cache(lambda key: archive.read(f"data/{key}"))
    return [_tensor(tensor, read(tensor.storage.key)) for tensor in tensors]


def _tensor(tensor: StoredTensor, data: bytearray) -> torch.Tensor:
    dtype = tensor.storage.dtype
    if not tensor.count:
        return torch.empty(tensor.shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=tensor.count, offset=tensor.offset * dtype.itemsize).view(tensor.shape)


def find_storage(archive: Archive, identity: object) -> Storage | None:
    """The persistent identity that torch.save gives a storage: its type, key, device and number of elements."""
    match identity:
        case ("storage", torch.dtype() as dtype, str(key), str(), int(count)) if len(key) <= MOST_DIGITS:
            if archive.size(f"data/{key}") != count * dtype.itemsize:
                raise ValueError(f"its storage {key!r:.80} has {archive.size(f'data/{key}')} bytes, expected {count} numbers of {dtype}")
            return Storage(key, dtype, count)


def rebuild_tensor(*arguments: Any) -> StoredTensor | None:
    """torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks) of a contiguous tensor."""
    match arguments:
        case (Storage() as storage, int(offset), tuple(shape), tuple(strides), bool(), dict()) if len(shape) == len(strides) <= MOST_AXES:
            if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
                raise ValueError("a tensor whose size, stride or offset is below zero or no integer")
            if offset + math.prod(shape) > storage.count or math.prod(max(1, size) for size in shape) > MOST_ELEMENTS:
                raise ValueError(f"a tensor of shape {shape} from element {offset} on, but the storage has {storage.count}")
            expected = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
            if any(size > 1 and found != step for size, found, step in zip(shape, strides, expected, strict=True)) and 0 not in shape:
                raise CheckpointError(f"a tensor of shape {shape} with strides {strides}, expected {expected}: save it again contiguous")
            return StoredTensor(storage, offset, shape)


def rebuild_parameter(*arguments: Any) -> StoredTensor | None:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks)."""
    match arguments:
        case (StoredTensor() as tensor, bool(), dict()):
            return tensor


def torch_size(*arguments: Any) -> tuple[Any, ...] | None:
    """torch.Size."""
    match arguments:
        case (tuple(sizes),):
            return sizes


STORAGES = {
    "Float": torch.float32,
    "Double": torch.float64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
TORCH: Mapping[str, object] = {
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch.Size": torch_size,
    **{f"torch.{name}Storage": dtype for name, dtype in STORAGES.items()},
}
