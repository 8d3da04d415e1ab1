"""The families of published models, and what the hyper-parameters of a checkpoint say of one: a configuration of ours.

sgmse       SGMSE+: sp-uhh/sgmse (Richter et al. 2023, 2208.05830)
bridge      the Schrödinger bridge, by the same code (Jukić et al. 2024, 2407.16074; Richter et al. 2024, 2409.10753)
storm       stochastic regeneration, and its two stages by themselves: sp-uhh/storm (Lemercier et al. 2023, 2212.11851)
bbed        sp-uhh/sgmse-bbed (Lay et al. 2023, 2302.14748)
flowse      seongq/flowmse (Lee et al. 2025, 2508.06840)

An option that a file does not hold has the default of the code of its time. One that changes what is computed, and that no published file
has, is refused.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sgaudio.audio.spectrogram import Spectrogram
from sgaudio.audio.windows import Windows
from sgaudio.errors import CheckpointError
from sgaudio.models.checkpoint import TASKS
from sgaudio.models.enhancer import EnhancerConfig, predictive
from sgaudio.models.regenerator import RegeneratorConfig
from sgaudio.models.sampling import Sampling
from sgaudio.nets.ncsnpp import PUBLISHED, NCSNppConfig
from sgaudio.processes import BBED, OUVE, BridgeVE, FlowSE, Process

Options = Mapping[str, Any]

WINDOW, OVERLAP = 511, 32  # hops: 512 frames a window, 4.1 s; of context at either end, and of cross-fade
IMAGE = 256  # bins that the public constructors count the resolutions of attention from

BACKBONES = {
    "ncsnpp": ("ncsnpp", "ncsnpp-m"),  # the second of two is StoRM's
    "ncsnpp_v2": ("ncsnpp-v2",),
    "ncsnpp_48k": ("ncsnpp-48k",),
    "ncsnpplarge": ("ncsnpp-large",),
    "ncsnpp12M": ("ncsnpp-12m",),
    "ncsnpp6M": ("ncsnpp-6m",),
}
NAMES = {"dnn": "backbone", "denoiser_net": "backbone_denoiser", "score_net": "backbone_score"}  # options with a network's name
FIXED = {  # what a network is made of in all published files, and, last, what keeps their bridge from dividing by 0
    "nonlinearity": ("swish",),
    "resblock_type": ("biggan",),
    "fir": (True,),
    "fir_kernel": ("song", [1, 3, 3, 1], (1, 3, 3, 1)),
    "skip_rescale": (True,),
    "conditional": (True,),
    "progressive_combine": ("sum",),
    "embedding_type": ("fourier",),
    "spatial_channels": (1,),
    "image_size": (IMAGE,),
    "eps": (1e-8,),
}


def family_of(options: Options, inputs: Mapping[str, int]) -> str:
    """The family of a checkpoint, by its hyper-parameters and the number of inputs of each of its networks."""
    if "score_net" in inputs or inputs.get("dnn") == 2 or "spatial_channels" in options:
        return "storm"
    if "ode" in options:
        return "flowse"
    return {"bbed": "bbed", "bbve": "bbed", "sbve": "bridge"}.get(str(options.get("sde")), "sgmse")


def configuration(options: Options, inputs: Mapping[str, int], task: str = "denoise") -> EnhancerConfig:
    """The configuration of a published model.

    Args:
        options: the hyper-parameters of its checkpoint.
        inputs: number of real inputs of each of its networks, by their prefixes: "dnn", or "denoiser_net" and "score_net".
        task: one of `TASKS`: published dereverberation has its own steps.

    Raises:
        CheckpointError: on an option that no published model has.
        ConfigError: on a number out of its range.
    """
    family, spectrogram = family_of(options, inputs), spectrogram_of(options)
    hop = spectrogram.hop
    parts: dict[str, Any] = {
        "spectrogram": spectrogram,
        "windows": Windows(WINDOW * hop, OVERLAP * hop, OVERLAP * hop),
        "sample_rate": sample_rate_of(options),
        "level": 1.0,
        "level_rule": "peak",
        "padding": "reflection" if options.get("backbone") in ("ncsnpp_v2", "ncsnpp_48k") else "zeros",
    }
    networks = {prefix: network_of(options, NAMES[prefix], count, family) for prefix, count in inputs.items()}
    if inputs.get("dnn") == 2:
        return predictive(networks["dnn"], **parts)
    process = process_of(options)
    prediction, prediction_options = prediction_of(options, process)
    parts |= {"process": process, "prediction": prediction, "prediction_options": prediction_options}
    parts |= samplings_of(family, process, options, task)
    if "score_net" not in inputs:
        return EnhancerConfig(network=networks["dnn"], **parts)
    condition = "both"
    if inputs["score_net"] == 4:
        condition = _one_of(options, "condition", {"noisy": "noisy", "post_denoiser": "estimate"}, "noisy")
    return RegeneratorConfig(network=networks["score_net"], predictor=networks["denoiser_net"], condition=condition, **parts)


def is_negated(options: Options, inputs: int) -> bool:
    """Whether a model takes its network's output with a minus sign, which goes into the weights here: predictors and v2 do not."""
    return inputs != 2 and options.get("backbone") != "ncsnpp_v2"


