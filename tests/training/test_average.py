"""The moving average of the weights."""

import pytest
import torch
from torch import nn

from sgaudio.training.average import follow, warmed


def test_the_average_goes_its_share_of_the_way():
    average, network = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.constant_(average.weight, 0.0)
    nn.init.constant_(network.weight, 1.0)
    before = network.weight.clone()
    for step in range(3):
        follow(average, network, 0.9)
        assert torch.allclose(average.weight, torch.tensor(1 - 0.9 ** (step + 1)))
    assert torch.equal(network.weight, before)


def test_the_first_steps_forget_fast():
    assert warmed(0.998, 0) == pytest.approx(0.1)
    assert warmed(0.998, 10**6) == 0.998
    assert all(warmed(0.998, step) <= warmed(0.998, step + 1) for step in range(10_000))
