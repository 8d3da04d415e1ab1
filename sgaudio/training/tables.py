"""Tables that say what to train on: tab-separated text without quoting, whose first line names the columns.

Every prepare.py writes them beside a corpus, or elsewhere; what stands in which column says who reads it: `sgaudio.training.data`,
`sgaudio.training.pairs`, `sgaudio.audio.mixtures`.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgaudio.audio.files import replacement
from sgaudio.errors import ConfigError

Row = tuple[object, ...]  # files in it are paths
UNFIT = re.compile("[\t\r\n\ud800-\udfff]")  # ends of fields and lines, and what is no text


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table that has at least these columns.

    Raises:
        ConfigError: where it is missing or no such table, or has no rows.
    """
    if not path.is_file():
        raise ConfigError(f"data: {path}: no such table")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"data: {path}: no table that can be read ({error})") from error
    if not rows or not set(columns) <= set(rows[0]):
        raise ConfigError(f"data: {path}: no rows with the columns {', '.join(columns)}: has it a first line that names its columns?")
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a table, which appears when it is whole; its files are named from its folder where they lie below it, else in full.

    Returns:
        A line that says what was written.

    Raises:
        ConfigError: where there is no row, or one that a table cannot hold.
        AudioError: where it cannot be written.
    """
    if not rows:
        raise ConfigError(f"{path}: nothing to write: is all sound for it missing, silent or too short?")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [[str(place(cell, path.parent) if isinstance(cell, Path) else cell) for cell in row] for row in (tuple(columns), *rows)]
    for cell in (cell for line in lines for cell in line if UNFIT.search(cell)):
        raise ConfigError(f"{path}: {cell!r} holds a tab, the end of a line or no text, for which a table has no place: rename it")
    with replacement(path) as temporary:
        temporary.write_text("".join("\t".join(line) + "\n" for line in lines), encoding="utf-8")
    return f"{path}: {len(rows)} rows\n"


def place(file: Path, folder: Path) -> Path:
    """How a table in `folder` names a file."""
    file, folder = file.resolve(), folder.resolve()
    return file.relative_to(folder) if file.is_relative_to(folder) else file


def beside(table: Path, name: str) -> Path:
    """The file that a table names: from its folder, or from the one above."""
    path = table.parent / name
    return path if path.exists() or not (above := table.parent.parent / name).exists() else above


def whole(table: Path, row: Mapping[str, str], column: str) -> int | None:
    """A whole number of a row, None where there is none."""
    text = row.get(column) or ""
    if text and not (text.isascii() and text.isdigit()):
        raise ConfigError(f"data: {table}: {column} of {row['file']} is {text!r}, expected a number of samples")
    return int(text) if text else None
