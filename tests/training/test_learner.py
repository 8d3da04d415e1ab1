"""One update is a function of weights and batches, however they are cut up; and a run starts where it is told to."""

from threading import Barrier, Thread

import pytest
import torch
from torch import Tensor, nn

from sgaudio.errors import ConfigError
from sgaudio.models import save
from sgaudio.training.learner import Learner, make_optimizer, restore_moments, set_rate
from sgaudio.training.recipe import OptimizerConfig, Recipe, recipe_from_mapping
from sgaudio.training.sources import Batch

from .conftest import MODEL, hiss, tone

ALL_NOISY = {"name": "plain", "times": [1.0, 1.0], "at_latest": 1.0}  # the bridge's start is the noisy sound: nothing is drawn
UNET = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 1], "blocks": 1, "attention": [], "bins": 32}
FIRST_STAGE = {**UNET, "inputs": 2, "timed": False, "division": "never"}
SPECTROGRAM = {"window": 62, "hop": 16}
PREDICTOR = {**MODEL, "spectrogram": SPECTROGRAM, "network": FIRST_STAGE, "prediction": "data"}
TWO_STAGES = {
    **MODEL,
    "model": "regenerator",
    "spectrogram": SPECTROGRAM,
    "predictor": FIRST_STAGE,
    "network": {**UNET, "inputs": 6},
    "process": {"name": "ouve", "theta": 1.5, "sigma_min": 0.05, "sigma_max": 0.5},
    "prediction": "score",
    "sampling": {"solver": "dpmpp-2m-sde", "steps": 2, "grid": "linear", "grid_options": {"last": 0.03}},
}
REGENERATION = {"name": "plain", "loss": "regeneration", "times": [0.03, 1.0], "at_latest": 0.0}


@pytest.fixture
def build(values):
    """A recipe with some sections changed."""

    def build(**sections) -> Recipe:
        trainer = {**values["trainer"], **sections.pop("trainer", {})}
        return recipe_from_mapping({**values, "objective": ALL_NOISY, "optimizer": {"clip": 1e6}, **sections, "trainer": trainer})

    return build


@pytest.fixture
def pairs() -> Batch:
    """Four items, each another."""
    clean = torch.stack([torch.from_numpy(tone(0.2, 200.0 * (1 + i))) for i in range(4)])
    return Batch(clean, clean + torch.from_numpy(hiss(0.8)).view(4, -1))


def learner(recipe: Recipe, mean=None) -> Learner:
    torch.manual_seed(0)
    return Learner(recipe, torch.device("cpu"), torch.float32, mean)


def update(learned: Learner, batch: Batch, step: int = 0) -> dict[str, Tensor]:
    def draw(number: int) -> Batch:
        learned.generator.manual_seed(number)
        return batch

    return learned.update(draw, step, 0.0)


def gradient(learned: Learner) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in learned.learned if weight.grad is not None])


def copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return some.keys() == others.keys() and all(torch.equal(value, others[name]) for name, value in some.items())


def halves(pairs: Batch) -> list[Batch]:
    return [Batch(pairs.clean[:2], pairs.noisy[:2]), Batch(pairs.clean[2:], pairs.noisy[2:])]


