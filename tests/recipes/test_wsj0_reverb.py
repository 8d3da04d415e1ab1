"""WSJ0-REVERB: every utterance of WSJ0 gets a room; they are kept as a bank, and speech is convolved with them when it is wanted."""

import numpy as np
import pytest

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.models.convert.families import configuration
from sgaudio.training import rooms
from sgaudio.training.pairs import PairsData, find_pairs
from sgaudio.training.rooms import Place, Room

from .conftest import one_line, read_rows, write_sound

CORPUS = "wsj0_reverb"
SPLITS = {"train": "si_tr_s", "validation": "si_dt_05", "test": "si_et_05"}


@pytest.fixture
def corpus(tmp_path):
    """Three utterances a split."""
    for folder in SPLITS.values():
        for number in range(3):
            write_sound(tmp_path / "wsj0" / folder / "011" / f"{folder[3:]}{number}.wav", samples=4000)
    return tmp_path / "wsj0"


@pytest.fixture
def asked(monkeypatch):
    """Rooms that are made up at once: what was asked for."""
    calls = []

    def simulate(config, count, seed, sample_rate):
        calls.append((config, count, seed, sample_rate))
        for index in range(count):
            response = np.random.default_rng((seed, index)).normal(size=2000) * np.exp(-np.arange(2000) / 300)
            response[40] = 5
            yield Room((response / np.linalg.norm(response)).astype(np.float32), 40, Place((5.0, 5.0, 3.0), (1, 1, 1), (2, 2, 2), 0.5))

    monkeypatch.setattr(rooms, "simulate", simulate)
    return calls


def test_each_utterance_has_a_room_of_its_own(prepare, corpus, asked):
    assert prepare(CORPUS, corpus).status == 0
    places = set()
    for table, folder in SPLITS.items():
        rows = read_rows(corpus / f"{table}.tsv")
        assert [row["id"] for row in rows] == [f"{folder[3:]}{number}" for number in range(3)]
        places |= {(row["room"], row["room_start"]) for row in rows}
        assert all(row["noise"] == row["snr_db"] == "" for row in rows)
    assert len(places) == 9


def test_rooms_are_those_of_the_paper(prepare, corpus, asked):
    prepare(CORPUS, corpus)
    for config, count, _, rate in asked:
        assert (config.length, config.width, config.height, config.t60) == ((5, 15), (5, 15), (2, 6), (0.4, 1.0))
        assert (config.wall, config.order, config.scattering, count, rate) == (1, 3, 0, 3, 16_000)
    assert [seed for _, _, seed, _ in asked] == [100, 101, 102]


def test_speech_is_heard_in_its_room_and_comes_out_by_the_direct_path(prepare, corpus, asked):
    prepare(CORPUS, corpus)
    for mixture in read_mixtures(corpus / "train.tsv"):
        sounds, speech = mixture.load(), write_sound(corpus / "again" / mixture.speech.name, samples=4000)
        assert mixture.speech.read_bytes() == speech.read_bytes()
        assert sounds.clean.shape == sounds.noisy.shape == (4000,)
        assert np.linalg.norm(sounds.noisy - sounds.clean) > 0.1 * np.linalg.norm(sounds.clean)
        assert mixture.room_stop - mixture.room_start == 2000
        assert mixture.room_direct == 40


def test_fewer_rooms_are_used_in_turn(prepare, corpus, asked):
    assert prepare(CORPUS, corpus, "--rooms", 2).status == 0
    starts = [row["room_start"] for row in read_rows(corpus / "test.tsv")]
    assert starts[0] == starts[2] != starts[1]


def test_tables_elsewhere_keep_the_rooms_beside_them(prepare, corpus, asked, tmp_path):
    before = sorted(corpus.rglob("*"))
    assert prepare(CORPUS, corpus, "-o", tmp_path / "tables").status == 0
    assert sorted(corpus.rglob("*")) == before
    row = read_rows(tmp_path / "tables" / "test.tsv")[0]
    assert row["room"].startswith("rooms/test/")
    assert row["speech"] == str(corpus / "si_et_05" / "011" / "et_050.wav")


