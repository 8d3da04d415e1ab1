"""What training minimises. An objective sees batches of pairs and returns a loss; it may have an adversary to train with.

plain      the model's own loss: states of the process at random times, from the true clean sound
two-jobs   one network, two jobs. The first call (time 1) is a regressor. Later calls start from the network's own estimate plus the
           noise of the bridge, and are trained against discriminators as well: the first call is faithful, each further one
           makes it more natural. States made from the true clean sound would teach calls that the walk never meets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from sgaudio.errors import ConfigError
from sgaudio.models import Enhancer
from sgaudio.models.enhancer import random_noise
from sgaudio.models.losses import Loss, reconstruction_loss
from sgaudio.registry import Range, Registry, check
from sgaudio.training.discriminators import Adversary
from sgaudio.training.losses import GradientBalance, multi_resolution_loss
from sgaudio.training.perceptual import perceptual_loss

Figures = dict[str, Tensor]
Weight = Annotated[float, Range(0, 1000)]


@dataclass(frozen=True)
class PlainConfig:
    """`Enhancer.loss`, which brings each item to the level of training over its whole length.

    Args:
        loss: which one: a name of `LOSSES`.
        loss_options: its own, where they are not to be the default ones.
        times: earliest and latest, between which the times of the states are drawn. Published losses begin at 0.03.
        at_latest: share of the states that are at the latest one. Published losses have none.
        perceptual: weight of `perceptual_loss`, for sound at 16 kHz.
    """

    loss: str = "reconstruction"
    loss_options: dict[str, Any] = field(default_factory=dict)
    times: Annotated[tuple[float, float], Range(0, 1)] = (0.0, 1.0)
    at_latest: Annotated[float, Range(0, 1)] = 0.25
    perceptual: Weight = 0.0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class TwoJobsConfig:
    """The two jobs. Weights are norms of the gradient at the estimate, relative to that of the reconstruction loss.

    Args:
        first_multi_resolution: weight at the first call.
        multi_resolution, adversary, features: weights at the later calls.
        quiet_penalty: how much more sound costs where the target is quiet (see `multi_resolution_loss`).
        later: weight of the later calls' job over that of the first.
        refresh: steps after which the gradients are measured again.
        times: range of the times of the later calls.
        replay: range of the factors by which time goes down where a state is made from the last step's later estimate; every second step.
        solo: steps that the discriminators learn before the network heeds them.
        ramp: steps in which it comes to heed them fully.
        piece: seconds of an item that the discriminators hear.
    """

    first_multi_resolution: Weight = 0.35
    multi_resolution: Weight = 2.0
    adversary: Weight = 2.5
    features: Weight = 2.5
    quiet_penalty: Weight = 2.0
    later: Weight = 1.0
    refresh: Annotated[int, Range(1, 10**6)] = 25
    times: Annotated[tuple[float, float], Range(0.001, 1)] = (0.1, 0.9)
    replay: Annotated[tuple[float, float], Range(0.001, 1)] = (0.3, 0.9)
    solo: Annotated[int, Range(0, 10**9)] = 150
    ramp: Annotated[int, Range(1, 10**9)] = 200
    piece: Annotated[float, Range(0.2, 60)] = 1.5

    def __post_init__(self) -> None:
        check(self)


class Objective(Protocol):
    """What the training loop knows of an objective."""

    @property
    def adversary(self) -> Adversary | None:
        """To train by turns with the network, where there is one."""
        ...

    def loss(self, clean: Tensor, noisy: Tensor, step: int) -> tuple[Tensor, Figures]:
        """Loss of the network on pairs (batch, time), and what to log of it (scalars on the device).

        What is random in it follows from the seed of the generator, which is another at every step.
        """
        ...

    def judge(
        self, estimate: Tensor, clean: Tensor, times: Sequence[float], waveform: Tensor, clean_waveform: Tensor, first: Tensor | None
    ) -> Tensor:
        """The loss of given estimates, as `Loss` has it: what validation measures."""
        ...

    def state(self) -> dict[str, Any]:
        """What the next step depends on, beside weights: a tree of tensors and plain values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a state."""
        ...


class Plain:
    """See `PlainConfig`."""

    adversary = None

    def __init__(self, config: PlainConfig, enhancer: Enhancer, generator: Generator):
        self.config, self.enhancer, self.generator = config, enhancer, generator
        self._loss = Loss(config.loss, enhancer.config.process, **config.loss_options)
        if config.perceptual and enhancer.sample_rate != 16_000:
            raise ConfigError(f"objective: perceptual is for sound at 16000 Hz, the model has {enhancer.sample_rate} Hz: set it to 0")

    def loss(self, clean: Tensor, noisy: Tensor, step: int) -> tuple[Tensor, Figures]:
        loss = self.enhancer.loss(clean, noisy, self.generator, loss=self.judge, times=self._times(len(clean)))
        return loss, {"loss": loss.detach()}

    def judge(
        self, estimate: Tensor, clean: Tensor, times: Sequence[float], waveform: Tensor, clean_waveform: Tensor, first: Tensor | None
    ) -> Tensor:
        loss = self._loss(estimate, clean, times, waveform, clean_waveform, first)
        if self.config.perceptual:
            loss = loss + self.config.perceptual * perceptual_loss(waveform, clean_waveform, self.enhancer.sample_rate)
        return loss

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass

    def _times(self, count: int) -> list[float]:
        """Drawn on the host: nothing waits for the device."""
        uniform = torch.rand(2, count, generator=Generator().manual_seed(self.generator.initial_seed()))
        low, high = self.config.times
        return torch.where(uniform[1] < self.config.at_latest, high, low + (high - low) * uniform[0]).tolist()


class Batch(NamedTuple):
    """Pairs as waveforms (batch, time) and as spectrograms, complex (batch, 1, bins, frame)."""

    clean: Tensor
    noisy: Tensor
    clean_spectrogram: Tensor
    noisy_spectrogram: Tensor


class Estimate(NamedTuple):
    """Of the clean sound: complex (batch, 1, bins, frame), and (batch, time)."""

    spectrogram: Tensor
    waveform: Tensor


class Walked(NamedTuple):
    """Where a walk stands: the estimate (no gradient) of the call made at `times`, one an item."""

    batch: Batch
    spectrogram: Tensor
    times: list[float]


class TwoJobs:
    """See `TwoJobsConfig`. Times are drawn on the host, noise on the device: nothing waits for the device."""

    def __init__(self, config: TwoJobsConfig, enhancer: Enhancer, generator: Generator):
        self.config, self.enhancer, self.generator = config, enhancer, generator
        self._host = Generator()
        piece = round(config.piece * enhancer.sample_rate)
        self.adversary = Adversary(piece, enhancer.device, enhancer.dtype, self._host)
        self._balances = self._first_balance, self._later_balance = GradientBalance(), GradientBalance()
        self._walked: Walked | None = None

    def loss(self, clean: Tensor, noisy: Tensor, step: int) -> tuple[Tensor, Figures]:
        self._host.manual_seed(self.generator.initial_seed())
        spectrogram = self.enhancer.config.spectrogram
        batch = Batch(clean, noisy, spectrogram.forward(clean[:, None]), spectrogram.forward(noisy[:, None]))
        first = self._call(batch, batch.noisy_spectrogram, [1.0] * len(clean))  # there is no estimate yet: the walk's start
        first_losses = self._faithful(first, batch)
        first_shares = {"reconstruction": 1.0, "multi_resolution": self.config.first_multi_resolution}

        walked = self._next_walked(batch, first, step)
        later = self._call(walked.batch, walked.spectrogram, walked.times)
        self._walked = walked._replace(spectrogram=later.spectrogram.detach())
        later_losses = self._faithful(later, walked.batch)
        later_shares = {"reconstruction": 1.0, "multi_resolution": self.config.multi_resolution}
        self.adversary.hear(later.waveform, walked.batch.clean, walked.batch.noisy)
        if step >= self.config.solo:
            later_losses["adversary"], later_losses["features"] = self.adversary.judge()
            heed = min(1.0, (step - self.config.solo + 1) / self.config.ramp)
            later_shares |= {"adversary": heed * self.config.adversary, "features": heed * self.config.features}

        refresh = step % self.config.refresh == 0
        loss = self._first_balance(first_losses, first_shares, first.spectrogram, refresh)
        loss = loss + self.config.later * self._later_balance(later_losses, later_shares, later.spectrogram, refresh)
        named = {"first": first_losses, "later": later_losses}
        return loss, {f"{call}_{name}": value.detach() for call, losses in named.items() for name, value in losses.items()}

    def judge(
        self, estimate: Tensor, clean: Tensor, times: Sequence[float], waveform: Tensor, clean_waveform: Tensor, first: Tensor | None
    ) -> Tensor:
        return reconstruction_loss(estimate, clean, waveform, clean_waveform)

    def state(self) -> dict[str, Any]:
        walked = self._walked and {**self._walked._asdict(), "batch": self._walked.batch._asdict()}
        discriminators = self.adversary.discriminators.state_dict()
        return {"walked": walked, "discriminators": discriminators, "balances": [balance.weights for balance in self._balances]}

    def restore(self, state: dict[str, Any]) -> None:
        walked = state["walked"]
        self._walked = walked and Walked(Batch(**walked["batch"]), walked["spectrogram"], walked["times"])
        self.adversary.discriminators.load_state_dict(state["discriminators"])
        for balance, weights in zip(self._balances, state["balances"], strict=True):
            balance.weights = weights

    def _faithful(self, estimate: Estimate, batch: Batch) -> dict[str, Tensor]:
        """What an estimate is away from the clean sound."""
        return {
            "reconstruction": reconstruction_loss(estimate.spectrogram, batch.clean_spectrogram, estimate.waveform, batch.clean),
            "multi_resolution": multi_resolution_loss(estimate.waveform, batch.clean, self.config.quiet_penalty),
        }

    def _call(self, batch: Batch, source: Tensor, times: Sequence[float]) -> Estimate:
        """One call of the network from the state that the path leads to from `source`."""
        alpha, kappa, sigma = self.enhancer.coefficients(times, source.device)
        noisy = batch.noisy_spectrogram
        state = alpha * source + kappa * noisy + sigma * random_noise(noisy, self.generator)
        estimate = self.enhancer.denoise(state, noisy, times)
        return Estimate(estimate, self.enhancer.config.spectrogram.inverse(estimate, batch.clean.shape[-1])[:, 0])

    def _next_walked(self, batch: Batch, first: Estimate, step: int) -> Walked:
        """From where the later call goes on: every second step from the last step's later estimate, else from the first call's."""
        low, high = self.config.times
        count = len(batch.clean)
        if step % 2 and self._walked is not None:
            factors = self._uniform(*self.config.replay, count)
            times = [max(low, time * factor) for time, factor in zip(self._walked.times, factors, strict=True)]
            return self._walked._replace(times=times)
        return Walked(batch, first.spectrogram.detach(), self._uniform(low, high, count))

    def _uniform(self, low: float, high: float, count: int) -> list[float]:
        return (low + (high - low) * torch.rand(count, generator=self._host)).tolist()


CONFIGS = Registry("objective", {"plain": PlainConfig, "two-jobs": TwoJobsConfig})
OBJECTIVES: Registry[Callable[..., Objective]] = Registry("objective", {"plain": Plain, "two-jobs": TwoJobs})


def make_objective(config: PlainConfig | TwoJobsConfig, enhancer: Enhancer, generator: Generator) -> Objective:
    """The objective that `config` describes, for a model on the generator's device."""
    return OBJECTIVES[CONFIGS.name_of(config)](config, enhancer, generator)
