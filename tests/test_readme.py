"""What the README promises, run as it stands."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from sgaudio.evaluation.report import number
from sgaudio.metrics import METRICS
from sgaudio.processes import PROCESSES
from sgaudio.solvers import SOLVERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_four_lines_of_python_run(monkeypatch, tmp_path):
    lines = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "egs").symlink_to(ROOT / "egs")
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "README.md", "exec"), {})
    before, after = (soundfile.info(path) for path in (ROOT / "egs" / "quickstart" / "noisy.wav", tmp_path / "enhanced.wav"))
    assert (after.frames, after.samplerate, after.channels) == (before.frames, before.samplerate, before.channels)


def test_its_lines_for_one_s_own_network_run():
    lines = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[2]
    state = torch.ones(1, 1, 4, 5)
    names = {"denoise": lambda x, time: 0.5 * x, "start": state, "noisy": state}
    exec(compile(lines, "README.md", "exec"), names)
    assert names["clean"].shape == state.shape


def test_its_numbers_of_processes_and_solvers_are_those_of_the_registries():
    assert f"{len(PROCESSES)} processes" in README
    assert f"{len(SOLVERS)} solvers" in README


def test_its_commands_stand_at_the_top():
    commands = re.findall(r"^    (.+)$", README, re.MULTILINE)
    assert commands[0] == "pip install . && sgaudio enhance egs/quickstart/noisy.wav -o enhanced.wav"
    assert commands[1] == "pip install '.[dev]' && pytest"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_its_links_lead_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("command", ["enhance", "evaluate"])
def test_options_that_it_names_are_known(command):
    program = [sys.executable, "-c", "from sgaudio.cli import main; main()", command, "--help"]
    text = subprocess.run(program, capture_output=True, text=True).stdout
    options = re.findall(r"--[a-z-]+", " ".join(re.findall(rf"^    sgaudio {command} (.+)$", README, re.MULTILINE)))
    assert options
    for option in options:
        assert option in text


@pytest.mark.parametrize("page", ["README.md", "sgaudio/weights/denoise.md", "egs/benchmark/README.md"])
def test_its_figures_are_those_of_the_benchmark(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    found = json.loads((ROOT / "egs/benchmark/results/results.json").read_text(encoding="utf-8"))
    columns = [column for metric in ("pesq-wb", "estoi", "si-sdr", "dnsmos", "wer") for column in METRICS[metric].columns]
    assert "| | " + " | ".join(column.title for column in columns) + " |" in text
    for system, means in found["means"].items():
        assert f"| {system} | " + " | ".join(number(means[column.name]["mean"], column) for column in columns) + " |" in text
