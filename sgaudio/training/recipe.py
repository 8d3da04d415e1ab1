"""A recipe: everything about a training run, as plain values in one YAML file.

`name=value` arguments override it: `trainer.minutes=9 data.root=/data/corpus`. Nothing is imported, evaluated or guessed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml

import sgaudio
from sgaudio.errors import ConfigError
from sgaudio.models import Card, EnhancerConfig
from sgaudio.models.checkpoint import config_from_mapping
from sgaudio.registry import Range, build, check, nearest
from sgaudio.training.data import DataConfig
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.objective import CONFIGS, PlainConfig, TwoJobsConfig

FOLDERS = (Path(sgaudio.__file__).parent / "recipes", Path("recipes"))  # the later one first
Rate = Annotated[float, Range(0, 1)]


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
        output: folder for `model.safetensors`, `discriminators.safetensors` and `log.jsonl`.
        minutes, steps: when to stop, whichever comes first. Minutes count from the start of the process, validation and saving included.
        reserve: seconds of these minutes that are kept for validation and saving.
        batch: items a step.
        seconds: length of an item.
        average: decay of the moving average of the weights, a step.
        start, start_discriminators: weights to go on from, .safetensors.
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "mps".
        compile: compile the network, on a GPU.
        log_every, save_every: steps.
    """

    output: str
    minutes: Annotated[float, Range(0, 10**6)] | None = None
    steps: Annotated[int, Range(1, 10**9)] | None = None
    reserve: Annotated[float, Range(0, 10**6)] = 30.0
    batch: Annotated[int, Range(1, 2**16)] = 32
    seconds: Annotated[float, Range(0.1, 600)] = 3.0
    average: Rate = 0.998
    start: str | None = None
    start_discriminators: str | None = None
    seed: Annotated[int, Range(0, 2**63 - 1)] = 1
    device: str = "auto"
    compile: bool = True
    log_every: Annotated[int, Range(1, 10**9)] = 100
    save_every: Annotated[int, Range(1, 10**9)] = 1000

    def __post_init__(self) -> None:
        check(self)
        if self.minutes is None and self.steps is None:
            raise ConfigError("trainer: give minutes or steps, or it would never end")
        if self.minutes is not None and self.minutes * 60 <= self.reserve:
            raise ConfigError(f"trainer: minutes ({self.minutes}) must be more than reserve, which is {self.reserve} seconds")


@dataclass(frozen=True)
class Recipe:
    """A training run.

    Args:
        card: what is said of the model in its file.
        model, data, mixing, objective, optimizer, trainer: see there.
    """

    card: Card
    model: EnhancerConfig
    data: DataConfig
    trainer: TrainerConfig
    mixing: MixingConfig = field(default_factory=MixingConfig)
    objective: PlainConfig | TwoJobsConfig = field(default_factory=TwoJobsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        check(self)


class Loader(yaml.SafeLoader):
    """Plain values only; 3e-4 is a number, as in YAML 1.2."""


Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789"))


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a file, or by its name inside the recipes' folders.

    Args:
        name: a path that ends in .yaml, or "compact/denoise".
        overrides: "section.option=value", the value in YAML.

    Raises:
        ConfigError: on anything that is not as it should be.
    """
    path = find_recipe(name)
    values = parse(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of sections, got {values!r}")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"{override!r}: expected section.option=value")
        put(values, key, parse(value, override))
    return recipe_from_mapping(values)


def recipe_from_mapping(values: dict[str, Any]) -> Recipe:
    """The recipe that plain values describe."""
    makers = {"model": config_from_mapping, "objective": CONFIGS.build}
    return build(Recipe, {name: makers[name](value) if name in makers else value for name, value in values.items()}, "recipe")


def find_recipe(name: str) -> Path:
    """The file of a recipe."""
    if name.endswith((".yaml", ".yml")):
        if not Path(name).is_file():
            raise ConfigError(f"{name}: no such recipe file")
        return Path(name)
    known = {path.relative_to(folder).with_suffix("").as_posix(): path for folder in FOLDERS for path in sorted(folder.glob("*/*.yaml"))}
    if name not in known:
        raise ConfigError(f"unknown recipe {name!r}: {nearest(name, known)}" if known else f"{name}: give the path of a .yaml file")
    return known[name]


def parse(text: str, what: str) -> Any:
    """Plain values from YAML."""
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{what}: no valid YAML: {' '.join(str(error).split())}") from error


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a value deep inside of nested mappings."""
    *path, last = key.split(".")
    for name in path:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{key}: {name} is a value, and holds no options")
    values[last] = value
