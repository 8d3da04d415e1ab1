"""Stochastic regeneration: a predictive network's estimate, from which a short diffusion makes the clean sound.

StoRM (Lemercier, Richter, Welker, Gerkmann 2023, 2212.11851). The process of the diffusion goes between the clean sound and the estimate;
the score network sees the state, and beside it the noisy sound, the estimate, or both.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sgaudio.errors import ConfigError
from sgaudio.models.enhancer import Enhancer, EnhancerConfig, predictive
from sgaudio.nets import NetworkConfig, make_network
from sgaudio.processes.prediction import Times
from sgaudio.solvers import Plan
from sgaudio.solvers.sample import Noise


@dataclass(frozen=True, kw_only=True)
class RegeneratorConfig(EnhancerConfig):
    """Everything about a regenerator but its weights.

    Args (beside those of an enhancer):
        predictor: sizes of the first stage's network, which sees the noisy sound alone.
        condition: what the second stage's network sees beside the state: the "noisy" sound, the "estimate" of the first, or "both".
    """

    predictor: NetworkConfig
    condition: Literal["noisy", "estimate", "both"] = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.first_stage  # noqa: B018 - is checked as it is made
        if ("estimate" in self.network.takes) != (self.condition == "both"):
            found = f"the network takes {', '.join(self.network.takes)}"
            raise ConfigError(f"{found}, which is not for condition {self.condition!r}: one takes noisy and estimate for 'both' alone")

    @property
    def gives(self) -> tuple[str, ...]:
        return (*super().gives, "estimate")

    @property
    def first_stage(self) -> EnhancerConfig:
        """The first stage as a model of its own."""
        if self.predictor.takes != ("noisy",):
            raise ConfigError(f"the predictor takes {', '.join(self.predictor.takes)}, expected noisy alone")
        shared = ("spectrogram", "windows", "sample_rate", "level", "level_rule", "padding")
        return predictive(self.predictor, **{name: getattr(self, name) for name in shared})


class Regenerator(Enhancer):
    """Estimate clean speech from noisy speech in two stages; `predictor` is the first one as a model of its own."""

    config: RegeneratorConfig

    @staticmethod
    def new_network(config: RegeneratorConfig) -> torch.nn.Module:
        return torch.nn.ModuleDict({"predictor": make_network(config.predictor), "score": make_network(config.network)})

    @property
    def predictor(self) -> Enhancer:
        """The first stage, which shares its weights with this model."""
        return Enhancer(self.config.first_stage, self._stages["predictor"], f"{self.name}, predictor").to(self.device, self.dtype)

    def first_stage(self, noisy: Tensor) -> Tensor:
        """The predictor's estimate of the clean spectrogram: complex (batch, 1, bins, frame)."""
        return self.call(self._stages["predictor"], self.config.predictor, {"noisy": noisy})

    def denoise(self, state: Tensor, noisy: Tensor, time: Times, first: Tensor | None = None) -> Tensor:
        first = self.first_stage(noisy) if first is None else first
        conversion = self.prediction.at(time)
        seen, told = conversion.given(state, first)
        beside = conversion.beside(first if self.config.condition == "estimate" else noisy)
        given = {"state": seen, "noisy": beside, "estimate": conversion.beside(first), "time": told}
        return conversion.clean(self.call(self._stages["score"], self.config.network, given), state, first)

    @torch.inference_mode()
    def regenerate(self, noisy: Tensor, first: Tensor, plan: Plan, noise: Noise, begin: float = 1.0) -> Tensor:
        """The second stage by itself: `estimate`, from any estimate of the clean spectrogram, complex (batch, 1, bins, frame)."""
        return self.walk(noisy, first, plan, noise, begin)

    @property
    def _stages(self) -> Any:
        return self.network
