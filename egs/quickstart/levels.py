"""By how much enhancing noisy.wav changed its level in a pause and in words, below and above 8 kHz.

python levels.py NOISY.wav ENHANCED.wav
"""

import sys

import numpy as np
import soundfile

PLACES = {"pause, 7.2 to 7.8 s": (7.2, 7.8), "words, 4.1 to 7.0 s": (4.1, 7.0)}
BANDS = {"100 Hz to 1 kHz": (100, 1_000), "100 Hz to 8 kHz": (100, 8_000), "8.5 to 14 kHz": (8_500, 14_000)}


def level(sound: np.ndarray, rate: int, place: tuple[float, float], band: tuple[int, int]) -> float:
    """Level in dB of a band (Hz) at a place (s)."""
    piece = sound[int(place[0] * rate) : int(place[1] * rate)]
    power, frequency = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2, np.fft.rfftfreq(len(piece), 1 / rate)
    return 10 * np.log10(power[(frequency >= band[0]) & (frequency < band[1])].mean() + 1e-12)


def main(before: str, after: str) -> None:
    (noisy, rate), (enhanced, _) = soundfile.read(before), soundfile.read(after)
    for where, place in PLACES.items():
        for what, band in BANDS.items():
            print(f"{where}, {what}: {level(enhanced, rate, place, band) - level(noisy, rate, place, band):+.1f} dB")


if __name__ == "__main__":
    main(*sys.argv[1:])
