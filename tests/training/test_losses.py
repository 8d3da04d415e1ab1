"""Losses measure what they say, and are weighed by their gradients."""

import pytest
import torch

from sgaudio.training.discriminators import Adversary
from sgaudio.training.losses import GradientBalance, multi_resolution_loss


def test_equal_sounds_have_no_distance():
    sound = torch.randn(2, 4000)
    assert multi_resolution_loss(sound, sound, 2.0) == 0


def test_only_excess_in_quiet_places_is_penalised():
    torch.manual_seed(0)
    clean = torch.randn(1, 8000) * 0.1
    clean[:, 4000:] = 0
    grain, gap = clean.clone(), clean.clone()
    grain[:, 4000:] += torch.randn(1, 4000) * 0.01
    gap[:, :4000] *= 0.5
    assert multi_resolution_loss(grain, clean, 2.0) > 2 * multi_resolution_loss(grain, clean, 0.0)
    assert multi_resolution_loss(gap, clean, 2.0) == pytest.approx(multi_resolution_loss(gap, clean, 0.0).item(), rel=0.05)


def test_gradients_have_the_asked_norms():
    torch.manual_seed(0)
    estimate = torch.randn(4, 5, dtype=torch.complex64, requires_grad=True)
    losses = {"first": estimate.abs().square().sum(), "large": 1e4 * estimate.real.sum(), "small": 1e-4 * estimate.imag.square().sum()}
    balance = GradientBalance()
    balance(losses, dict.fromkeys(losses, 1.0), estimate, refresh=False)
    measure = torch.linalg.vector_norm(torch.autograd.grad(losses["first"], estimate, retain_graph=True)[0])
    for name, share in {"first": 1.0, "large": 0.25, "small": 2.5}.items():
        shares = dict.fromkeys(losses, 0.0) | {name: share}
        gradient = torch.autograd.grad(balance(losses, shares, estimate, refresh=False), estimate, retain_graph=True)[0]
        assert torch.linalg.vector_norm(gradient) / measure == pytest.approx(share, rel=1e-4)


def test_a_refresh_goes_half_of_the_way():
    estimate = torch.ones(3, requires_grad=True)
    balance = GradientBalance()
    balance({"a": estimate.sum(), "b": estimate.sum()}, {"a": 1.0, "b": 1.0}, estimate, refresh=False)
    loss = balance({"a": estimate.sum(), "b": 0.5 * estimate.sum()}, {"a": 0.0, "b": 1.0}, estimate, refresh=True)
    assert loss.item() == pytest.approx((1 + 2) / 2 * 1.5)


def test_network_and_discriminators_learn_from_losses_of_their_own():
    torch.manual_seed(0)
    adversary = Adversary(3000, torch.device("cpu"), torch.float32, torch.Generator().manual_seed(0))
    fake = torch.randn(2, 4000, requires_grad=True)
    adversary.hear(fake, torch.randn(2, 4000), torch.randn(2, 4000))
    sum(adversary.judge()).backward()
    assert fake.grad is not None
    assert fake.grad.any(-1).all()
    assert all(parameter.grad is None for parameter in adversary.discriminators.parameters())
    fake.grad = None
    adversary.loss().backward()
    assert fake.grad is None
    assert all(parameter.grad is not None for parameter in adversary.discriminators.parameters())
