"""What learns: a network, its moving average, its objective and their optimizers. An update depends on nothing but the batches shown."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import AdamW, Optimizer

from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models import EnhancerConfig, load
from sgaudio.models.checkpoint import CLASSES
from sgaudio.nets import NetworkConfig
from sgaudio.training.average import follow, warmed
from sgaudio.training.objective import Figures, make_objective
from sgaudio.training.recipe import OptimizerConfig, Recipe
from sgaudio.training.sources import Batch
from sgaudio.training.state import read_state

Draw = Callable[[int], Batch]  # the batch of that number


class Learner:
    """All that training changes.

    Args:
        recipe: of the run.
        device: to learn on.
        dtype: in which the network computes; weights are float32.
        mean: of a tensor over all devices, where there are several.
    """

    def __init__(self, recipe: Recipe, device: torch.device, dtype: torch.dtype, mean: Callable[[Tensor], Tensor] | None = None):
        self.recipe, self.mean = recipe, mean
        network, make, name = start_network(recipe), CLASSES[type(recipe.model)], recipe.card.name
        if device.type == "cuda":
            # Weights of convolutions lie as the sound that they see.
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.enhancer = make(recipe.model, network, name).to(device, dtype)
        self.average = make(recipe.model, deepcopy(network), name).to(device, dtype)
        self.average.network.eval().requires_grad_(False)
        self.generator = Generator(device)
        self.objective = make_objective(recipe.objective, self.enhancer, self.generator)
        self.learned = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = make_optimizer(self.learned, recipe.optimizer)
        self.opponent: Optimizer | None = None
        if self.objective.adversary is not None:
            discriminators, betas = self.objective.adversary.discriminators, recipe.optimizer.discriminators_betas
            if recipe.trainer.init_discriminators is not None:
                start_discriminators(discriminators, Path(recipe.trainer.init_discriminators), device)
            self.opponent = AdamW(discriminators.parameters(), betas=betas, weight_decay=0.0, fused=True)
        elif recipe.trainer.init_discriminators is not None:
            raise ConfigError("trainer: init_discriminators is for an objective with an adversary, as two-jobs: leave it out")
        if recipe.trainer.compile and device.type == "cuda":
            mode = "reduce-overhead" if recipe.trainer.graphs else "default"
            for part in network.modules():
                if hasattr(part, "parts"):
                    part.parts = torch.compile(part.parts, dynamic=False, mode=mode)  # pyright: ignore[reportArgumentType, reportCallIssue]
        for weight in self.learned:  # kept for good: what a CUDA graph gives back is gone with its next run
            weight.grad = torch.zeros_like(weight)

    def update(self, draw: Draw, step: int, done: float) -> Figures:
        """Change the weights once.

        Args:
            draw: gives the batches; each reseeds `generator`.
            step: number of the update.
            done: part of the run that is behind it, 0 to 1.

        Returns:
            What to log, scalars on the device.
        """
        config, accumulate = self.recipe.optimizer, self.recipe.trainer.accumulate
        set_rate(self.optimizer, config.rate, step, config.rise, done, config.last)
        self.optimizer.zero_grad(set_to_none=False)
        if self.opponent is not None:
            set_rate(self.opponent, config.discriminators_rate, step, config.discriminators_rise, done, config.discriminators_last)
            self.opponent.zero_grad()
        figures: Figures = {}
        for i in range(accumulate):
            batch = draw(step * accumulate + i)
            loss, figures = self.objective.loss(batch.clean, batch.noisy, step)
            (loss / accumulate).backward()
            if self.objective.adversary is not None:
                figures["discriminators"] = self.objective.adversary.loss()
                (figures["discriminators"] / accumulate).backward()
        self._agree(self.learned)
        figures["gradient"] = nn.utils.clip_grad_norm_(self.learned, config.clip)
        self.optimizer.step()
        if self.opponent is not None:
            self._agree([weight for group in self.opponent.param_groups for weight in group["params"]])
            self.opponent.step()
        follow(self.average.network, self.enhancer.network, warmed(self.recipe.trainer.average, step))
        return figures

    def _agree(self, weights: Sequence[Tensor]) -> None:
        """Give all devices the mean of their gradients, in one piece."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if self.mean is not None and gradients:
            together = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
            for gradient, part in zip(gradients, together.split([gradient.numel() for gradient in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def state(self) -> dict[str, Any]:
        """All of it, as a tree of tensors and plain values."""
        return {
            "network": self.enhancer.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "opponent": None if self.opponent is None else self.opponent.state_dict()["state"],
            "objective": self.objective.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from such a tree."""
        self.enhancer.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.objective.restore(state["objective"])
        for optimizer, found in ((self.optimizer, state["optimizer"]), (self.opponent, state["opponent"])):
            if optimizer is not None:
                restore_moments(optimizer, found)


def set_rate(optimizer: Optimizer, rate: float, step: int, rise: int, done: float, last: float) -> None:
    """A linear rise over the first steps, and half a cosine down to the part `last` of the rate."""
    rate *= min(1.0, (step + 1) / rise) * (last + (1 - last) * 0.5 * (1 + math.cos(math.pi * done)))
    for group in optimizer.param_groups:
        group["lr"] = rate


def restore_moments(optimizer: Optimizer, found: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Give an optimizer its state back; a fused one takes it for granted that moments lie in memory as their weights do."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state = {
        int(number): {
            name: torch.empty_like(weights[int(number)]).copy_(value) if value.shape == weights[int(number)].shape else value
            for name, value in moments.items()
        }
        for number, moments in found.items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def make_optimizer(weights: Sequence[Tensor], config: OptimizerConfig) -> AdamW:
    """AdamW with a decay of matrices only."""
    matrices, others = [w for w in weights if w.ndim > 1], [w for w in weights if w.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], betas=config.betas, fused=True)


def start_network(recipe: Recipe) -> nn.Module:
    """A new network, or one that begins with the weights of a model; its frozen stages get no gradient."""
    config, trainer = recipe.model, recipe.trainer
    network = CLASSES[type(config)].new_network(config)
    if trainer.init_from is not None:
        model = load(trainer.init_from, "cpu")
        found, (score, predictor) = sizes(model.config), sizes(config)
        if found not in ((score, predictor), (predictor, None)):
            raise ConfigError(f"trainer.init_from: {trainer.init_from} has another network than the recipe's model, or one of other sizes")
        whole = found == (score, predictor)
        begun, meant = (network, config) if whole else (network.get_submodule("predictor"), config.first_stage)  # pyright: ignore[reportAttributeAccessIssue]
        for name in ("sample_rate", "spectrogram", "prediction", "prediction_options"):
            if getattr(model.config, name) != getattr(meant, name):
                raise ConfigError(f"trainer.init_from: {trainer.init_from} has another {name} than the recipe's model")
        begun.load_state_dict(model.network.state_dict())
    stages = [] if sizes(config)[1] is None else [name for name, _ in network.named_children()]
    for name in trainer.frozen:
        if name not in stages:
            raise ConfigError(f"trainer.frozen: no stage {name!r}: the model has {', '.join(stages) or 'none'}")
        network.get_submodule(name).requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise ConfigError("trainer.frozen: nothing is left to learn")
    return network


def sizes(config: EnhancerConfig) -> tuple[NetworkConfig, NetworkConfig | None]:
    """Of a model's network, and of its first stage's, if it has one."""
    return config.network, getattr(config, "predictor", None)


def start_discriminators(discriminators: nn.Module, path: Path, device: torch.device) -> None:
    """Begin with the discriminators of an earlier run."""
    found = read_state(path, device).get("objective", {}).get("discriminators")
    try:
        discriminators.load_state_dict(found)  # pyright: ignore[reportArgumentType]
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"trainer.init_discriminators: {path}: no discriminators of ours in it") from error
