"""A corpus of packs: its check names what is missing, and small models of all kinds train on it side by side."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from sgaudio.audio.mixtures import read_mixtures

from .conftest import write_sound

CORPUS = "packs"
DENOISERS = ("sgmse", "bridge", "storm_predictor", "storm", "flowse")
DEREVERBERATORS = {"dereverberate_predictor": "storm_predictor", "dereverberate_bridge": "bridge", "dereverberate_sgmse": "sgmse"}


@pytest.fixture
def corpus(tmp_path):
    """The smallest corpus that is whole."""
    root = tmp_path / "corpus"
    for folder in ("speech", "noise", "rir", "devset"):
        write_sound(root / folder / "a.flac", 1600)
    for table in ("speech/manifest.tsv", "noise/manifest.tsv"):
        (root / table).write_text(f"file\tstart\tstop\n{table.split('/')[0]}/a.flac\t0\t1600\n")
    for table in ("rir_train", "rir_dev"):
        rows = "".join(f"rir/a.flac\t{start}\t{start + 400}\t8\n" for start in (0, 400, 800))
        (root / "rir" / f"{table}.tsv").write_text(f"file\tstart\tstop\tdirect_sample\n{rows}")
    write_sound(root / "devset" / "b.flac", 800)
    rows = "x\ta.flac\tb.flac\t0\ny\ta.flac\tb.flac\t5\nz\tb.flac\ta.flac\t0\n"
    (root / "devset" / "mixtures.tsv").write_text(f"id\tspeech\tnoise\tsnr_db\n{rows}")
    return root


def test_a_whole_corpus_passes(prepare, corpus):
    ran = prepare(CORPUS, corpus)
    assert (ran.status, ran.error) == (0, "")
    assert "the corpus is whole" in ran.out


def test_every_fault_is_named(prepare, corpus, tmp_path):
    (corpus / "rir" / "rir_train.tsv").unlink()
    (corpus / "noise" / "a.flac").unlink()
    (corpus / "devset" / "a.flac").write_text("no sound")
    soundfile.write(corpus / "devset" / "b.flac", np.zeros(800), 8000)
    write_sound(corpus / "speech" / "a.flac", 1599)
    ran = prepare(CORPUS, corpus, "-o", tmp_path / "tables")
    lines = ran.error.splitlines()
    assert ran.status == 1
    assert len(lines) == 5
    for words in ("rir_train.tsv: no such table", "noise/a.flac: missing", "devset/a.flac: cannot be read", "has 1599 samples", "8000 Hz"):
        assert any(words in line for line in lines)
    assert not (tmp_path / "tables").exists()


def test_each_utterance_of_the_validation_set_is_heard_in_two_rooms(prepare, corpus, tmp_path):
    assert prepare(CORPUS, corpus, "-o", tmp_path / "tables").status == 0
    mixtures = read_mixtures(tmp_path / "tables" / "dereverberation.tsv")
    assert [(mixture.name, mixture.room_start) for mixture in mixtures] == [("a_00", 0), ("a_01", 400), ("b_02", 800), ("b_00", 0)]
    for mixture in mixtures:
        sounds = mixture.load()
        assert (mixture.noise, mixture.room_direct, mixture.room_stop - mixture.room_start) == (None, 8, 400)
        assert not np.allclose(sounds.clean, sounds.noisy)


@pytest.mark.parametrize("arguments", [(), ("here", "there")])
def test_wrong_use_exits_2(prepare, arguments):
    assert prepare(CORPUS, *arguments).status == 2


def test_small_models_have_one_network_one_domain_one_corpus_and_one_training(recipe):
    built = {name: recipe(f"{CORPUS}/{name}") for name in DENOISERS}
    denoise = recipe(f"{CORPUS}/denoise").model
    assert {replace(each.model.network, inputs=4) for each in built.values()} == {denoise.network}
    assert built["storm"].model.predictor == built["storm_predictor"].model.network
    assert {each.model.spectrogram for each in built.values()} == {replace(denoise.spectrogram, factor=0.15)}
    assert {(each.model.level, each.model.level_rule, each.model.windows) for each in built.values()} == {
        (denoise.level, denoise.level_rule, denoise.windows)
    }
    assert len({str((each.data, each.mixing, each.optimizer, each.validation)) for each in built.values()}) == 1
    assert len({str(replace(each.trainer, output="")) for each in built.values()}) == 1


def test_dereverberators_train_in_rooms_without_noise_for_the_direct_path(recipe):
    for name, denoiser in DEREVERBERATORS.items():
        built, counterpart = recipe(f"{CORPUS}/{name}"), recipe(f"{CORPUS}/{denoiser}")
        assert (built.data.noise, built.data.rooms, built.card.task) == (None, "rir/rir_train.tsv", "dereverberate")
        assert (built.mixing.reverberant, built.mixing.target) == (1, "direct")
        assert built.model == counterpart.model
        assert replace(built.trainer, output="") == replace(counterpart.trainer, output="")


def test_a_walk_with_flowse_begins_at_a_time_that_was_trained(recipe):
    built = recipe(f"{CORPUS}/flowse")
    assert built.model.sampling.times(built.model.process)[0] == built.objective.times[1]
    assert built.objective.at_latest > 0


@pytest.mark.parametrize("name", [*DENOISERS, *DEREVERBERATORS, "denoise", "denoise_start"])
def test_a_card_names_its_recipe_and_what_it_was_trained_on(recipe, name):
    card = recipe(f"{CORPUS}/{name}").card
    assert card.recipe == f"recipes/{CORPUS}/{name}.yaml"
    assert "recipes/packs/README.md" in card.training_data


def test_denoise_has_the_network_and_the_numbers_of_the_shipped_model(recipe):
    import sgaudio

    built, shipped = recipe(f"{CORPUS}/denoise"), sgaudio.load("denoise").config
    assert built.model == replace(shipped, presets=built.model.presets)
    assert (built.trainer.init_from, built.trainer.batch, built.trainer.seconds, built.optimizer.rate) == ("denoise", 24, 4, 1e-3)


def test_denoise_begins_with_the_model_and_the_sound_it_goes_on_with(recipe):
    start, further = recipe(f"{CORPUS}/denoise_start"), recipe(f"{CORPUS}/denoise")
    assert (start.model, start.mixing) == (further.model, further.mixing)
    assert start.data == replace(further.data, target_floor=0)  # there is no model yet that could lower it
    assert start.trainer.init_from is None
    assert (start.objective.loss, start.objective.times, start.objective.at_latest) == ("reconstruction", (0.03, 1.0), 0.5)
