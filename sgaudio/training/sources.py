"""Where batches come from: a source gives the batch of every number, and what to validate on.

mixing   clean sound, noise and rooms, mixed anew for every batch
pairs    clean and noisy sound that belong together
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from sgaudio.errors import ConfigError
from sgaudio.registry import Registry
from sgaudio.training.data import Batch, ValidationItem
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.mixtures import MixingData, Mixtures
from sgaudio.training.pairs import Pairs, PairsData


class Source(Protocol):
    """Gives batches; str() of it says what is there, in words."""

    def batch(self, step: int, generator: Generator) -> Batch:
        """The batch of a number, float32 (batch, time) on the device: a pure function of seed, number and rank.

        Args:
            step: counts the batches: each has a number of its own.
            generator: on the device, and seeded by seed, number and rank.

        Raises:
            AudioError, SgaudioError: where sound cannot be read any more.
        """
        ...

    def items(self, step: int, generator: Generator) -> list[str]:
        """Names of the sounds in that batch, for messages."""
        ...

    def validation(self) -> Sequence[ValidationItem]:
        """What to validate on: sound that is in no batch."""
        ...


DATA = Registry("data", {"mixing": MixingData, "pairs": PairsData})


def make_source(
    config: MixingData | PairsData,
    mixing: MixingConfig,
    *,
    sample_rate: int,
    level: float,
    batch: int,
    seconds: float,
    device: torch.device,
    rank: int = 0,
    ranks: int = 1,
    seed: int = 1,
    clean: Callable[[Tensor], Tensor] | None = None,
) -> Source:
    """Find and read the sound that a recipe names.

    Args:
        mixing: how sound is mixed; `pairs` does without.
        sample_rate: of the model, in Hz.
        level: root mean square that noisy sound is brought to.
        batch, seconds: items, and their length.
        device: that batches are wanted on.
        rank, ranks: of this process, and how many there are.
        seed: of everything random.
        clean: makes targets of speech, int16 (time) -> int16 (time); None where the targets are the speech itself.

    Raises:
        ConfigError: where a folder, a table or a column is missing, nothing is found, or sound does not fit.
        AudioError: where a file cannot be read.
    """
    common = {"sample_rate": sample_rate, "level": level, "batch": batch, "device": device, "rank": rank, "seed": seed}
    length = round(seconds * sample_rate)
    if isinstance(config, PairsData):
        return Pairs(config, **common, length=length, ranks=ranks)
    if mixing.reverberant and config.rooms is None:
        instead = "" if config.noise is None else ", or take mixing.reverberant=0"
        raise ConfigError(f"mixing: reverberant is {mixing.reverberant:g} without rooms: give data.rooms, a table{instead}")
    if config.noise is None and not mixing.reverberant:
        raise ConfigError("mixing: reverberant is 0 and data.noise null: nothing would make sound noisy; give one of them")
    return Mixtures(config, mixing, **common, length=length, clean=clean)
