"""Whether one hears where windows join: the sound made in windows against the same sound made in one piece.

    python seams.py MODEL SOUND [--solver NAME] [--steps N] [--device cuda]

SOUND is a recording at the model's rate, or a table of mixtures (see sgaudio/audio/mixtures.py): of those at 5 dB and above, one after the
other, the first 90 s.

At each join, the energy of the 100 ms after the cross-fade over that of the 100 ms before it, in dB, less what it is where all of the
sound goes through the network at once, with the same noise: steps that the speech itself makes are in both. And the same half-way between
the joins, where there is no seam: a network that sees other surroundings says something else everywhere. Pauses, more than 30 dB below
the mean, are left out.
"""

import argparse
from collections.abc import Iterator

import numpy as np

import sgaudio
from sgaudio.audio.mixtures import read_mixtures
from sgaudio.models import Enhancer

AROUND = 0.1  # s
LEAST_SNR, LONGEST = 5, 90  # dB, s: of what a table gives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sound", help="a recording of a minute or so, for in one piece it takes memory; or a table of mixtures")
    parser.add_argument("--solver")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    model = sgaudio.load(given.model, device=given.device)
    for line in report(model, load(given.sound, model.sample_rate), given.solver, given.steps):
        print(line)


def load(path: str, rate: int) -> np.ndarray:
    """The sound (time) of a file, or of a table of mixtures."""
    if path.endswith(".tsv"):
        mixtures = [mixture for mixture in read_mixtures(path) if (mixture.snr_db or 0) >= LEAST_SNR]
        return np.concatenate([mixture.load(rate).noisy for mixture in mixtures])[: LONGEST * rate]
    noisy, found = sgaudio.read(path)
    if found != rate:
        raise SystemExit(f"{path} has {found} Hz, the model {rate}")
    return noisy[0]


def report(model: Enhancer, noisy: np.ndarray, solver: str | None = None, steps: int | None = None) -> Iterator[str]:
    """What is found for a sound (time) at the model's rate."""
    cut, whole = (
        np.asarray(model.enhance(noisy, model.sample_rate, whole_file=in_one, solver=solver, steps=steps)) for in_one in (False, True)
    )
    windows = model.config.windows
    joins = np.arange(windows.hop + windows.guard, len(noisy) - windows.length, windows.hop)
    for place, begins in (("at joins", joins), ("between", joins + windows.hop // 2)):
        (before, after), (before_whole, after_whole) = (energies(model, sound, begins) for sound in (cut, whole))
        heard = np.minimum(before_whole, after_whole) > 1e-3 * np.mean(np.square(whole))
        steps_of = 10 * np.log10(after / before * before_whole / after_whole, where=heard, out=np.zeros(len(begins)))[heard]
        quantiles = np.quantile(np.abs(steps_of), (0.5, 0.9))
        sums = 10 * np.log10(np.sum(after[heard]) / np.sum(before[heard]) * np.sum(before_whole[heard]) / np.sum(after_whole[heard]))
        yield (
            f"{place}: {len(steps_of)} places, step of the energy in dB: all together {sums:+.2f}, mean {np.mean(steps_of):+.2f}, "
            f"magnitude: median {quantiles[0]:.2f}, 90 % below {quantiles[1]:.2f}"
        )


def energies(model: Enhancer, sound: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares of a sound (time) before cross-fades that begin at these samples, and after them."""
    around, fade = round(AROUND * model.sample_rate), model.config.windows.fade
    before = np.array([np.mean(np.square(sound[i - around : i])) for i in begins])
    after = np.array([np.mean(np.square(sound[i + fade : i + fade + around])) for i in begins])
    return before, after


if __name__ == "__main__":
    main()
