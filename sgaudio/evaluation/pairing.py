"""Which sounds belong together: those of one name, never those of one place in a list."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgaudio.audio.formats import SUFFIXES, is_audio
from sgaudio.audio.mixtures import read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.evaluation.items import Item
from sgaudio.metrics import Need


def pairs(
    clean: Path | None = None, noisy: Path | None = None, estimates: Sequence[Path] = (), text: Path | None = None
) -> tuple[list[Item], list[str]]:
    """The sounds that have one relative path, without suffix, in these folders, and a line for each folder that holds others.

    Args:
        clean, noisy: folders.
        estimates: folders; a sound counts that lies in one of them. Without such, those of `noisy` count.
        text: a table, a line a sound: name, tab, what is said.

    Raises:
        ConfigError: where a folder or the table cannot be used, or no name is common.
    """
    listings = {folder: sounds_below(folder) for folder in (clean, noisy, *estimates) if folder}
    names = {name for folder in (estimates or [noisy]) if folder for name in listings[folder]}
    if clean:
        names &= listings[clean].keys()
    if not names:
        examples = " and ".join(f"{next(iter(found))!r} in {folder}" for folder, found in listings.items())
        raise ConfigError(f"no sound has the same name (path below the folder, without suffix) in all folders: there are {examples}")
    texts = _texts(text, names) if text else {}
    files = [{} if folder is None else listings[folder] for folder in (clean, noisy)]
    items = [
        Item(name, files[0].get(name), files[1].get(name), None, texts.get(name), _estimates(name, estimates, listings))
        for name in sorted(names)
    ]
    return items, _left_out(listings, names)


def mixed(table: Path, root: Path | None = None, estimates: Sequence[Path] = ()) -> tuple[list[Item], list[str]]:
    """The mixtures of a table (`sgaudio.audio.mixtures`), and a line for each folder of estimates that holds others.

    Raises:
        ConfigError: where the table or a folder cannot be used, or only some of the mixtures have a text.
    """
    listings = {folder: sounds_below(folder) for folder in estimates}
    items = [
        Item(mixture.name, mixture=mixture, text=mixture.text, estimates=_estimates(mixture.name, estimates, listings))
        for mixture in read_mixtures(table, root)
    ]
    silent = [item.name for item in items if not item.text]
    if 0 < len(silent) < len(items):
        raise ConfigError(f"{table}: the text of {silent[0]!r} is empty{_more(silent)}: give all or none")
    return items, _left_out(listings, {_without_suffix(item.name) for item in items})


def given(items: Sequence[Item]) -> set[Need]:
    """What there is besides the estimates."""
    needs: dict[Need, bool] = {
        "reference": any(item.mixture or item.clean for item in items),
        "noise": any(item.mixture or (item.clean and item.noisy) for item in items),
        "words": any(item.mixture or item.clean or item.text for item in items),
    }
    return {need for need, there in needs.items() if there}


def sounds_below(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """The sound files at any depth of a folder, by their relative path without suffix; hidden ones are passed over.

    Raises:
        ConfigError: where there is none, or two have one name.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"{root}: no such folder")
    found: dict[str, Path] = {}
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        raise ConfigError(f"{error.filename}: {(error.strerror or '').lower()}")

    for parent, folders, names in os.walk(root, followlinks=True, onerror=unreadable):
        seen.add(os.path.realpath(parent))  # a link may lead back up
        folders[:] = sorted(name for name in folders if not name.startswith(".") and os.path.realpath(Path(parent) / name) not in seen)
        for path in (Path(parent) / name for name in sorted(names) if not name.startswith(".") and is_audio(Path(name))):
            name = path.relative_to(root).with_suffix("").as_posix()
            if name in found:
                raise ConfigError(f"{root}: {found[name].name} and {path.name} have one name: they cannot be told apart")
            found[name] = path
    if not found:
        raise ConfigError(f"{root}: no sound files in this folder")
    return dict(sorted(found.items()))


def _estimates(name: str, folders: Sequence[Path], listings: Mapping[Path, Mapping[str, Path]]) -> tuple[tuple[Path, Path], ...]:
    name = _without_suffix(name)
    return tuple((folder, listings[folder][name]) for folder in folders if name in listings[folder])


def _left_out(listings: Mapping[Path, Mapping[str, Path]], names: set[str]) -> list[str]:
    lines = []
    for folder, found in listings.items():
        if others := [name for name in found if name not in names]:
            lines.append(f"{folder}: left out for want of a counterpart: {others[0]!r}{_more(others)}")
    return lines


def _texts(table: Path, names: set[str]) -> dict[str, str]:
    try:
        lines = table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{table}: no text that can be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from error
    texts = {}
    for place, line in enumerate(lines, start=1):
        name, tab, said = line.partition("\t")
        if not line.strip():
            continue
        if not (tab and said.strip()):
            raise ConfigError(f"{table}: line {place}: a name, a tab and a text are expected")
        name = _without_suffix(name)
        if name in texts:
            raise ConfigError(f"{table}: line {place}: {name!r} stands there a second time")
        texts[name] = said.strip()
    missing = sorted(names - texts.keys())
    if missing:
        raise ConfigError(f"{table}: no line for {missing[0]!r}{_more(missing)}")
    return texts


def _without_suffix(name: str) -> str:
    """Without that of a sound file."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


def _more(names: Sequence[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
