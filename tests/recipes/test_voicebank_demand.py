"""VoiceBank-DEMAND: its published layout becomes tables of pairs, a wrong one is refused, and its recipes train what the papers do."""

import numpy as np
import pytest

from sgaudio.training.pairs import PairsData, find_pairs

from .conftest import one_line, read_rows, write_sound

CORPUS = "voicebank_demand"
TRAINED = ("p226_001", "p287_002", "p228_003", "p230_001")
TESTED = ("p232_001", "p257_005")


def unpack(root, training="trainset_28spk", suffix="", rate=48_000):
    """What the archives of the corpus unpack to, in miniature."""
    for side in ("clean", "noisy"):
        for folder, names in ((training, TRAINED), ("testset", TESTED)):
            for name in names:
                write_sound(root / f"{side}_{folder}_wav{suffix}" / f"{name}.wav", rate=rate)
    for folder, names in ((f"{training}_txt", TRAINED), ("testset_txt", TESTED)):
        (root / folder).mkdir()
        for name in names:
            (root / folder / f"{name}.txt").write_text(f"Please call  {name}.\n")
    return root


@pytest.fixture
def corpus(tmp_path):
    return unpack(tmp_path / "corpus")


def test_pairs_have_the_names_of_their_files_and_what_is_said(prepare, corpus):
    assert prepare(CORPUS, corpus).status == 0
    for table, folder, names in (("train", "trainset_28spk", ("p228_003", "p230_001")), ("test", "testset", TESTED)):
        rows = read_rows(corpus / f"{table}.tsv")
        assert [tuple(row.values()) for row in rows] == [
            (name, f"clean_{folder}_wav/{name}.wav", f"noisy_{folder}_wav/{name}.wav", f"Please call {name}.") for name in names
        ]
        assert list(rows[0]) == ["id", "clean", "noisy", "text"]


def test_two_speakers_of_the_training_set_are_for_validation(prepare, corpus):
    prepare(CORPUS, corpus)
    assert [row["id"] for row in read_rows(corpus / "validation.tsv")] == ["p226_001", "p287_002"]


@pytest.mark.parametrize(("training", "suffix"), [("trainset", "_16k"), ("trainset_28spk", "_16kHz"), ("trainset", "")])
def test_resampled_copies_are_taken_as_well(prepare, tmp_path, training, suffix):
    root = unpack(tmp_path / "copy", training, suffix, 16_000)
    assert prepare(CORPUS, root).status == 0
    assert read_rows(root / "train.tsv")[0]["clean"] == f"clean_{training}_wav{suffix}/p228_003.wav"


def test_tables_elsewhere_have_absolute_paths_and_leave_the_corpus_as_it_was(prepare, corpus, tmp_path):
    before = sorted(corpus.rglob("*"))
    assert prepare(CORPUS, corpus, "-o", tmp_path / "deep" / "tables").status == 0
    assert sorted(corpus.rglob("*")) == before
    row = read_rows(tmp_path / "deep" / "tables" / "test.tsv")[0]
    assert row["noisy"] == str(corpus / "noisy_testset_wav" / "p232_001.wav")


def test_texts_may_be_missing(prepare, corpus):
    for path in [*(corpus / "testset_txt").iterdir(), corpus / "trainset_28spk_txt" / "p228_003.txt"]:
        path.unlink()
    assert prepare(CORPUS, corpus).status == 0
    assert [row["text"] for row in read_rows(corpus / "test.tsv")] == ["", ""]
    assert [row["text"] for row in read_rows(corpus / "train.tsv")] == ["", "Please call p230_001."]


def test_another_tree_is_refused_with_what_was_expected(prepare, tmp_path):
    (tmp_path / "wavs").mkdir()
    one_line(prepare(CORPUS, tmp_path), "no clean_trainset_28spk_wav in it", "found wavs")
    one_line(prepare(CORPUS, tmp_path / "gone"), "found no folder")


def test_a_test_set_that_was_not_unpacked_is_missed(prepare, corpus):
    for path in (corpus / "noisy_testset_wav").iterdir():
        path.unlink()
    one_line(prepare(CORPUS, corpus), "noisy_testset_wav: no .wav files in it")
    (corpus / "noisy_testset_wav").rmdir()
    one_line(prepare(CORPUS, corpus), "no noisy_testset_wav in it")
    assert not (corpus / "train.tsv").exists()


@pytest.mark.parametrize(("side", "other"), [("clean", "noisy"), ("noisy", "clean")])
def test_a_sound_without_counterpart_is_named(prepare, corpus, side, other):
    (corpus / f"{side}_trainset_28spk_wav" / "p228_003.wav").unlink()
    one_line(prepare(CORPUS, corpus), f"{other}_trainset_28spk_wav/p228_003.wav: no {side} sound of this name")


def test_sounds_that_do_not_belong_together_are_named(prepare, corpus):
    path = corpus / "noisy_trainset_28spk_wav" / "p230_001.wav"
    write_sound(path, samples=799, rate=48_000)
    one_line(prepare(CORPUS, corpus), "p230_001.wav: has 800 samples, the noisy one 799")
    write_sound(path, rate=16_000)
    one_line(prepare(CORPUS, corpus), "sample rate is 48000 Hz, of the noisy one 16000")
    path.write_bytes(b"no sound")
    one_line(prepare(CORPUS, corpus), "p230_001.wav: cannot be read")


def test_a_rate_below_that_of_the_models_is_refused(prepare, tmp_path):
    one_line(prepare(CORPUS, unpack(tmp_path / "low", rate=8000)), "sample rate is 8000 Hz")


def test_a_training_set_without_the_speakers_of_the_validation_is_refused(prepare, corpus):
    for path in [*corpus.rglob("p226*"), *corpus.rglob("p287*")]:
        path.unlink()
    one_line(prepare(CORPUS, corpus), "nothing for validation: speakers p226, p287")


def test_training_takes_the_tables_as_they_are(prepare, corpus):
    prepare(CORPUS, corpus)
    trained, validated = find_pairs(PairsData(root=str(corpus)), 16_000)
    assert [pair.name for pair in trained] == ["p228_003", "p230_001"]
    assert [pair.name for pair in validated] == ["p226_001", "p287_002"]
    assert all(np.isfinite(np.stack(pair.load(16_000)[:2])).all() for pair in (*trained, *validated))


def test_wrong_use_exits_2(prepare, corpus):
    assert prepare(CORPUS).status == 2
    assert prepare(CORPUS, corpus, "--snr", 3).status == 2


@pytest.mark.parametrize(
    ("model", "steps"), [("sgmse", 54_000), ("sgmse_bridge", 54_000), ("storm", 216_000), ("storm_predictor", 216_000), ("flowse", 216_000)]
)
def test_a_recipe_sees_all_pairs_160_times(recipe, model, steps):
    built = recipe(f"{CORPUS}/{model}")
    assert built.trainer.steps == steps
    epochs = steps * built.trainer.batch * built.trainer.accumulate / 10_802  # 11 572 less those of p226 and p287
    assert epochs == pytest.approx(160, rel=0.01)
    assert (built.card.task, built.card.recipe) == ("denoise", f"recipes/{CORPUS}/{model}.yaml")
