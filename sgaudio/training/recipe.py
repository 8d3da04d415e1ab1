"""A recipe: everything about a training run, as plain values that become dataclasses. `compose.py` reads the file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from sgaudio.errors import ConfigError
from sgaudio.metrics import METRICS
from sgaudio.models import Card, EnhancerConfig
from sgaudio.models.checkpoint import config_from_mapping, config_to_mapping
from sgaudio.registry import Range, build, check
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.objective import CONFIGS, PlainConfig, TwoJobsConfig
from sgaudio.training.sources import DATA, MixingData, PairsData

Rate = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(1, 10**9)]


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov, Hutter 2017, 1711.05101), a linear rise and half a cosine, for the network and the discriminators.

    Args:
        rate, betas, weight_decay: of the network; the decay is of matrices only.
        rise: steps in which the rate rises.
        last: part of the rate that is left at the end.
        clip: largest norm of the network's gradient.
        discriminators_rate, discriminators_betas, discriminators_rise, discriminators_last: the same of the discriminators.
    """

    rate: Rate = 3e-4
    betas: Annotated[tuple[float, float], Range(0, 0.9999)] = (0.9, 0.98)
    weight_decay: Rate = 0.01
    rise: Annotated[int, Range(1, 10**9)] = 150
    last: Rate = 0.02
    clip: Annotated[float, Range(1e-6, 1e6)] = 1.0
    discriminators_rate: Rate = 4e-4
    discriminators_betas: Annotated[tuple[float, float], Range(0, 0.9999)] = (0.8, 0.99)
    discriminators_rise: Annotated[int, Range(1, 10**9)] = 50
    discriminators_last: Rate = 0.2

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class TrainerConfig:
    """How long, on what, from where and to where.

    Args:
        output: folder of the run: see `run.py`.
        minutes, steps: when to stop, whichever comes first. Minutes count from the start of the process, validation and saving included.
        reserve: seconds of these minutes that are kept for validation and saving.
        batch: items at once, on each device.
        accumulate: how many times that, before the weights change.
        seconds: length of an item.
        average: decay of the moving average of the weights, a step.
        init_from: model to begin with: a name or a path. Its network is the recipe's, or that of one of its stages.
        init_discriminators: weights to begin with, .safetensors.
        frozen: stages that stay as they are: "predictor", "score".
        resume: go on with the run that lies in `output`, if there is one.
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "mps".
        devices: how many of them on each machine.
        nodes: how many machines, as torchrun or SLURM start them.
        compile: compile the network, on a GPU.
        graphs: and run it in CUDA graphs: faster where launching its kernels takes longer than their work, as with small batches.
        logger: beside `log.jsonl`: "tensorboard", "wandb" or "none".
        log_every, save_every: steps.
    """

    output: str
    minutes: Annotated[float, Range(0, 10**6)] | None = None
    steps: Count | None = None
    reserve: Annotated[float, Range(0, 10**6)] = 30.0
    batch: Annotated[int, Range(1, 2**16)] = 32
    accumulate: Annotated[int, Range(1, 2**16)] = 1
    seconds: Annotated[float, Range(0.1, 600)] = 3.0
    average: Rate = 0.998
    init_from: str | None = None
    init_discriminators: str | None = None
    frozen: tuple[str, ...] = ()
    resume: bool = False
    seed: Annotated[int, Range(0, 2**63 - 1)] = 1
    device: str = "auto"
    devices: Annotated[int, Range(1, 1024)] = 1
    nodes: Annotated[int, Range(1, 2**16)] = 1
    compile: bool = True
    graphs: bool = False
    logger: Literal["tensorboard", "wandb", "none"] = "tensorboard"
    log_every: Count = 100
    save_every: Count = 1000

    def __post_init__(self) -> None:
        check(self)
        if self.minutes is None and self.steps is None:
            raise ConfigError("trainer: give minutes or steps, or it would never end")
        if self.minutes is not None and self.minutes * 60 <= self.reserve:
            raise ConfigError(f"trainer: minutes ({self.minutes}) must be more than reserve, which is {self.reserve} seconds")
        if self.graphs and not self.compile:
            raise ConfigError("trainer: graphs are of a compiled network: set compile to true, or graphs to false")


@dataclass(frozen=True)
class ValidationConfig:
    """Whole files enhanced by the averaged weights, with the sampling of the recipe.

    Args:
        every: steps; None for the end of the run only.
        items: the most sounds.
        metrics: names of `METRICS`; those whose package is not installed are left out.
        best: the score that picks the best model; where it cannot be measured, the first that can.
        steps: numbers of steps that are tried besides, at the end.
        pictures: sounds that are heard and seen in the log.
    """

    every: Count | None = None
    items: Annotated[int, Range(0, 10**6)] = 16
    metrics: tuple[str, ...] = ("si-sdr", "estoi", "pesq-wb")
    best: str = "PESQ-wb"
    steps: Annotated[tuple[int, ...], Range(1, 1000)] = ()
    pictures: Annotated[int, Range(0, 100)] = 2

    def __post_init__(self) -> None:
        check(self)
        known = [column.name for name in self.metrics for column in METRICS[name].columns]
        if self.best not in known:
            raise ConfigError(f"validation: best is {self.best!r}, expected one of {', '.join(known)}")


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Args:
        card: what is said of the model in its file.
        model, data, mixing, objective, optimizer, trainer, validation: see there.
    """

    card: Card
    model: EnhancerConfig
    data: MixingData | PairsData
    trainer: TrainerConfig
    mixing: MixingConfig = field(default_factory=MixingConfig)
    objective: PlainConfig | TwoJobsConfig = field(default_factory=TwoJobsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        check(self)


def recipe_from_mapping(values: Mapping[str, Any]) -> Recipe:
    """The recipe that plain values describe; their section `sampling` is the model's.

    Raises:
        ConfigError: on anything that is not as it should be.
    """
    values = dict(values)
    if "sampling" in values and isinstance(values.get("model"), Mapping):
        values["model"] = {**values["model"], "sampling": values.pop("sampling")}
    makers = {"model": config_from_mapping, "data": DATA.build, "objective": CONFIGS.build}
    return build(Recipe, {name: makers[name](value) if name in makers else value for name, value in values.items()}, "recipe")


def recipe_to_mapping(recipe: Recipe) -> dict[str, Any]:
    """Plain values that `recipe_from_mapping` turns back."""
    model = config_to_mapping(recipe.model)
    return {
        **asdict(recipe),
        "sampling": model.pop("sampling"),
        "model": model,
        "data": {"name": DATA.name_of(recipe.data), **asdict(recipe.data)},
        "objective": {"name": CONFIGS.name_of(recipe.objective), **asdict(recipe.objective)},
    }
