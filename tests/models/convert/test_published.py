import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgaudio.errors import CheckpointError
from sgaudio.models.convert.published import Checkpoint, ema_weights, read_checkpoint, select

NAMES = ["dnn.output_layer.weight", "dnn.output_layer.bias", "dnn.all_modules.0.W", "dnn.all_modules.1.weight"]
OPTIONS = {
    "backbone": "ncsnpp",
    "sde": "ouve",
    "lr": 1e-4,
    "t_eps": 0.03,
    "num_eval_files": 20,
    "ch_mult": (1, 1, 2, 2),
    "attn_resolutions": [16],
    "normalize": "noisy",
    "dummy": False,
    "gpus": None,
    "spec_factor": 0.15,
    "theta": 1.5,
    "big": 2**40,
    "inf": float("inf"),
    "base_dir": "/data/für/wsj0",
}
CLASSES = {
    "sgmse.data_module": ["SpecsDataModule"],
    "pytorch_lightning.callbacks.model_checkpoint": ["ModelCheckpoint"],
    "pytorch_lightning.callbacks.early_stopping": ["EarlyStopping"],
}


def stub(monkeypatch):
    """The classes that published files name, as they were where the files were written."""
    found = {}
    for module, names in CLASSES.items():
        for part in range(1, module.count(".") + 2):
            parent = ".".join(module.split(".")[:part])
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        for name in names:
            found[name] = type(name, (), {"__module__": module})
            setattr(sys.modules[module], name, found[name])
    return found


def lightning(classes, shadow) -> dict:
    """What Lightning saves of a small network, with an average."""
    generator = torch.Generator().manual_seed(0)
    weights = OrderedDict(
        (name, torch.randn(shape, generator=generator)) for name, shape in zip(NAMES, [(3, 4), (4,), (8,), (2, 3, 4)], strict=True)
    )
    weights._metadata = OrderedDict([("", {"version": 1})])
    network = torch.nn.Linear(3, 4)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        "epoch": 326,
        "global_step": 408750,
        "pytorch-lightning_version": "1.6.5",
        "state_dict": weights,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
        "callbacks": {
            classes["ModelCheckpoint"]: {"monitor": "pesq", "best_model_score": np.float64(2.9), "current_score": torch.tensor(2.5)},
            classes["EarlyStopping"]: {"wait_count": 3, "patience": 50, "best_score": torch.tensor(np.inf), "stopped": np.bool_(False)},
        },
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {**OPTIONS, "data_module_cls": classes["SpecsDataModule"]},
        "ema": {"decay": 0.999, "num_updates": 7, "shadow_params": shadow(list(weights.values())), "collected_params": None},
    }


