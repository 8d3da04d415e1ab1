"""Training losses of the papers, as functions of the clean estimate alone.

Whatever a network predicts, its squared error is that of the clean estimate D times a number of the path: the noise (and, times sigma, the
score) is wrong by alpha / sigma (D - x_0), the mean by alpha (D - x_0), and so on. So any loss trains any network, whatever it predicts.

    |.|^2    squared error of an item's spectrogram, summed over all its bins and frames; losses are means over the items of a batch
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.processes import Process
from sgaudio.processes.base import check_process
from sgaudio.processes.prediction import Point, flow, point
from sgaudio.processes.states import match
from sgaudio.registry import Range, Registry, bind


class Judged(NamedTuple):
    """Estimates of a batch beside the clean sound.

    Spectrograms are complex (batch, 1, bins, frame), waveforms (batch, time).
    """

    estimate: Tensor
    clean: Tensor
    waveform: Tensor
    clean_waveform: Tensor
    points: Sequence[Point]  # of the states that the estimates were made from, one an item
    first: Tensor | None  # estimate of a first stage, a spectrogram


def score_matching(judged: Judged) -> Tensor:
    """1/2 |sigma s + n|^2 of the score s (Richter et al. 2023, 2208.05830; StoRM, BBED)."""
    return _weighted(judged, lambda t: (t.alpha / t.sigma) ** 2)


def denoising(
    judged: Judged,
    weighting: Literal["1", "sigma^2", "edm"] = "1",
    sigma_data: Annotated[float, Range(1e-6, 1e6)] = 0.1,
) -> Tensor:
    """1/2 w |m - alpha x_0 - kappa y|^2 of the estimated mean m (Richter, de Oliveira, Gerkmann 2024, 2409.10753, eq. 8).

    The weight w is 1, sigma^2 or that of EDM, (sigma^2 + sigma_data^2) / (sigma sigma_data)^2.
    """
    weights = {
        "1": lambda t: 1.0,
        "sigma^2": lambda t: t.sigma**2,
        "edm": lambda t: (t.sigma**2 + sigma_data**2) / (t.sigma * sigma_data) ** 2,
    }
    return _weighted(judged, lambda t: t.alpha**2 * weights[weighting](t))


def flow_matching(judged: Judged) -> Tensor:
    """1/2 |v - u|^2 of the path's velocity u (Lipman et al. 2023, 2210.02747; FlowSE: Lee et al. 2025, 2508.06840)."""
    return _weighted(judged, lambda t: 1 / flow(t).output ** 2)


def data_prediction(judged: Judged, l1_weight: Annotated[float, Range(0, 1000)] = 0.001) -> Tensor:
    """1/2 |D - x_0|^2, a mean over bins and frames, and `l1_weight` / 2 times the absolute error of the waveform, a mean over its samples.

    Jukić et al. 2024, 2407.16074, as Richter, de Oliveira, Gerkmann 2024, 2409.10753, have it, without their PESQ loss.
    """
    bins, frames = judged.clean.shape[-2:]
    spectrogram_error = _squared_error(judged.estimate, judged.clean).mean() / (bins * frames)
    return 0.5 * (spectrogram_error + l1_weight * (judged.waveform - judged.clean_waveform).abs().mean())


def regeneration(judged: Judged, weight: Annotated[float, Range(0, 1)] = 0.5) -> Tensor:
    """`weight` times 1/2 |D - x_0|^2 of the first stage, 1 - `weight` times score matching of the second (StoRM, 2212.11851)."""
    if judged.first is None:
        raise ConfigError("loss 'regeneration' needs the estimate of the first stage and got none: pass first")
    first_error = 0.5 * _squared_error(judged.first, judged.clean).mean()
    return weight * first_error + (1 - weight) * score_matching(judged)


def reconstruction(judged: Judged) -> Tensor:
    """`reconstruction_loss`, our own."""
    return reconstruction_loss(judged.estimate, judged.clean, judged.waveform, judged.clean_waveform)


def reconstruction_loss(estimate: Tensor, clean: Tensor, waveform: Tensor, clean_waveform: Tensor) -> Tensor:
    """Squared error of the complex and of the further compressed magnitude spectrogram, and twice the absolute error of the waveform.

    Each is a mean (after Jukić et al. 2024, 2407.16074). Spectrograms (..., bins, frame), waveforms (batch, time).
    """
    complex_error = (estimate - clean).abs().square().mean()
    magnitude_error = ((estimate.abs() + 1e-6) ** 0.6 - (clean.abs() + 1e-6) ** 0.6).square().mean()
    return complex_error + magnitude_error + 2 * (waveform - clean_waveform).abs().mean()


LOSSES = Registry[Callable[..., Tensor]](
    "loss",
    {
        "reconstruction": reconstruction,
        "score-matching": score_matching,
        "denoising": denoising,
        "flow-matching": flow_matching,
        "data-prediction": data_prediction,
        "regeneration": regeneration,
    },
)


class Loss:
    """A training loss, on the states of a process.

    Args:
        name: of `LOSSES`.
        process: that the states are of.
        options: the loss's own.

    Raises:
        ConfigError: on an unknown loss or option, or a value out of its range.
    """

    def __init__(self, name: str, process: Process, **options: object):
        self._loss, self.name = LOSSES[name], f"loss {name!r}"
        check_process(self.name, process)
        self._process, self._options = process, bind(self._loss, options, self.name)

    def __call__(
        self,
        estimate: Tensor,
        clean: Tensor,
        times: Sequence[float],
        waveform: Tensor,
        clean_waveform: Tensor,
        first: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch: a scalar. It waits for no device.

        Args:
            estimate, clean: spectrograms, complex (batch, 1, bins, frame).
            times: of the states that the estimates were made from, one an item.
            waveform, clean_waveform: the same as sound, (batch, time).
            first: a first stage's estimate, as `estimate`, for the loss that asks for it.

        Raises:
            ConfigError: on shapes that do not match, and at a time at which the loss is infinite.
        """
        match(f"{self.name}: the estimate", estimate, clean, "clean sound")
        match(f"{self.name}: the waveform", waveform, clean_waveform, "clean sound")
        if first is not None:
            match(f"{self.name}: the first stage's estimate", first, clean, "clean sound")
        if len(times) != len(clean):
            raise ConfigError(f"{self.name}: got {len(times)} times for a batch of {len(clean)}, expected one an item")
        points = [point(self._process, time) for time in times]
        try:
            return self._loss(Judged(estimate, clean, waveform, clean_waveform, points, first), **self._options)
        except ZeroDivisionError:
            time = next(t.time for t in points if t.sigma == 0)
            raise ConfigError(f"{self.name} is infinite at time {time:g}, where sigma is 0: draw other times") from None


def _squared_error(estimate: Tensor, clean: Tensor) -> Tensor:
    """|D - x_0|^2: (batch)."""
    return (estimate - clean).abs().square().flatten(1).sum(1)


def _weighted(judged: Judged, weight: Callable[[Point], float]) -> Tensor:
    """Half the squared error, times a number of the path: the mean over the batch."""
    errors = _squared_error(judged.estimate, judged.clean)
    weights = torch.tensor([weight(t) for t in judged.points], dtype=errors.dtype)
    weights = weights.pin_memory() if errors.is_cuda else weights
    return 0.5 * (weights.to(errors.device, non_blocking=True) * errors).mean()
