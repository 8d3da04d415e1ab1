"""The check of the compact corpus names what is missing."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

PREPARE = Path(__file__).parents[2] / "recipes" / "compact" / "prepare.py"


@pytest.fixture
def corpus(tmp_path):
    """The smallest corpus that is whole."""
    for folder in ("speech", "noise", "rir", "devset"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.flac", np.zeros(1600), 16_000)
    for table in ("speech/manifest.tsv", "noise/manifest.tsv", "rir/rir_train.tsv"):
        (tmp_path / table).write_text(f"file\tstart\tstop\n{table.split('/')[0]}/a.flac\t0\t1600\n")
    (tmp_path / "devset" / "mixtures.tsv").write_text("id\tspeech\tnoise\tsnr_db\na\ta.flac\ta.flac\t0\n")
    return tmp_path


def check(*arguments: object) -> int:
    return runpy.run_path(str(PREPARE))["main"]([str(argument) for argument in arguments])


def test_a_whole_corpus_passes(corpus, capsys):
    assert check(corpus) == 0
    assert "the corpus is whole" in capsys.readouterr().out


def test_every_fault_is_named(corpus, capsys):
    (corpus / "rir" / "rir_train.tsv").unlink()
    (corpus / "noise" / "a.flac").unlink()
    (corpus / "devset" / "a.flac").write_text("no sound")
    soundfile.write(corpus / "speech" / "a.flac", np.zeros(1599), 16_000)
    assert check(corpus) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for words in ("rir_train.tsv: no such table", "noise/a.flac: missing", "devset/a.flac: cannot be read", "has 1599 samples"):
        assert any(words in line for line in lines)


def test_wrong_use_exits_2():
    assert check() == 2
