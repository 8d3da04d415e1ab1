"""A moving average of a network's weights: what is validated and saved."""

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Let `average` go the share 1 - decay of the way to `network`, in place."""
    get_ema_multi_avg_fn(decay)(list(average.parameters()), list(network.parameters()), None)


def warmed(decay: float, step: int) -> float:
    """A decay that is small in the first steps, so that the average soon forgets where it began."""
    return min(decay, (1 + step) / (10 + step))
