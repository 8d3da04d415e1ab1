"""A speech enhancement model: network + spectrogram + process + prediction, and the solver that suits them.

SGMSE+ (Richter et al. 2022, 2208.05830) and the Schrödinger bridge (Jukić et al. 2024, 2407.16074) are settings of it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sgaudio.audio.formats import RATES
from sgaudio.audio.level import LEVELS
from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.models.losses import Loss
from sgaudio.models.sampling import Sampling, choose
from sgaudio.nets import NCSNpp, NetworkConfig, make_network
from sgaudio.processes import BridgeVE, Prediction, Process
from sgaudio.processes.prediction import Times
from sgaudio.registry import Range, check, check_value
from sgaudio.solvers import Plan, keyed_noise, replayed_noise, sample
from sgaudio.solvers.sample import Noise, matched_noise
from sgaudio.streaming import Stream
from sgaudio.streaming.stream import Samples

Waveform = Samples
START = 0, "start", 0  # key of the noise in a walk's first state
LONGEST = 2**26  # samples of a whole file in one piece
PUBLISHED_MULTIPLE = 64  # of the frames of a whole file, in the public code


@dataclass(frozen=True)
class EnhancerConfig:
    """Everything about an enhancer but its weights.

    Args:
        network: sizes of the network. One that sees neither state nor time predicts the clean sound at once, whatever the process.
        process: between clean and noisy spectrogram.
        spectrogram: domain of the state.
        windows: in which files and streams are worked on, in samples.
        sampling: recommended way of sampling.
        sample_rate: in Hz.
        prediction: what the network predicts: a name of `PREDICTIONS`.
        level: to which the noisy sound of a window is brought.
        prediction_options: of the prediction, where they are not to be the default ones.
        level_rule: what is brought to that level: a name of `LEVELS`.
        presets: other ways of sampling, by name.
        padding: with what published models fill the frames of a whole file up to a multiple of 64: "zeros", or its end mirrored
            ("reflection"). "none" does not: zeros follow the sound itself, to a whole frame.
    """

    network: NetworkConfig
    process: Process
    spectrogram: Spectrogram
    windows: Windows
    sampling: Sampling = field(default_factory=Sampling)
    sample_rate: Annotated[int, Range(RATES.start, RATES.stop - 1)] = 16_000
    prediction: str = "data"
    level: Annotated[float, Range(1e-4, 10)] = 1 / 12
    prediction_options: dict[str, Any] = field(default_factory=dict)
    level_rule: str = "rms"
    presets: dict[str, Sampling] = field(default_factory=dict)
    padding: Literal["none", "zeros", "reflection"] = "none"

    def __post_init__(self) -> None:
        check(self)
        if odd := set(self.network.takes) - set(self.gives):
            raise ConfigError(
                f"the network takes {', '.join(self.network.takes)}, of which this model does not give {', '.join(sorted(odd))}"
            )
        if self.network.bins != self.spectrogram.bins:
            raise ConfigError(f"the network has {self.network.bins} bins, the spectrogram {self.spectrogram.bins}")
        if self.windows.hop % self.spectrogram.hop or self.windows.length % self.spectrogram.hop:
            raise ConfigError(f"hop and length of the windows must be multiples of the spectrogram's hop, {self.spectrogram.hop}")
        LEVELS[self.level_rule]
        for name, sampling in {"sampling": self.sampling, **self.presets}.items():
            check_value(sampling, Sampling, f"{type(self).__name__}: {name}")
            if sampling.steps != 1 and not self.walks:
                raise ConfigError(f"{name}: the network predicts the clean sound at once: steps is {sampling.steps}, expected 1")
            for call in sampling.plan(self.process).calls:
                self.predicted.at(call.time)
                if call.time == 0:
                    raise ConfigError(f"{name}: the network would be told time 0, at which none is trained: let the grid end above 0")

    @property
    def gives(self) -> tuple[str, ...]:
        """What a network of such a model can be called with."""
        return ("state", "noisy", "time")

    @property
    def predicted(self) -> Prediction:
        """How the network is read."""
        return Prediction(self.prediction, self.process, **self.prediction_options)

    @property
    def walks(self) -> bool:
        """Whether the network sees a state, so that more steps than one make a difference."""
        return "state" in self.network.takes


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
        self.network = self.new_network(config) if network is None else network
        self.device, self.dtype, self.compiled = torch.device("cpu"), torch.float32, False

    @staticmethod
    def new_network(config: Any) -> torch.nn.Module:
        """All that such a model learns, as one module."""
        return make_network(config.network)

    @property
    def sample_rate(self) -> int:
        """Of the sound that the network sees, in Hz."""
        return self.config.sample_rate

    def to(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Self:
        """Move the network; with another dtype than float32 it computes in that, states and spectrograms stay float32."""
        self.device, self.dtype = torch.device(device), dtype
        self.network.to(self.device)
        return self

    def for_inference(self, compile: bool = False) -> Self:
        """Make it faster, and no longer fit for training: weights of an NCSN++ are rounded to the model's dtype, in which it then computes.

        Args:
            compile: compile an NCSN++ for windows of full length, taken one by one, on a GPU. The first call then takes a minute or two.

        Raises:
            ConfigError: where there is no GPU, or no NCSN++, to compile.
        """
        networks = [network for network in self.network.modules() if isinstance(network, NCSNpp)]
        if compile and not (networks and self.device.type == "cuda"):
            raise ConfigError(f"compile is for an NCSN++ on a GPU, model {self.name!r} is {type(self.network).__name__} on {self.device}")
        for network in networks:
            network.compute_in(self.dtype)
            if compile:
                shape = 1, network.config.inputs, network.config.bins, self.config.windows.length // self.config.spectrogram.hop + 1
                network.parts = compiled(network.parts, shape)
        self.compiled = compile
        return self

    def first_stage(self, noisy: Tensor) -> Tensor | None:
        """What the process pulls to instead of the noisy spectrogram, (batch, 1, bins, frame), where a model has such a stage."""
        return None

    def denoise(self, state: Tensor, noisy: Tensor, time: Times, first: Tensor | None = None) -> Tensor:
        """The estimate of the clean spectrogram from a state at `time`, or at one time an item: one call of the network.

        State, noisy and estimate are complex (batch, 1, bins, frame), and so is what the `first_stage` made, if there is one.
        """
        conversion = self.prediction.at(time)
        seen, told = conversion.given(state, noisy)
        given = {"state": seen, "noisy": conversion.beside(noisy), "time": told}
        return conversion.clean(self.call(self.network, self.config.network, given), state, noisy)

    def call(self, network: torch.nn.Module, config: NetworkConfig, given: Mapping[str, Tensor]) -> Tensor:
        """A network's output, computed in the model's dtype, from what it takes of what is given."""
        computes_by_itself = self.dtype in (torch.float32, getattr(network, "computes_in", None))
        with torch.autocast(self.device.type, self.dtype, enabled=not computes_by_itself):
            return network(*(given[name] for name in config.takes))

    @torch.inference_mode()
    def estimate(self, noisy: Tensor, plan: Plan, noise: Noise, begin: float = 1.0) -> Tensor:
        """Walk back from a noisy spectrogram, complex (batch, 1, bins, frame), to the clean estimate.

        Args:
            noisy: at the level of training.
            plan: of the solver.
            noise: as for `sample`; the key of that in the first state is (0, "start", 0).
            begin: the time at which the plan begins.
        """
        return self.walk(noisy, self.first_stage(noisy), plan, noise, begin)

    def walk(self, noisy: Tensor, first: Tensor | None, plan: Plan, noise: Noise, begin: float) -> Tensor:
        """`estimate`, from what the first stage made."""
        towards, start = noisy if first is None else first, self.config.process.at(begin)
        state = towards
        if start.sigma:
            state = (start.alpha + start.kappa) * towards + start.sigma * matched_noise("sample", noise, START, towards)
        return sample(plan, lambda x, t: self.denoise(x, noisy, t, first), state, towards, noise)

    def loss(
        self,
        clean: Tensor,
        noisy: Tensor,
        generator: torch.Generator | None = None,
        *,
        loss: Callable[..., Tensor] | None = None,
        times: Sequence[float] | None = None,
    ) -> Tensor:
        """Training loss of one batch of pairs, waveforms (batch, time) at the model's rate: a scalar.

        Args:
            clean, noisy: the pairs.
            generator: of the noise of the states, and of times that are not given.
            loss: called as a `Loss` is; "reconstruction" if not given.
            times: of the states, one an item; uniform between 0 and 1 if not given.
        """
        level = LEVELS[self.config.level_rule](noisy) / self.config.level
        clean, noisy = clean / level, noisy / level
        clean_spectrogram, noisy_spectrogram = (self.config.spectrogram.forward(x[:, None]) for x in (clean, noisy))
        first = self.first_stage(noisy_spectrogram)
        if times is None:
            times = torch.rand(len(clean), generator=generator, device=generator.device if generator else None).tolist()
        alpha, kappa, sigma = self.coefficients(times, clean.device)
        noise = random_noise(clean_spectrogram, generator)
        state = alpha * clean_spectrogram + kappa * (noisy_spectrogram if first is None else first) + sigma * noise
        estimate = self.denoise(state, noisy_spectrogram, times, first)
        waveform = self.config.spectrogram.inverse(estimate, clean.shape[-1])[:, 0]
        judge = Loss("reconstruction", self.config.process) if loss is None else loss
        return judge(estimate, clean_spectrogram, times, waveform, clean, first)

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
        preset: str | Sampling | None = None,
        seed: int = 0,
        noise: Sequence[Tensor | np.ndarray] | None = None,
        batch: int = 1,
        strength: float = 1.0,
        max_attenuation: float | None = None,
        high_band: Literal["follow", "drop"] = "follow",
        whole_file: bool = False,
    ) -> Stream:
        """A stream that enhances blocks of sound: `push(block)`, `flush()`.

        Args:
            sample_rate: of the blocks, in Hz, 1000 to 768000.
            channels: of the blocks; each is enhanced by itself, with the same noise draw.
            solver, steps: instead of the model's recommended ones.
            preset: a way of sampling instead of the recommended one: by its name in the model, or a `Sampling`.
            seed: of the noise: same seed, same sound.
            noise: draws to use instead, complex (1, 1, bins, frame), in the order of the walk: to repeat a run, with `whole_file`.
            batch: the most windows, of one channel each, in one call of the network; more is faster on a GPU, but waits longer.
            strength: share of the enhanced sound in the output, 0 to 1.
            max_attenuation: the most, in dB, by which noise is lowered; None for no limit.
            high_band: what happens above half the model's rate: it follows the gain of the band just below, or is dropped.
            whole_file: take all sound in one piece at its end, as published code does; memory grows with it. Beyond 2^26 samples at the
                model's rate (70 minutes at 16 kHz) it is cut.

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
        if not isinstance(whole_file, bool):
            raise ConfigError(f"whole_file is {whole_file!r}, expected True or False")
        if noise is not None and not (isinstance(noise, Sequence) and all(isinstance(draw, Tensor | np.ndarray) for draw in noise)):
            raise ConfigError(f"noise is a {type(noise).__name__}, expected a list of tensors or arrays")
        if noise is not None and not whole_file:
            raise ConfigError("noise is replayed for a whole file: give whole_file=True too")
        limit = 0.0 if max_attenuation is None else 10 ** (-max_attenuation / 20)
        hop = self.config.spectrogram.hop
        return Stream(
            self._window_function(self.sampling(solver, steps, preset), seed, noise, whole_file),
            self.sample_rate,
            Windows(LONGEST // hop * hop, 0, 0) if whole_file else self.config.windows,
            sample_rate,
            channels,
            batch=batch,
            wet=min(strength, 1 - limit),
            high_band=high_band,
        )

    def sampling(self, solver: str | None = None, steps: int | None = None, preset: str | Sampling | None = None) -> Sampling:
        """The recommended sampling, or a preset; with another solver (and its own default options) or number of steps.

        Raises:
            ConfigError: on an unknown preset, and on several steps where one gives the same.
        """
        chosen = choose(self.name, self.config.sampling, self.config.presets, solver, steps, preset)
        if chosen.steps != 1 and not self.config.walks:
            raise ConfigError(f"model {self.name!r} predicts the clean sound at once: steps is {chosen.steps}, expected 1")
        return chosen

    @property
    def default_batch(self) -> int:
        """Windows a call when a whole file or array is at hand."""
        return 1 if self.device.type == "cpu" or self.compiled else 16

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

    def _window_function(self, sampling: Sampling, seed: int, draws: Sequence[Tensor | np.ndarray] | None, whole_file: bool):
        """The model as a function on windows."""
        config, spectrogram = self.config, self.config.spectrogram
        plan, begin = sampling.plan(config.process), sampling.times(config.process)[0]
        level_of, padding = LEVELS[config.level_rule], config.padding if whole_file else "none"
        keys = [START, *plan.draws] if config.process.at(begin).sigma else plan.draws
        given = None if draws is None else [torch.as_tensor(draw, device=self.device) for draw in draws]

        @torch.inference_mode()
        def function(windows: Tensor, starts: Tensor) -> Tensor:
            length = windows.shape[-1]
            windows, starts = windows.to(self.device), starts.to(self.device)
            level = level_of(windows) / config.level
            noisy = self._spectrogram(windows[:, None] / level[:, None], padding)
            noise = keyed_noise(seed, noisy, starts // spectrogram.hop) if given is None else replayed_noise(keys, given)
            clean = self.estimate(noisy, plan, noise, begin)
            return (spectrogram.inverse(clean, length)[:, 0] * level).cpu()

        return function

    def _spectrogram(self, waveform: Tensor, padding: str) -> Tensor:
        """Waveform (batch, 1, time) -> spectrogram (batch, 1, bins, frame), which holds all of it."""
        spectrogram, length = self.config.spectrogram, waveform.shape[-1]
        if padding == "none":
            return spectrogram.forward(F.pad(waveform, (0, max(-length % spectrogram.hop, 2 * spectrogram.window - length))))
        frames = spectrogram.forward(F.pad(waveform, (0, max(0, spectrogram.window // 2 + 1 - length))))
        missing = -frames.shape[-1] % PUBLISHED_MULTIPLE
        if padding == "zeros" or missing >= frames.shape[-1]:  # where there is too little to mirror, the public code fails
            return F.pad(frames, (0, missing))
        return torch.cat([frames, frames[..., -missing - 1 : -1].flip(-1)], -1)


def compiled(parts: Callable[..., Tensor], shape: tuple[int, ...]) -> Callable[..., Tensor]:
    """A function of tensors, compiled into a CUDA graph where the first has this shape, so that no other shape is waited for."""
    graph = torch.compile(parts, mode="reduce-overhead", dynamic=False)
    return lambda x, *others: (graph if tuple(x.shape) == shape else parts)(x, *others)


def predictive(network: NetworkConfig, **parts: Any) -> EnhancerConfig:
    """The configuration of a network that predicts the clean sound at once: one step of a bridge, whose state it never sees."""
    return EnhancerConfig(network, BridgeVE(), sampling=Sampling("ddim", steps=1), prediction="data", **parts)


def is_number(value: object) -> bool:
    """Whether a value is a finite real number."""
    return isinstance(value, Real) and math.isfinite(value)


def random_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise for training, of the shape and kind of `like`; complex noise has E|n|^2 = 1."""
    device = generator.device if generator else like.device
    return torch.randn(like.shape, dtype=like.dtype, generator=generator, device=device).to(like.device)
