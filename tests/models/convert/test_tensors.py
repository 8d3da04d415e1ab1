import numpy as np
import pytest
import torch

from sgaudio.errors import CheckpointError
from sgaudio.models.convert.published import read_checkpoint
from sgaudio.models.convert.tensors import STORAGES


@pytest.mark.parametrize("dtype", STORAGES.values(), ids=str)
def test_each_dtype_is_read_bit_for_bit(dtype, equal, tmp_path):
    words = np.random.default_rng(0).integers(0, 256, 16 * 6, dtype=np.uint8)
    whole = torch.from_numpy(words & 1 if dtype is torch.bool else words).view(dtype)
    weights = {
        "whole": whole,
        "part": whole[3:5],
        "matrix": whole[: len(whole) // 6 * 6].view(6, -1)[2:],
        "one": whole[1],
        "thin": whole[2:4].view(1, 2).t(),
        "empty": whole[2:2],
        "hollow": torch.empty(5, 0, dtype=dtype),
        "again": whole,
    }
    if dtype.is_floating_point or dtype.is_complex:
        weights["parameter"] = torch.nn.Parameter(whole)
    torch.save({"state_dict": weights, "hyper_parameters": {}}, tmp_path / "a.pt")
    found = read_checkpoint(tmp_path / "a.pt").weights
    assert list(found) == list(weights)
    assert all(equal(found[name], weights[name]) for name in weights)
    assert found["again"].data_ptr() == found["whole"].data_ptr()
    assert found["part"].data_ptr() == found["whole"].data_ptr() + 3 * dtype.itemsize


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "message"),
    [
        ((200_000_000,), (0,), 0, "200000000"),
        ((4,), (0,), 0, "strides"),
        ((2, 2), (1, 2), 0, "strides"),
        ((2,), (2,), 0, "strides"),
        ((2**40, 2**40), (2**40, 1), 0, "storage has 4"),
        ((5,), (1,), 0, "storage has 4"),
        ((1,), (1,), 4, "storage has 4"),
        ((), (), 4, "storage has 4"),
        ((0,), (1,), 5, "storage has 4"),
        ((0, 2**62, 2**62), (1, 1, 1), 0, "storage has 4"),
        ((-1,), (1,), 0, "below zero"),
        ((-2, -2), (1, 1), 0, "below zero"),
        ((4,), (-1,), 0, "below zero"),
        ((4,), (1,), -1, "below zero"),
        ((2.0,), (1,), 0, "below zero"),
        ((True,), (1,), 0, "below zero"),
        ((False,), (1,), 0, "below zero"),
        ((4,), (1, 1), 0, "describes rebuild_tensor"),
        ((1,) * 9, (1,) * 9, 0, "describes rebuild_tensor"),
        ([4], (1,), 0, "describes rebuild_tensor"),
        ("aaaa", (1,), 0, "describes rebuild_tensor"),
    ],
)
def test_a_tensor_fits_its_storage_and_is_contiguous(shape, strides, offset, message, forge):
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(forge.file("a.ckpt", {"a": forge.tensor(shape, strides, offset)}))


@pytest.mark.parametrize(
    "identity",
    [
        ("storage", torch.FloatStorage, "0", "cpu", 5),
        ("storage", torch.FloatStorage, "0", "cpu", -4),
        ("storage", torch.FloatStorage, "0", "cpu", 2**62),
        ("storage", torch.DoubleStorage, "0", "cpu", 4),
        ("storage", torch.FloatStorage, "1", "cpu", 4),
        ("storage", torch.FloatStorage, "../data/0", "cpu", 4),
        ("storage", torch.FloatStorage, "0000000000", "cpu", 4),
        ("storage", torch.FloatStorage, 0, "cpu", 4),
        ("storage", torch.FloatStorage, "0", None, 4),
        ("storage", "torch.FloatStorage", "0", "cpu", 4),
        ("storage", torch.FloatStorage, "0", "cpu", 4, None),
        ("module", torch.FloatStorage, "0", "cpu", 4),
        "storage",
        None,
    ],
    ids=str,
)
def test_a_storage_is_what_the_archive_holds(identity, forge):
    weights = {"a": forge.tensor(storage=forge.stored(identity))}
    path = forge.file("a.ckpt", weights, entries={"data/0000000000": bytes(16)})
    with pytest.raises(CheckpointError, match="storage"):
        read_checkpoint(path)


def test_a_view_that_is_conjugate_is_refused(tmp_path):
    torch.save({"state_dict": {"a": torch.tensor([1j]).conj()}, "hyper_parameters": {}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="describes rebuild_tensor"):
        read_checkpoint(tmp_path / "a.ckpt")
