"""Training losses: equal to the public code's numbers, and each the error of what it is named after."""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.errors import ConfigError
from sgaudio.models.losses import LOSSES, Loss
from sgaudio.processes import OUVE, PROCESSES, BridgeVE, FlowSE, Prediction, Process

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "sgmse_losses.json").read_text())
SPECTROGRAM = Spectrogram(510, 128, 0.5, 0.15, "hann")
PUBLISHED = {"ouve16": OUVE(), "sbve": BridgeVE()}
PUBLISHED_TIMES = [0.2, 0.8]
GENERATOR = torch.Generator().manual_seed(0)
ESTIMATE, CLEAN, NOISY, NOISE, FIRST = torch.randn(5, 3, 1, 4, 6, dtype=torch.complex128, generator=GENERATOR)
WAVEFORM, CLEAN_WAVEFORM = torch.randn(2, 3, 50, dtype=torch.float64, generator=GENERATOR)

processes = st.sampled_from([PROCESSES[name]() for name in PROCESSES])
times = st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3)


def judge(name: str, process: Process, times: list[float], estimate: Tensor = ESTIMATE, **options: Any) -> float:
    return Loss(name, process, **options)(estimate, CLEAN, times, WAVEFORM, CLEAN_WAVEFORM, FIRST).item()


def drawn(name: str) -> np.ndarray:
    """The rule by which all inputs of the published values were drawn: a stream for each name."""
    return np.random.Generator(np.random.Philox(key=zlib.crc32(f"loss/{name}".encode()))).random((2, 2, 1, 256, 8))


def signal(name: str) -> Tensor:
    real, imaginary = 2 * drawn(name) - 1
    return torch.from_numpy(real + 1j * imaginary)


def published_estimate(process: Process, loss: str, options: dict[str, str]) -> Tensor:
    nodes = [(t.alpha, t.kappa, t.sigma) for t in map(process.at, PUBLISHED_TIMES)]
    alpha, kappa, sigma = torch.tensor(nodes, dtype=torch.float64).T[..., None, None, None]
    radius, turn = drawn("z")
    noise = torch.from_numpy(np.sqrt(-np.log1p(-radius)) * np.exp(2j * math.pi * turn))
    state = alpha * signal("x") + kappa * signal("y") + sigma * noise
    predicts = {"score_matching": "score", "denoiser": "mean", "data_prediction": "data"}[loss]
    form = {name.removeprefix("network_"): value for name, value in options.items() if name != "loss_weighting"}
    return Prediction("sgmse", process, predicts=predicts, **form).at(PUBLISHED_TIMES).clean(signal("net"), state, signal("y"))


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_are_those_of_the_public_code(name: str):
    process_name, loss, written = name.split("|")
    process, options = PUBLISHED[process_name], dict(option.split("=") for option in written.split())
    estimate = published_estimate(process, loss, options)
    ours = {"score_matching": "score-matching", "denoiser": "denoising", "data_prediction": "data-prediction"}[loss]
    waveforms = [SPECTROGRAM.inverse(each, 896)[:, 0] for each in (estimate, signal("x"))]
    weighting = {"weighting": options["loss_weighting"]} if loss == "denoiser" else {}
    got = Loss(ours, process, **weighting)(estimate, signal("x"), PUBLISHED_TIMES, *waveforms).item()
    # where the public code mixes the items of a batch, what it means to compute
    expected = GOLDEN[name].get("intended_loss", GOLDEN[name]["loss"])
    # the public bridge adds 1e-8 to what it divides by
    assert got == pytest.approx(expected, rel=1e-12 if process_name == "ouve16" else 1e-7)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_public_code_hears_a_batch_of_one_too_softly(name: str):
    """There it divides the waveform's error by the number of samples twice."""
    process = PUBLISHED[name]
    estimate, clean = published_estimate(process, "data_prediction", {}), signal("x")
    waveform, clean_waveform = (SPECTROGRAM.inverse(each, 896)[:, 0] for each in (estimate, clean))
    loss = Loss("data-prediction", process, l1_weight=0.001 / 896)
    parts = [slice(0, 1), slice(1, 2)]
    got = [loss(estimate[i], clean[i], [time], waveform[i], clean_waveform[i]) for i, time in zip(parts, PUBLISHED_TIMES, strict=True)]
    assert [each.item() for each in got] == pytest.approx(GOLDEN[f"{name}|data_prediction|"]["losses_alone"], rel=1e-12)


def half_squared(error: Tensor, weights: Tensor | float = 1.0) -> float:
    return (0.5 * weights * error.abs().square().sum((1, 2, 3))).mean().item()


