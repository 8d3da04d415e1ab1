"""Look over sound of one's own before a night of training: `python prepare.py ROOT [--simulate N]`. Nothing is changed.

ROOT holds clean/ and noise/, or clean/ and noisy/ with equal names, and perhaps rooms/: impulse responses. What is there is counted, and
what would spoil a training is named. rooms/ gets the table rooms.tsv that recipes want; --simulate fills it.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgaudio.audio.files import Reader, read
from sgaudio.audio.formats import is_audio
from sgaudio.errors import AudioError, ConfigError, SgaudioError
from sgaudio.training.data import side_by_side
from sgaudio.training.rooms import RoomsConfig, simulate, write_bank
from sgaudio.training.tables import write_table

KINDS = ("clean", "noise", "noisy", "rooms")
LOW = 16_000  # Hz, of the recipes
CLIPPED = 1e-3  # share of samples at full scale that is heard
FULL, QUIET = 0.999, 1e-3  # peaks
SLACK = 0.016  # seconds by which clean and noisy may differ
ROOMS = RoomsConfig(length=(2.5, 9.0), width=(2.5, 8.0), height=(2.3, 3.8), t60=(0.15, 1.0), wall=0.3, distance=(0.3, 5.0))


class Sound(NamedTuple):
    """What there is to say of a file."""

    path: Path
    seconds: float
    rate: int
    fault: str | None


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 with a line for all that would spoil a training, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Look over folders of sound before training.")
    parser.add_argument("root", type=Path, help="folder of clean, noise or noisy, and perhaps rooms")
    parser.add_argument("--simulate", type=int, metavar="N", help="make so many rooms in ROOT/rooms, living rooms to offices")
    parser.add_argument("--rate", type=int, default=48_000, help="of these rooms, in Hz; 48000")
    options = parser.parse_args(arguments)
    root, wanted = options.root, options.simulate
    if (wanted is not None and wanted < 1) or options.rate < LOW:
        parser.error(f"--simulate expects 1 or more, --rate {LOW} or more")
    try:
        if wanted is not None:
            write_bank(root / "rooms", simulate(ROOMS, wanted, seed=0, sample_rate=options.rate), options.rate)
        found = {kind: look(root / kind, look_at_room if kind == "rooms" else look_at) for kind in KINDS if (root / kind).is_dir()}
        if "clean" not in found or not found.keys() & {"noise", "noisy", "rooms"}:
            there = ", ".join(found) or "none of them"
            raise ConfigError(f"{root}: clean is expected, and noise, noisy or rooms beside it, found {there}")
        faults = [f"{sound.path}: {sound.fault}" for sounds in found.values() for sound in sounds if sound.fault]
        if "noisy" in found:
            faults += unpaired(root, found["clean"], found["noisy"])
        rooms = [sound.path for sound in found.get("rooms", ()) if not sound.fault]
        if rooms and not (root / "rooms" / "rooms.tsv").is_file():
            write_rooms(root / "rooms", rooms)
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    for fault in faults:
        sys.stderr.write(f"prepare: {fault}\n")
    return 1 if faults else 0


def look(folder: Path, look_at: Callable[[Path], Sound]) -> list[Sound]:
    """What is in a folder, which is written out.

    Raises:
        ConfigError: where it holds no sound.
    """
    sounds = side_by_side(look_at, sorted(path for path in folder.rglob("*") if is_audio(path)))
    if not sounds:
        raise ConfigError(f"{folder}: no sound files in it")
    rates = ", ".join(f"{rate} Hz" for rate in sorted({sound.rate for sound in sounds if sound.rate}))
    sys.stdout.write(f"{folder}: {len(sounds)} files, {sum(sound.seconds for sound in sounds) / 60:.1f} min, {rates}\n")
    return sounds


def look_at(path: Path) -> Sound:
    """One file of speech or noise."""
    sound, rate, fault = look_into(path)
    peak = np.abs(sound).max(initial=0)
    if fault is None and peak < QUIET:
        fault = "all but silent: was the microphone muted?"
    if fault is None and (np.abs(sound) >= FULL).mean() > CLIPPED:
        fault = f"clipped, {100 * (np.abs(sound) >= FULL).mean():.1f} % of it: record it again, with less gain"
    return Sound(path, sound.shape[-1] / rate if rate else 0.0, rate, fault)


def look_at_room(path: Path) -> Sound:
    """One file of impulse responses."""
    sound, rate, fault = look_into(path)
    return Sound(path, sound.shape[-1] / rate if rate else 0.0, rate, fault or (None if sound.any() else "silent"))


def look_into(path: Path) -> tuple[np.ndarray, int, str | None]:
    """Samples (channel, time), rate in Hz, and what is wrong with them."""
    try:
        with Reader(path) as reader:
            sound = np.concatenate([np.zeros((reader.channels, 0), np.float32), *reader.blocks()], axis=1)
            rate, warnings = reader.sample_rate, reader.warnings
    except AudioError as error:
        return np.zeros((1, 0)), 0, str(error).removeprefix(f"{path}: ")
    if warnings:
        return sound, rate, warnings[0]
    if not np.isfinite(sound).all():
        return np.nan_to_num(sound), rate, "holds samples that are no numbers"
    return sound, rate, f"sample rate is {rate} Hz, the recipes need {LOW} or more" if rate < LOW else None


def unpaired(root: Path, clean: Sequence[Sound], noisy: Sequence[Sound]) -> list[str]:
    """A line for every sound without a partner of its name and length."""
    sides = [
        {sound.path.relative_to(root / kind).with_suffix("").as_posix(): sound for sound in sounds}
        for kind, sounds in (("clean", clean), ("noisy", noisy))
    ]
    alone = sorted(sides[0].keys() ^ sides[1].keys())
    lines = [f"{(sides[0].get(name) or sides[1][name]).path}: no partner of this name" for name in alone]
    for name in sorted(sides[0].keys() & sides[1].keys()):
        first, second = sides[0][name], sides[1][name]
        if abs(first.seconds - second.seconds) > SLACK:
            lines.append(f"{first.path}: lasts {first.seconds:.3f} s, its noisy partner {second.seconds:.3f} s: cut them to one length")
    return lines


def write_rooms(folder: Path, paths: Sequence[Path]) -> None:
    """A table of measured rooms, a file each; the direct path is the largest sample."""
    responses = [np.abs(read(path)[0].mean(0)) for path in paths]
    rows = [(path, 0, len(response), response.argmax()) for path, response in zip(paths, responses, strict=True)]
    sys.stdout.write(write_table(folder / "rooms.tsv", ("file", "start", "stop", "direct_sample"), rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
