"""Results as files: a CSV with a line a file, JSON with all that is needed to run it again, and a Markdown page."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sgaudio.evaluation.results import Results, to_mapping
from sgaudio.evaluation.storage import save_text
from sgaudio.metrics import METRICS, Column
from sgaudio.metrics.statistics import DRAWS, Mean

ARROWS = {"highest": "↑", "lowest": "↓", "zero": "→ 0"}
NONE = "–"


def save_csv(path: Path, results: Results) -> None:
    """A line for each item and system: scores to all digits, what was found, and what failed."""
    columns = [column.name for column in results.columns]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "system", "snr_db", "seconds", "delay_s", *columns, "failed", "remarks"])
    for record in results.records:
        failed = "; ".join(f"{name}: {reason.removeprefix(METRICS[name].title + ': ')}" for name, reason in record.failures.items())
        scores = [record.scores.get(column, "") for column in columns]
        numbers = ["" if value is None else value for value in (record.snr_db, record.seconds, record.delay)]
        table.writerow([record.item, record.system, *numbers, *scores, failed, "; ".join(record.remarks)])
    save_text(path, text.getvalue())


def save_json(path: Path, results: Results, environment: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Means with their intervals, and under what they were found."""
    about = {
        "environment": environment,
        "settings": settings,
        "metrics": {column.name: {"better": column.best, "unit": column.unit} for column in results.columns},
        **to_mapping(results),
        "failures": [dict(zip(("file", "system", "metric", "reason"), row, strict=True)) for row in results.failures()],
        "delays": {system: {"seconds": delay, "files": count} for system, (delay, count) in results.delays().items()},
        "remarks": results.remarks(),
    }
    save_text(path, json.dumps(about, ensure_ascii=False, indent=2) + "\n")


def save_markdown(path: Path, results: Results, notes: Sequence[str] = ()) -> None:
    """Tables of means, of differences to the first system, and of groups of one signal-to-noise ratio; then what failed.

    Args:
        notes: lines to stand below the first table.
    """
    seconds = sum(record.seconds for record in results.records if record.system == results.systems[0])
    behind = " (over as many as stand behind, where some were not scored)" if results.failures() else ""
    intervals = f", with 95 % intervals ({DRAWS} resamplings of files)" if len(results.items) > 1 else ""
    first, *rest = results.systems
    parts = [
        "# Evaluation",
        _means(results),
        f"Means over {counted(len(results.items), 'file')}, {seconds:.0f} s{behind}{intervals}.",
        *notes,
    ]
    if rest:
        parts += [
            f"## Difference to {_plain(first)}",
            _differences(results, rest),
            "Means over the files that both have; bold where the interval excludes no difference.",
        ]
    if len(results.groups()) > 1:
        parts += ["## By signal-to-noise ratio", *(_by_ratio(results, column) for column in results.columns)]
    if delays := results.delays():
        lines = [f"- {_plain(system)}: {1000 * delay:+.2f} ms in {counted(count, 'file')}" for system, (delay, count) in delays.items()]
        parts += ["## Constant delays", "\n".join(lines)]
    if failures := results.failures():
        lines = [f"- {_plain(f'{item}, {system}: {what}: {reason}')}" for item, system, what, reason in failures]
        parts += [f"## Not scored: {counted(len(failures), 'time')}", "\n".join(lines)]
    if remarks := results.remarks():
        parts += [
            "## Changed before scoring",
            "\n".join(f"- {_plain(remark)} ({counted(count, 'file')})" for remark, count in remarks.items()),
        ]
    save_text(path, "\n\n".join(parts) + "\n")


def number(value: float | None, column: Column, sign: bool = False) -> str:
    """A score as tables show it."""
    return NONE if value is None else f"{value:{'+' if sign else ''}.{column.digits}f}".replace("-", "−")


def _means(results: Results) -> str:
    rows = []
    for system in results.systems:
        means = [(column, results.mean(column, system)) for column in results.columns]
        rows.append([system, *(_cell(mean, column) + _of(mean, len(results.items)) for column, mean in means)])
    return _table(["", *map(heading, results.columns)], rows)


def _differences(results: Results, systems: Sequence[str]) -> str:
    rows = []
    for system in systems:
        means = [(column, results.difference(column, system)) for column in results.columns]
        rows.append([system, *(_cell(mean, column, sign=True) + _of(mean, len(results.items)) for column, mean in means)])
    return _table(["", *map(heading, results.columns)], rows)


def _by_ratio(results: Results, column: Column) -> str:
    groups = results.groups()
    rows = [["files", *(str(int(chosen.sum())) for chosen in groups.values())]]
    for system in results.systems:
        means = [(results.mean(column, system, chosen), int(chosen.sum())) for chosen in groups.values()]
        rows.append([system, *(number(mean.value, column) + _of(mean, files) for mean, files in means)])
    return _table([heading(column), *(name.replace("-", "−") for name in groups)], rows)


def _cell(mean: Mean, column: Column, sign: bool = False) -> str:
    text = number(mean.value, column, sign)
    text = f"**{text}**" if sign and mean.excludes_zero else text
    return text if mean.low is None else f"{text} [{number(mean.low, column, sign)}, {number(mean.high, column, sign)}]"


def _of(mean: Mean, files: int) -> str:
    """Over how many files, where not over all."""
    return "" if mean.files == files else f" ({mean.files})"


def heading(column: Column) -> str:
    """Of a column: name, unit, and which way is better."""
    return f"{column.title} {ARROWS[column.best]}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_plain(name), *cells] for name, *cells in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A name or a reason, so that Markdown shows it as it is."""
    for letter in "\\|*<`[":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count} {noun}{'s' * (count != 1)}"