def spectrogram_of(options: Options) -> Spectrogram:
    """The domain; by default that of SGMSE+ at 16 kHz."""
    plain = _one_of(options, "transform_type", {"exponent": False, "none": True}, "exponent")
    return Spectrogram(
        window=options.get("n_fft", 510),
        hop=options.get("hop_length", 128),
        exponent=1.0 if plain else options.get("spec_abs_exponent", 0.5),
        factor=1.0 if plain else options.get("spec_factor", 0.15),
        shape=_one_of(options, "window", {"hann": "hann", "sqrthann": "sqrt_hann"}, "hann"),
    )


def sample_rate_of(options: Options) -> int:
    """In Hz. The 48 kHz files hold the default of `sr`, which their code does not heed."""
    return 48_000 if options.get("backbone") == "ncsnpp_48k" else options.get("sr", 16_000)


def network_of(options: Options, key: str, inputs: int, family: str) -> NCSNppConfig:
    """The network whose name stands under `key`."""
    name = BACKBONES[_one_of(options, key, {name: name for name in BACKBONES}, "ncsnpp")]
    for option, allowed in FIXED.items():
        if option in options and options[option] not in allowed:
            raise CheckpointError(f"its {option} is {options[option]!r}, and that of all published models {allowed[0]!r}: not known")
    base = PUBLISHED[name[-1 if family == "storm" else 0]]
    multipliers = tuple(options.get("ch_mult", base.multipliers))
    bins = options.get("n_fft", 510) // 2 + 1
    built = {IMAGE >> i for i in range(len(multipliers))} & set(options.get("attn_resolutions", base.attention))
    if built and bins != IMAGE:
        raise CheckpointError(f"its network has {bins} bins, and attention counted from {IMAGE}: the public code cannot run it either")
    pyramids = {
        option: _one_of(options, option, {there: True, "none": False}, there if base.progressive else "none")
        for option, there in (("progressive", "output_skip"), ("progressive_input", "input_skip"))
    }
    if len(set(pyramids.values())) > 1:
        raise CheckpointError("its network has a pyramid of inputs or of outputs alone: not known, published ones have both or none")
    network = replace(
        base,
        channels=options.get("nf", base.channels),
        multipliers=multipliers,
        blocks=options.get("num_res_blocks", base.blocks),
        attention=tuple(sorted(built)),
        bins=bins,
        inputs=inputs,
        centered=options.get("centered", base.centered),
        progressive=pyramids["progressive"],
        division=base.division if options.get("scale_by_sigma", True) else "never",
    )
    return network.as_denoiser() if inputs == 2 else network