def column(process: Process, times: list[float], of: str) -> Tensor:
    return torch.tensor([getattr(process.at(time), of) for time in times], dtype=torch.float64)


def predicted_error(kind: str, process: Process, times: list[float], **options: object) -> Tensor:
    """How wrong a network is that predicts this, where the estimate made from its output is `ESTIMATE`."""
    alpha, kappa, sigma = (column(process, times, of)[:, None, None, None] for of in ("alpha", "kappa", "sigma"))
    state = alpha * CLEAN + kappa * NOISY + sigma * NOISE
    conversion = Prediction(kind, process, **options).at(times)
    return conversion.target(ESTIMATE, state, NOISY) - conversion.target(CLEAN, state, NOISY)


@given(processes, times)
def test_score_matching_is_the_error_of_the_score_times_sigma(process: Process, times: list[float]):
    expected = half_squared(predicted_error("score", process, times), column(process, times, "sigma") ** 2)
    assert judge("score-matching", process, times) == pytest.approx(expected, rel=1e-9)


@given(processes, times)
def test_flow_matching_is_the_error_of_the_velocity(process: Process, times: list[float]):
    expected = half_squared(predicted_error("flow", process, times))
    assert judge("flow-matching", process, times) == pytest.approx(expected, rel=1e-9)


@given(processes, times, st.floats(0.05, 5))
def test_denoising_is_the_error_of_the_mean_weighted(process: Process, times: list[float], sigma_data: float):
    error, sigma = predicted_error("sgmse", process, times, predicts="mean"), column(process, times, "sigma")
    weights = {"1": 1 + 0 * sigma, "sigma^2": sigma**2, "edm": sigma**-2 + sigma_data**-2}
    for weighting, weight in weights.items():
        got = judge("denoising", process, times, weighting=weighting, sigma_data=sigma_data)
        assert got == pytest.approx(half_squared(error, weight), rel=1e-9)


def test_flow_matching_of_flowse_divides_the_error_by_the_time():
    times = [0.03, 0.5, 1.0]
    expected = half_squared(ESTIMATE - CLEAN, torch.tensor(times, dtype=torch.float64) ** -2)
    assert judge("flow-matching", FlowSE(), times) == pytest.approx(expected, rel=1e-12)


def test_data_prediction_is_a_mean_over_the_spectrogram_and_over_the_samples():
    halves = half_squared(ESTIMATE - CLEAN) / 24, 0.5 * (WAVEFORM - CLEAN_WAVEFORM).abs().mean().item()
    for weight in (0.0, 0.3):
        got = judge("data-prediction", OUVE(), [0.2, 0.5, 1.0], l1_weight=weight)
        assert got == pytest.approx(halves[0] + weight * halves[1], rel=1e-12)


def test_regeneration_is_between_the_errors_of_its_two_stages():
    times, first = [0.2, 0.5, 1.0], half_squared(FIRST - CLEAN)
    second = judge("score-matching", OUVE(), times)
    for weight in (0.0, 0.2, 1.0):
        assert judge("regeneration", OUVE(), times, weight=weight) == pytest.approx(weight * first + (1 - weight) * second, rel=1e-12)
    assert judge("regeneration", OUVE(), times) == pytest.approx((first + second) / 2, rel=1e-12)


