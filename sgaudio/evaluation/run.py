"""Every item by every system, several side by side; what is finished is written down at once, and not scored twice."""

import json
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import torch

from sgaudio.audio.files import replacement
from sgaudio.evaluation.environment import versions
from sgaudio.evaluation.items import Item, digest
from sgaudio.evaluation.scoring import Record, Task, estimated, score, scored
from sgaudio.evaluation.systems import System, on_cpu
from sgaudio.metrics import METRICS

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
OnRecord = Callable[[Record], None]
"""Called with each record, in the order in which they are finished."""


def plan(items: Sequence[Item], systems: Sequence[System], metrics: Sequence[str], align: bool) -> list[Task]:
    """A task for each item and system. Its key covers sounds, system, metrics and their packages."""
    known: dict[Path, str] = {}
    rules = [versions(), {name: METRICS[name].versions() for name in metrics}, align]
    tasks = []
    for item in items:
        sound = digest(item.files, known)
        for system in systems:
            parts = [rules, item.about(), sound, system.name, system.about(), digest(system.files(item), known)]
            key = sha256(json.dumps(parts).encode()).hexdigest()
            tasks.append(Task(item, system, tuple(metrics), align, key, sound))
    return tasks


def run(tasks: Sequence[Task], journal: Path, jobs: int, on_record: OnRecord = lambda record: None) -> list[Record]:
    """The records of all tasks, in their order.

    Args:
        journal: a file of records, a line each; those of earlier runs without a failure are taken over. In the end it holds these records.
        jobs: processes. Each computes on one thread, so that nothing depends on their number.

    Raises:
        AudioError: where the journal cannot be written.
    """
    known = {key: record for key, record in finished(journal).items() if not record.failures}
    records = {task.key: known[task.key] for task in tasks if task.key in known}
    for record in records.values():
        on_record(record)
    missing = [task for task in tasks if task.key not in records]
    _write(journal, records)  # without those that no task asks for
    with journal.open("a", encoding="utf-8") as file:
        for record in scored_side_by_side(missing, jobs):
            records[record.key] = record
            file.write(_line(record))
            file.flush()
            on_record(record)
    ordered = {task.key: records[task.key] for task in tasks}
    _write(journal, ordered)
    return list(ordered.values())


def finished(journal: Path) -> dict[str, Record]:
    """The records of a journal by their keys; a line that an interruption cut is left out."""
    found = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[record.key] = record
    return found


def scored_side_by_side(tasks: Sequence[Task], jobs: int) -> Iterator[Record]:
    """The records of the tasks as they are finished."""
    with _one_thread():
        if min(jobs, len(tasks)) > 1:
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
    return pool.submit(score, task) if on_cpu(task.system) else pool.submit(scored, task, estimated(task))


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


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all of a terminal: the parent answers
    torch.set_num_threads(1)


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


def _write(journal: Path, records: Mapping[str, Record]) -> None:
    with replacement(journal) as temporary:
        temporary.write_text("".join(map(_line, records.values())), encoding="utf-8")


def _line(record: Record) -> str:
    return json.dumps(record.to_mapping(), ensure_ascii=False) + "\n"
