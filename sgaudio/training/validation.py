"""How well a model does on fixed mixtures: scale-invariant signal-to-distortion ratio, whole files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgaudio.audio.mixtures import Mixed, Mixture, read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.metrics.energy_ratios import si_sdr
from sgaudio.models import Enhancer
from sgaudio.training.data import side_by_side


def load_mixtures(table: Path, snr: tuple[float, float], sample_rate: int) -> list[Mixed]:
    """The mixtures of a table (`sgaudio.audio.mixtures`) with a signal-to-noise ratio in a range, in dB.

    Raises:
        ConfigError: where the table, a column or all mixtures are missing.
        AudioError: where a file cannot be read.
    """
    mixtures = [mixture for mixture in read_mixtures(table) if mixture.snr_db is not None and snr[0] <= mixture.snr_db <= snr[1]]
    if not mixtures:
        raise ConfigError(f"data: {table}: no mixture between {snr[0]:g} and {snr[1]:g} dB")

    def load(mixture: Mixture) -> Mixed:
        return mixture.load(sample_rate)

    return side_by_side(load, mixtures)


def validate(enhancer: Enhancer, mixtures: Sequence[Mixed], steps: int) -> float:
    """Mean ratio, in dB, after so many steps of the recommended solver."""
    ratios = []
    for sounds in mixtures:
        estimate: Any = enhancer.enhance(sounds.noisy, sounds.sample_rate, steps=steps)
        ratios.append(si_sdr(estimate, sounds.clean, sounds.sample_rate)["SI-SDR"])
    return sum(ratios) / len(ratios)
