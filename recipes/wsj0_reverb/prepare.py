"""Tables and rooms of WSJ0-REVERB (Richter et al. 2023, 2208.05830): `python prepare.py ROOT [-o FOLDER]`.

ROOT holds, at any depth or as links, WSJ0 as WAV (`../wsj0_chime3/wsj0.py` says how). Every utterance gets a room of its own, simulated by
pyroomacoustics as there: 5 to 15 m by 5 to 15 m by 2 to 6 m, 0.4 to 1 s by Sabine, source and microphone 1 m or more from the walls, image
sources up to order 3, rays behind them, walls like mirrors. They are kept in FOLDER/rooms; speech is convolved with them when it is wanted.
The target is the direct path. The paper lets the echo run on behind the speech by up to half a second, here both end with the utterance.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sgaudio.errors import SgaudioError
from sgaudio.training.rooms import RoomsConfig, simulate, write_bank
from sgaudio.training.tables import Row, read_table, write_table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "wsj0_chime3"))
from wsj0 import RATE, utterances  # pyright: ignore[reportMissingImports]

COLUMNS = ("id", "speech", "noise", "snr_db", "room", "room_start", "room_stop", "room_direct_sample")
ROOMS = RoomsConfig(length=(5.0, 15.0), width=(5.0, 15.0), height=(2.0, 6.0), t60=(0.4, 1.0), wall=1.0, order=3, scattering=0.0)


def main(arguments: Sequence[str]) -> int:
    """Write rooms and tables; exit code 1 where the corpus is not as expected, 2 on wrong use."""
    parser = argparse.ArgumentParser(prog="prepare.py", description="Tables and rooms of WSJ0-REVERB.")
    parser.add_argument("root", type=Path, help="folder of WSJ0, as WAV")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the tables and rooms; ROOT by default")
    parser.add_argument("--rooms", type=int, metavar="N", help="at most so many rooms a split, used in turn; one an utterance by default")
    parser.add_argument("--seed", type=int, default=100, help="of the rooms; 100")
    options = parser.parse_args(arguments)
    if options.seed < 0 or (options.rooms is not None and options.rooms < 1):
        parser.error("--rooms expects 1 or more, --seed 0 or more")
    out = options.out or options.root
    try:
        for number, (split, speech) in enumerate(utterances(options.root).items()):
            rooms = make_rooms(out / "rooms" / split, min(len(speech), options.rooms or len(speech)), options.seed + number)
            rows: list[Row] = [(name, sound.path, "", "", *rooms[i % len(rooms)]) for i, (name, sound) in enumerate(speech.items())]
            sys.stdout.write(write_table(out / f"{split}.tsv", COLUMNS, rows))
    except (SgaudioError, OSError) as error:
        sys.stderr.write(f"prepare: {error}\n")
        return 1
    return 0


def make_rooms(folder: Path, count: int, seed: int) -> list[Row]:
    """Simulate rooms and keep them in `folder`: file, start, stop and direct sample of each."""
    rooms = track(simulate(ROOMS, count, seed, RATE), f"rooms for {folder.name}", count, console=Console(stderr=True))
    rows = read_table(write_bank(folder, rooms, RATE), ("file", "start", "stop", "direct_sample"))
    return [(folder / row["file"], row["start"], row["stop"], row["direct_sample"]) for row in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
