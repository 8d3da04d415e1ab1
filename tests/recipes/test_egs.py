"""The run.sh of the recipes: four stages, of which any can be the first; and the test set as files."""

import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sgaudio.training.compose import HOUSE, recipes

from .conftest import write_sound

EXAMPLES = Path(__file__).parents[2] / "egs"
TASKS = sorted(path.parent for path in EXAMPLES.glob("*/*/run.sh"))
TOLD = '#!/usr/bin/env bash\necho "$(basename "$0") $*" >> "$CALLS"\n'


@pytest.fixture
def run(tmp_path):
    """Run a copy of a run.sh, whose commands only say what they were called with: exit code, those, standard error."""
    (tmp_path / "bin").mkdir()
    for name in ("sgaudio", "python"):
        (tmp_path / "bin" / name).write_text(TOLD)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "root").mkdir()
    told = tmp_path / "calls"

    def call(task: Path, *arguments: str, **variables: str) -> tuple[int, list[str], str]:
        copy = tmp_path / "egs" / task.relative_to(EXAMPLES)
        shutil.copytree(task, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
        shutil.copy(EXAMPLES / "recipe.sh", tmp_path / "egs")
        (copy / "runs" / "enhanced" / "sgmse").mkdir(parents=True, exist_ok=True)
        told.write_text("")
        environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "CALLS": str(told), **variables}
        ran = subprocess.run([copy / "run.sh", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        return ran.returncode, told.read_text().splitlines(), ran.stderr

    return call


@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task.relative_to(EXAMPLES)))
def test_all_stages_run_in_order_with_recipes_that_exist(run, task):
    status, calls, error = run(task, "root")
    assert (status, error) == (0, "")
    trained = [call.split()[2] for call in calls if call.startswith("sgaudio train")]
    assert trained
    assert set(trained) <= set(recipes())
    assert re.match(rf"python \S*recipes/{trained[0].split('/')[0]}/prepare.py /\S+/root -o runs/tables", calls[0])
    kinds = [call.split()[1].rsplit("/")[-1] for call in calls]
    assert kinds == ["prepare.py", *["train"] * len(trained), "sounds.py", *["enhance"] * len(trained), "evaluate"]


def test_a_stage_can_be_the_first(run):
    task = EXAMPLES / "wsj0_chime3" / "denoise"
    assert [call.split()[1] for call in run(task, "root", "train")[1]] == ["train", "../../sounds.py", "enhance", "evaluate"]
    assert [call.split()[1] for call in run(task, "root", "evaluate")[1]] == ["evaluate"]


def test_models_options_and_preset_come_from_the_environment(run):
    task = EXAMPLES / "wsj0_chime3" / "denoise_low_snr"
    status, calls, _ = run(task, "root", MODELS="storm", TRAIN="trainer.devices=2 trainer.seed=3", PRESET="paper")
    assert status == 0
    assert calls[0].endswith("-o runs/tables --snr -6 14")
    common = "data.root=runs/tables trainer.output=runs/storm trainer.resume=true"
    assert calls[1] == f"sgaudio train wsj0_chime3/storm {common} trainer.devices=2 trainer.seed=3"
    assert calls[3].endswith("-o runs/enhanced/storm-paper --model runs/storm/best.safetensors --preset paper")


@pytest.mark.parametrize("arguments", [(), ("root", "training"), ("root", "train", "more")])
def test_wrong_use_exits_2(run, arguments):
    status, calls, error = run(EXAMPLES / "wsj0_chime3" / "denoise", *arguments)
    assert (status, calls) == (2, [])
    assert error == "usage: run.sh ROOT [prepare|train|enhance|evaluate]\n"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task.relative_to(EXAMPLES)))
def test_links_of_the_readme_lead_somewhere(task):
    page = (task / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page):
        assert (task / link).exists()


def write_files(*arguments: object) -> int:
    return runpy.run_path(str(EXAMPLES / "sounds.py"))["main"]([str(argument) for argument in arguments])


def test_pairs_become_files_at_the_rate_that_is_measured(tmp_path):
    write_sound(tmp_path / "c.wav", 4800, 48_000)
    write_sound(tmp_path / "n.wav", 4800, 48_000)
    (tmp_path / "test.tsv").write_text("id\tclean\tnoisy\np1/a\tc.wav\tn.wav\n")
    assert write_files(tmp_path / "test.tsv", "-o", tmp_path / "test") == 0
    for side in ("clean", "noisy"):
        info = soundfile.info(tmp_path / "test" / side / "p1" / "a.wav")
        assert (info.samplerate, info.frames, info.channels) == (16_000, 1600, 1)


def test_mixtures_become_files(tmp_path):
    write_sound(tmp_path / "s.wav", 1600)
    write_sound(tmp_path / "n.wav", 3200)
    (tmp_path / "test.tsv").write_text("id\tspeech\tnoise\tsnr_db\na\ts.wav\tn.wav\t6\n")
    assert write_files(tmp_path / "test.tsv", "-o", tmp_path / "test") == 0
    clean, noisy = (soundfile.read(tmp_path / "test" / side / "a.wav")[0] for side in ("clean", "noisy"))
    assert 20 * np.log10(np.linalg.norm(clean) / np.linalg.norm(noisy - clean)) == pytest.approx(6, abs=1e-3)


def test_a_table_or_a_sound_that_is_missing_is_named(tmp_path, capsys):
    assert write_files(tmp_path / "gone.tsv", "-o", tmp_path) == 1
    assert "gone.tsv" in capsys.readouterr().err
    (tmp_path / "test.tsv").write_text("id\tclean\tnoisy\na\tc.wav\tn.wav\n")
    assert write_files(tmp_path / "test.tsv", "-o", tmp_path / "test") == 1
    assert "c.wav" in capsys.readouterr().err


@pytest.mark.parametrize("corpus", ["voicebank_demand", "wsj0_chime3", "wsj0_reverb"])
def test_every_recipe_of_a_corpus_is_in_one_of_its_examples(corpus):
    scripts = [(task / "run.sh").read_text() for task in TASKS if task.parent.name == corpus]
    assert {name for script in scripts for name in re.search(r"models=\((.*)\)", script)[1].split()} == {
        path.stem for path in (HOUSE / corpus).glob("*.yaml")
    }
