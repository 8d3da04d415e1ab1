"""Build noisy.wav: a man speaking in a Paris restaurant, both real recordings from Debian packages.

Fetch and unpack the two packages (Debian 12; no installation needed), then run this script:

    apt-get download unknown-horizons supertuxkart-data
    for deb in unknown-horizons_*.deb supertuxkart-data_*.deb; do dpkg -x "$deb" sources; done
    pip install numpy soundfile soxr
    python make_noisy.py --root sources

`apt-get install unknown-horizons supertuxkart-data` does as well: then leave --root out.
--clean clean.wav also writes the voice alone, at the level and the places it has in the mix.
Authors and licences are in SOURCES.md.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

RATE = 48000
BAND = 16000  # above this neither recording holds more than hiss
SNR_DB = 6.0  # energy of the voice over energy of the noise, pauses included
PEAK = 0.9
VOICE = "usr/share/unknown-horizons/content/audio/voice/en/0/new_world"
PHRASES = [  # file, where the phrase starts and ends in it, and the pause before it, in seconds
    ("1.ogg", 0.70, 3.02, 0.9),
    ("0.ogg", 0.50, 3.60, 0.8),
    ("3.ogg", 0.66, 3.90, 0.8),
]
LAST_PAUSE = 0.8
NOISE = "usr/share/games/supertuxkart/data/sfx/lenautile_restaurant.ogg"
NOISE_START = 13.0


def read(path: Path) -> np.ndarray:
    audio, rate = sf.read(path, dtype="float64")
    return soxr.resample(soxr.resample(audio, rate, 2 * BAND, quality="VHQ"), 2 * BAND, RATE, quality="VHQ")


def cut(audio: np.ndarray, start: float, end: float, fade: float = 0.02) -> np.ndarray:
    piece = audio[round(start * RATE) : round(end * RATE)].copy()
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(round(fade * RATE)) / round(fade * RATE))
    piece[: len(ramp)] *= ramp
    piece[-len(ramp) :] *= ramp[::-1]
    return piece


def string_phrases(folder: Path) -> np.ndarray:
    pieces = []
    for name, start, end, pause in PHRASES:
        phrase = cut(read(folder / name), start, end)
        pieces += [np.zeros(round(pause * RATE)), phrase / np.sqrt(np.mean(phrase**2))]
    return np.concatenate([*pieces, np.zeros(round(LAST_PAUSE * RATE))])


def mix(voice: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    noise = noise * np.sqrt(np.sum(voice**2) / np.sum(noise**2) / 10 ** (SNR_DB / 10))
    gain = PEAK / np.abs(voice + noise).max()
    return gain * (voice + noise), gain * voice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("/"), help="folder the packages are unpacked in")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("noisy.wav"))
    parser.add_argument("--clean", type=Path, help="write the voice alone here")
    args = parser.parse_args()

    voice = string_phrases(args.root / VOICE)
    noise = cut(read(args.root / NOISE), NOISE_START, NOISE_START + len(voice) / RATE)
    noisy, clean = mix(voice, noise)
    sf.write(args.out, noisy, RATE, subtype="PCM_16")
    print(f"{args.out}: {len(noisy) / RATE:.2f} s at {RATE} Hz, SNR {SNR_DB:g} dB")
    if args.clean:
        sf.write(args.clean, clean, RATE, subtype="PCM_16")
        print(f"{args.clean}: the voice alone")


if __name__ == "__main__":
    main()
