"""Scores of many ways of enhancing the same sounds: a CSV that grows, a page of means, and a picture over calls of the network."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sgaudio.audio.picture import make_figure, save_figure
from sgaudio.evaluation.pictures import COLOURS, GREY, GRID
from sgaudio.evaluation.report import counted, heading, number
from sgaudio.evaluation.scoring import Record
from sgaudio.evaluation.storage import save_text
from sgaudio.metrics import METRICS, Column
from sgaudio.metrics.selection import DEFAULT
from sgaudio.metrics.statistics import mean

PREDICTOR = "predictor"  # instead of a solver: a first stage by itself, or a model that predicts the clean sound at once
CHOICE = (*DEFAULT, "wer")  # metrics that there are columns for
COLUMNS = tuple(column.name for name in CHOICE for column in METRICS[name].columns)
FIELDS = ("model", "weights", "solver", "steps", "calls", "file", "snr_db", "seconds", *COLUMNS, "words", "failed")
MARKERS = "osD^v"
Row = dict[str, str]


@dataclass(frozen=True)
class Way:
    """How sounds are enhanced: a model by a solver; or, without a model, something beside which it stands.

    Args:
        model: its name.
        weights: their digest.
        solver: or `PREDICTOR`, or the other thing.
        steps, calls: of the solver, and of the network.
    """

    model: str = ""
    weights: str = ""
    solver: str = ""
    steps: int = 0
    calls: int = 0

    @property
    def walks(self) -> bool:
        """Whether it is a solver's."""
        return bool(self.model) and self.solver != PREDICTOR

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.model, self.solver, f"{self.steps} steps" if self.walks else "")))


