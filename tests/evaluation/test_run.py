"""Runs: nothing is scored twice, nothing depends on the number of processes, and one that ends takes nothing along."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from sgaudio.evaluation import Folder, Unprocessed, folders, mixed, models, pairs
from sgaudio.evaluation.run import finished, plan, run, scored_side_by_side
from sgaudio.evaluation.systems import Estimate

from .conftest import put, sound

OWN = ("si-sdr", "lsd", "level")


@dataclass(frozen=True)
class Deadly:
    """Ends its process on one item."""

    name: str = "deadly"
    item: str = "deep/two"

    def about(self):
        return {}

    def files(self, item):
        return ()

    def estimate(self, item, sounds):
        if item.name == self.item:
            os.kill(os.getpid(), signal.SIGKILL)
        return Estimate(sounds.noisy, sounds.sample_rate)


@pytest.fixture
def tasks(tree):
    items, _ = pairs(tree / "clean", tree / "noisy", [tree / "enhanced"])
    return lambda align=False: plan(items, [Folder("enhanced", tree / "enhanced"), Unprocessed()], OWN, align)


def test_a_finished_sound_is_not_scored_twice(tree, tasks, monkeypatch):
    journal = tree / "scores.jsonl"
    first = run(tasks(), journal, jobs=0)
    text = journal.read_text()
    monkeypatch.setattr("sgaudio.evaluation.run.score", lambda task: pytest.fail("scored again"))
    seen = []
    assert run(tasks(), journal, 0, seen.append) == first == seen
    assert journal.read_text() == text


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_an_interrupted_run_goes_on_where_it_stopped(tree, tasks, kept, monkeypatch):
    journal = tree / "scores.jsonl"
    whole = run(tasks(), journal, jobs=0)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[: kept + 1]) + lines[kept + 1][:40])  # of the settings and some records, and half a line
    assert list(finished(journal).values()) == whole[:kept]
    scored = []
    from sgaudio.evaluation.scoring import score

    monkeypatch.setattr("sgaudio.evaluation.run.score", lambda task: scored.append(task) or score(task))
    assert run(tasks(), journal, jobs=0) == whole
    assert len(scored) == len(whole) - kept
    assert journal.read_text() == "".join(lines)


def test_a_sound_an_option_or_a_system_that_changed_is_scored_again(tree, tasks):
    keys = [task.key for task in tasks()]
    assert [task.key for task in tasks()] == keys
    assert not {task.key for task in tasks(align=True)} & set(keys)
    put(tree / "enhanced/one.wav", sound(5))
    assert [task.key == key for task, key in zip(tasks(), keys, strict=True)] == [True] * 4 + [False, True]
    put(tree / "clean/one.wav", sound(5))
    assert [task.key == key for task, key in zip(tasks(), keys, strict=True)] == [True] * 4 + [False] * 2


def test_a_row_of_a_table_that_changed_is_scored_again(tree):
    def keys():
        return [task.key for task in plan(mixed(tree / "mixtures.tsv")[0], [Unprocessed()], OWN, False)]

    before = keys()
    text = (tree / "mixtures.tsv").read_text()
    (tree / "mixtures.tsv").write_text(text.replace("\t10\t", "\t11\t"))
    assert [key == old for key, old in zip(keys(), before, strict=True)] == [True, False]


def test_what_failed_is_tried_again(tree, tasks):
    (tree / "enhanced/one.wav").unlink()
    journal = tree / "scores.jsonl"
    reason = f"{tree / 'enhanced/one.wav'}: no such file or directory"
    assert [record.failures for record in run(tasks(), journal, 0)][-2] == dict.fromkeys(OWN, reason)
    tries = []
    run(tasks(), journal, 0, lambda record: tries.append(record.item))
    assert tries[-1] == "one"
    assert len(tries) == 6


def test_nothing_depends_on_the_number_of_processes(tree, tasks, tiny):
    items, _ = pairs(tree / "clean", tree / "noisy")
    plans = plan(items, [*models([str(tiny)], steps=[1, 2], device="cpu"), Unprocessed()], OWN, False)
    found = [run(plans, tree / f"{jobs}.jsonl", jobs) for jobs in (1, 3)]
    assert found[0] == found[1]
    assert (tree / "1.jsonl").read_bytes() == (tree / "3.jsonl").read_bytes()
    assert all(not record.failures for record in found[0])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_model_on_a_gpu_scores_as_on_the_processor(tree, tiny):
    items, _ = pairs(tree / "clean", tree / "noisy")
    found = [run(plan(items, models([str(tiny)], device=device), OWN, False), tree / f"{device}.jsonl", 3) for device in ("cpu", "cuda")]
    for on_cpu, on_gpu in zip(*found, strict=True):
        assert on_gpu.scores == pytest.approx(on_cpu.scores, abs=1e-3)
        assert not on_gpu.failures


def test_a_process_that_ends_takes_no_other_sound_along(tree, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where other processes find the class above
    items, _ = pairs(tree / "clean", tree / "noisy")
    tasks = plan(items, [Deadly(), Unprocessed()], OWN, False)
    records = {(record.item, record.system): record for record in scored_side_by_side(tasks, 2)}
    assert len(records) == 6
    dead = records.pop(("deep/two", "deadly"))
    assert set(dead.failures.values()) == {"the process that scored it ended: a fault in a package, or no memory left"}
    assert all(not record.failures for record in records.values())


def test_folders_are_called_by_what_tells_them_apart(tree):
    for folder in ("runs/a/out", "runs/b/out", "runs/c/else"):
        (tree / folder).mkdir(parents=True)
    names = [system.name for system in folders([tree / "runs/a/out", tree / "runs/b/out", tree / "runs/c/else"])]
    assert names == ["a/out", "b/out", "c/else"]
    assert [system.name for system in folders([tree / "runs/a/out"])] == ["out"]


def test_records_are_plain_text(tree, tasks):
    run(tasks(), tree / "scores.jsonl", 0)
    for line in (tree / "scores.jsonl").read_text().splitlines()[1:]:
        record = json.loads(line)
        assert all(np.isfinite(value) for value in record["scores"].values())
