"""An evaluation: items by systems by metrics, and a folder of results."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from sgaudio.audio.picture import Trace, save_spectrograms
from sgaudio.errors import AudioError, ConfigError
from sgaudio.evaluation.environment import commit, versions
from sgaudio.evaluation.items import Item, brought_together
from sgaudio.evaluation.pictures import save_boxes, save_scatter
from sgaudio.evaluation.report import save_csv, save_json, save_markdown
from sgaudio.evaluation.results import Results, collected
from sgaudio.evaluation.run import OnRecord, plan, run, settings_of
from sgaudio.evaluation.scoring import Task
from sgaudio.evaluation.systems import UNPROCESSED, System
from sgaudio.metrics import METRICS

JOURNAL, TABLE, ALL, PAGE, BOXES, SCATTER = "scores.jsonl", "scores.csv", "results.json", "table.md", "boxes.png", "pesq_ovrl.png"
SPECTROGRAMS = "spectrograms"  # a folder
MOST_BYTES = 100  # of a sound's name in that of its picture


@dataclass(frozen=True)
class Evaluation:
    """What is to be scored.

    Args:
        items: the sounds.
        systems: the first is the one that others are compared with.
        metrics: their names.
        align: remove the delay that is found.
        spectrograms: pictures of so many items on which systems differ most.
    """

    items: Sequence[Item]
    systems: Sequence[System]
    metrics: Sequence[str]
    align: bool = False
    spectrograms: int = 0

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError(f"two systems are called {twice[0]!r}: give each once, or rename the folder")
        for system in self.systems:
            system.about()  # a peer that is not installed is told before anything runs

    def run(self, out: Path, jobs: int | None = None, overwrite: bool = False, on_record: OnRecord = lambda record: None) -> Results:
        """Score, and write the results into a folder.

        Other processes import the script that calls this: it needs the line `if __name__ == "__main__":`.

        Args:
            out: the folder; one that holds this evaluation, whole or in part, is completed.
            jobs: processes; as many as there are cores by default, 0 for none but this one.
            overwrite: replace the results of another evaluation.

        Raises:
            ConfigError: where `out` holds something else.
            AudioError: where it cannot be written.
        """
        tasks = plan(self.items, self.systems, self.metrics, self.align)
        settings = json.loads(json.dumps(self._settings(tasks)))  # as it is read back
        _check_out(out, settings, overwrite)
        records = run(tasks, out / JOURNAL, _cores() if jobs is None else jobs, on_record, settings)
        results = collected(records, self.metrics)
        environment = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "versions": versions()}
        save_csv(out / TABLE, results)
        save_json(out / ALL, results, environment, settings)
        save_markdown(out / PAGE, results, self._notes())
        self._draw(out, results)
        return results

    def _settings(self, tasks: Sequence[Task]) -> dict[str, Any]:
        return {
            "systems": {system.name: system.about() for system in self.systems},
            "metrics": {name: {"source": METRICS[name].source, "packages": METRICS[name].versions()} for name in self.metrics},
            "align": self.align,
            "words_against": self._words_against(),
            "files": len(self.items),
            "sound": _total(task.sound for task in tasks),
            "estimates": _total(task.key for task in tasks),
        }

    def _words_against(self) -> str | None:
        if "wer" not in self.metrics:
            return None
        return "the given texts" if any(item.text for item in self.items) else "what the recogniser hears in the clean sound"

    def _notes(self) -> list[str]:
        words = self._words_against()
        return [f"WER: words heard in the estimate against {words}, weighted by their number."] if words else []

    def _draw(self, out: Path, results: Results) -> None:
        scores = {column.title: {system: results.scores(column.name, system) for system in results.systems} for column in results.columns}
        means = {column.title: {system: results.mean(column, system) for system in results.systems} for column in results.columns}
        save_boxes(out / BOXES, scores, {title: {system: mean.value for system, mean in row.items()} for title, row in means.items()})
        (out / SCATTER).unlink(missing_ok=True)
        pesq = next((title for title in scores if title.startswith("PESQ")), None)
        if pesq and "OVRL" in scores:
            intervals = {system: (means[pesq][system].interval, means["OVRL"][system].interval) for system in results.systems}
            known = {system: (across, up) for system, (across, up) in intervals.items() if across and up}
            save_scatter(out / SCATTER, scores[pesq], scores["OVRL"], pesq, "OVRL", known)
        folder = out / SPECTROGRAMS
        for old in folder.glob("[0-9][0-9]_*.png"):
            old.unlink()
        by_name = {item.name: item for item in self.items}
        for rank, name in enumerate(results.most_different(self.spectrograms), start=1):
            folder.mkdir(exist_ok=True)
            flat = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
            short = flat.encode(errors="replace")[:MOST_BYTES].decode(errors="ignore")
            self._draw_spectrograms(folder / f"{rank:02d}_{short}.png", by_name[name])

    def _draw_spectrograms(self, path: Path, item: Item) -> None:
        """The noisy sound, all estimates, which are made once more, and the clean sound, of an item that all systems were scored on."""
        sounds = item.load()
        rate, reference = sounds.sample_rate, sounds.clean
        waveforms: dict[str, np.ndarray] = {}
        for system in sorted(self.systems, key=lambda system: system.name != UNPROCESSED):
            estimate = system.estimate(item, sounds)
            rate, reference = rate or estimate.sample_rate, estimate.waveform if reference is None else reference
            waveforms[system.name], _ = brought_together(*estimate, reference, rate, system.name)
        if sounds.clean is not None:
            waveforms["clean" if "clean" not in waveforms else "clean sound"] = sounds.clean
        traces = {name: Trace(rate or 1) for name in waveforms}
        for name, trace in traces.items():
            trace.push(waveforms[name])
        save_spectrograms(path, traces, item.name)


def _total(digests: Iterable[str]) -> str:
    """sha256 over different ones, in their order."""
    return sha256("".join(dict.fromkeys(digests)).encode()).hexdigest()


def _check_out(out: Path, settings: Mapping[str, Any], overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file: give a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        here = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise AudioError(f"{out}: cannot be made ({(error.strerror or '').lower()})") from error
    if here and JOURNAL not in here and ALL not in here:
        raise ConfigError(f"{out}: holds other files: give a new folder, or one that an evaluation made")
    before = settings_of(out / JOURNAL) or _settings_in(out / ALL)
    if before and before != settings and not overwrite:
        different = [name for name in settings if before.get(name) != settings[name]]
        raise ConfigError(f"{out}: holds an evaluation of other {', '.join(different)}: use --overwrite or another folder")


def _settings_in(results: Path) -> Any:
    try:
        return json.loads(results.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