def test_two_batches_accumulated_are_one_of_twice_the_items(build, pairs):
    whole, accumulated = learner(build()), learner(build(trainer={"accumulate": 2}))
    drawn = []

    def draw(number: int) -> Batch:
        drawn.append(number)
        return halves(pairs)[number % 2]

    figures = [update(whole, pairs), accumulated.update(draw, 3, 0.0)]
    assert drawn == [6, 7]
    torch.testing.assert_close(gradient(accumulated), gradient(whole), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(figures[0]["gradient"], figures[1]["gradient"])


def test_two_devices_learn_as_one_with_the_batches_of_both(build, pairs):
    together, given = Barrier(2), {}

    def mean_of(rank: int):
        def mean(vector: Tensor) -> Tensor:
            given[rank] = vector
            together.wait()
            return (given[0] + given[1]) / 2

        return mean

    optimizer = {"clip": 0.01}  # of the mean: clipped before, two gradients would add up to a smaller one
    both, one = [learner(build(optimizer=optimizer), mean_of(rank)) for rank in range(2)], learner(build(optimizer=optimizer))
    norms: dict[int, Tensor] = {}

    def work(rank: int) -> None:
        norms[rank] = update(both[rank], halves(pairs)[rank])["gradient"]

    threads = [Thread(target=work, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    norm = update(one, pairs)["gradient"]
    assert norm > 0.01
    torch.testing.assert_close(norms[0], norm)
    torch.testing.assert_close(gradient(both[0]), gradient(one), rtol=1e-4, atol=1e-8)
    assert equal(copied(both[0].enhancer.network), copied(both[1].enhancer.network))


@pytest.mark.parametrize(("frozen", "learns"), [("predictor", "score"), ("score", "predictor")])
def test_a_frozen_stage_stays_as_it_is_while_the_other_learns(build, pairs, frozen, learns):
    learned = learner(build(model=TWO_STAGES, objective=REGENERATION, trainer={"frozen": [frozen]}))
    models = [learned.enhancer.network, learned.average.network]
    before = [{stage: copied(model.get_submodule(stage)) for stage in (frozen, learns)} for model in models]
    for step in range(3):
        update(learned, halves(pairs)[0], step)
    for model, found in zip(models, before, strict=True):
        assert equal(found[frozen], copied(model.get_submodule(frozen)))
        after = copied(model.get_submodule(learns))
        weights = [name for name, _ in model.get_submodule(learns).named_parameters()]
        assert sum(not torch.equal(found[learns][name], after[name]) for name in weights) > len(weights) / 2


def test_with_all_stages_frozen_nothing_is_left_to_learn(build):
    with pytest.raises(ConfigError, match=r"trainer.frozen: nothing is left to learn"):
        learner(build(model=TWO_STAGES, objective=REGENERATION, trainer={"frozen": ["predictor", "score"]}))


def saved(recipe: Recipe, path, seed: int = 7) -> Learner:
    """A model of other weights than those that `learner` begins with, in a file."""
    torch.manual_seed(seed)
    learned = Learner(recipe, torch.device("cpu"), torch.float32)
    save(path, learned.enhancer, recipe.card, torch.float32)
    return learned


@pytest.mark.parametrize(("model", "objective"), [(MODEL, ALL_NOISY), (TWO_STAGES, REGENERATION)])
def test_a_run_begins_with_the_weights_of_a_whole_model(build, tmp_path, model, objective):
    earlier = saved(build(model=model, objective=objective), tmp_path / "m.safetensors")
    begun = learner(build(model=model, objective=objective, trainer={"init_from": str(tmp_path / "m.safetensors")}))
    assert equal(copied(begun.enhancer.network), copied(earlier.enhancer.network))
    assert equal(copied(begun.average.network), copied(earlier.enhancer.network))


def test_a_regenerator_begins_with_a_predictor_as_its_first_stage(build, tmp_path):
    earlier = saved(build(model=PREDICTOR), tmp_path / "p.safetensors")
    begun = learner(build(model=TWO_STAGES, objective=REGENERATION, trainer={"init_from": str(tmp_path / "p.safetensors")}))
    untouched = learner(build(model=TWO_STAGES, objective=REGENERATION))
    stages = [copied(each.enhancer.network.get_submodule("predictor")) for each in (begun, untouched)]
    assert equal(stages[0], copied(earlier.enhancer.network))
    assert not equal(stages[0], stages[1])
    scores = [copied(each.enhancer.network.get_submodule("score")) for each in (begun, untouched)]
    assert equal(*scores)


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (MODEL, {**MODEL, "network": {**MODEL["network"], "width": 16}}),
        (TWO_STAGES, MODEL),
        (PREDICTOR, TWO_STAGES),
        (TWO_STAGES, {**TWO_STAGES, "predictor": {**FIRST_STAGE, "channels": 16}}),
    ],
)
def test_a_model_that_is_another_is_refused(build, tmp_path, model, found):
    objectives = [REGENERATION if each is TWO_STAGES or "predictor" in each else ALL_NOISY for each in (model, found)]
    path = tmp_path / "other.safetensors"
    saved(build(model=found, objective=objectives[1]), path)
    with pytest.raises(ConfigError, match=r"trainer.init_from: .*other.safetensors has another network than the recipe's model"):
        learner(build(model=model, objective=objectives[0], trainer={"init_from": str(path)}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("sample_rate", 16_000), ("spectrogram", {**MODEL["spectrogram"], "factor": 2.0}), ("prediction", "velocity")],
)
def test_a_network_that_was_trained_for_something_else_is_refused(build, tmp_path, name, value):
    path = tmp_path / "other.safetensors"
    saved(build(model={**MODEL, name: value}, objective=ALL_NOISY), path)
    with pytest.raises(ConfigError, match=rf"other.safetensors has another {name} than the recipe's model"):
        learner(build(model=MODEL, objective=ALL_NOISY, trainer={"init_from": str(path)}))


@pytest.mark.parametrize(
    ("step", "done", "part"),
    [(0, 0.0, 0.1), (4, 0.0, 0.5), (9, 0.0, 1.0), (99, 0.0, 1.0), (99, 0.5, 0.6), (99, 1.0, 0.2), (0, 1.0, 0.02)],
)
def test_the_rate_rises_to_a_line_and_falls_along_half_a_cosine(step, done, part):
    optimizer = make_optimizer([nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))], OptimizerConfig())
    set_rate(optimizer, 3e-4, step, rise=10, done=done, last=0.2)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(part * 3e-4)] * 2


