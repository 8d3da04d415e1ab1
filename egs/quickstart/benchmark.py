"""Measure the shipped model on noisy speech that it never heard: PESQ, ESTOI, SI-SDR and DNSMOS at 1, 2 and 4 calls.

    pip install '.[metrics]'
    python egs/quickstart/benchmark.py DEVSET -o egs/quickstart/results.md

DEVSET is a folder with `speech/` and `noise/` (16 kHz FLAC): speech.tsv and noise.tsv beside this script say from which public
repository, commit and path each file comes, and mixtures.tsv which two are mixed, at what SNR and offset. The 38 mixtures at 0 dB
and above are measured.
"""

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

import sgaudio

HERE = Path(__file__).parent
RATE = 16_000
COLUMNS = ("PESQ-wb", "ESTOI", "SI-SDR", "SIG", "BAK", "OVRL")


def mixtures(root: Path, lowest_snr: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (clean, noisy), each (time); the noise is repeated from its start where it is too short."""
    pairs = []
    with (HERE / "mixtures.tsv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if float(row["snr_db"]) < lowest_snr:
                continue
            clean, noise = (sgaudio.read(root / row[kind])[0][0] for kind in ("speech", "noise"))
            noise = noise[(int(row["noise_offset_samples"]) + np.arange(len(clean))) % len(noise)]
            gain = np.sqrt(np.mean(clean**2) / np.mean(noise**2)) * 10 ** (-float(row["snr_db"]) / 20)
            pairs.append((clean, (clean + gain * noise).astype(np.float32)))
    return pairs


def scores(pair: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """The columns for (clean, estimate)."""
    from pesq import pesq  # pyright: ignore[reportMissingImports] - these three come with an extra
    from pystoi import stoi  # pyright: ignore[reportMissingImports]
    from speechmos import dnsmos  # pyright: ignore[reportMissingImports]

    clean, estimate = pair
    judged: Any = dnsmos.run(np.clip(estimate, -1, 1), RATE)
    scale = np.dot(estimate.astype(np.float64), clean) / np.dot(clean.astype(np.float64), clean)
    error = estimate - scale * clean.astype(np.float64)
    si_sdr = 10 * np.log10(np.sum((scale * clean.astype(np.float64)) ** 2) / max(np.sum(error**2), 1e-20))
    np.random.seed(0)  # noqa: NPY002 - ESTOI adds noise from numpy's global generator
    return [
        pesq(RATE, clean, estimate, "wb"),
        float(stoi(clean, estimate, RATE, extended=True)),
        float(si_sdr),
        *(judged[f"{name}_mos"] for name in ("sig", "bak", "ovrl")),
    ]


def joined(model, pairs: list[tuple[np.ndarray, np.ndarray]], steps: int) -> list[np.ndarray]:
    """All mixtures enhanced as one long recording, and cut apart again: how much do windows cost?"""
    estimate = model.enhance(np.concatenate([noisy for _, noisy in pairs]), RATE, steps=steps)
    return np.split(estimate, np.cumsum([len(noisy) for _, noisy in pairs])[:-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="DEVSET")
    parser.add_argument("-o", "--out", type=Path, default=HERE / "results.md")
    parser.add_argument("--model", default="denoise")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--lowest-snr", type=float, default=0.0, metavar="DB")
    options = parser.parse_args()

    pairs = mixtures(options.root, options.lowest_snr)
    model = sgaudio.load(options.model, device=options.device)
    systems = {"noisy": [noisy for _, noisy in pairs]}
    for steps in (1, 2, 4):
        systems[f"{steps} call{'s' * (steps > 1)}"] = [model.enhance(noisy, RATE, steps=steps) for _, noisy in pairs]
    systems["1 call, all joined to one recording"] = joined(model, pairs, 1)
    systems["4 calls, all joined to one recording"] = joined(model, pairs, 4)
    systems["clean speech in, 1 call"] = [model.enhance(clean, RATE, steps=1) for clean, _ in pairs]
    systems["clean speech itself"] = [clean for clean, _ in pairs]

    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    with ProcessPoolExecutor() as pool:
        for name, estimates in systems.items():
            found = np.array(list(pool.map(scores, [(clean, estimate) for (clean, _), estimate in zip(pairs, estimates, strict=True)])))
            mean = found.mean(0)
            cells = [f"{value:.{3 if i < 2 else 2}f}" if value < 100 else "∞" for i, value in enumerate(mean)]
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    lines += [
        "",
        f"Means over {len(pairs)} mixtures, {sum(len(clean) for clean, _ in pairs) / RATE:.0f} s, at {options.lowest_snr:g} dB and above. "
        f"Model `{options.model}`, seed 0, {model.device}, torch {torch.__version__}.",
    ]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
