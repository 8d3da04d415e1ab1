"""Scores against calls, as by solvers.py, on speech in rooms without noise, beside WPE.

    python dereverberation.py MODEL.safetensors ... --rooms rir/rir_dev.tsv --speech devset/speech -o results --device cuda

Each speech file is heard in --each rooms of the table, all rooms about as often; what comes by the direct path alone is the aim. That is
a table of mixtures, RESULTS/mixtures.tsv, which this script writes; the rest, further options too, is as in solvers.py.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from solvers import arguments, ended, sweep

from sgaudio.audio.formats import is_audio
from sgaudio.errors import ConfigError
from sgaudio.evaluation.storage import save_text
from sgaudio.training.data import beside, read_table

COLUMNS = ("id", "speech", "noise", "snr_db", "room", "room_start", "room_stop", "room_direct_sample")


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--rooms", type=Path, required=True, metavar="TABLE", help="columns file, start, stop, direct_sample")
    parser.add_argument("--speech", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--each", type=int, default=2, help="rooms for a file")
    parser.set_defaults(against=["wpe"])
    options = parser.parse_args()

    def write_and_sweep() -> None:
        table = options.output / "mixtures.tsv"
        lines = [COLUMNS, *rows(options.speech, options.rooms, options.each, options.output)]
        options.output.mkdir(parents=True, exist_ok=True)
        save_text(table, "".join("\t".join(line) + "\n" for line in lines))
        options.mixtures = str(table)
        sweep(options)

    return ended(write_and_sweep)


def rows(speech: Path, rooms: Path, each: int, folder: Path) -> Iterator[tuple[str, ...]]:
    """Those of a table of mixtures that will lie in `folder`.

    Raises:
        ConfigError: where there is no speech, or no room.
    """
    sounds = sorted(path for path in speech.rglob("*") if is_audio(path))
    if not sounds:
        raise ConfigError(f"--speech: {speech}: no sound in it")
    found = read_table(rooms, ("file", "start", "stop", "direct_sample"))
    for number, (sound, place) in enumerate((sound, place) for sound in sounds for place in range(each)):
        room = found[number % len(found)]
        paths = [os.path.relpath(path, folder) for path in (sound, beside(rooms, room["file"]))]
        yield f"{sound.stem}_{place + 1}", paths[0], "", "", paths[1], room["start"], room["stop"], room["direct_sample"]


if __name__ == "__main__":
    sys.exit(main())
