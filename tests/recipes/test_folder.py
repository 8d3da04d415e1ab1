"""Folders of one's own: prepare.py says what is there and what would spoil a training, and every recipe takes both kinds of folders."""

import numpy as np
import pytest
import soundfile

from sgaudio.training.sources import MixingData, PairsData

from .conftest import read_rows, write_sound

CORPUS = "folder"
MODELS = ("bridge", "denoise", "flowse", "sgmse", "storm", "storm_predictor")
SMALL = {"bridge": 5.6, "flowse": 5.6, "sgmse": 5.6, "storm": 9.9, "storm_predictor": 4.2, "dereverberate": 5.6}  # million parameters


@pytest.fixture
def own(tmp_path):
    """Clean sound and noise, as anybody might have them."""
    write_sound(tmp_path / "clean" / "monday" / "a.wav", 32_000, 44_100)
    write_sound(tmp_path / "clean" / "b.flac", 96_000, 48_000, channels=2)
    write_sound(tmp_path / "noise" / "n.ogg", 32_000)
    return tmp_path


def test_what_is_there_is_counted(prepare, own):
    ran = prepare(CORPUS, own)
    assert (ran.status, ran.error) == (0, "")
    assert ran.out.splitlines() == [f"{own}/clean: 2 files, 0.0 min, 44100 Hz, 48000 Hz", f"{own}/noise: 1 files, 0.0 min, 16000 Hz"]


def test_what_would_spoil_a_training_is_named(prepare, own):
    write_sound(own / "clean" / "telephone.wav", 8000, 8000)
    (own / "clean" / "text.wav").write_text("no sound")
    (own / "noise" / "empty.wav").write_bytes(b"")
    whole = write_sound(own / "noise" / "cut.wav", 4000).read_bytes()
    (own / "noise" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    for name, sound in {"clipped": np.clip(np.sin(np.arange(16_000)), -0.5, 0.5) * 2, "muted": np.full(16_000, 1e-4)}.items():
        soundfile.write(own / "clean" / f"{name}.wav", sound, 16_000)
    soundfile.write(own / "noise" / "nan.wav", np.full(800, np.nan), 16_000, subtype="FLOAT")
    ran = prepare(CORPUS, own)
    lines = ran.error.splitlines()
    assert ran.status == 1
    assert len(lines) == 7
    for words in (
        "telephone.wav: sample rate is 8000 Hz, the recipes need 16000 or more",
        "text.wav: no sound that can be read",
        "empty.wav: empty file",
        "cut.wav: truncated",
        "clipped.wav: clipped, 66",
        "muted.wav: all but silent",
        "nan.wav: holds samples that are no numbers",
    ):
        assert any(words in line for line in lines)


def test_pairs_have_one_name_and_one_length(prepare, own):
    write_sound(own / "noisy" / "monday" / "a.wav", 32_000, 44_100)
    write_sound(own / "noisy" / "b.wav", 48_000, 48_000)
    write_sound(own / "noisy" / "c.wav")
    ran = prepare(CORPUS, own)
    assert ran.status == 1
    assert [line.removeprefix(f"prepare: {own}/") for line in ran.error.splitlines()] == [
        "noisy/c.wav: no partner of this name",
        "clean/b.flac: lasts 2.000 s, its noisy partner 1.000 s: cut them to one length",
    ]


def test_measured_rooms_get_a_table_and_one_that_is_there_stays(prepare, own):
    response = np.zeros(1000)
    response[[40, 500]] = 0.5, 0.1
    (own / "rooms" / "hall").mkdir(parents=True)
    soundfile.write(own / "rooms" / "hall" / "a.wav", response, 48_000)
    assert prepare(CORPUS, own).status == 0
    assert read_rows(own / "rooms" / "rooms.tsv") == [{"file": "hall/a.wav", "start": "0", "stop": "1000", "direct_sample": "40"}]
    (own / "rooms" / "rooms.tsv").write_text("mine")
    assert prepare(CORPUS, own).status == 0
    assert (own / "rooms" / "rooms.tsv").read_text() == "mine"


def test_without_a_room_that_can_be_used_there_is_no_table(prepare, own):
    write_sound(own / "rooms" / "a.wav").write_text("no sound")
    ran = prepare(CORPUS, own)
    assert ran.status == 1
    assert "a.wav: no sound that can be read" in ran.error
    assert not (own / "rooms" / "rooms.tsv").exists()


def test_rooms_can_be_simulated(prepare, own):
    assert prepare(CORPUS, own, "--simulate", 2, "--rate", 16_000).status == 0
    rooms = read_rows(own / "rooms" / "rooms.tsv")
    assert len(rooms) == 2
    assert all(0.15 <= float(room["t60"]) <= 1 for room in rooms)


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ((), "clean is expected, and noise, noisy or rooms beside it, found none of them"),
        (("clean",), "found clean"),
        (("noise",), "found noise"),
    ],
)
def test_other_trees_are_refused(prepare, tmp_path, folders, words):
    for folder in folders:
        write_sound(tmp_path / folder / "a.wav")
    ran = prepare(CORPUS, tmp_path)
    assert ran.status == 1
    assert ran.error.count("\n") == 1
    assert words in ran.error


