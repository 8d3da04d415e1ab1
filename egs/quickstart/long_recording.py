"""Write a long recording: noisy.wav over and over, each further channel half a second later. By default an hour of 48 kHz stereo."""

import argparse
from pathlib import Path

import numpy as np
import soundfile
import soxr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", metavar="LONG.wav")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("--channels", type=int, default=2)
    options = parser.parse_args()

    noisy, rate = soundfile.read(Path(__file__).with_name("noisy.wav"))
    mono = soxr.resample(noisy, rate, options.rate)
    piece = np.stack([np.roll(mono, i * options.rate // 2) for i in range(options.channels)], 1)
    left = round(60 * options.minutes * options.rate)
    with soundfile.SoundFile(options.path, "w", options.rate, options.channels, "PCM_16") as file:
        while left > 0:
            file.write(piece[:left])
            left -= len(piece)


if __name__ == "__main__":
    main()
