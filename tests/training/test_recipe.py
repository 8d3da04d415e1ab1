"""Recipes are read strictly, and every mistake is named."""

from pathlib import Path

import pytest

from sgaudio.errors import ConfigError
from sgaudio.training.objective import PlainConfig
from sgaudio.training.recipe import load_recipe

HOUSE = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("mixing.snrr=[0, 5]", "no option 'snrr': did you mean 'snr'"),
        ("mixng.snr=[0, 5]", "no option 'mixng': did you mean 'mixing'"),
        ("objective.name=two-job", "unknown objective 'two-job': did you mean 'two-jobs'"),
        ("model.network.name=band-dti", "unknown network 'band-dti': did you mean 'band-dit'"),
        ("mixing.muted=1.5", "muted is 1.5, expected 0 to 1"),
        ("trainer.batch=many", "batch is 'many', expected int"),
        ("trainer.steps=0", "steps is 0, expected 1 to"),
        ("trainer.steps=null", "give minutes or steps"),
        ("trainer.minutes=0.4", "must be more than reserve"),
        ("trainer.steps", "expected section.option=value"),
        ("card.name.short=x", "card.name.short: name is a value"),
        ("data.cleanest={", "no valid YAML"),
    ],
)
def test_a_mistake_is_named(recipe_file, override, words):
    with pytest.raises(ConfigError) as error:
        load_recipe(str(recipe_file), [override])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_values_are_overridden_as_yaml(recipe_file):
    recipe = load_recipe(str(recipe_file), ["optimizer.rate=3e-4", "mixing.snr=[0, 5]", "objective={name: plain}", "trainer.minutes=9"])
    assert recipe.optimizer.rate == 3e-4
    assert recipe.mixing.snr == (0, 5)
    assert recipe.objective == PlainConfig()
    assert recipe.trainer.minutes == 9


def test_unknown_recipes_are_answered_with_the_nearest(monkeypatch):
    monkeypatch.chdir(HOUSE.parent)
    with pytest.raises(ConfigError, match="did you mean 'compact/denoise'"):
        load_recipe("compact/denoize")
    with pytest.raises(ConfigError, match=r"gone.yaml: no such recipe file"):
        load_recipe("gone.yaml")


@pytest.mark.parametrize("name", sorted(path.relative_to(HOUSE).with_suffix("").as_posix() for path in HOUSE.glob("*/*.yaml")))
def test_the_recipes_of_the_house_are_valid(name, monkeypatch):
    monkeypatch.chdir(HOUSE.parent)
    assert load_recipe(name).card.recipe == f"recipes/{name}.yaml"