def test_an_empty_folder_is_refused(prepare, own):
    (own / "rooms").mkdir()
    ran = prepare(CORPUS, own)
    assert (ran.status, ran.error) == (1, f"prepare: {own}/rooms: no sound files in it\n")


@pytest.mark.parametrize("arguments", [(), ("here", "--simulate", 0), ("here", "--rate", 8000)])
def test_wrong_use_exits_2(prepare, arguments):
    assert prepare(CORPUS, *arguments).status == 2


@pytest.mark.parametrize("model", MODELS)
def test_a_recipe_mixes_or_takes_pairs(recipe, model):
    mixed = recipe(f"{CORPUS}/{model}", "data.clean=my/clean", "data.noise=my/noise")
    paired = recipe(f"{CORPUS}/{model}", "data.name=pairs", "data.clean=my/clean", "data.noisy=my/noisy")
    assert mixed.data == MixingData(clean="my/clean", noise="my/noise")
    assert paired.data == PairsData(clean="my/clean", noisy="my/noisy")
    assert (mixed.model, mixed.objective, mixed.trainer) == (paired.model, paired.objective, paired.trainer)
    assert mixed.card.recipe == f"recipes/{CORPUS}/{model}.yaml"


def test_dereverberation_wants_rooms_and_takes_noise(recipe):
    built = recipe(f"{CORPUS}/dereverberate", "data.clean=my/clean", "data.rooms=my/rooms/rooms.tsv")
    assert (built.data.noise, built.mixing.reverberant, built.card.task) == (None, 1, "dereverberate")
    noisy = recipe(f"{CORPUS}/dereverberate", "data.clean=a", "data.rooms=r.tsv", "data.noise=n", "card.task=denoise-dereverberate")
    assert (noisy.data.noise, noisy.mixing.reverberant) == ("n", 1)


@pytest.mark.parametrize("model", SMALL)
def test_all_but_the_shipped_model_are_small(recipe, model):
    import torch

    from sgaudio.models.checkpoint import CLASSES

    config = recipe(f"{CORPUS}/{model}", "data.clean=a", "data.rooms=r.tsv", *(["data.noise=n"] if model != "dereverberate" else [])).model
    with torch.device("meta"):
        network = CLASSES[type(config)].new_network(config)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(SMALL[model], abs=0.1)


def test_denoise_goes_on_from_the_shipped_model_whose_network_it_has(recipe):
    import sgaudio

    built = recipe(f"{CORPUS}/denoise", "data.clean=a", "data.noise=b")
    shipped = sgaudio.load("denoise").config
    assert built.trainer.init_from == "denoise"
    for name in ("network", "process", "spectrogram", "level", "level_rule", "sample_rate", "windows"):
        assert getattr(built.model, name) == getattr(shipped, name)
