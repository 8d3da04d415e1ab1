"""From a published checkpoint to a model file of ours."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sgaudio.audio.files import replacement
from sgaudio.errors import CheckpointError, ConfigError
from sgaudio.models.checkpoint import CLASSES, TASKS, Card, save
from sgaudio.models.convert.families import configuration, family_of, is_negated
from sgaudio.models.convert.published import Checkpoint, ema_weights, read_checkpoint, select
from sgaudio.models.enhancer import Enhancer, EnhancerConfig
from sgaudio.models.regenerator import Regenerator
from sgaudio.nets.ncsnpp import published_keys
from sgaudio.registry import build

BESIDE = ["pesq_loss.*", "*_float_tensor"]  # of a loss, and of a package's bookkeeping
STAGES = ("all", "predictor")
INPUTS = {"dnn": (2, 4), "denoiser_net": (2,), "score_net": (4, 6)}  # that a checkpoint's networks have in published files
PLACES = {"dnn": "", "denoiser_net": "predictor.", "score_net": "score."}  # of a checkpoint's networks in our weights
NOT_SAID = "not said in the checkpoint: ask who published it"
TITLES = {"sgmse": "SGMSE+", "bridge": "Schrödinger bridge", "storm": "StoRM", "bbed": "BBED", "flowse": "FlowSE"}


@dataclass(frozen=True)
class Converted:
    """A model made from a checkpoint.

    Args:
        model: with its weights.
        card: what its file says of it.
        warnings: what its user should know.
    """

    model: Enhancer
    card: Card
    warnings: tuple[str, ...]


def convert(source: str | Path, target: str | Path, *, overwrite: bool = False, stage: str = "all", **card: str) -> Converted:
    """Turn a published checkpoint into a model file, in float32. Nothing in the checkpoint is run.

    Args:
        source: a checkpoint of sp-uhh/sgmse, sp-uhh/storm, sp-uhh/sgmse-bbed or seongq/flowmse.
        target: ends in .safetensors.
        overwrite: replace a file of that name.
        stage: of StoRM, "all", or the "predictor" by itself.
        card: fields of the `Card`: name, task, summary, training_data, licence.

    Raises:
        CheckpointError: on a checkpoint of another kind, a damaged or a hostile one.
        ConfigError: on a target that exists or has another suffix, and on an unknown stage or task.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise ConfigError(f"{target}: a name that ends in .safetensors is expected")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target}: exists: use --overwrite")
    if not target.parent.is_dir():
        raise ConfigError(f"{target}: there is no folder {target.parent}")
    if stage not in STAGES:
        raise ConfigError(f"stage is {stage!r}, expected one of {', '.join(STAGES)}")
    TASKS[card.get("task", "denoise")]
    converted = model_of(read_checkpoint(source), stage, card)
    with replacement(target) as temporary:
        save(temporary, converted.model, converted.card, torch.float32)
    return converted


def model_of(checkpoint: Checkpoint, stage: str, card: Mapping[str, str]) -> Converted:
    """The model of a checkpoint.

    Raises:
        CheckpointError, ConfigError: as `convert`.
    """
    options, inputs = checkpoint.hyper_parameters, inputs_of(checkpoint)
    try:
        config = configuration(options, inputs, card.get("task", "denoise"))
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{checkpoint.path}: {error!s:.300}") from error  # a string in it may be as long as the file likes
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{checkpoint.path}: its hyper-parameters are not those of a published model: {error!s:.300}") from error
    names = names_of(config, inputs)
    weights, warnings = weights_of(checkpoint, list(names))
    turned = [prefix for prefix, count in inputs.items() if is_negated(options, count)]
    negated = {f"{prefix}.output_layer.{kind}" for prefix in turned for kind in ("weight", "bias")}
    state = {ours: -weights[theirs] if theirs in negated else weights[theirs] for theirs, ours in names.items() if ours is not None}
    model = filled(config, state, checkpoint.path)
    if stage == "predictor":
        if not isinstance(model, Regenerator):
            raise ConfigError(f"{checkpoint.path}: has one stage alone, expected StoRM's two for stage 'predictor'")
        model = model.predictor
    counted = {fact: checkpoint.facts.get(fact) for fact in ("epoch", "global_step")}
    facts = [f"{fact.removeprefix('global_')} {count}" for fact, count in counted.items() if isinstance(count, int)]
    defaults = {
        "name": checkpoint.path.stem,
        "summary": ", ".join([TITLES[family_of(options, inputs)], *facts]),
        "training_data": NOT_SAID,
        "licence": NOT_SAID,
        "recipe": f"converted from {checkpoint.path.name}",
    }
    return Converted(model, build(Card, {**defaults, **card}), warnings)


