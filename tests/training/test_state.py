"""A state comes back as it was, and nothing else is taken for one."""

import pytest
import torch
from safetensors.torch import save_file

from sgaudio.errors import CheckpointError
from sgaudio.training.state import read_state, write_state

CPU = torch.device("cpu")


def test_a_tree_comes_back(tmp_path):
    tensors = [
        torch.arange(3),
        torch.ones(2, 2, dtype=torch.complex64),
        torch.tensor(0.1, dtype=torch.float64),
        torch.rand(2, 3, 4).permute(2, 0, 1),
    ]
    tree = {"a": {"b": tensors, "none": None}, "step": 3, "weights": {"x": torch.zeros(0)}, "text": "tensors: none", "list": [1.5, True]}
    write_state(tmp_path / "s", tree)
    found = read_state(tmp_path / "s", CPU)
    assert all(torch.equal(one, other) and one.dtype == other.dtype for one, other in zip(found["a"]["b"], tensors, strict=True))
    assert torch.equal(found["weights"]["x"], torch.zeros(0))
    assert found["a"]["b"][-1].stride() == tensors[-1].stride()
    for name in ("step", "text", "list"):
        assert found[name] == tree[name]
    assert found["a"]["none"] is None


def test_integer_keys_become_strings(tmp_path):
    write_state(tmp_path / "s", {"state": {0: {"step": torch.tensor(2.0)}}})
    assert read_state(tmp_path / "s", CPU)["state"]["0"]["step"] == 2


def test_other_files_are_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "model")
    (tmp_path / "text").write_text("no tensors")
    for name, words in {"model": "no state of a training run", "text": "no state of a training run", "gone": "no such file"}.items():
        with pytest.raises(CheckpointError, match=words):
            read_state(tmp_path / name, CPU)
