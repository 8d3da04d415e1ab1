"""Corpora in miniature, and their recipes built as training builds them."""

import csv
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from sgaudio.training.compose import HOUSE, compose


class Ran(NamedTuple):
    """Exit code and what was written to standard output and error."""

    status: int
    out: str
    error: str


@pytest.fixture
def prepare(capsys, monkeypatch) -> Callable[..., Ran]:
    """Run the prepare.py of a corpus as a script: `prepare("wsj0_chime3", root, "--seed", 1)`."""

    def run(corpus: str, *arguments: object) -> Ran:
        monkeypatch.syspath_prepend(HOUSE / corpus)
        script = runpy.run_path(str(HOUSE / corpus / "prepare.py"))
        try:
            status = script["main"]([str(argument) for argument in arguments])
        except SystemExit as left:  # of argparse, on wrong use
            status = int(left.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> Callable[..., object]:
    """A recipe of the house by its name, built."""
    monkeypatch.chdir(tmp_path)

    def build(name: str, *arguments: str) -> object:
        from sgaudio.training.recipe import recipe_from_mapping

        return recipe_from_mapping(compose(name, arguments))

    return build


def write_sound(path: Path, samples: int = 800, rate: int = 16_000, channels: int = 1) -> Path:
    """A short hiss, another for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hiss = np.random.default_rng(list(path.name.encode())).normal(0, 0.1, (samples, channels))
    soundfile.write(path, hiss, rate)
    return path


def read_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def one_line(ran: Ran, *words: str) -> None:
    """It failed, and said why in one line with these words."""
    assert ran.status == 1
    assert ran.error.startswith("prepare: ")
    assert ran.error.count("\n") == 1
    for word in words:
        assert word in ran.error
