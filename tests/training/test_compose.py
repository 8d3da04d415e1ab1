"""A recipe's name and arguments become plain values; every mistake is one line."""

from pathlib import Path

import pytest

from sgaudio.errors import ConfigError, SgaudioError
from sgaudio.training.compose import compose, recipes, run_jobs


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_options_are_overridden_whether_the_file_names_them_or_not(recipe_file):
    values = compose(str(recipe_file), ["trainer.steps=7", "optimizer.rate=3e-4", "mixing.snr=[0, 5]", "data.root=/a b/c"])
    assert values["trainer"]["steps"] == 7
    assert values["optimizer"] == {"rate": 3e-4}
    assert values["mixing"] == {"snr": [0, 5]}
    assert values["data"]["root"] == "/a b/c"
    assert values["card"]["name"] == "tiny"


def test_a_file_of_one_s_own_may_build_on_parts_of_the_house(tmp_path):
    (tmp_path / "mine.yaml").write_text("# @package _global_\ndefaults: [/parts/sgmse, _self_]\ncard: {name: mine}\n")
    values = compose("mine.yaml")
    assert values["card"]["name"] == "mine"
    assert values["model"]["process"]["name"] == "ouve"


def test_a_sweep_runs_a_job_for_each_value_into_a_folder_of_its_own(recipe_file):
    outputs = run_jobs(str(recipe_file), ["-m", "trainer.seed=1,2", "trainer.output=out"], lambda values: values["trainer"])
    assert [(each["seed"], each["output"]) for each in outputs] == [(1, "out/0"), (2, "out/1")]


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["trainer.steps=7", "--cfg", "job"], ["--cfg", "job", "trainer.steps=7"]])
def test_hydra_shows_what_is_composed(recipe_file, capsys, arguments):
    assert run_jobs(str(recipe_file), arguments, lambda values: values) == []
    assert f"steps: {7 if 'trainer.steps=7' in arguments else 2}" in capsys.readouterr().out


def test_hydra_s_own_settings_are_heeded(recipe_file):
    run_jobs(str(recipe_file), ["-m", "hydra.sweep.dir=elsewhere", "trainer.seed=1,2"], lambda values: values)
    assert Path("elsewhere/multirun.yaml").is_file()


def test_a_failed_job_of_a_sweep_does_not_stop_the_others_and_is_told_at_the_end(recipe_file):
    seen = []

    def job(values):
        seen.append(values["trainer"]["seed"])
        if values["trainer"]["seed"] == 1:
            raise SgaudioError("it broke")

    with pytest.raises(SgaudioError, match="it broke"):
        run_jobs(str(recipe_file), ["-m", "trainer.seed=1,2"], job)
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trainer.steps"], "'trainer.steps'"),
        (["data.clean=["], "data.clean=["),
        (["data.clean=${gone}"], "'gone' not found"),
        (["gone/part=x"], "Could not override 'gone/part'"),
        (["trainer.seed=1,2"], "sweep"),
        (["-m", "trainer.seed=1,2"], "make 2"),
    ],
)
def test_wrong_arguments_are_one_line(recipe_file, capsys, arguments, words):
    with pytest.raises(ConfigError) as error:
        compose(str(recipe_file), arguments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not capsys.readouterr().err


def test_unknown_recipes_are_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'folder/denoise'"):
        compose("folder/denoize")
    with pytest.raises(ConfigError, match=r"gone.yaml: no such recipe file"):
        compose("gone.yaml")
    Path("broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"^broken.yaml: "):
        compose("broken.yaml")


def test_parts_are_no_recipes():
    assert "folder/denoise" in recipes()
    assert not [name for name in recipes() if name.startswith("parts/")]
