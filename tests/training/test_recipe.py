"""Recipes are built strictly, and every mistake is named."""

import pytest

from sgaudio.errors import ConfigError
from sgaudio.training.compose import compose, recipes
from sgaudio.training.objective import TwoJobsConfig
from sgaudio.training.recipe import recipe_from_mapping, recipe_to_mapping


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("mixing.snrr=[0, 5]", "no option 'snrr': did you mean 'snr'"),
        ("mixng.snr=[0, 5]", "no option 'mixng': did you mean 'mixing'"),
        ("data.clena=x", "no option 'clena': did you mean 'clean'"),
        ("data.name=pears", "unknown data 'pears': did you mean 'pairs'"),
        ("objective.name=two-job", "unknown objective 'two-job': did you mean 'two-jobs'"),
        ("model.network.name=band-dti", "unknown network 'band-dti': did you mean 'band-dit'"),
        ("sampling={solver: huen}", "unknown solver 'huen': did you mean 'heun'"),
        ("mixing.muted=1.5", "muted is 1.5, expected 0 to 1"),
        ("trainer.batch=many", "batch is 'many', expected int"),
        ("trainer.steps=0", "steps is 0, expected 1 to"),
        ("trainer.steps=null", "give minutes or steps"),
        ("trainer.minutes=0.4", "must be more than reserve"),
        ("trainer={compile: false, graphs: true}", "graphs are of a compiled network"),
        ("trainer.logger=paper", "logger is 'paper', expected one of 'tensorboard'"),
        ("validation.metrics=[pesk]", "unknown metric 'pesk': did you mean 'pesq-wb'"),
        ("validation.best=beauty", "best is 'beauty', expected one of"),
    ],
)
def test_a_mistake_is_named(recipe_file, override, words):
    with pytest.raises(ConfigError) as error:
        recipe_from_mapping(compose(str(recipe_file), [override]))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_plain_values_come_back_from_a_recipe(values):
    recipe = recipe_from_mapping(values)
    assert recipe.objective == TwoJobsConfig(solo=1, piece=0.4)
    assert recipe_from_mapping(recipe_to_mapping(recipe)) == recipe


def test_sampling_is_a_section_of_its_own(values):
    recipe = recipe_from_mapping({**values, "sampling": {"solver": "heun", "steps": 3, "grid": "linear"}})
    assert recipe.model.sampling.solver == "heun"


@pytest.mark.parametrize("name", recipes())
def test_the_recipes_of_the_house_are_valid_and_name_themselves(name):
    assert recipe_from_mapping(compose(name)).card.recipe == f"recipes/{name}.yaml"
