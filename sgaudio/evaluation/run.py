"""Every item by every system, several side by side; what is finished is written down at once, and not scored twice."""

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from sgaudio.evaluation.environment import code, versions
from sgaudio.evaluation.items import Item, digest
from sgaudio.evaluation.scoring import Record, Task, estimated, score, scored
from sgaudio.evaluation.storage import save_text
from sgaudio.evaluation.systems import System, on_cpu
from sgaudio.metrics import METRICS

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OnRecord = Callable[[Record], None]
"""Called with each record, in the order in which they are finished."""


def plan(items: Sequence[Item], systems: Sequence[System], metrics: Sequence[str], align: bool) -> list[Task]:
    """A task for each item and system. Its key covers sounds, system, metrics, their packages and our own code."""
    known: dict[Path, str] = {}
    rules = [code(), versions(), {name: METRICS[name].versions() for name in metrics}, align]
    tasks = []
    for item in items:
        sound = digest(item.files, known)
        for system in systems:
            parts = [rules, item.about(), sound, system.name, system.about(), digest(system.files(item), known)]
            key = sha256(json.dumps(parts).encode()).hexdigest()
            tasks.append(Task(item, system, tuple(metrics), align, key, sound))
    return tasks


def run(
    tasks: Sequence[Task],
    journal: Path,
    jobs: int,
    on_record: OnRecord = lambda record: None,
    settings: Mapping[str, Any] | None = None,
) -> list[Record]:
    """The records of all tasks, in their order.

    Args:
        journal: a file of settings and records, a line each; records of earlier runs without a failure are taken over.
        jobs: processes. Each computes on one thread, so that nothing depends on their number; 0 for none but this one.
        settings: in the journal's first line, for `settings_of`.

    Raises:
        AudioError: where the journal cannot be written.
    """
    earlier = finished(journal)
    records = {task.key: earlier[task.key] for task in tasks if task.key in earlier and not earlier[task.key].failures}
    for record in records.values():
        on_record(record)
    missing = [task for task in tasks if task.key not in records]
    head = _line({"settings": settings})
    save_text(journal, head + "".join(_line(record.to_mapping()) for record in earlier.values()))
    with journal.open("a", encoding="utf-8") as file:
        for record in scored_side_by_side(missing, jobs):
            records[record.key] = record
            file.write(_line(record.to_mapping()))
            file.flush()
            on_record(record)
    ordered = {task.key: records[task.key] for task in tasks}
    save_text(journal, head + "".join(_line(record.to_mapping()) for record in ordered.values()))
    return list(ordered.values())


def finished(journal: Path) -> dict[str, Record]:
    """The records of a journal by their keys; a line that an interruption cut is left out, as is that of the settings."""
    found = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[record.key] = record
    return found


def settings_of(journal: Path) -> Any:
    """Those of the run that wrote a journal; None where there is none, or its first line is no such."""
    try:
        with journal.open(encoding="utf-8", errors="replace") as file:
            return json.loads(file.readline())["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def scored_side_by_side(tasks: Sequence[Task], jobs: int) -> Iterator[Record]:
    """The records of the tasks as they are finished."""
    with _one_thread():
        if jobs and tasks:
            yield from _by_processes(tasks, min(jobs, len(tasks)))
        else:
            yield from map(score, tasks)


def _by_processes(tasks: Sequence[Task], jobs: int) -> Iterator[Record]:
    waiting = deque(tasks)
    while waiting:
        pending: dict[Future[Record], Task] = {}
        with _pool(jobs) as pool:
            try:
                while waiting or pending:
                    while waiting and len(pending) < 2 * jobs:
                        pending[_submitted(pool, waiting[0])] = waiting[0]
                        waiting.popleft()
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        record = future.result()
                        del pending[future]
                        yield record
                continue
            except BrokenProcessPool:
                pass
        for task in pending.values():  # one of them ended the process, and took the others along
            yield _alone(task)


def _alone(task: Task) -> Record:
    with _pool(1) as pool:
        try:
            return _submitted(pool, task).result()
        except BrokenProcessPool:
            return scored(task, "the process that scored it ended: a fault in a package, or no memory left")


def _submitted(pool: ProcessPoolExecutor, task: Task) -> Future[Record]:
    """A GPU's model runs in this process, one estimate after the other; all else in the pool."""
    made = () if on_cpu(task.system) else (estimated(task),)
    with _deaf():
        return pool.submit(scored, task, *made) if made else pool.submit(score, task)


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end at once where this one is interrupted."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    pool.shutdown()


@contextmanager
def _deaf() -> Iterator[None]:
    """For a process that starts here: Ctrl-C goes to all of a terminal, and only the parent answers."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For this process, and for those that it starts."""
    before, threads = {name: os.environ.get(name) for name in THREADS}, torch.get_num_threads()
    os.environ.update(dict.fromkeys(THREADS, "1"))
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, allow_nan=False) + "\n"  # in ASCII: names may hold what is no text, or ends a line
