"""Processes that work ahead give the same as doing it oneself, and end in words."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sgaudio.errors import AudioError, SgaudioError
from sgaudio.training.ahead import Ahead

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def this_file_can_be_imported_by_a_process(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@dataclass(frozen=True)
class Squares:
    """What processes make here. At the number `bad` there is an error, at `deadly` the process dies."""

    bad: int = -1
    deadly: int = -1

    def __call__(self, number: int) -> torch.Tensor:
        if number == self.bad:
            raise AudioError("a.wav: truncated")
        if number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.tensor(number**2)


@pytest.mark.parametrize("workers", [0, 1])
def test_numbers_may_be_asked_for_from_anywhere_on(workers):
    random = torch.random.get_rng_state()
    squares = Ahead(Squares(bad=2), workers, CPU)
    assert [int(squares(number)) for number in (3, 4, 0, 1)] == [9, 16, 0, 1]
    with pytest.raises(AudioError, match=r"^a\.wav: truncated$"):
        squares(2)
    assert torch.equal(torch.random.get_rng_state(), random)


def test_a_killed_process_is_told_in_one_line_where_a_batch_is_asked_for():
    before = signal.getsignal(signal.SIGCHLD)
    squares = Ahead(Squares(deadly=5), 1, CPU)
    assert int(squares(0)) == 0
    with pytest.raises(SgaudioError, match=r"^data: a process that reads sound was killed before batch \d .*less data.workers$"):
        list(map(squares, range(1, 6)))
    assert signal.getsignal(signal.SIGCHLD) is before
