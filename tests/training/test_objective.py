"""Objectives can be minimised, and the second job starts where the walk does."""

import pytest
import torch

from sgaudio.models import Enhancer
from sgaudio.models.checkpoint import config_from_mapping
from sgaudio.training.objective import PlainConfig, TwoJobsConfig, make_objective

from .conftest import MODEL, hiss, tone


@pytest.fixture
def enhancer() -> Enhancer:
    torch.manual_seed(0)
    return Enhancer(config_from_mapping(MODEL))


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.from_numpy(tone(0.8)).view(2, -1)
    return clean, clean + torch.from_numpy(hiss(0.8)).view(2, -1)


@pytest.mark.parametrize("config", [PlainConfig(), TwoJobsConfig(adversary=0.0, features=0.0, solo=10**6, replay=(0.9, 0.9))])
def test_loss_goes_down_on_one_batch(config, enhancer, pair, generator):
    objective = make_objective(config, enhancer, generator)
    optimizer = torch.optim.AdamW(enhancer.network.parameters(), lr=1e-2)
    losses = []
    for step in range(20):
        loss, figures = objective.loss(*pair, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(sum(value.item() for value in figures.values()))
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])


def test_later_calls_start_from_own_estimates_and_every_second_step_goes_on(enhancer, pair, generator):
    seen = []
    enhancer.network.register_forward_hook(lambda network, inputs, output: seen.append((*inputs, output.detach())))
    objective = make_objective(TwoJobsConfig(), enhancer, generator)
    for step in range(4):
        objective.loss(*(waveform * (1 + step) for waveform in pair), step)
    assert len(seen) == 8
    process = enhancer.config.process
    for step in range(4):
        (state, noisy, time, first), (later_state, later_noisy, later_time, _) = seen[2 * step : 2 * step + 2]
        assert torch.equal(state, noisy)
        assert time.tolist() == [1, 1]
        source = first
        if step % 2:
            _, before_noisy, before_time, source = seen[2 * step - 1]
            assert (later_time < before_time).all()
            assert torch.equal(later_noisy, before_noisy)
        for item in range(2):
            node = process.at(later_time[item].item())
            noise = (later_state[item] - node.alpha * source[item] - node.kappa * later_noisy[item]) / node.sigma
            assert noise.abs().square().mean().item() == pytest.approx(1, abs=0.1)


def test_the_adversary_is_heeded_after_the_discriminators_had_their_time(enhancer, pair, generator):
    objective = make_objective(TwoJobsConfig(solo=1), enhancer, generator)
    assert "later_adversary" not in objective.loss(*pair, 0)[1]
    assert {"later_adversary", "later_features"} < objective.loss(*pair, 1)[1].keys()
