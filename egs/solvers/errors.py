"""Error against evaluations of every deterministic solver, with exact networks: on SGMSE+'s process and on the Schrödinger bridge.

    python errors.py -o results                # writes errors.csv, errors.md, errors.png

Walks go from time 1 to the state at 0.03, on three grids, with the two oracles of `sgaudio.solvers.proof`: Gaussian data (error over the
distribution of the start and three variances of the data) and a mixture of two Gaussians (at six quantiles).
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import matplotlib

from sgaudio.errors import ConfigError
from sgaudio.processes import OUVE, BridgeVE, Process
from sgaudio.solvers import SOLVERS, proof, record

PROCESSES: dict[str, Process] = {"OUVE": OUVE(), "bridge": BridgeVE()}
GRIDS = ("linear", "log-snr", "angle")
EVALUATIONS = (3, 4, 5, 6, 8, 10, 14, 20, 30, 50)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "adams, predictor 3, corrector 4": ("adams", {"predictor": 3, "corrector": 4}),
    "adams, log-SNR": ("adams", {"coordinate": "log_snr"}),
    "adams, log-SNR, predictor 3, corrector 4": ("adams", {"coordinate": "log_snr", "predictor": 3, "corrector": 4}),
    "unipc, order 3": ("unipc", {"order": 3}),
    "unipc, order 2, published end": ("unipc", {"compat": "lower-order-end"}),
    "dpmpp-3m, published": ("dpmpp-3m", {"compat": "published"}),
    "heun in sigma (EDM)": ("heun", {"coordinate": "sigma"}),
}
DRAWN = {
    "ddim": "DDIM",
    "dpmpp-2m": "DPM-Solver++(2M)",
    "unipc": "UniPC-2",
    "plms": "PLMS",
    "heun": "Heun",
    "rk4": "RK4",
    "adams": "Adams in the angle",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("results"), help="folder for the results")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    rows = errors()
    with (folder / "errors.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("process", "grid", "oracle", "solver", "allowed", "evaluations", "error"))
        writer.writerows((*row[:-1], f"{row[-1]:.3e}") for row in rows)
    (folder / "errors.md").write_text(tables(rows))
    draw(rows, folder / "errors.png")


def errors() -> list[tuple[Any, ...]]:
    """Rows (process, grid, oracle, solver, evaluations allowed, evaluations used, error)."""
    solvers = {name: (name, {}) for name in SOLVERS if is_deterministic(name)} | VARIANTS
    rows = list[tuple[Any, ...]]()
    for which, process in PROCESSES.items():
        mixture = proof.Mixture(process)
        for label, (name, options) in solvers.items():
            for grid in GRIDS:
                for allowed in EVALUATIONS:
                    try:
                        times = proof.longest(SOLVERS[name], process, grid, allowed, **options)
                        used = record(SOLVERS[name], process, times, **options).evaluations
                    except ConfigError:  # too few for one step, or not for this process
                        continue
                    for oracle, error in (
                        ("Gaussian", proof.gaussian_error(SOLVERS[name], process, times, **options)),
                        ("mixture", mixture.error(SOLVERS[name], times, **options)),
                    ):
                        rows.append((which, grid, oracle, label, allowed, used, error))
    return rows


def is_deterministic(name: str) -> bool:
    """Whether a solver draws no noise by default, on one process at least."""
    for process in PROCESSES.values():
        try:
            return not record(SOLVERS[name], process, proof.walk_to("linear", process, 8)).draws
        except ConfigError:
            continue
    return False


def tables(rows: list[tuple[Any, ...]]) -> str:
    """One table a process and oracle, on linear time and on equal steps in log-SNR."""
    text = ""
    columns = [(grid, allowed) for grid in ("linear", "log-snr") for allowed in (5, 10, 20, 50)]
    for which in PROCESSES:
        for oracle in ("Gaussian", "mixture"):
            cells = {(row[3], row[1], row[4]): row[6] for row in rows if row[0] == which and row[2] == oracle}
            text += f"\n**{which}, {oracle}**\n\n| solver | " + " | ".join(f"{grid} {allowed}" for grid, allowed in columns) + " |\n"
            text += "|" + " --- |" * (len(columns) + 1) + "\n"
            for solver in dict.fromkeys(row[3] for row in rows if row[0] == which):
                figures = [cells.get((solver, *column)) for column in columns]
                text += f"| {solver} | " + " | ".join("" if figure is None else f"{figure:.1e}" for figure in figures) + " |\n"
    return text.lstrip()


def draw(rows: list[tuple[Any, ...]], path: Path) -> None:
    """Error on the mixture against evaluations: a panel a process and grid."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 8), sharex=True, sharey=True, layout="constrained")
    for panel, (which, grid) in zip(axes.flat, [(which, grid) for which in PROCESSES for grid in ("linear", "log-snr")], strict=True):
        for index, (name, label) in enumerate(DRAWN.items()):
            points = sorted({(row[5], row[6]) for row in rows if row[:4] == (which, grid, "mixture", name)})
            panel.loglog(
                *zip(*points, strict=True),
                label=label,
                color=f"C{index}",
                linewidth=2.2 if name == "adams" else 1.2,
                marker=".",
                markersize=4,
            )
        panel.set_title(f"{which}, {'equal steps in time' if grid == 'linear' else 'equal steps in log-SNR'}", fontsize=10)
        panel.set_xlim(2.8, 55)
        panel.set_ylim(2e-5, 1)
        panel.set_xticks([3, 5, 10, 20, 50], ["3", "5", "10", "20", "50"])
        panel.minorticks_off()
        panel.grid(True, linewidth=0.4, alpha=0.5)
    axes[0, 0].legend(fontsize=8, frameon=False)
    figure.supxlabel("evaluations of the network", fontsize=10)
    figure.supylabel("error at the end (mixture of two Gaussians)", fontsize=10)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
