"""The learning curve of a run: what it scored at each validation, beside what other systems score on the same sounds.

    sgaudio train packs/denoise_start data.root=CORPUS
    sgaudio evaluate --mixtures CORPUS/devset/mixtures.tsv --model denoise --steps 1 -o scores
    python curve.py runs/denoise_start/log.jsonl --scores scores/scores.csv --snr 0 15 -o curve

writes curve/curve.png and curve/curve.csv, and prints how much of each system's gain over the unprocessed sound the last validation has.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from statistics import fmean

from sgaudio.audio.picture import make_figure, save_figure
from sgaudio.evaluation.pictures import COLOURS, GREY, GRID

SCORES: tuple[str, ...] = ("PESQ-wb", "ESTOI", "SI-SDR")
UNPROCESSED = "unprocessed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, help="log.jsonl of the run")
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of `sgaudio evaluate` on the sounds of the validation")
    parser.add_argument("--snr", type=float, nargs=2, default=(-100, 100), metavar=("LOW", "HIGH"), help="only sounds in this range, in dB")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()

    points = validations(options.log)
    beside = means(options.scores, *options.snr)
    for path, found, what in ((options.log, points, "validation"), (options.scores, UNPROCESSED in beside, "such unprocessed sound")):
        if not found:
            print(f"curve.py: {path}: no {what} in it", file=sys.stderr)
            return 2
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "curve.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ("minutes", "after", *SCORES), lineterminator="\n")
        table.writeheader()
        table.writerows({name: f"{value:.4g}" for name, value in point.items()} for point in points)
    draw(options.output / "curve.png", points, beside)
    first, last = beside.pop(UNPROCESSED), points[-1]
    print(f"unprocessed: {said(first)}\nafter {last['minutes']:.1f} minutes, {last['after']:.0f} steps: {said(last)}")
    for name, score in beside.items():
        shares = ", ".join(f"{100 * (last[key] - first[key]) / (score[key] - first[key]):.0f} % in {key}" for key in SCORES)
        print(f"{name}: {said(score)}; of its gain: {shares}")
    return 0


def validations(log: Path) -> list[dict[str, float]]:
    """Minutes, steps and scores of each, with the recipe's own sampling."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    found = [entry for entry in entries if entry["text"] == "validation" and entry["solver steps"] is None]
    return [{"minutes": entry["seconds"] / 60, "after": entry["after"], **{key: entry[key] for key in SCORES}} for entry in found]


def means(scores: Path, low: float, high: float) -> dict[str, dict[str, float]]:
    """Of each system, over the sounds of that SNR."""
    with scores.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if low <= float(row["snr_db"]) <= high]
    systems = dict.fromkeys(row["system"] for row in rows)
    return {name: {key: fmean(float(row[key]) for row in rows if row["system"] == name) for key in SCORES} for name in systems}


def draw(path: Path, points: list[dict[str, float]], beside: dict[str, dict[str, float]]) -> None:
    """A panel a score."""
    figure = make_figure((9, 2.8))
    minutes = [0, *(point["minutes"] for point in points)]
    axes = figure.subplots(1, len(SCORES))
    for axis, key in zip(axes, SCORES, strict=True):
        axis.plot(minutes, [beside[UNPROCESSED][key], *(point[key] for point in points)], color=COLOURS[0], marker="o", label="the run")
        for style, (name, score) in zip((":", "--", "-."), beside.items(), strict=False):
            axis.axhline(score[key], color=GREY, linestyle=style, linewidth=1.2, label=name)
        axis.set_xlabel("minutes")
        axis.set_title(key, fontsize="medium", fontweight="bold")
        axis.grid(color=GRID, linewidth=0.6)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    save_figure(path, figure)


def said(scores: dict[str, float]) -> str:
    """In a line."""
    return ", ".join(f"{key} {scores[key]:.3f}" for key in SCORES)


if __name__ == "__main__":
    sys.exit(main())