def test_simulated_rooms_can_be_heard(prepare, corpus):
    assert prepare(CORPUS, corpus, "--rooms", 1).status == 0
    bank = read_rows(corpus / "rooms" / "validation" / "rooms.tsv")
    assert 0.4 <= float(bank[0]["t60"]) <= 1
    sounds = read_mixtures(corpus / "validation.tsv")[1].load()
    assert np.isfinite(sounds.noisy).all()
    assert not np.allclose(sounds.noisy, sounds.clean)


def test_the_same_seed_gives_the_same_rooms(prepare, corpus, asked, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 5)):
        prepare(CORPUS, corpus, "-o", tmp_path / folder, "--seed", seed)
    heard = {folder: read_mixtures(tmp_path / folder / "train.tsv")[0].load().noisy for folder in "abc"}
    assert np.array_equal(heard["a"], heard["b"])
    assert not np.array_equal(heard["a"], heard["c"])


def test_other_trees_are_refused_before_a_room_is_made(prepare, corpus, asked, tmp_path):
    (tmp_path / "empty").mkdir()
    one_line(prepare(CORPUS, tmp_path / "empty"), ".wav files of WSJ0 are expected in folders si_tr_s, found none")
    one_line(prepare(CORPUS, tmp_path / "gone"), "gone: no such folder")
    write_sound(corpus / "si_et_05" / "011" / "et_050.wav", rate=8000)
    one_line(prepare(CORPUS, corpus), "et_050.wav: expected 16000 Hz", "found 8000 Hz")
    (corpus / "si_et_05" / "011" / "et_050.wav").write_bytes(b"NIST_1A\n")
    one_line(prepare(CORPUS, corpus), "et_050.wav: cannot be read")
    (corpus / "si_et_05" / "011" / "et_050.wav").unlink()
    write_sound(corpus / "si_et_05" / "012" / "et_051.wav")
    one_line(prepare(CORPUS, corpus), "the utterance et_051 is there a second time")
    for path in (corpus / "si_et_05").rglob("*.wav"):
        path.rename(path.with_suffix(".wv1"))
    one_line(prepare(CORPUS, corpus), "found 3 .wv1 and .wv2 files, which are SPHERE")
    assert not asked


def test_training_takes_the_tables_as_they_are(prepare, corpus, asked):
    prepare(CORPUS, corpus)
    trained, validated = find_pairs(PairsData(root=str(corpus)), 16_000)
    assert [pair.name for pair in trained] == ["tr_s0", "tr_s1", "tr_s2"]
    assert [pair.name for pair in validated] == ["dt_050", "dt_051", "dt_052"]
    assert all(np.isfinite(np.stack(pair.load(16_000)[:2])).all() for pair in (*trained, *validated))


@pytest.mark.parametrize("arguments", [(), ("here", "--rooms", 0), ("here", "--seed", -1), ("here", "--rooms", "many")])
def test_wrong_use_exits_2(prepare, arguments):
    assert prepare(CORPUS, *arguments).status == 2


@pytest.mark.parametrize(("model", "steps"), [("sgmse", 64_000), ("storm", 256_000), ("storm_predictor", 256_000)])
def test_a_recipe_sees_all_utterances_160_times(recipe, model, steps):
    built = recipe(f"{CORPUS}/{model}")
    assert built.trainer.steps == steps
    assert steps * built.trainer.batch * built.trainer.accumulate / 12_776 == pytest.approx(160, rel=0.01)
    assert (built.card.task, built.card.recipe) == ("dereverberate", f"recipes/{CORPUS}/{model}.yaml")


def test_sgmse_has_the_walk_that_its_authors_recommend_for_rooms(recipe):
    assert recipe(f"{CORPUS}/sgmse").model == configuration({}, {"dnn": 4}, "dereverberate")