class Scores:
    """A row for each file in each way.

    Args:
        path: of the CSV; what is in it is read.
        files: what means are over.
    """

    def __init__(self, path: Path, files: Sequence[str]):
        self.path, self.files = path, files
        self.rows: dict[tuple[str, ...], Row] = {}
        if path.is_file():
            for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
                if None not in row and None not in row.values():  # a line that was cut is left out
                    self._put(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.save()

    def lacks(self, way: Way, file: str, columns: Iterable[str]) -> bool:
        """Whether one of the scores is still to be made."""
        row = self.rows.get(_key(way, file), {})
        return not all(row.get(column) for column in columns)

    def share(self, ways: Sequence[Way]) -> None:
        """What is known of one way is known of all of these, which are the same."""
        for file in self.files:
            known: Row = {}
            for way in ways:
                known |= self.rows.get(_key(way, file), {})
            for way in ways if known else ():
                self._put(known | _about(way))

    def add(self, way: Way, record: Record) -> None:
        """Write down at once what is known of a file."""
        row = _about(way) | {"file": record.item, "seconds": f"{record.seconds:.3f}"}
        row |= {"snr_db": "" if record.snr_db is None else f"{record.snr_db:g}"}
        row |= {name: f"{value:.6g}" for name, value in record.scores.items()}
        row |= {"failed": "; ".join(f"{name}: {reason}" for name, reason in record.failures.items())}
        self._put(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_lines([row]))

    def save(self) -> None:
        """Write all rows, in order."""
        save_text(self.path, ",".join(FIELDS) + "\n" + _lines(self.rows[key] for key in sorted(self.rows)))

    def mean(self, way: Way, column: Column) -> float | None:
        """Over the files that have a value; None while files are missing, and where none has one."""
        rows = [self.rows.get(_key(way, file)) for file in self.files]
        if not all(rows):
            return None
        values, weights = (
            np.array([float(row.get(name) or "nan") if row else np.nan for row in rows]) for name in (column.name, column.weight)
        )
        return mean(values, weights if column.weight else None).value

    def best(self, ways: Iterable[Way], column: Column) -> list[Way]:
        """Those that have a mean, the best one first."""
        means = {way: self.mean(way, column) for way in ways}
        sign = -1 if column.best == "highest" else 1
        return sorted((way for way in means if means[way] is not None), key=lambda way: sign * (means[way] or 0))

    def _put(self, row: Row) -> None:
        known = self.rows.setdefault(tuple(row[name] for name in (*FIELDS[:4], "file")), row)
        known |= {name: value for name, value in row.items() if value}


def save_page(path: Path, title: str, scores: Scores, ways: Sequence[Way], columns: Sequence[Column]) -> None:
    """Write Markdown: for each model, what is best at each number of calls, and all means.

    Args:
        columns: the best is best in the first one.
    """
    parts = [f"# {title}", f"Means over {len(scores.files)} files. Calls: of the network that is walked with; two stages make one more."]
    parts.append(_table(scores, [way for way in ways if not way.model], columns))
    for model in dict.fromkeys(way.model for way in ways if way.model):
        walks = [way for way in ways if way.model == model and way.walks]
        firsts = [way for way in ways if way.model == model and not way.walks]
        leaders = [
            scores.best((way for way in walks if way.calls == calls), columns[0])[:1] for calls in sorted({way.calls for way in walks})
        ]
        parts += [f"## {model}", _verdict(scores, walks, firsts, columns[0]), _table(scores, [*firsts, *chain(*leaders)], columns)]
        if walks:
            parts += ["All:", _table(scores, sorted(walks, key=lambda way: (way.solver, way.calls)), columns)]
    save_text(path, "\n\n".join(filter(None, parts)) + "\n")


def save_picture(path: Path, scores: Scores, ways: Sequence[Way], columns: Sequence[Column]) -> None:
    """Write a PNG: a column of panels a model, a row a score; a line a solver over calls, and level lines for what walks not.

    What is far below the first of those that are no model, the unprocessed sound, is out of the picture.
    """
    models = list(dict.fromkeys(way.model for way in ways if way.model))
    solvers = list(dict.fromkeys(way.solver for way in ways if way.walks))
    looks = {
        solver: {"color": COLOURS[row % len(COLOURS)], "marker": MARKERS[row % len(MARKERS)], "markersize": 4, "linewidth": 1.4}
        for row, solver in enumerate(solvers)
    }
    others = list(dict.fromkeys(way.solver for way in ways if not way.model))
    looks |= {other: {"color": GREY, "linestyle": (":", "--", "-.")[row % 3], "linewidth": 1.2} for row, other in enumerate(others)}
    looks[PREDICTOR] = {"color": "black", "linewidth": 1.2}
    figure = make_figure((1.6 + 3.2 * len(models), 1.2 + 2.3 * len(columns)))
    panels = figure.subplots(len(columns), len(models), squeeze=False, sharex=True, sharey="row")
    lines: dict[str, Any] = {}
    for model, panels_of_model in zip(models, panels.T, strict=True):
        for column, axis in zip(columns, panels_of_model, strict=True):
            for name, look in looks.items():
                found = [way for way in ways if way.solver == name and way.model in ("", model)]
                points = sorted((way.calls, value) for way in found if (value := scores.mean(way, column)) is not None)
                if points and name in solvers:
                    (lines[name],) = axis.plot(*zip(*points, strict=True), **look)
                elif points:
                    lines[name] = axis.axhline(points[0][1], **look)
            axis.grid(color=GRID, linewidth=0.6)
    for axis in panels.ravel():
        axis.set_xscale("log")
        axis.set_xticks(sorted({way.calls for way in ways if way.walks}) or [1])
        axis.minorticks_off()
        axis.xaxis.set_major_formatter(lambda calls, _: f"{calls:g}")
        axis.tick_params(axis="x", labelsize="small")
    for column, axis in zip(columns, panels[:, 0], strict=True):
        level = scores.mean(Way(solver=others[0]), column) if others else None
        if level is not None and column.best == "highest":
            low, high = axis.get_ylim()
            axis.set_ylim(max(low, level - (high - level) / 2), high)
    for model, axis in zip(models, panels[0], strict=True):
        axis.set_title(model, fontsize="medium", fontweight="bold", parse_math=False)
    for column, axis in zip(columns, panels[:, 0], strict=True):
        axis.set_ylabel(heading(column))
    for axis in panels[-1]:
        axis.set_xlabel("calls of the network")
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2 * max(1, len(models)), frameon=False, fontsize="small")
    save_figure(path, figure)


def _key(way: Way, file: str) -> tuple[str, ...]:
    return way.model, way.weights, way.solver, str(way.steps), file


def _about(way: Way) -> Row:
    return dict(zip(FIELDS, map(str, astuple(way)), strict=False))


def _lines(rows: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, FIELDS, "", lineterminator="\n").writerows(rows)
    return text.getvalue()


def _verdict(scores: Scores, walks: Sequence[Way], firsts: Sequence[Way], column: Column) -> str:
    """Which way is best, and how the first stage by itself compares."""
    ranked = scores.best(walks, column)
    if not ranked:
        return ""
    value, calls = number(scores.mean(ranked[0], column), column), counted(ranked[0].calls, "call")
    line = f"Best {column.name}: {value}, by {ranked[0].solver} in {calls}."
    for first in scores.best(firsts, column):
        word = "better" if scores.best([ranked[0], first], column)[0] is first else "not better"
        line += f" Its predictor by itself is {word}: {number(scores.mean(first, column), column)}."
    return line


def _table(scores: Scores, ways: Sequence[Way], columns: Sequence[Column]) -> str:
    """Of means, a row a way."""
    lines = [["", "steps", "calls", *map(heading, columns)], ["---"] * (3 + len(columns))]
    for way in ways:
        counts = [str(count) if way.walks else "" for count in (way.steps, way.calls)]
        lines.append([way.solver, *counts, *(number(scores.mean(way, column), column) for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
