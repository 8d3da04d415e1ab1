"""What the README promises, run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_four_lines_of_python_run(monkeypatch, tmp_path):
    lines = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    (tmp_path / "egs").symlink_to(ROOT / "egs")
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "README.md", "exec"), {})
    before, after = (soundfile.info(path) for path in (ROOT / "egs" / "quickstart" / "noisy.wav", tmp_path / "enhanced.wav"))
    assert (after.frames, after.samplerate, after.channels) == (before.frames, before.samplerate, before.channels)


def test_its_commands_stand_at_the_top():
    commands = re.findall(r"^    (.+)$", README, re.MULTILINE)
    assert commands[0] == "pip install . && sgaudio enhance egs/quickstart/noisy.wav -o enhanced.wav"
    assert commands[1] == "pip install '.[dev]' && pytest"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_its_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_options_that_it_names_are_known():
    text = subprocess.run(
        [sys.executable, "-c", "from sgaudio.cli import main; main()", "enhance", "--help"], capture_output=True, text=True
    ).stdout
    for option in re.findall(r"--[a-z-]+", " ".join(re.findall(r"^    sgaudio (.+)$", README, re.MULTILINE))):
        assert option in text
