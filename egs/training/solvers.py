"""Scores against calls of the network: solvers side by side, for each of several models, on the mixtures of a table.

    python solvers.py MODEL.safetensors ... --mixtures devset/mixtures.tsv -o results --device cuda --jobs 16

`results` gets scores.csv, table.md and scores.png. What is in the CSV is not done again: a run that was interrupted, or told to end by
--minutes, goes on, few calls first. On a GPU the estimates of a setting are made all at once, in this process; all else is done by --jobs
others.

Sounds are enhanced in batches. Their ends are mirrored up to the next half second, for files of about one length to go together: a window
that ends in zeros would cost scores, and nothing depends on which other files there are.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scores import CHOICE, PREDICTOR, Scores, Way, save_page, save_picture

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.evaluation.items import Item, Sounds
from sgaudio.evaluation.pairing import given, mixed
from sgaudio.evaluation.run import scored_side_by_side
from sgaudio.evaluation.scoring import Task, score
from sgaudio.evaluation.systems import Estimate, Installed, Model, System, Unprocessed
from sgaudio.metrics import METRICS, selected
from sgaudio.models import Enhancer, Regenerator, Sampling, describe, load
from sgaudio.solvers import SOLVERS

CALLS = (1, 2, 4, 8, 15, 30, 60)
SUITED = {
    "bridge": ("bridge-ode", "bridge-sde", "dpmpp-2m", "dpmpp-2m-sde", "adams", "unipc", "deis"),
    "flow": ("euler", "midpoint", "heun", "dpmpp-2m", "dpmpp-2m-sde", "adams", "unipc"),
    "score": ("predictor-corrector", "reverse-diffusion", "ddim", "dpmpp-2m", "dpmpp-2m-sde", "adams", "unipc", "heun"),
}
QUICK_CALLS, QUICK_FILES = (1, 2), 2
GRAIN, BATCH = 0.5, 32  # seconds to whose multiples sounds are mirrored; windows in a call
NOT_DRAWN = ("SIG", "BAK")  # OVRL is
BEST = 3  # ways of a model whose words are counted


@dataclass(frozen=True)
class Setting(Model):
    """A model and a solver, or its first stage.

    Args:
        way: how it stands in the scores.
        table, count: the mixtures: so many of a table.
    """

    way: Way = field(default_factory=Way)
    table: str = ""
    count: int = 1

    @property
    def stage(self) -> Enhancer:
        """What it enhances with."""
        enhancer = network(self.model, self.device, self.dtype)
        return enhancer.predictor if self.solver == PREDICTOR and isinstance(enhancer, Regenerator) else enhancer

    @property
    def sampling(self) -> Sampling:
        """The model's own, with the solver and its default options, or the model's where it is the model's."""
        return self.stage.config.sampling if self.solver == PREDICTOR else self.stage.sampling(self.solver, self.steps)

    def estimate(self, item: Item, sounds: Sounds) -> Estimate:
        assert sounds.noisy is not None
        assert sounds.sample_rate
        if self.device == "cpu":
            return Estimate(enhanced(self, [sounds.noisy[0]], sounds.sample_rate)[0][None], sounds.sample_rate)
        return Estimate(estimates(self)[item.name][None], sounds.sample_rate)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--mixtures", required=True, metavar="TABLE")
    options = parser.parse_args()
    return ended(lambda: sweep(options))


