"""What a person sees of an evaluation: progress and failures on the standard error, the means on the standard output."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from sgaudio.evaluation import Evaluation, Results
from sgaudio.evaluation.report import counted, heading, number
from sgaudio.evaluation.scoring import Record
from sgaudio.metrics import METRICS

MOST_LINES = 20  # of failures
UNLIMITED = 10_000  # columns of a pipe or a file


class EvaluationScreen:
    """Follows one evaluation."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def say(self, line: str) -> None:
        self.console.print(f"evaluate: {line}")

    @contextmanager
    def progress(self, evaluation: Evaluation) -> Iterator[None]:
        """A first line, and a bar with the time that is left, shown on a terminal only."""
        items, systems = len(evaluation.items), len(evaluation.systems)
        names = ", ".join(METRICS[name].title for name in evaluation.metrics)
        self.say(f"{counted(items, 'sound')} by {counted(systems, 'system')}: {names}")
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True) as self._progress:
            self._bar = self._progress.add_task("", total=items * systems)
            yield

    def scored(self, record: Record) -> None:
        """A record is finished."""
        self._progress.update(self._bar, advance=1, description=f"{record.system}: {record.item}")

    def summarise(self, results: Results, align: bool, out: Path) -> bool:
        """Print the means, what was found, and last what failed; whether nothing did."""
        table = Table("", *map(heading, results.columns), box=None, pad_edge=False)
        for system in results.systems:
            table.add_row(system, *(number(results.mean(column, system).value, column) for column in results.columns))
        console = Console(highlight=False, markup=False, emoji=False)
        console.width = console.width if console.is_terminal else UNLIMITED
        console.print(table)
        for system, (delay, count) in results.delays().items():
            what = "removed" if align else "--align removes it"
            self.say(f"{system}: {1000 * abs(delay):.2f} ms {'late' if delay > 0 else 'early'} in {counted(count, 'sound')}: {what}")
        changed = results.remarks()
        if changed:
            remark = next(iter(changed))
            self.say(f"changed before scoring: {remark} ({counted(changed[remark], 'sound')}){_more(len(changed))}")
        failures = results.failures()
        whole = sum(not record.failures for record in results.records)
        line = f"{counted(whole, 'estimate')} scored" if not failures else f"{whole} of {len(results.records)} estimates scored in full"
        self.say(f"{line}; results in {out}" + ("; not scored:" if failures else ""))
        for item, system, what, reason in failures[:MOST_LINES]:
            self.say(f"{item}, {system}: {what}: {reason}")
        if len(failures) > MOST_LINES:
            self.say(f"and {len(failures) - MOST_LINES} more, in {out / 'table.md'}")
        return not failures


def _more(count: int) -> str:
    return f", and {count - 1} other things: see table.md" if count > 1 else ""