@pytest.fixture
def written(tmp_path):
    """A genuine file, and what was written into it; the classes that it names are gone."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        saved = lightning(stub(monkeypatch), lambda weights: [weight / 2 for weight in weights])
        torch.save(saved, tmp_path / "epoch=326-step=408750.ckpt")
    return tmp_path / "epoch=326-step=408750.ckpt", saved


def test_a_genuine_checkpoint_is_read_exactly_and_imports_nothing(written, equal):
    path, saved = written
    found = read_checkpoint(path)
    assert found.hyper_parameters == {**OPTIONS, "data_module_cls": "sgmse.data_module.SpecsDataModule"}
    assert list(found.weights) == NAMES
    assert all(equal(found.weights[name], saved["state_dict"][name]) for name in NAMES)
    assert found.shadow is not None
    assert all(map(equal, found.shadow, saved["ema"]["shadow_params"]))
    assert found.facts == {"epoch": 326, "global_step": 408750, "pytorch-lightning_version": "1.6.5", "decay": 0.999, "num_updates": 7}
    assert not sys.modules.keys() & {"sgmse", "pytorch_lightning"}


def test_only_weights_and_average_are_read_from_the_disk(written, monkeypatch):
    from sgaudio.models.convert.archive import Archive

    path, saved = written
    read, sizes = Archive.read, []
    monkeypatch.setattr(Archive, "read", lambda self, name: sizes.append(self.size(name)) or read(self, name))
    read_checkpoint(path)
    assert sizes[2:] == [tensor.nbytes for tensor in [*saved["state_dict"].values(), *saved["ema"]["shadow_params"]]]


def test_names_are_selected_and_the_rest_is_known_or_listed(written):
    path, saved = written
    saved["state_dict"]["pesq_loss.fbank"] = torch.zeros(3)
    saved["state_dict"]["table._float_tensor"] = torch.tensor([float("nan")])
    checkpoint = Checkpoint(path, {}, dict(saved["state_dict"]), None, {})
    found = select(checkpoint, NAMES[::-1], beside=["pesq_loss.*", "*._float_tensor"])
    assert list(found) == NAMES[::-1]
    with pytest.raises(CheckpointError, match=r"5 are expected: missing 'dnn.extra'; not known 'pesq_loss.fbank', 'table._float_tensor'$"):
        select(checkpoint, [*NAMES, "dnn.extra"])
    with pytest.raises(CheckpointError, match="'9', and 10 more; not known none"):
        select(checkpoint, [*NAMES, *map(str, range(20))], beside=["*"])


@pytest.mark.parametrize("left_out", [[], ["dnn.all_modules.0.W"]], ids=["torch-ema 0.3", "torch-ema 0.2"])
def test_an_average_of_all_or_of_the_trained_goes_by_order(written, equal, left_out):
    path, saved = written
    weights = dict(saved["state_dict"])
    averaged = {name: weight / 2 for name, weight in weights.items() if name not in left_out}
    found = ema_weights(Checkpoint(path, {}, weights, list(averaged.values()), {}), weights, untrained=["dnn.all_modules.0.W"])
    assert list(found) == NAMES
    assert all(equal(found[name], averaged.get(name, weights[name])) for name in NAMES)


def test_an_average_of_another_network_is_refused(written):
    path, saved = written
    weights = dict(saved["state_dict"])
    untrained = ["dnn.all_modules.0.W"]
    for count in (2, 5):
        checkpoint = Checkpoint(path, {}, weights, (list(weights.values()) * 2)[:count], {})
        with pytest.raises(CheckpointError, match=f"{count} tensors, .* expected 4, or 3 without"):
            ema_weights(checkpoint, weights, untrained)
    with pytest.raises(CheckpointError, match="4 tensors, 2 of them of another shape"):
        ema_weights(Checkpoint(path, {}, weights, [weights[NAMES[index]] for index in (1, 0, 2, 3)], {}), weights, untrained)
    with pytest.raises(CheckpointError, match="no 'ema'"):
        ema_weights(Checkpoint(path, {}, weights, None, {}), weights, untrained)


def test_a_file_without_average_says_so(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "hyper_parameters": {}}, tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt").shadow is None


@pytest.fixture
def sentinel(tmp_path):
    """A file that a payload would make."""
    path = tmp_path / "it_ran"
    yield path
    assert not path.exists()


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (exec, "open({!r}, 'w')"),
        (getattr, "{}"),
        (__import__, "{}"),
        (open, "{}"),
        (Path, "{}"),
        (torch.load, "{}"),
        (torch.jit.load, "{}"),
        (pickle.loads, b"cos\nsystem\n."),
        (set, "{}"),
        (torch.UntypedStorage, 4),
        (torch._utils._rebuild_tensor, 4),
        (np.frombuffer, "{}"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_payload_is_named_and_not_run(function, argument, forge, sentinel):
    argument = argument.format(str(sentinel)) if isinstance(argument, str) else argument
    path = forge.file("a.ckpt", {"a": forge.call(function, argument)})
    with pytest.raises(CheckpointError, match=rf"it names '[\w.]+\.{function.__name__}'") as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


class Armed:
    def __init__(self, path):
        self.path = path

    def __setstate__(self, state):
        Path(state["path"]).touch()

    def __reduce__(self):
        return OrderedDict, (), {"path": self.path, "__class__": Armed, "items": eval}


def test_a_state_is_not_set(forge, sentinel):
    with pytest.raises(CheckpointError, match="names"):
        read_checkpoint(forge.file("a.ckpt", {"a": Armed(str(sentinel))}))


def test_what_is_no_plain_option_is_refused(forge):
    endless = []
    endless.append(endless)
    for options in ({"a": {}}, {"a": [[1]]}, {"a": endless}, {"a": forge.tensor()}, {"a": [0] * 1001}, {1: 1}):
        with pytest.raises(CheckpointError, match=r"('a'|1) is neither"):
            read_checkpoint(forge.file("a.ckpt", options=options))


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ([1], "a list; expected"),
        ({"state_dict": {}, "epoch": 1}, "'state_dict', 'epoch'; expected"),
        ({"state_dict": [], "hyper_parameters": {}}, "no dictionary of names"),
        ({"state_dict": {1: 2}, "hyper_parameters": {}}, "no dictionary of names"),
        ({"state_dict": {"a": 2}, "hyper_parameters": {}}, "something else than tensors"),
        ({"state_dict": {}, "hyper_parameters": 1}, "no dictionary of at most"),
        ({"state_dict": {}, "hyper_parameters": dict.fromkeys(map(str, range(1001)), 1)}, "no dictionary of at most"),
        ({"state_dict": {}, "hyper_parameters": {}, "ema": 1}, "shadow_params"),
        ({"state_dict": {}, "hyper_parameters": {}, "ema": {"shadow_params": None}}, "shadow_params"),
        ({"state_dict": {}, "hyper_parameters": {}, "ema": {"shadow_params": [None]}}, "something else than tensors"),
    ],
)
def test_another_layout_is_refused(root, message, forge):
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(forge.file("a.ckpt", program=forge.pickled(root)))


def test_numbers_of_the_other_byte_order_are_refused(forge):
    with pytest.raises(CheckpointError, match="big-endian"):
        read_checkpoint(forge.file("a.ckpt", entries={"byteorder": b"big"}))


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((tmp_path, "a folder"), (tmp_path / "none.ckpt", "no such file"), (tmp_path / "pipe", "no such file")):
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(path)


def test_other_formats_of_torch_are_refused_by_name(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before torch 1\.6"):
        read_checkpoint(tmp_path / "old.pt")
    torch.save({"state_dict": {}, "hyper_parameters": {}}, tmp_path / "four.pt", pickle_protocol=4)
    with pytest.raises(CheckpointError, match=r"uses FRAME"):
        read_checkpoint(tmp_path / "four.pt")


@pytest.mark.filterwarnings("ignore")
def test_a_program_of_torch_is_refused_by_name(tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "script.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(tmp_path / "script.pt")


LIMITED = """
import resource, sys
from pathlib import Path
from sgaudio.errors import CheckpointError
from sgaudio.models.convert.published import read_checkpoint
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, [pages * resource.getpagesize() + 200 * 2**20] * 2)
try:
    bytearray(2**28)
