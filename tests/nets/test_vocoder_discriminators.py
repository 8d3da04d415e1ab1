import json
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F

from sgaudio.errors import ConfigError
from sgaudio.nets.vocoder_discriminators import (
    Verdict,
    VocoderDiscriminators,
    VocoderDiscriminatorsConfig,
    discriminator_loss,
    feature_loss,
    generator_loss,
)
from sgaudio.registry import build

SMALL = VocoderDiscriminatorsConfig(periods=(2, 3), scales=2, channels=128)


def sound(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def small(config: VocoderDiscriminatorsConfig = SMALL) -> VocoderDiscriminators:
    torch.manual_seed(0)
    return VocoderDiscriminators(config)


def said(scores: list[float], *features: list[float]) -> Verdict:
    values = torch.tensor(scores)[:, None, None]
    return Verdict(values, [*(torch.tensor(feature)[:, None, None] for feature in features), values])


@pytest.mark.parametrize(
    ("periods", "scales", "count"),
    [((2, 3, 5, 7, 11), 0, 41_105_770), ((3, 5, 7, 11, 17, 23, 37), 0, 57_548_078), ((), 3, 29_618_821)],
)
def test_published_sizes_hold_as_many_numbers_as_published(periods, scales, count):
    with torch.device("meta"):
        network = VocoderDiscriminators(VocoderDiscriminatorsConfig(periods, scales))
        assert sum(value.numel() for value in network.parameters()) == count


def test_each_says_its_scores_last_among_its_features():
    verdicts = small()(sound(2, 1, 1001))
    assert [len(verdict.features) for verdict in verdicts] == [6, 6, 8, 8]
    for scores, features in verdicts:
        assert scores.shape[:2] == (2, 1)
        assert features[-1] is scores
    rows = [-(-1001 // period) for period in (2, 3)]
    for verdict, period, row in zip(verdicts, (2, 3), rows, strict=False):
        assert verdict.scores.shape[2:] == (-(-row // 81), period)
    assert [verdict.scores.shape[-1] for verdict in verdicts[2:]] == [-(-1001 // 64), -(-501 // 64)]


def test_a_period_discriminator_never_mixes_the_places_inside_a_period():
    network = small(VocoderDiscriminatorsConfig(periods=(3,), scales=0, channels=128))
    waveform = sound(1, 1, 300)
    other = waveform.clone()
    other[..., 1::3] = 0
    (one,), (two,) = network(waveform), network(other)
    same = (one.scores == two.scores)[0, 0].all(0)
    assert same.tolist() == [True, False, True]


def test_scales_after_the_first_see_means_of_four_samples_two_apart():
    network = small(VocoderDiscriminatorsConfig(periods=(), scales=2, channels=128))
    waveform = sound(1, 1, 256)
    padded = F.pad(waveform, (2, 2)).unfold(-1, 4, 2).mean(-1)
    torch.testing.assert_close(network(waveform)[1].scores, network.scales[1](padded).scores)


def test_the_first_scale_is_held_by_spectral_norm():
    network = small().double().train()
    first, second = (scale.layers[0] for scale in network.scales)
    with torch.no_grad():
        first.parametrizations.weight.original.mul_(100)
        for _ in range(200):
            weight = first.weight
    assert torch.linalg.matrix_norm(weight.flatten(1), 2) == pytest.approx(1, rel=1e-6)
    assert hasattr(second.parametrizations.weight, "original1")


def test_batch_mates_do_not_meet():
    network, waveform = small().eval(), sound(3, 1, 500)
    together = network(waveform)
    for i in range(3):
        for one, many in zip(network(waveform[i : i + 1]), together, strict=True):
            torch.testing.assert_close(one.scores, many.scores[i : i + 1], rtol=1e-4, atol=1e-5)


def test_losses_are_sums_over_discriminators_of_means_over_scores():
    real, fake = [said([1, 0.5], [1, 2]), said([0, 0])], [said([0, 0.5], [1, 5]), said([1, 3])]
    assert discriminator_loss(real, fake).item() == pytest.approx((0.25 / 2 + 0.25 / 2) + (1 + (1 + 9) / 2))
    assert generator_loss(fake).item() == pytest.approx((1 + 0.25) / 2 + (0 + 4) / 2)
    assert feature_loss(real, fake).item() == pytest.approx(2 * (3 / 2 + 1 / 2 + (1 + 3) / 2))


def test_losses_vanish_where_all_is_as_wanted():
    real, fake = [said([1, 1], [2, 3])], [said([0, 0], [2, 3])]
    assert discriminator_loss(real, fake) == 0
    assert generator_loss(real) == 0
    assert feature_loss(real, real) == 0


def test_the_vocoder_learns_from_its_own_sound_alone():
    network, real, fake = small(), sound(1, 1, 400).requires_grad_(), sound(1, 1, 400, seed=1).requires_grad_()
    judged = network(fake)
    (generator_loss(judged) + feature_loss(network(real), judged)).backward()
    assert real.grad is None
    assert fake.grad is not None
    assert fake.grad.any()


def test_every_weight_learns():
    network = small()
    discriminator_loss(network(sound(1, 1, 400)), network(sound(1, 1, 400, seed=1))).backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_a_configuration_is_made_from_plain_values():
    assert build(VocoderDiscriminatorsConfig, json.loads(json.dumps(asdict(SMALL)))) == SMALL


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"channels": 200}, "channels is 200, expected a multiple of 128"),
        ({"periods": (), "scales": 0}, "no periods and no scales, expected at least one discriminator"),
        ({"periods": (0,)}, "expected 1 to 1024"),
    ],
)
def test_wrong_sizes_are_refused_at_construction(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        VocoderDiscriminatorsConfig(**options)


@pytest.mark.parametrize("shape", [(2, 400), (2, 2, 400), (2, 1, 2)])
def test_wrong_waveforms_are_refused(shape):
    with pytest.raises(ConfigError, match=r"the waveform is .*, expected \(batch, 1, sample\) with 3 samples or more"):
        small()(torch.zeros(shape))