def process_of(options: Options) -> Process:
    """The path from clean to noisy; of BBED's older class, sigma_max is k."""
    if "ode" in options:
        _one_of(options, "ode", {"flowmatching": None}, "flowmatching")
        return FlowSE(**_some(options, sigma_min="sigma_min", sigma_max="sigma_max"))
    name = _one_of(options, "sde", {name: name.removesuffix("sde") for name in ("ouve", "ouvesde", "sbve", "bbed", "bbve")}, "ouve")
    return {
        "ouve": lambda: OUVE(**_some(options, theta="theta", sigma_min="sigma_min", sigma_max="sigma_max")),
        "sbve": lambda: BridgeVE(**_some(options, k="k", c="c")),
        "bbed": lambda: BBED(**_some(options, k="k", c="theta")),
        "bbve": lambda: BBED(**_some(options, k="sigma_max", c="theta")),
    }[name]()


def prediction_of(options: Options, process: Process) -> tuple[str, dict[str, Any]]:
    """What the network predicts, and the options of that."""
    if isinstance(process, FlowSE):
        return "flow", {}
    kinds = {"score_matching": "score", "mse": "score", "mae": "score", "denoiser": "mean", "data_prediction": "data"}
    loss = "loss_type_score" if "loss_type_score" in options else "loss_type"
    predicts = _one_of(options, loss, kinds, "score_matching")
    if options.get("backbone") != "ncsnpp_v2":
        return ("data" if predicts == "data" else "score"), {}
    found = {"predicts": predicts, "scaling": options.get("network_scaling") or "none"}
    return "sgmse", found | _some(options, c_in="c_in", c_out="c_out", c_skip="c_skip", sigma_data="sigma_data")


def samplings_of(family: str, process: Process, options: Options, task: str) -> dict[str, Any]:
    """The recommended sampling, and two presets: "paper", the walk of the published figures, and "public-code", that of today's code.

    Both are the same but for SGMSE+ before 2024, whose steps were 1/N long whatever the grid, as StoRM's are to this day.
    """
    TASKS[task]
    last = {"last": options.get("t_eps", 0.03)}
    if isinstance(process, BridgeVE):
        steps = options.get("N", 50)  # which the public code takes from the file
        published = Sampling("bridge-ode", steps, grid_options={"end": 1e-4}, network_time="target", solver_options={"compat": "sgmse"})
        divides = "1/sigma" in (options.get("network_scaling"), options.get("c_out"))  # by 0 at the bridge's start
        recommended = Sampling("bridge-ode", 5, "linear", grid_options=last)
        if divides:
            recommended = replace(published, steps=5, solver_options={})
        return {"sampling": recommended, "presets": {"paper": published, "public-code": published}}
    if isinstance(process, FlowSE):
        published = Sampling("euler", 5, "linear")
        return {"sampling": Sampling("euler", 5, "linear", grid_options=last), "presets": {"paper": published, "public-code": published}}
    first = {"first": options.get("T_sampling", 0.999)} if isinstance(process, BBED) else {}  # below 1, where the score is infinite
    steps, snr = (50, 0.5) if family == "storm" else (30, 0.5)
    if family == "sgmse" and task == "dereverberate" and sample_rate_of(options) == 16_000:
        steps, snr = 50, 0.33  # README of the public code

    def walk(compat: str) -> Sampling:
        return Sampling("predictor-corrector", steps, "linear", grid_options=first, solver_options={"compat": compat, "snr": snr})

    of_2022 = family == "storm" or (family == "sgmse" and options.get("backbone") != "ncsnpp_v2")
    paper, today = walk("sgmse-2022" if of_2022 else "sgmse"), walk("sgmse-2022" if family == "storm" else "sgmse")
    recommended = Sampling("dpmpp-2m-sde", 10, "linear", grid_options={**first, **last})
    return {"sampling": recommended, "presets": {"paper": paper, "public-code": today}}


def _one_of(options: Options, name: str, known: Mapping[str, Any], default: str) -> Any:
    """What an option stands for."""
    value = options.get(name, default)
    if value not in tuple(known):  # a list has no hash
        raise CheckpointError(f"its {name} is {value!r:.80}, expected one of {', '.join(known)}")
    return known[value]


def _some(options: Options, **names: str) -> dict[str, Any]:
    """The options that a file holds, by our names."""
    return {ours: options[theirs] for ours, theirs in names.items() if theirs in options}