except MemoryError:
    print("limited")
for path in sys.argv[1:]:
    try:
        read_checkpoint(path)
        print(path, "was read")
    except CheckpointError as error:
        print(error)
"""


def many(item, count, lead=b""):
    """A program that makes a list of `count` times what the program `item` makes."""
    return b"\x80\x02" + lead + b"](" + item * count + b"e."


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_no_file_takes_much_memory(forge):
    """All are refused by a process that may take 200 MiB beyond what torch itself takes."""
    small = forge.tensor()
    large = forge.tensor((2**18,), (1,), storage=forge.storage("1", 2**18))
    nested = [1]
    for _ in range(50):
        nested = [nested] * 10
    shadow = {"state_dict": {}, "hyper_parameters": {}, "ema": {"shadow_params": [small] * 100_000}}
    text = b"X\x80\x84\x1e\x00" + b"a" * 2_000_000
    deep = b"\x80\x02)" + b"\x85" * 200_000
    bombs = {
        forge.file("deflated", entries={"data/1": bytes(220 * 2**20)}, compression=zipfile.ZIP_DEFLATED, compresslevel=1): "compressed",
        forge.file("entries", entries={f"data/{index}": b"" for index in range(1, 20_000)}): "20002 entries",
        forge.file("stride", {"a": forge.tensor((200_000_000,), (0,))}): "a tensor of shape",
        forge.file("overflow", {"a": forge.tensor((2**40, 2**40), (2**40, 1))}): "a tensor of shape",
        forge.file("views", {str(index): large for index in range(1000)}, entries={"data/1": bytes(2**20)}): "would take 1048576000 bytes",
        forge.file("average", program=forge.pickled(shadow)): "more than 10000",
        forge.file("long", program=many(b"]", 3_000_000)): "3000006 bytes",
        forge.file("lists", program=many(b"]", 500_000)): "a list; expected",
        forge.file("tensors", program=many(b"h\0", 1_000_000, forge.pickled(small)[2:-1] + b"q\0")): "a list; expected",
        forge.file("calls", program=many(b"h\0)R", 300_000, b"ccollections\nOrderedDict\nq\0")): "a list; expected",
        forge.file(
            "arguments", program=many(b"h\0h\1R", 300_000, b"ccollections\nOrderedDict\nq\0(" + b"N" * 500_000 + b"tq\1")
        ): "arguments",
        forge.file(
            "bytes", program=many(b"h\0h\1R", 10_000, b"c_codecs\nencode\nq\0" + text + b"X\6\0\0\0latin1\x86q\1")
        ): "describes encode",
        forge.file("deep", program=deep + b"."): "a tuple; expected",
        forge.file("deep key", program=deep + b"q\0}h\0Ns."): "no dictionary of names",
        forge.file("nested", options={"a": nested}): "'a' is neither",
        forge.file("name", options={"a" * 2_000_000: [[]]}): "is neither",
    }
    run = subprocess.run([sys.executable, "-c", LIMITED, *bombs], capture_output=True, text=True, timeout=120, check=False)
    found = run.stdout.splitlines()
    assert found[0] == "limited"
    assert len(found) == len(bombs) + 1, run.stderr
    for line, (path, reason) in zip(found[1:], bombs.items(), strict=True):
        assert line.startswith(f"{path}: ")
        assert reason in line
        assert len(line) < 500


flips = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=5)


def damaged(data, changes):
    data = bytearray(data)
    for place, change in changes:
        data[int(place * len(data))] ^= change
    return bytes(data)


def is_refused_or_read(path):
    try:
        return bool(read_checkpoint(path))
    except CheckpointError as error:
        return str(error).isprintable()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips)
def test_a_damaged_file_is_refused_or_read(written, changes):
    path = written[0].with_name("damaged.ckpt")
    path.write_bytes(damaged(written[0].read_bytes(), changes))
    assert is_refused_or_read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips)
def test_a_damaged_pickle_is_refused_or_read(written, forge, changes):
    """Its checksum is made to fit, as whoever means harm would."""
    with zipfile.ZipFile(written[0]) as file:
        entries = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    assert is_refused_or_read(forge.file("damaged.ckpt", entries=entries | {"data.pkl": damaged(entries["data.pkl"], changes)}))
