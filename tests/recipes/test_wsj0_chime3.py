"""WSJ0-CHiME3: utterances of WSJ0 get a place in a background of CHiME-3; nothing is rendered, and wrong trees are refused."""

import numpy as np
import pytest

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.training.pairs import PairsData, find_pairs

from .conftest import one_line, read_rows, write_sound

CORPUS = "wsj0_chime3"
UTTERANCES = {
    "si_tr_s": ("011/011c0201", "011/011c0202", "01a/01ac0201"),
    "si_dt_05": ("050/050c0101",),
    "si_et_05": ("440/440c0201", "440/440c0202"),
}


@pytest.fixture
def corpus(tmp_path):
    """Two of WSJ0's discs, converted, and CHiME-3, in miniature."""
    root = tmp_path / "corpora"
    for folder, names in UTTERANCES.items():
        for name in names:
            write_sound(root / ("11-1.1" if folder == "si_tr_s" else "11-14.1") / "wsj0" / folder / f"{name}.wav", samples=800)
    for place in ("CAF", "BUS"):
        for channel in (0, 1, 5):
            name = f"BGD_150203_010_{place}.CH{channel}.wav"
            write_sound(root / "CHiME3" / "data" / "audio" / "16kHz" / "backgrounds" / name, samples=4000)
    return root


def test_each_split_has_its_utterances(prepare, corpus):
    assert prepare(CORPUS, corpus).status == 0
    for table, folder in (("train", "si_tr_s"), ("validation", "si_dt_05"), ("test", "si_et_05")):
        rows = read_rows(corpus / f"{table}.tsv")
        assert [row["id"] for row in rows] == [name.split("/")[1] for name in UTTERANCES[folder]]
        assert all(row["speech"].endswith(f"{row['id']}.wav") and f"/{folder}/" in row["speech"] for row in rows)


def test_mixtures_have_the_ratio_that_their_row_says_and_any_part_of_channel_1(prepare, corpus):
    prepare(CORPUS, corpus)
    for mixture in read_mixtures(corpus / "train.tsv"):
        assert mixture.noise.name.endswith(".CH1.wav")
        assert 0 <= mixture.noise_offset <= 4000 - 800
        sounds = mixture.load()
        noise = sounds.noisy - sounds.clean
        assert 20 * np.log10(np.linalg.norm(sounds.clean) / np.linalg.norm(noise)) == pytest.approx(mixture.snr_db, abs=1e-3)
        assert len(sounds.noisy) == 800


@pytest.mark.parametrize(("arguments", "low", "high"), [((), 0, 20), (("--snr", -6, 14), -6, 14)])
def test_ratios_are_spread_over_the_range_of_the_paper(prepare, corpus, arguments, low, high):
    for number in range(60):
        write_sound(corpus / "11-1.1" / "wsj0" / "si_tr_s" / "012" / f"012c{number:04}.wav")
    prepare(CORPUS, corpus, *arguments)
    rows = read_rows(corpus / "train.tsv")
    ratios = [float(row["snr_db"]) for row in rows]
    assert low <= min(ratios) < low + 4
    assert high - 4 < max(ratios) <= high
    assert len({row["noise"] for row in rows}) == 2
    assert len({row["noise_offset_samples"] for row in rows}) > 50


def test_the_same_seed_gives_the_same_tables(prepare, corpus, tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare(CORPUS, corpus, "-o", tmp_path / folder, "--seed", seed)
    tables = {folder: (tmp_path / folder / "train.tsv").read_text() for folder in "abc"}
    assert tables["a"] == tables["b"] != tables["c"]


def test_links_to_the_corpora_are_followed(prepare, corpus, tmp_path):
    (tmp_path / "both").mkdir()
    for name in ("11-1.1", "11-14.1", "CHiME3"):
        (tmp_path / "both" / name).symlink_to(corpus / name)
    assert prepare(CORPUS, tmp_path / "both").status == 0
    assert len(read_mixtures(tmp_path / "both" / "test.tsv")[0].load().noisy) == 800


def test_a_background_shorter_than_the_speech_goes_round(prepare, corpus):
    write_sound(corpus / "11-1.1" / "wsj0" / "si_tr_s" / "011" / "011c0201.wav", samples=5000)
    assert prepare(CORPUS, corpus).status == 0
    assert len(read_mixtures(corpus / "train.tsv")[0].load().noisy) == 5000


def test_sphere_files_are_to_be_converted_first(prepare, corpus):
    for path in [*corpus.rglob("si_et_05/*/*.wav")]:
        path.rename(path.with_suffix(".wv1"))
    one_line(prepare(CORPUS, corpus), "folders si_et_05, found 2 .wv1 and .wv2 files, which are SPHERE")
    for path in [*corpus.rglob("*.wv1")]:
        path.with_suffix(".wav").write_bytes(b"NIST_1A\n   1024\n")
    one_line(prepare(CORPUS, corpus), "440c0201.wav: cannot be read", "a SPHERE file with the name of a WAV?")


def test_other_trees_are_refused_with_what_was_expected(prepare, corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    one_line(prepare(CORPUS, tmp_path / "empty"), ".wav files of WSJ0 are expected in folders si_tr_s, found none")
    one_line(prepare(CORPUS, tmp_path / "gone"), "gone: no such folder")
    for path in corpus.rglob("*.CH1.wav"):
        path.unlink()
    one_line(prepare(CORPUS, corpus), "*.CH1.wav of CHiME-3 are expected in a folder backgrounds")
    assert not (corpus / "train.tsv").exists()


@pytest.mark.parametrize(
    ("form", "words"), [({"rate": 8000}, "found 8000 Hz"), ({"channels": 2}, "channels 2"), ({"samples": 0}, "samples 0")]
)
def test_utterances_of_another_form_are_refused(prepare, corpus, form, words):
    write_sound(corpus / "11-1.1" / "wsj0" / "si_tr_s" / "011" / "011c0201.wav", **form)
    one_line(prepare(CORPUS, corpus), "011c0201.wav: expected 16000 Hz, one channel", words)


def test_an_utterance_that_is_there_twice_is_named(prepare, corpus):
    write_sound(corpus / "copy" / "si_tr_s" / "011c0202.wav")
    one_line(prepare(CORPUS, corpus), "the utterance 011c0202 is there a second time")


def test_training_takes_the_tables_as_they_are(prepare, corpus):
    prepare(CORPUS, corpus)
    trained, validated = find_pairs(PairsData(root=str(corpus)), 16_000)
    assert [pair.name for pair in trained] == ["011c0201", "011c0202", "01ac0201"]
    assert [pair.name for pair in validated] == ["050c0101"]
    assert all(np.isfinite(np.stack(pair.load(16_000)[:2])).all() for pair in (*trained, *validated))


@pytest.mark.parametrize("arguments", [(), ("here", "there"), ("here", "--snr", 5), ("here", "--snr", 14, -6), ("here", "--seed", -1)])
def test_wrong_use_exits_2(prepare, arguments):
    assert prepare(CORPUS, *arguments).status == 2


@pytest.mark.parametrize(("model", "steps"), [("sgmse", 64_000), ("storm", 256_000), ("storm_predictor", 256_000)])
def test_a_recipe_sees_all_utterances_160_times(recipe, model, steps):
    built = recipe(f"{CORPUS}/{model}")
    assert built.trainer.steps == steps
    assert steps * built.trainer.batch * built.trainer.accumulate / 12_776 == pytest.approx(160, rel=0.01)
    assert (built.card.task, built.card.recipe) == ("denoise", f"recipes/{CORPUS}/{model}.yaml")