def test_only_matrices_decay():
    matrix, bias = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
    groups = make_optimizer([bias, matrix], OptimizerConfig(weight_decay=0.3)).param_groups
    assert {id(group["params"][0]): group["weight_decay"] for group in groups} == {id(matrix): 0.3, id(bias): 0.0}


def test_a_state_goes_on_to_the_same_weights_whatever_the_layout_of_memory(build, pairs):
    recipe = build(model=PREDICTOR)
    first, second = learner(recipe), learner(recipe)
    for learned in (first, second):
        learned.enhancer.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    for step in range(2):
        update(first, pairs, step)
    state = first.state()
    moments = {
        number: {name: value.clone(memory_format=torch.contiguous_format) for name, value in found.items()}
        for number, found in state["optimizer"].items()
    }
    second.restore({**state, "optimizer": moments})
    kernels = [weight for weight in second.learned if weight.ndim == 4 and not weight.is_contiguous()]
    assert kernels
    for weight in kernels:
        assert second.optimizer.state[weight]["exp_avg"].stride() == weight.stride()
    for learned in (first, second):
        update(learned, pairs, 2)
    assert equal(copied(first.enhancer.network), copied(second.enhancer.network))
    assert equal(copied(first.average.network), copied(second.average.network))


def test_restored_moments_are_those_that_were_kept():
    weight = nn.Parameter(torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last))
    optimizer = make_optimizer([weight], OptimizerConfig())
    found = {"step": torch.tensor(5.0), "exp_avg": torch.randn(3, 4, 2, 2), "exp_avg_sq": torch.rand(3, 4, 2, 2)}
    restore_moments(optimizer, {"0": found})
    assert all(torch.equal(optimizer.state[weight][name], value) for name, value in found.items())


def test_the_average_follows(build, pairs):
    learned = learner(build(trainer={"average": 0.5}))
    before = copied(learned.average.network)
    update(learned, pairs, 1000)
    for name, value in learned.enhancer.network.named_parameters():
        torch.testing.assert_close(learned.average.network.get_parameter(name), (before[name] + value) / 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("form", ["one stage", "two stages", "two jobs"])
def test_cuda_graphs_change_no_update(build, values, pairs, form):
    sections = {
        "one stage": {"model": {**MODEL, "spectrogram": SPECTROGRAM, "network": UNET}, "objective": {**ALL_NOISY, "times": [0.3, 1.0]}},
        "two stages": {"model": TWO_STAGES, "objective": REGENERATION},
        "two jobs": {"objective": values["objective"]},
    }[form]
    batch = Batch(pairs.clean.cuda(), pairs.noisy.cuda())
    found = []
    for options in ({"compile": False}, {"graphs": True}):
        torch.manual_seed(0)
        learned = Learner(build(**sections, trainer={"accumulate": 2, "batch": 4, **options}), torch.device("cuda"), torch.bfloat16)
        for step in range(6):
            update(learned, batch, step)
        found.append(torch.cat([weight.flatten() for weight in learned.learned]))
    torch.manual_seed(0)
    begun = Learner(build(**sections), torch.device("cuda"), torch.bfloat16).learned
    way = found[0] - torch.cat([weight.flatten() for weight in begun])
    assert (found[1] - found[0]).norm() < 0.3 * way.norm()  # steps of AdamW are as long for a small gradient as for a large one
