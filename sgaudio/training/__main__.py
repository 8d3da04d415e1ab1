"""`python -m sgaudio.training RECIPE [section.option=value ...]`: train a model by a recipe."""

import signal
import sys
from collections.abc import Sequence

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.training.loop import train
from sgaudio.training.recipe import load_recipe

USAGE = """usage: python -m sgaudio.training RECIPE [section.option=value ...]

RECIPE is the path of a .yaml file, or a name like compact/denoise. For example:
    python -m sgaudio.training compact/denoise data.root=corpus trainer.minutes=9
"""


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 trained, 1 failed, 2 wrong use, 128 and the signal's number where one ended the run early."""
    if not arguments or {"-h", "--help"} & set(arguments):
        (sys.stdout if arguments else sys.stderr).write(USAGE)
        return 0 if arguments else 2
    try:
        return train(load_recipe(arguments[0], arguments[1:]))
    except SgaudioError as error:
        sys.stderr.write(f"training: {error}\n")
        return 2 if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:  # before the first step: there is nothing to save
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
