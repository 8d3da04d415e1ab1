"""Batches made by processes that work ahead: for sound that is read from disk while the device learns."""

import itertools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from sgaudio.errors import SgaudioError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Numbered(Dataset[Any], Generic[Result]):
    """A function of a number as torch's loader wants it. An error is handed over, for the loader would wrap it in a report."""

    make: Callable[[int], Result]

    def __getitem__(self, number: int) -> Result | SgaudioError:
        try:
            return self.make(number)
        except SgaudioError as error:
            return error


class Ahead(Generic[Result]):
    """The results of a function of a batch's number, made by processes that work ahead of the one that asks.

    Args:
        make: can be pickled, as its results can.
        workers: processes, as many as there are cores at most; 0 for none.
        device: the results are to go to it.
    """

    def __init__(self, make: Callable[[int], Result], workers: int, device: torch.device):
        self.make, self.device, self.workers = make, device, min(workers, cores())
        self._next, self._results = -1, iter(())

    def __call__(self, number: int) -> Result:
        """
        Raises:
            SgaudioError: one that `make` raised, or where a worker died.
        """
        if not self.workers:
            return self.make(number)
        if number != self._next:
            self._results = self._begin(number)
        self._next = number + 1
        try:
            result = next(self._results)
        except (RuntimeError, OSError, EOFError) as error:  # as the loader notices it, or the pipe that its tensors come through
            self._next = -1
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise SgaudioError(
                f"data: a process that reads sound was killed before batch {number} ({reason}): is memory short? Take less data.workers"
            ) from error
        if isinstance(result, SgaudioError):
            raise result
        return result

    def _begin(self, number: int) -> Any:
        loader = DataLoader(
            Numbered(self.make),
            batch_size=None,
            sampler=itertools.count(number),  # pyright: ignore[reportArgumentType] - any iterable will do
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=heed_no_interrupt,
            multiprocessing_context="spawn",  # a process with threads and a GPU is not to be forked
            generator=torch.Generator(),  # or it would draw from torch's own
        )
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
            return iter(loader)
        before = signal.getsignal(signal.SIGCHLD)  # the loader's own handler raises wherever the program happens to be
        results = iter(loader)
        signal.signal(signal.SIGCHLD, before)
        return results


def heed_no_interrupt(worker: int) -> None:
    """Whoever asks for sound decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
