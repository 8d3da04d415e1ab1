"""Targets whose own noise floor is lowered: no recording is as clean as what a network should aim at."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.audio.level import root_mean_square
from sgaudio.models import Enhancer

PIECES = 32  # that are worked on at once
SECONDS = 4  # of a piece


@torch.inference_mode()
def clean_targets(enhancer: Enhancer, sound: Tensor, floor: float) -> Tensor:
    """Lower the noise floor of clean speech by a gain that a trained model's first call finds in it.

    The gain is |estimate| / |speech| for each bin, smoothed over 5 bins and 3 frames, at most 1 and at least `floor`.

    Args:
        enhancer: at the sound's rate.
        sound: int16 (time), on any device: it goes to the enhancer's a part at a time.
        floor: in dB, below 0.

    Returns:
        int16 (time), where the sound is.
    """
    return torch.cat(list(_cleaned(enhancer, sound, 10 ** (floor / 20))))


def _cleaned(enhancer: Enhancer, sound: Tensor, least: float) -> Iterator[Tensor]:
    spectrogram, length = enhancer.config.spectrogram, SECONDS * enhancer.sample_rate
    for part in sound.split(PIECES * length):
        pieces = F.pad(part, (0, -len(part) % length)).view(-1, length).to(enhancer.device).float() / 32768
        level = root_mean_square(pieces) / enhancer.config.level
        heard = spectrogram.forward(pieces / level)[:, None]
        estimate = enhancer.denoise(heard, heard, 1.0)
        gain = ((estimate.abs() + 1e-4) / (heard.abs() + 1e-4)).clamp(0, 1) ** (1 / spectrogram.exponent)
        gain = F.avg_pool2d(gain, (5, 3), 1, (2, 1), count_include_pad=False).clamp(least, 1)
        cleaned = spectrogram.inverse(heard * gain**spectrogram.exponent, length)[:, 0] * level
        yield (cleaned.flatten()[: len(part)] * 32768).round().clamp(-32768, 32767).to(torch.int16).to(sound.device)
