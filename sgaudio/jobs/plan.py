"""What a job will read and write, settled and checked before anything runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sgaudio.audio.formats import is_audio
from sgaudio.errors import ConfigError
from sgaudio.jobs.outcome import Outcome

FROM_PIPE = "stdin.wav"  # the name in a folder of what came through the standard input


@dataclass(frozen=True)
class Task:
    """One sound to enhance; "-" is the standard input or output.

    Args:
        replaces: whether a file of that name may be there already.
    """

    source: str
    target: str
    replaces: bool = False


def plan(inputs: Sequence[str], out: str, *, overwrite: bool = False, skip_existing: bool = False) -> tuple[list[Task], list[Outcome]]:
    """The tasks, and what is settled without running: folders without sound, outputs that exist, links that are not followed.

    Args:
        inputs: files, folders (with all below them) and "-", in the order of work; files of a folder are sorted.
        out: for one file, a name with the suffix of a sound file, or "-"; else a folder, which keeps the trees of the folders.
        overwrite: replace outputs that exist.
        skip_existing: leave them, and what they come from, alone.

    Raises:
        ConfigError: where an output exists, is an input, is shared by two inputs, or lies outside of `out` through a link.
    """
    if overwrite and skip_existing:
        raise ConfigError("--overwrite and --skip-existing exclude each other: give one of them")
    found, settled = _found(inputs, out)
    folder = Path(out)
    if out == "-" or (is_audio(folder) and not folder.is_dir()):
        if len(inputs) > 1 or Path(inputs[0]).is_dir():
            what = "a folder" if len(inputs) == 1 else f"{len(inputs)} inputs"
            raise ConfigError(f"{out}: is the name of one sound, but the input is {what}: give a folder")
        targets = [out]
    else:
        if os.path.lexists(folder) and not folder.is_dir():
            raise ConfigError(f"{out}: is a file, not a folder")
        targets = [str(folder / name) for _, name in found]
        _check_inside(folder, targets)
    tasks = [Task(source, target, overwrite) for (source, _), target in zip(found, targets, strict=True)]
    _check_distinct(tasks)
    existing = [task for task in tasks if task.target != "-" and os.path.lexists(task.target)]
    if existing and skip_existing:
        settled += [Outcome(task.source, task.target, "skipped", "output exists") for task in existing]
        tasks = [task for task in tasks if task not in existing]
    elif existing and not overwrite:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise ConfigError(f"{existing[0].target}: exists{more}: use --overwrite or --skip-existing")
    return tasks, settled


def _found(inputs: Sequence[str], out: str) -> tuple[list[tuple[str, Path]], list[Outcome]]:
    """(source, name below the output folder) of all sounds, and what cannot be one."""
    found: list[tuple[str, Path]] = []
    settled: list[Outcome] = []
    for item in inputs:
        if item == "-":
            found.append((item, Path(FROM_PIPE)))
        elif Path(item).is_dir():
            files, odd = _sounds_in(Path(item), Path(out))
            found += [(str(file), file.relative_to(item)) for file in files]
            settled += odd
            if not files:
                settled.append(Outcome(item, status="failed", reason=f"{item}: no sound files in this folder"))
        else:
            found.append((item, Path(Path(item).name)))
    return found, settled


def _sounds_in(root: Path, out: Path) -> tuple[list[Path], list[Outcome]]:
    """Sorted sound files at any depth, and what is not followed or not readable. Hidden names, and `out` in it, are passed over."""
    real_root, real_out = root.resolve(), out.resolve()
    files: list[Path] = []
    odd: list[Outcome] = []

    def unreadable(error: OSError) -> None:
        odd.append(Outcome(str(error.filename), status="failed", reason=f"{error.filename}: {(error.strerror or '').lower()}"))

    for parent, folders, names in os.walk(root, onerror=unreadable):
        here = Path(parent)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != real_out]
        odd += [Outcome(str(here / name), status="skipped", reason="link to a folder") for name in folders if (here / name).is_symlink()]
        for path in (here / name for name in names if not name.startswith(".") and is_audio(Path(name))):
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                odd.append(Outcome(str(path), status="skipped", reason="link out of the folder"))
            elif not path.is_symlink() and not path.is_file():
                odd.append(Outcome(str(path), status="skipped", reason="no regular file"))
            else:
                files.append(path)
    return sorted(files), odd


def _check_inside(folder: Path, targets: Sequence[str]) -> None:
    root = folder.resolve()
    for target in targets:
        real = Path(target).parent.resolve()
        if not real.is_relative_to(root):
            raise ConfigError(f"{target}: lies outside of {folder}, through a link to {real}: remove the link")


def _check_distinct(tasks: Sequence[Task]) -> None:
    """No output is an input, by whatever name, and no two inputs share one."""
    sources = {_identity(task.source): task.source for task in tasks if task.source != "-" and Path(task.source).exists()}
    writers: dict[Path, str] = {}
    for task in tasks:
        if task.target == "-":
            continue
        target = Path(task.target)
        if target.exists() and _identity(task.target) in sources:
            raise ConfigError(f"{task.target}: is an input ({sources[_identity(task.target)]}): choose another output")
        place = target.parent.resolve() / target.name
        if place in writers:
            raise ConfigError(f"{writers[place]} and {task.source} would both be written to {task.target}: enhance them one by one")
        writers[place] = task.source


def _identity(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino
