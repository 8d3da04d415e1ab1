"""A speech enhancement model: network + spectrogram + process + prediction, and the solver that suits them.

SGMSE+ (Richter et al. 2022, 2208.05830) and the Schrödinger bridge (Jukić et al. 2024, 2407.16074) are settings of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.audio.formats import RATES
from sgaudio.audio.level import root_mean_square
from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.nets import BandDiTConfig, make_network
from sgaudio.processes import Prediction, Process
from sgaudio.processes.prediction import Times
from sgaudio.registry import Range, check
from sgaudio.solvers import SOLVERS, Plan, keyed_noise, record, sample
from sgaudio.solvers.grids import named_grid
from sgaudio.streaming import Stream
from sgaudio.streaming.stream import Samples

Waveform = Samples


@dataclass(frozen=True)
class Sampling:
    """How a model's process is walked back.

    Args:
        solver: its name.
        steps: number of steps.
        grid: name of the grid of times.
        start: of a bridge, "mean" or "drawn".
        solver_options, grid_options: of the two, where they are not to be the default ones.
    """

    solver: str = "ddim"
    steps: Annotated[int, Range(1, 1000)] = 1
    grid: str = "even"
    start: Literal["mean", "drawn"] = "mean"
    solver_options: dict[str, Any] = field(default_factory=dict)
    grid_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    def plan(self, process: Process) -> Plan:
        """The table of coefficients (an error here is one of these settings)."""
        grid = named_grid(self.grid, process, self.steps, self.grid_options)
        return record(SOLVERS[self.solver], process, grid, start=self.start, **self.solver_options)


@dataclass(frozen=True)
class EnhancerConfig:
    """Everything about an enhancer but its weights.

    Args:
        network: sizes of the network.
        process: between clean and noisy spectrogram.
        spectrogram: domain of the state.
        windows: in which files and streams are worked on, in samples.
        sampling: recommended way of sampling.
        sample_rate: in Hz.
        prediction: what the network predicts: a name of `PREDICTIONS`.
        level: root mean square to which the noisy sound of a window is brought.
        prediction_options: of the prediction, where they are not to be the default ones.
    """

    network: BandDiTConfig
    process: Process
    spectrogram: Spectrogram
    windows: Windows
    sampling: Sampling = field(default_factory=Sampling)
    sample_rate: Annotated[int, Range(RATES.start, RATES.stop - 1)] = 16_000
    prediction: str = "data"
    level: Annotated[float, Range(1e-4, 10)] = 1 / 12
    prediction_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)
        self.predicted.at(1.0)
        if self.network.bins != self.spectrogram.bins:
            raise ConfigError(f"the network has {self.network.bins} bins, the spectrogram {self.spectrogram.bins}")
        if self.windows.hop % self.spectrogram.hop or self.windows.length % self.spectrogram.hop:
            raise ConfigError(f"hop and length of the windows must be multiples of the spectrogram's hop, {self.spectrogram.hop}")
        self.sampling.plan(self.process)

    @property
    def predicted(self) -> Prediction:
        """How the network is read."""
        return Prediction(self.prediction, self.process, **self.prediction_options)


class Enhancer:
    """Estimate clean speech from noisy speech.

    Args:
        config: of the model.
        network: with weights; a new one if not given.
        name: how the model is called in messages and reports.
    """

    def __init__(self, config: EnhancerConfig, network: torch.nn.Module | None = None, name: str = "enhancer"):
        self.config, self.name = config, name
        self.prediction = config.predicted
        self.network = make_network(config.network) if network is None else network
        self.device, self.dtype = torch.device("cpu"), torch.float32

    @property
    def sample_rate(self) -> int:
        """Of the sound that the network sees, in Hz."""
        return self.config.sample_rate

    def to(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> "Enhancer":
        """Move the network; with another dtype than float32 it computes in that, states and spectrograms stay float32."""
        self.device, self.dtype = torch.device(device), dtype
        self.network.to(self.device)
        return self

    def denoise(self, state: Tensor, noisy: Tensor, time: Times) -> Tensor:
        """The estimate of the clean spectrogram from a state at `time`, or at one time an item: one call of the network.

        State, noisy and estimate are complex (batch, 1, bins, frame).
        """
        conversion = self.prediction.at(time)
        seen, told = conversion.given(state, noisy)
        with torch.autocast(state.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output = self.network(seen, noisy, told)
        return conversion.clean(output, state, noisy)

    @torch.inference_mode()
    def estimate(self, noisy: Tensor, plan: Plan, seed: int, first_frames: Tensor) -> Tensor:
        """Walk back from a noisy spectrogram, complex (batch, 1, bins, frame), to the clean estimate.

        Args:
            noisy: at the level of training.
            plan: of the solver.
            seed: of the noise, with `first_frames`, the absolute index (batch) of each item's first frame, all that it depends on.
        """
        start, noise = self.config.process.at(1), keyed_noise(seed, noisy, first_frames)
        state = (start.alpha + start.kappa) * noisy + start.sigma * noise(0, "start", 0) if start.sigma else noisy
        return sample(plan, lambda x, t: self.denoise(x, noisy, t), state, noisy, noise)

    def loss(self, clean: Tensor, noisy: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Training loss of one batch of pairs, waveforms (batch, time) at the model's rate: a scalar.

        A state of the process is drawn at a random time, a quarter of them at the start of the walk. Squared error of the
        complex and of the further compressed magnitude spectrogram, and twice the absolute error of the waveform (after Jukić et al. 2024,
        2407.16074).
        """
        level = root_mean_square(noisy) / self.config.level
        clean, noisy = clean / level, noisy / level
        clean_spectrogram, noisy_spectrogram = (self.config.spectrogram.forward(x[:, None]) for x in (clean, noisy))
        uniform = torch.rand(2, len(clean), generator=generator, device=generator.device if generator else None)
        times = torch.where(uniform[1] < 0.25, 1.0, uniform[0]).tolist()
        alpha, kappa, sigma = self.coefficients(times, clean.device)
        noise = random_noise(clean_spectrogram, generator)
        state = alpha * clean_spectrogram + kappa * noisy_spectrogram + sigma * noise
        estimate = self.denoise(state, noisy_spectrogram, times)
        return reconstruction_loss(estimate, clean_spectrogram, self.config.spectrogram.inverse(estimate, clean.shape[-1])[:, 0], clean)

    def coefficients(self, times: Sequence[float], device: torch.device) -> Tensor:
        """alpha, kappa and sigma of the process at `times`, one an item: (3, batch, 1, 1, 1).

        Sent without waiting for the device.
        """
        nodes = [self.config.process.at(time) for time in times]
        numbers = torch.tensor([(node.alpha, node.kappa, node.sigma) for node in nodes]).T
        numbers = numbers.pin_memory() if device.type == "cuda" else numbers
        return numbers.to(device, non_blocking=True)[..., None, None, None]

    def stream(
        self,
        sample_rate: int,
        channels: int = 1,
        *,
        solver: str | None = None,
        steps: int | None = None,
        seed: int = 0,
        batch: int = 1,
        strength: float = 1.0,
        max_attenuation: float | None = None,
        high_band: Literal["follow", "drop"] = "follow",
    ) -> Stream:
        """A stream that enhances blocks of sound: `push(block)`, `flush()`.

        Args:
            sample_rate: of the blocks, in Hz, 1000 to 768000.
            channels: of the blocks; each is enhanced by itself, with the same noise draw.
            solver, steps: instead of the model's recommended ones.
            seed: of the noise: same seed, same sound.
            batch: the most windows, of one channel each, in one call of the network; more is faster on a GPU, but waits longer.
            strength: share of the enhanced sound in the output, 0 to 1.
            max_attenuation: the most, in dB, by which noise is lowered; None for no limit.
            high_band: what happens above half the model's rate: it follows the gain of the band just below, or is dropped.

        Raises:
            ConfigError: on any option out of its range.
        """
        if not is_number(strength) or not 0 <= strength <= 1:
            raise ConfigError(f"strength is {strength!r}, expected 0 to 1")
        if max_attenuation is not None and not (is_number(max_attenuation) and max_attenuation >= 0):
            raise ConfigError(f"max_attenuation is {max_attenuation!r}, expected 0 dB or more")
        if high_band not in ("follow", "drop"):
            raise ConfigError(f"high_band is {high_band!r}, expected 'follow' or 'drop'")
        if not isinstance(seed, int) or not 0 <= seed < 2**64:
            raise ConfigError(f"seed is {seed!r}, expected an integer, 0 to 2^64 - 1")
        limit = 0.0 if max_attenuation is None else 10 ** (-max_attenuation / 20)
        sampling = self.sampling(solver, steps)
        return Stream(
            self._window_function(sampling.plan(self.config.process), seed),
            self.sample_rate,
            self.config.windows,
            sample_rate,
            channels,
            batch=batch,
            wet=min(strength, 1 - limit),
            high_band=high_band,
        )

    def sampling(self, solver: str | None = None, steps: int | None = None) -> Sampling:
        """The recommended sampling, or another solver (with its own default options) or number of steps."""
        recommended = self.config.sampling
        steps = recommended.steps if steps is None else steps
        if solver is None or solver == recommended.solver:
            return replace(recommended, steps=steps)
        return replace(recommended, steps=steps, solver=solver, solver_options={})

    @property
    def default_batch(self) -> int:
        """Windows a call when a whole file or array is at hand."""
        return 1 if self.device.type == "cpu" else 16

    def enhance(self, waveform: Waveform, sample_rate: int, **options: Any) -> Waveform:
        """Enhance a whole waveform: (time), (channel, time) or (batch, channel, time), array or tensor; the same shape and kind out.

        Args:
            waveform: any length, also 0.
            sample_rate: in Hz.
            options: those of `stream`; `batch` is `default_batch` if not given.

        Raises:
            AudioError: on another shape, or samples that are not finite.
            ConfigError: on an option out of its range.
        """
        if not isinstance(waveform, np.ndarray) and not isinstance(waveform, Tensor):
            raise AudioError(f"waveform is a {type(waveform).__name__}, expected an array or a tensor")
        shape = tuple(waveform.shape)
        if not 1 <= len(shape) <= 3 or math.prod(shape[:-1]) == 0:
            raise AudioError(f"waveform has shape {shape}, expected (time), (channel, time) or (batch, channel, time)")
        flat: Any = waveform.reshape(math.prod(shape[:-1]), shape[-1])
        with self.stream(sample_rate, len(flat), **{"batch": self.default_batch, **options}) as stream:
            step = 10 * sample_rate
            pieces = [stream.push(flat[:, i : i + step]) for i in range(0, max(shape[-1], 1), step)]
            pieces.append(stream.flush())
        out = torch.cat(pieces, -1) if isinstance(waveform, Tensor) else np.concatenate(pieces, -1)
        return out.reshape(shape)  # pyright: ignore[reportReturnType]

    def _window_function(self, plan: Plan, seed: int):
        """The model as a function on windows, for one plan and one seed."""
        spectrogram = self.config.spectrogram

        @torch.inference_mode()
        def function(windows: Tensor, starts: Tensor) -> Tensor:
            length = windows.shape[-1]
            whole_frames = max(-length % spectrogram.hop, 2 * spectrogram.window - length)
            windows, starts = windows.to(self.device), starts.to(self.device)
            level = root_mean_square(windows) / self.config.level
            noisy = spectrogram.forward(F.pad(windows / level, (0, whole_frames))[:, None])
            clean = self.estimate(noisy, plan, seed, starts // spectrogram.hop)
            return (spectrogram.inverse(clean, length)[:, 0] * level).cpu()

        return function


def reconstruction_loss(estimate: Tensor, clean: Tensor, waveform: Tensor, clean_waveform: Tensor) -> Tensor:
    """Distance of an estimate from the clean sound, as spectrograms (..., bins, frame) and as waveforms (batch, time)."""
    complex_error = (estimate - clean).abs().square().mean()
    magnitude_error = ((estimate.abs() + 1e-6) ** 0.6 - (clean.abs() + 1e-6) ** 0.6).square().mean()
    return complex_error + magnitude_error + 2 * (waveform - clean_waveform).abs().mean()


def is_number(value: object) -> bool:
    """Whether a value is a finite real number."""
    return isinstance(value, Real) and math.isfinite(value)


def random_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise for training, of the shape and kind of `like`; complex noise has E|n|^2 = 1."""
    device = generator.device if generator else like.device
    return torch.randn(like.shape, dtype=like.dtype, generator=generator, device=device).to(like.device)