def test_reconstruction_adds_the_errors_of_spectrogram_magnitude_and_waveform():
    clean, waveform = torch.full((2, 1, 3, 4), 1j, dtype=torch.complex128), torch.zeros(2, 50, dtype=torch.float64)
    got = Loss("reconstruction", OUVE())(32 * clean, clean, [0.5, 0.5], waveform + 0.25, waveform)
    assert got.item() == pytest.approx(31**2 + (32**0.6 - 1) ** 2 + 0.5, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_estimate_has_no_loss(name: str):
    loss = Loss(name, OUVE())
    assert loss(CLEAN, CLEAN, [0.2, 0.5, 1.0], WAVEFORM, WAVEFORM, CLEAN) == 0
    assert loss(ESTIMATE, CLEAN, [0.2, 0.5, 1.0], WAVEFORM, CLEAN_WAVEFORM, FIRST) > 0.1


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_a_batch_is_the_mean_of_its_items(name: str):
    loss, times = Loss(name, OUVE()), [0.2, 0.5, 1.0]
    tensors = ESTIMATE, CLEAN, WAVEFORM, CLEAN_WAVEFORM, FIRST
    alone = []
    for index, time in enumerate(times):
        estimate, clean, waveform, clean_waveform, first = (each[index : index + 1] for each in tensors)
        alone.append(loss(estimate, clean, [time], waveform, clean_waveform, first).item())
    assert judge(name, OUVE(), times) == pytest.approx(sum(alone) / 3, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_in_float32_can_be_minimised(name: str):
    estimate, first = (each.to(torch.complex64).requires_grad_() for each in (ESTIMATE, FIRST))
    waveform = WAVEFORM.float().requires_grad_()
    loss = Loss(name, OUVE())(estimate, CLEAN.to(torch.complex64), [0.2, 0.5, 1.0], waveform, CLEAN_WAVEFORM.float(), first)
    loss.backward()
    assert loss.dtype == torch.float32
    heeded = {"estimate"} | ({"waveform"} if name in ("reconstruction", "data-prediction") else set())
    heeded |= {"first"} if name == "regeneration" else set()
    found = {"estimate": estimate.grad, "waveform": waveform.grad, "first": first.grad}
    assert {name for name, gradient in found.items() if gradient is not None and gradient.abs().min() > 0} == heeded


@pytest.mark.parametrize(
    ("name", "process", "time", "options"),
    [
        ("score-matching", OUVE(), 0.0, {}),
        ("score-matching", BridgeVE(), 1.0, {}),
        ("regeneration", OUVE(), 0.0, {}),
        ("denoising", OUVE(), 0.0, {"weighting": "edm"}),
        ("flow-matching", FlowSE(), 0.0, {}),
        ("flow-matching", BridgeVE(), 1.0, {}),
    ],
)
def test_a_time_at_which_a_loss_is_infinite_is_refused(name: str, process: Process, time: float, options: dict[str, str]):
    with pytest.raises(ConfigError) as caught:
        judge(name, process, [0.5, time, 0.6], **options)
    assert str(caught.value) == f"loss {name!r} is infinite at time {time:g}, where sigma is 0: draw other times"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Loss("denoisng", OUVE()), "unknown loss 'denoisng': did you mean 'denoising'?"),
        (lambda: Loss("denoising", OUVE(), weight=1.0), "loss 'denoising' has no option 'weight': did you mean 'weighting'?"),
        (lambda: Loss("denoising", OUVE(), weighting="2"), "loss 'denoising': weighting is '2', expected one of '1', 'sigma^2', 'edm'"),
        (lambda: Loss("denoising", OUVE(), sigma_data=0.0), "loss 'denoising': sigma_data is 0.0, expected 1e-06 to 1e+06"),
        (lambda: Loss("data-prediction", OUVE(), l1_weight=-1.0), "loss 'data-prediction': l1_weight is -1.0, expected 0 to 1000"),
        (lambda: Loss("regeneration", OUVE(), weight=2.0), "loss 'regeneration': weight is 2.0, expected 0 to 1"),
        (
            lambda: Loss("reconstruction", OUVE),  # pyright: ignore[reportArgumentType]
            "loss 'reconstruction': the process is the class OUVE, expected an instance of a class like those in PROCESSES, such as OUVE()",
        ),
        (
            lambda: judge("score-matching", OUVE(), [0.5]),
            "loss 'score-matching': got 1 times for a batch of 3, expected one an item",
        ),
        (
            lambda: judge("score-matching", OUVE(), [0.5] * 3, ESTIMATE[:1]),
            "loss 'score-matching': the estimate has the shape (1, 1, 4, 6), expected (3, 1, 4, 6) as the clean sound",
        ),
        (
            lambda: Loss("data-prediction", OUVE())(ESTIMATE, CLEAN, [0.5] * 3, WAVEFORM[:, :1], CLEAN_WAVEFORM),
            "loss 'data-prediction': the waveform has the shape (3, 1), expected (3, 50) as the clean sound",
        ),
        (
            lambda: Loss("regeneration", OUVE())(ESTIMATE, CLEAN, [0.5] * 3, WAVEFORM, CLEAN_WAVEFORM, FIRST[:1]),
            "loss 'regeneration': the first stage's estimate has the shape (1, 1, 4, 6), expected (3, 1, 4, 6) as the clean sound",
        ),
        (
            lambda: Loss("regeneration", OUVE())(ESTIMATE, CLEAN, [0.5] * 3, WAVEFORM, CLEAN_WAVEFORM),
            "loss 'regeneration' needs the estimate of the first stage and got none: pass first",
        ),
    ],
)
def test_wrong_use_is_told_in_one_clear_line(call, message: str):
    with pytest.raises(ConfigError) as caught:
        call()
    assert str(caught.value) == message