def arguments(description: str | None) -> argparse.ArgumentParser:
    """All but the mixtures."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="path, or name of a shipped one")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RESULTS")
    parser.add_argument("--calls", type=int, nargs="+", default=CALLS, help="of the network, at most")
    parser.add_argument("--solvers", nargs="+", help="those that suit the process, if not given")
    parser.add_argument("--metrics", nargs="+", default=(), choices=CHOICE[:-1], help="those that are installed, if not given")
    parser.add_argument("--words", action="store_true", help=f"count wrong words too, for the {BEST} best ways of each model")
    parser.add_argument("--against", nargs="+", default=(), metavar="PEER", help="installed programs, as for `sgaudio evaluate`")
    parser.add_argument("--files", type=int, help="so many of the mixtures, evenly spread over the table")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="in which networks compute; bfloat16 on a GPU")
    parser.add_argument("--jobs", type=int, default=16, help="processes; 0 for none but this one")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so many")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_FILES} files, {QUICK_CALLS} calls: to see that all of this runs")
    return parser


def ended(work: Callable[[], None]) -> int:
    """The exit code of a script that does this work: 0, 1 where it failed, 2 for wrong use."""
    try:
        work()
    except SgaudioError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def sweep(options: argparse.Namespace) -> None:
    """Make, score and report what is missing; what for, the options say."""
    begin = time.monotonic()
    end = begin + 60 * options.minutes
    if options.quick:
        options.calls, options.files = QUICK_CALLS, QUICK_FILES
    options.files = options.files or len(mixed(Path(options.mixtures))[0])
    items = chosen_items(options.mixtures, options.files)
    metrics, left_out = selected(METRICS, options.metrics, given(items) - {"words"})
    words, no_words = selected_words(items) if options.words else ([], [])
    others: list[System] = [Unprocessed(), *map(Installed, options.against)]
    for other in others:
        other.about()  # one that is not installed is told before anything runs
    settings, refused = all_settings(options)
    for line in (*left_out, *no_words, *refused):
        print(line, flush=True)

    scores = Scores(options.output / "scores.csv", [item.name for item in items])
    beside = {other.name: [Way(solver=other.name)] for other in others}
    systems = [*others, *(group[0] for group in twins(settings))]
    ways = beside | {group[0].name: [setting.way for setting in group] for group in twins(settings)}
    tasks = missing(scores, systems, ways, items, metrics)
    print(forecast(tasks, options.jobs), flush=True)
    work(tasks, ways, scores, options.jobs, end)

    columns, every = [column for name in metrics for column in METRICS[name].columns], [way for group in ways.values() for way in group]
    if words:
        listened = {way for model in options.models for way in best_of(scores, [s.way for s in settings if s.model == model], columns[0])}
        systems = [*others, *(setting for setting in settings if setting.way in listened)]
        ways = beside | {setting.name: [setting.way] for setting in settings}
        work(missing(scores, systems, ways, items, words), ways, scores, options.jobs, end)
    scores.save()
    heard = [column for name in words for column in METRICS[name].columns]
    save_page(options.output / "table.md", f"Scores against calls: {Path(options.mixtures).stem}", scores, every, [*columns, *heard])
    save_picture(options.output / "scores.png", scores, every, [column for column in columns if column.name not in NOT_DRAWN])
    print(f"{time.monotonic() - begin:.0f} s: {options.output / 'table.md'}", flush=True)


@lru_cache
def chosen_items(table: str, count: int) -> list[Item]:
    """So many mixtures of a table, evenly spread over it.

    Raises:
        ConfigError: where it has fewer.
    """
    items, _ = mixed(Path(table))
    if not 1 <= count <= len(items):
        raise ConfigError(f"--files is {count}, expected 1 to {len(items)}, what {table} has")
    return [items[i * len(items) // count] for i in range(count)]


def selected_words(items: Sequence[Item]) -> tuple[list[str], list[str]]:
    """The metric of words, if it can be had, and a line if not."""
    try:
        return selected(METRICS, ["wer"], given(items))
    except ConfigError as error:
        return [], [f"{error}: left out"]


def all_settings(options: argparse.Namespace) -> tuple[list[Setting], list[str]]:
    """What is swept, few calls first; and a line for each solver that does not take a model's process.

    Raises:
        ConfigError: where two models have one name, on an unknown solver, and where nothing is left.
    """
    for solver in options.solvers or ():
        SOLVERS[solver]
    dtype = options.dtype or ("bfloat16" if options.device == "cuda" else "float32")
    found: list[Setting] = []
    refused: list[str] = []
    for path in map(str, options.models):
        about, enhancer = describe(path), network(path, options.device, dtype)
        model, sha256 = about["card"]["name"], about["sha256"]
        if any(setting.way.model == model for setting in found):
            raise ConfigError(f"{path}: a model called {model!r} is there already: train it with another card.name")
        walks = [PREDICTOR] if isinstance(enhancer, Regenerator) or not enhancer.config.walks else []
        walks += (options.solvers or SUITED[kind_of(enhancer)]) if enhancer.config.walks else ()
        for solver in walks:
            try:
                steps = {1: 1} if solver == PREDICTOR else steps_for(enhancer, solver, options.calls)
            except ConfigError as error:
                refused.append(f"{model}: {error}: left out")
                continue
            for calls, count in steps.items():
                way = Way(model, sha256[:12], solver, count, calls)
                about_it = (path, sha256, solver, count, 0, options.device, dtype)
                found.append(Setting(str(way), *about_it, way=way, table=options.mixtures, count=options.files))
    if not found:
        raise ConfigError("; ".join(refused))
    return sorted(found, key=lambda setting: setting.way.calls), refused


def kind_of(enhancer: Enhancer) -> str:
    """Which of the solvers suit a model."""
    start = enhancer.config.process.at(1.0)
    if start.alpha == start.sigma == 0:
        return "bridge"
    return "flow" if enhancer.config.prediction in ("flow", "velocity") else "score"


def steps_for(enhancer: Enhancer, solver: str, budgets: Sequence[int]) -> dict[int, int]:
    """The most steps within each budget of calls: by the calls that they make.

    Raises:
        ConfigError: on a solver that does not take the process within any of the budgets: why.
    """
    found: dict[int, int] = {}
    refusal = ConfigError(f"solver {solver!r} makes more calls than {max(budgets)}")
    for budget in budgets:
        for steps in range(budget, 0, -1):
            try:
                plan = enhancer.sampling(solver, steps).plan(enhancer.config.process)
                for call in plan.calls:
                    enhancer.prediction.at(call.time)
            except ConfigError as error:
                refusal = error
                continue
            if plan.evaluations <= budget and all(call.time > 0 for call in plan.calls):
                found[plan.evaluations] = steps
                break
    if not found:
        raise refusal
    return found


def twins(settings: Sequence[Setting]) -> list[list[Setting]]:
    """Settings in groups that are the same table, as those of many solvers are for one call: one of each is enough."""
    groups: dict[Any, list[Setting]] = {}
    for setting in settings:
        plan = setting.sampling.plan(setting.stage.config.process)
        groups.setdefault((setting.sha256, setting.solver == PREDICTOR, plan), []).append(setting)
    return list(groups.values())


@lru_cache
def network(path: str, device: str, dtype: str) -> Enhancer:
    """A model, loaded once."""
    return load(path, device, dtype)


@lru_cache(1)
def estimates(setting: Setting) -> dict[str, np.ndarray]:
    """Those of all mixtures (time), by their names; one setting is taken after the other.

    Raises:
        ConfigError: where the rates of the mixtures differ.
    """
    noisy, rate = noisy_sounds(setting.table, setting.count)
    return dict(zip(noisy, enhanced(setting, list(noisy.values()), rate), strict=True))


@lru_cache(1)
def noisy_sounds(table: str, count: int) -> tuple[dict[str, np.ndarray], int]:
    """The mixtures (time) by their names, and their rate in Hz."""
    sounds = {item.name: item.load() for item in chosen_items(table, count)}
    rates = {sound.sample_rate or 0 for sound in sounds.values()}
    if len(rates) > 1:
        raise ConfigError(f"{table}: sounds of {', '.join(map(str, sorted(rates)))} Hz, expected one rate")
    return {name: sound.noisy[0] for name, sound in sounds.items() if sound.noisy is not None}, rates.pop()


def enhanced(setting: Setting, sounds: Sequence[np.ndarray], rate: int) -> list[np.ndarray]:
    """Sounds (time) -> estimates (time), those of about one length together."""
    grain = round(GRAIN * rate)
    lengths = [-(-len(sound) // grain) * grain for sound in sounds]
    found = list(sounds)
    for length in sorted(set(lengths)):
        places = [place for place, each in enumerate(lengths) if each == length]
        batch = np.stack([np.pad(sounds[place], (0, length - len(sounds[place])), "symmetric") for place in places])
        made: Any = setting.stage.enhance(batch, rate, preset=setting.sampling, seed=setting.seed, batch=BATCH)
        for place, estimate in zip(places, made, strict=True):
            found[place] = estimate[: len(sounds[place])]
    return found


def missing(
    scores: Scores, systems: Sequence[System], ways: Mapping[str, Sequence[Way]], items: Sequence[Item], metrics: Sequence[str]
) -> list[Task]:
    """What is still to be done."""
    tasks = []
    for system in systems:
        scores.share(ways[system.name])
        for item in items:
            lacking = tuple(
                name
                for name in metrics
                if any(scores.lacks(way, item.name, [column.name for column in METRICS[name].columns]) for way in ways[system.name])
            )
            if lacking:
                tasks.append(Task(item, system, lacking, align=False))
    return tasks


def forecast(tasks: Sequence[Task], jobs: int) -> str:
    """How long the tasks will take, told by a few."""
    settings = {task.system: task.item for task in tasks if isinstance(task.system, Setting)}
    if not settings:
        return f"{len(tasks)} estimates to score"
    first, jobs = replace(tasks[-1], system=Unprocessed()), max(1, jobs)
    score(first)  # loads what metrics need
    begin = time.perf_counter()
    score(first)
    scoring, enhancing = (time.perf_counter() - begin) * len(tasks) / jobs, 0.0
    costs: dict[tuple[str, bool], float] = {}
    for setting in settings:
        kind = setting.model, setting.solver == PREDICTOR
        costs[kind] = costs.get(kind) or cost(setting)
        enhancing += setting.way.calls * costs[kind] / (1 if setting.device == "cuda" else jobs)
    return (
        f"{len(tasks)} estimates of {len(settings)} settings: about {enhancing:.0f} s to make, {scoring:.0f} s to score by {jobs} processes"
    )


def cost(setting: Setting) -> float:
    """Seconds of a call for all sounds; on a CPU by one process, as measured on one of them."""
    noisy, rate = noisy_sounds(setting.table, setting.count)
    sounds = list(noisy.values())[: None if setting.device == "cuda" else 1]
    once = setting if setting.solver == PREDICTOR else replace(setting, solver="ddim", steps=2)
    enhanced(once, sounds, rate)  # warms up
    begin = time.perf_counter()
    enhanced(once, sounds, rate)
    return (time.perf_counter() - begin) / once.steps * len(noisy) / len(sounds)


def work(tasks: Sequence[Task], ways: Mapping[str, Sequence[Way]], scores: Scores, jobs: int, end: float) -> None:
    """Do the tasks, until it is time to end."""
    for done, record in enumerate(scored_side_by_side(tasks, jobs), start=1):
        for way in ways[record.system]:
            scores.add(way, record)
        if done % 100 == 0:
            print(f"{done} of {len(tasks)}", file=sys.stderr, flush=True)
        if time.monotonic() > end:
            print(f"time is up: {len(tasks) - done} of {len(tasks)} estimates are left for another run", flush=True)
            break


def best_of(scores: Scores, ways: Sequence[Way], column: Any) -> list[Way]:
    """Of a model, its first stage and its best ways."""
    return [*(way for way in ways if not way.walks), *scores.best((way for way in ways if way.walks), column)[:BEST]]


if __name__ == "__main__":
    sys.exit(main())
