import io
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch


@dataclass
class Call:
    """Is pickled as a call of the function."""

    function: object
    arguments: tuple

    def __reduce__(self):
        return self.function, self.arguments


@dataclass
class Stored:
    """Is pickled as the persistent identity of something stored beside the pickle."""

    identity: object


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, Stored) else None


class Forge:
    """Writes checkpoints that torch.save would not."""

    def __init__(self, folder: Path):
        self.folder = folder

    def call(self, function, *arguments):
        return Call(function, arguments)

    def stored(self, identity):
        return Stored(identity)

    def storage(self, key="0", count=4, kind=torch.FloatStorage):
        return Stored(("storage", kind, key, "cpu", count))

    def tensor(self, shape=(4,), strides=(1,), offset=0, storage=None):
        arguments = (storage or self.storage(), offset, shape, strides, False, OrderedDict())
        return Call(torch._utils._rebuild_tensor_v2, arguments)

    def pickled(self, value):
        buffer = io.BytesIO()
        Pickler(buffer, 2).dump(value)
        return buffer.getvalue()

    def file(self, name, weights=None, options=None, program=None, entries=None, **zip_options):
        """A checkpoint with these weights and hyper-parameters, or this pickle, beside a storage '0' of four float32."""
        program = program or self.pickled({"state_dict": weights or {}, "hyper_parameters": options or {}})
        entries = {"data.pkl": program, "byteorder": b"little", "data/0": bytes(16)} | (entries or {})
        with zipfile.ZipFile(self.folder / name, "w", **zip_options) as file:
            for entry, data in entries.items():
                file.writestr(f"archive/{entry}", data)
        return self.folder / name


@pytest.fixture
def forge(tmp_path):
    return Forge(tmp_path)


def same_bits(found, expected):
    """Same type, shape and bits; NaN equals itself."""
    raw = [tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8) for tensor in (found, expected)]
    return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(*raw)


@pytest.fixture
def equal():
    return same_bits