def names_of(config: EnhancerConfig, inputs: Collection[str]) -> dict[str, str | None]:
    """The names of all weights in a checkpoint, in the order of its parameters, and ours; None for what is never used."""
    names = {}
    for prefix in inputs:
        network: Any = getattr(config, "predictor" if prefix == "denoiser_net" else "network")
        for theirs, ours in published_keys(network).items():
            names[f"{prefix}.{theirs}"] = None if ours is None else PLACES[prefix] + ours
    return names


def filled(config: EnhancerConfig, state: Mapping[str, Tensor], path: Path) -> Enhancer:
    """The model with these weights, whose shapes are compared before anything of its size is made.

    Raises:
        CheckpointError: on other shapes.
    """
    make = CLASSES[type(config)]
    with torch.device("meta"):
        expected = {name: value.shape for name, value in make.new_network(config).state_dict().items()}
    odd = [name for name, shape in expected.items() if state[name].shape != shape]
    if odd:
        found = f"the first is {odd[0]!r} with {tuple(state[odd[0]].shape)}, expected {tuple(expected[odd[0]])}"
        raise CheckpointError(f"{path}: {len(odd)} weights have other shapes than its hyper-parameters say: {found}")
    model = make(config)
    model.network.load_state_dict(state)
    model.network.eval().requires_grad_(False)
    return model


def inputs_of(checkpoint: Checkpoint) -> dict[str, int]:
    """Number of real inputs of each network in a checkpoint, by its prefix.

    Raises:
        CheckpointError: where there is no NCSN++ in it.
    """
    found = {prefix: checkpoint.weights.get(f"{prefix}.output_layer.weight") for prefix in INPUTS}
    counts = {prefix: weight.shape[1] if weight.ndim == 4 else 0 for prefix, weight in found.items() if weight is not None}
    published = [list(counts) in (["dnn"], ["denoiser_net", "score_net"]), *(count in INPUTS[prefix] for prefix, count in counts.items())]
    if not all(published):
        first = next(iter(checkpoint.weights), "none")
        raise CheckpointError(
            f"{checkpoint.path}: no NCSN++ in it: expected weights 'dnn.output_layer.weight' of 2 or 4 inputs, or those of 'denoiser_net' "
            f"of 2 and 'score_net' of 4 or 6; its first weight is {first!r:.80}"
        )
    return counts


def weights_of(checkpoint: Checkpoint, names: Sequence[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The averaged weights of these names, in float32, and what is to be said of them.

    Raises:
        CheckpointError: on missing or surplus names, the average of another network, and weights that are no finite real numbers.
    """
    weights, warnings = select(checkpoint, names, BESIDE), ()
    if checkpoint.shadow is None:
        warnings = ("there is no moving average in it: its last weights are taken",)
    else:
        weights = ema_weights(checkpoint, weights, untrained=[name for name in names if name.endswith("all_modules.0.W")])
    for name, value in weights.items():
        if not value.is_floating_point():
            raise CheckpointError(f"{checkpoint.path}: {name!r} has numbers of {value.dtype}, expected those of float32")
        weights[name] = value.float()
        if not weights[name].isfinite().all():
            raise CheckpointError(f"{checkpoint.path}: {name!r} is not finite: its training diverged, or the file is damaged")
    return weights, warnings
