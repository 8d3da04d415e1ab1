"""Training losses of a singing voice, over what there is and never over padding: durations, pitch, and how alike two mels look.

As DiffSinger has them (Liu et al. 2022, 2105.02446; MoonInTheRiver/DiffSinger), but for the padding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.nets.fastspeech2_midi import Pitch, predicted_frames

SSIM_WINDOW, SSIM_DEVIATION, SSIM_CONSTANTS = 11, 1.5, (0.01**2, 0.03**2)  # of Wang et al. 2004, for values from 0 to 1


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of values where a mask, which broadcasts to them, is true; 0 if it is nowhere."""
    mask = mask.expand(values.shape)
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)


def duration_losses(predicted: Tensor, durations: Tensor, words: Tensor, there: Tensor) -> dict[str, Tensor]:
    """Squared errors of log(1 + frames), of phones, words and whole items.

    Args:
        predicted: log(1 + frames), (batch, phone).
        durations: in frames, (batch, phone).
        words: (batch, phone), counted from 1.
        there: (batch, phone), true where there are phones.
    """
    target = durations.to(predicted.dtype)
    frames = torch.where(there, predicted_frames(predicted), 0)

    def error(sums: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
        return masked_mean((sums.log1p() - expected.log1p()).square(), mask)

    def by_word(values: Tensor) -> Tensor:
        return values.new_zeros(len(values), values.shape[1] + 1).scatter_add(1, words, values)[:, 1:]

    return {
        "duration": masked_mean((predicted - target.log1p()).square(), there),
        "word": error(by_word(frames), by_word(target), by_word(there.to(target.dtype)) > 0),
        "sentence": error(frames.sum(1), target.sum(1), there.any(1)),
    }


def pitch_losses(pitch: Pitch, f0: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Absolute error of log2 F0 where there is voice, and cross entropy of the voicing: F0 (batch, frame) in Hz, 0 without voice."""
    voiced = mask & (f0 > 0)
    octaves = (pitch.log2_f0 - f0.clamp(min=1).log2()).abs()
    voicing = F.binary_cross_entropy_with_logits(pitch.unvoiced, (f0 <= 0).to(pitch.unvoiced.dtype), reduction="none")
    return {"f0": masked_mean(octaves, voiced), "voicing": masked_mean(voicing, mask)}


def structural_similarity(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """SSIM of two batches of mels, 0 to 1, (batch, bins, frame), where the mask, (batch, frame), is true: the mean, a scalar.

    Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity", eq. 13. Windows that
    reach beyond the edge, or into padding, weigh what is inside alone.
    """
    inside = mask[:, None].expand(first.shape).to(first.dtype)
    position = torch.arange(SSIM_WINDOW, device=first.device, dtype=first.dtype) - SSIM_WINDOW // 2
    window = (-(position**2) / (2 * SSIM_DEVIATION**2)).exp()

    def blurred(x: Tensor) -> Tensor:
        x = F.conv2d(x[:, None], window[None, None, :, None], padding=(SSIM_WINDOW // 2, 0))
        return F.conv2d(x, window[None, None, None], padding=(0, SSIM_WINDOW // 2))[:, 0]

    weight = blurred(inside).clamp(min=torch.finfo(first.dtype).tiny)
    first, second = (torch.where(mask[:, None], each, 0) for each in (first, second))
    mean1, mean2, square1, square2, product = (blurred(x) / weight for x in (first, second, first**2, second**2, first * second))
    variances, covariance = square1 - mean1**2 + square2 - mean2**2, product - mean1 * mean2
    c1, c2 = SSIM_CONSTANTS
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2) / ((mean1**2 + mean2**2 + c1) * (variances + c2))
    return masked_mean(similarity, mask[:, None])
