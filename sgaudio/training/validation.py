"""How well a model does on fixed mixtures: scale-invariant signal-to-distortion ratio, whole files (Le Roux et al. 2018, 1811.02508)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.models import Enhancer
from sgaudio.training.data import read_mono, read_table, resampled, side_by_side


class Mixture(NamedTuple):
    """Clean and noisy sound (time)."""

    clean: Tensor
    noisy: Tensor


def load_mixtures(table: Path, snr: tuple[float, float], sample_rate: int) -> list[Mixture]:
    """The mixtures of a table with a signal-to-noise ratio in a range, in dB; a noise that is too short is repeated.

    Raises:
        ConfigError: where the table, a column or all mixtures are missing.
        AudioError: where a file cannot be read.
    """
    rows = read_table(table, ("speech", "noise", "snr_db", "noise_offset_samples"))
    rows = [row for row in rows if snr[0] <= float(row["snr_db"]) <= snr[1]]
    if not rows:
        raise ConfigError(f"data: {table}: no mixture between {snr[0]:g} and {snr[1]:g} dB")
    names = sorted({row[kind] for row in rows for kind in ("speech", "noise")})
    sounds = dict(zip(names, side_by_side(read_mono, [table.parent / name for name in names]), strict=True))
    mixtures = []
    for row in rows:
        clean, noise = (torch.from_numpy(resampled(*sounds[row[kind]], sample_rate)) for kind in ("speech", "noise"))
        offset = round(int(row["noise_offset_samples"]) * sample_rate / sounds[row["noise"]][1])
        noise = noise[(offset + torch.arange(len(clean))) % len(noise)]
        gain = 10 ** (-float(row["snr_db"]) / 20) * clean.square().mean().sqrt() / noise.square().mean().sqrt()
        mixtures.append(Mixture(clean, clean + gain * noise))
    return mixtures


def si_sdr(estimate: Tensor, clean: Tensor) -> float:
    """Scale-invariant signal-to-distortion ratio of (time), in dB."""
    target = (estimate @ clean) / (clean @ clean) * clean
    return 10 * math.log10(float(target.square().sum() / (estimate - target).square().sum().clamp_min(1e-9)))


def validate(enhancer: Enhancer, mixtures: Sequence[Mixture], steps: int) -> float:
    """Mean ratio, in dB, after so many steps of the recommended solver."""
    return sum(si_sdr(enhancer.enhance(m.noisy, enhancer.sample_rate, steps=steps), m.clean) for m in mixtures) / len(mixtures)
