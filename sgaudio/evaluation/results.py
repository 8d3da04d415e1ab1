"""Scores by column, system and item, and what they come to: means, differences between systems, groups of one signal-to-noise ratio."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sgaudio.evaluation.scoring import Record
from sgaudio.evaluation.systems import UNPROCESSED
from sgaudio.metrics import METRICS, Column
from sgaudio.metrics.statistics import Mean, mean

MOST_GROUPS, GROUP = 8, 5.0  # more different ratios than this are put into groups so many dB wide


@dataclass(frozen=True)
class Results:
    """Of an evaluation.

    Args:
        systems: names, the one that others are compared with first.
        items: names.
        columns: those of the metrics that were asked for.
        records: one for each item and system, items outside.
    """

    systems: tuple[str, ...]
    items: tuple[str, ...]
    columns: tuple[Column, ...]
    records: tuple[Record, ...]

    def scores(self, column: str, system: str) -> np.ndarray:
        """One for each item, NaN where there is none."""
        return np.array([record.scores.get(column, np.nan) for record in self.records if record.system == system])

    def mean(self, column: Column, system: str, chosen: np.ndarray | None = None) -> Mean:
        """Over all items, or those that are `chosen` (item)."""
        return self._mean(column, system, self.scores(column.name, system), chosen)

    def difference(self, column: Column, system: str) -> Mean:
        """Of a system and the first one, over the items that both have."""
        return self._mean(column, self.systems[0], self.scores(column.name, system) - self.scores(column.name, self.systems[0]))

    def groups(self) -> dict[str, np.ndarray]:
        """Which items (item) have which signal-to-noise ratio, from low to high; none where it is not known."""
        known = {record.item: record.snr_db for record in self.records if record.snr_db is not None}
        ratios = np.round([known.get(item, np.nan) for item in self.items], 1) + 0.0  # those of files are measured; no -0
        different = np.unique(ratios[~np.isnan(ratios)])
        if len(different) <= MOST_GROUPS:
            return {f"{ratio:g} dB": ratios == ratio for ratio in different}
        lowest = np.unique(np.floor(different / GROUP) * GROUP)
        return {f"{low:g} to {low + GROUP:g} dB": (ratios >= low) & (ratios < low + GROUP) for low in lowest}

    def most_different(self, count: int) -> list[str]:
        """The items on which the first column's scores differ most between systems, the noisy sound apart."""
        compared = [system for system in self.systems if system != UNPROCESSED] if len(self.systems) > 2 else self.systems
        scores = np.stack([self.scores(self.columns[0].name, system) for system in compared])
        spread = np.where(np.isnan(scores).any(0), -1, scores.max(0) - scores.min(0))
        return [self.items[place] for place in np.argsort(-spread, kind="stable")[:count] if spread[place] >= 0]

    def failures(self) -> list[tuple[str, str, str, str]]:
        """(item, system, what failed, why), what failed for one reason together."""
        found = []
        for record in self.records:
            for reason in dict.fromkeys(record.failures.values()):
                names = [METRICS[name].title for name, why in record.failures.items() if why == reason]
                what = ", ".join(names)
                found.append((record.item, record.system, what, reason.removeprefix(f"{what}: ")))
        return found

    def delays(self) -> dict[str, tuple[float, int]]:
        """Of each system whose estimates are late (early: negative) in general: the commonest delay in seconds, and how many have it."""
        found = {}
        for system in self.systems:
            counted = Counter(record.delay for record in self.records if record.system == system and record.delay is not None)
            for delay, count in counted.most_common(1):
                if delay:
                    found[system] = delay, count
        return found

    def remarks(self) -> dict[str, int]:
        """What was changed before scoring, by system, and for how many items."""
        return dict(Counter(f"{record.system}: {remark}" for record in self.records for remark in record.remarks))

    def _mean(self, column: Column, system: str, values: np.ndarray, chosen: np.ndarray | None = None) -> Mean:
        weights = self.scores(column.weight, system) if column.weight else None
        if chosen is not None:
            values, weights = values[chosen], None if weights is None else weights[chosen]
        return mean(values, weights)


def collected(records: Sequence[Record], metrics: Sequence[str]) -> Results:
    """The records of one evaluation: each item by each system."""
    systems, items = (tuple(dict.fromkeys(getattr(record, name) for record in records)) for name in ("system", "item"))
    return Results(systems, items, tuple(column for name in metrics for column in METRICS[name].columns), tuple(records))


def to_mapping(results: Results) -> dict[str, object]:
    """Plain values: means, differences and groups."""

    def plain(value: Mean) -> Mapping[str, float | int | None]:
        return {"mean": value.value, "low": value.low, "high": value.high, "files": value.files}

    first, *rest = results.systems
    groups = results.groups()
    return {
        "means": {system: {column.name: plain(results.mean(column, system)) for column in results.columns} for system in results.systems},
        "differences": {
            "to": first,
            **{system: {column.name: plain(results.difference(column, system)) for column in results.columns} for system in rest},
        },
        "groups": {
            name: {
                "files": int(chosen.sum()),
                **{
                    system: {column.name: plain(results.mean(column, system, chosen)) for column in results.columns}
                    for system in results.systems
                },
            }
            for name, chosen in groups.items()
        },
    }
