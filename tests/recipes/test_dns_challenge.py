"""The DNS challenge: its folders, as each edition ships them, become tables to mix from; validation and test are heard by no training."""

import numpy as np
import pytest
import soundfile

from sgaudio.audio.mixtures import read_mixtures

from .conftest import one_line, read_rows, write_sound

CORPUS = "dns_challenge"
SPEECH = [f"book_0000{book}_chp_0001_reader_0{reader:04}_{number}.wav" for book, reader in enumerate((7, 8, 9, 10)) for number in range(3)]
NOISE = [f"noise_{number}.wav" for number in range(6)]
ROOMS = "impulse_responses/SLR26/simulated_rirs_16k/largeroom/Room001/Room001-00004.wav"


def write_room(path, channels=1):
    """A click after 5 ms, and an echo."""
    path.parent.mkdir(parents=True, exist_ok=True)
    response = 0.2 * np.random.default_rng(0).normal(size=(4000, channels)) * 10 ** (-3 * np.arange(4000)[:, None] / 3000)
    response[:80], response[80] = 0, 0.9
    soundfile.write(path, response, 16_000)


@pytest.fixture
def corpus(tmp_path):
    """The third challenge, in miniature, and the test set of the first."""
    datasets = tmp_path / "DNS-Challenge" / "datasets"
    for name in SPEECH:
        write_sound(datasets / "clean" / "read_speech" / name)
    write_sound(datasets / "clean" / "emotional_speech" / "crema_d" / "1001_DFA_ANG_XX.wav")
    for name in NOISE:
        write_sound(datasets / "noise" / name)
    write_room(datasets / ROOMS)
    for name in ("real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav", "pointsource_noises/noise-free-sound-0000.wav"):
        write_room(datasets / "impulse_responses" / "SLR28" / "RIRS_NOISES" / name, channels=2 if "rir_" in name else 1)
    write_room(datasets / "impulse_responses" / "SLR28" / "RIRS_NOISES" / "simulated_rirs" / "mediumroom" / "Room002" / "Room002-00001.wav")
    for rooms in ("no_reverb", "with_reverb"):
        for number in (7, 12):
            write_sound(datasets / "test_set" / "synthetic" / rooms / "clean" / f"clean_fileid_{number}.wav")
            write_sound(datasets / "test_set" / "synthetic" / rooms / "noisy" / f"clnsp5_car_2_snr9_tl-20_fileid_{number}.wav")
    return tmp_path / "DNS-Challenge"


def names(table, column="file"):
    return [row[column].rsplit("/")[-1] for row in read_rows(table)]


def test_validation_has_readers_and_noises_that_training_never_hears(prepare, corpus):
    assert prepare(CORPUS, corpus, "--validation", 2).status == 0
    validated = read_rows(corpus / "validation.tsv")
    readers = {row["speech"].split("reader_")[-1][:5] for row in validated}
    assert len(validated) == len({row["noise"] for row in validated}) == 2
    assert sorted(names(corpus / "clean.tsv") + [name for name in SPEECH if name.split("reader_")[-1][:5] in readers]) == sorted(
        [*SPEECH, "1001_DFA_ANG_XX.wav"]
    )
    assert sorted(names(corpus / "noise.tsv") + names(corpus / "validation.tsv", "noise")) == NOISE
    for mixture in read_mixtures(corpus / "validation.tsv"):
        assert -5 <= mixture.snr_db <= 25
        assert mixture.load().noisy.shape == (800,)


def test_at_most_half_of_the_readers_and_noises_go_to_validation(prepare, corpus):
    assert prepare(CORPUS, corpus).status == 0
    assert [len(names(corpus / f"{table}.tsv", column)) for table, column in (("validation", "speech"), ("noise", "file"))] == [2, 4]


def test_what_cannot_be_mixed_is_not_drawn_for_validation(prepare, corpus):
    for name in NOISE[:3]:
        soundfile.write(corpus / "datasets" / "noise" / name, np.zeros(800), 16_000)
    prepare(CORPUS, corpus, "--validation", 2)
    assert set(names(corpus / "validation.tsv", "noise")) < set(NOISE[3:])
    for name in NOISE:
        soundfile.write(corpus / "datasets" / "noise" / name, np.zeros(800), 16_000)
    one_line(prepare(CORPUS, corpus), "no mixture for validation: two speakers and two noises that can be mixed are expected")


def test_rooms_have_one_channel_their_direct_path_and_end_where_they_have_decayed(prepare, corpus):
    prepare(CORPUS, corpus)
    rows = read_rows(corpus / "rooms.tsv")
    assert sorted(names(corpus / "rooms.tsv")) == ["Room001-00004.wav", "Room002-00001.wav"]
    assert all((row["start"], row["direct_sample"]) == ("0", "80") for row in rows)
    assert all(2000 < int(row["stop"]) < 3500 for row in rows)
    prepare(CORPUS, corpus, "--rooms", 1)
    assert len(names(corpus / "rooms.tsv")) == 1


def test_the_test_set_pairs_by_fileid(prepare, corpus):
    prepare(CORPUS, corpus)
    for table, rooms in (("test", "no_reverb"), ("test_with_reverb", "with_reverb")):
        assert [tuple(row.values()) for row in read_rows(corpus / f"{table}.tsv")] == [
            (
                f"fileid_{number}",
                f"datasets/test_set/synthetic/{rooms}/clean/clean_fileid_{number}.wav",
                f"datasets/test_set/synthetic/{rooms}/noisy/clnsp5_car_2_snr9_tl-20_fileid_{number}.wav",
            )
            for number in (7, 12)
        ]
    noisy = corpus / "datasets" / "test_set" / "synthetic" / "no_reverb" / "noisy"
    (noisy / "clnsp5_car_2_snr9_tl-20_fileid_7.wav").unlink()
    one_line(prepare(CORPUS, corpus), "clean_fileid_7.wav: no noisy sound of its fileid (2 clean, 1 noisy)")
    write_sound(noisy / "seven.wav")
    one_line(prepare(CORPUS, corpus), "seven.wav: a name that ends in fileid_ and a number is expected")


def test_editions_without_a_test_set_say_where_it_is(prepare, corpus):
    (corpus / "datasets" / "test_set").rename(corpus / "elsewhere")
    ran = prepare(CORPUS, corpus)
    assert ran.status == 0
    assert "no test set: branch interspeech2020/master" in ran.out
    assert not (corpus / "test.tsv").exists()


def test_the_fourth_challenge_has_its_languages_beside_the_noise(prepare, corpus):
    datasets, fullband = corpus / "datasets", corpus / "datasets_fullband"
    fullband.mkdir()
    for old, new in (("clean/read_speech", "read_speech"), ("clean/emotional_speech", "emotional_speech"), ("noise", "noise_fullband")):
        (datasets / old).rename(fullband / new)
    (datasets / "clean").rmdir()
    assert prepare(CORPUS, corpus).status == 0
    assert {row["file"].split("/")[1] for row in read_rows(corpus / "clean.tsv")} == {"read_speech", "emotional_speech"}
    assert read_rows(corpus / "noise.tsv")[0]["file"].startswith("datasets_fullband/noise_fullband/")


def test_the_folder_of_data_itself_will_do_and_tables_elsewhere_name_files_in_full(prepare, corpus, tmp_path):
    assert prepare(CORPUS, corpus / "datasets", "-o", tmp_path / "tables").status == 0
    assert read_rows(tmp_path / "tables" / "noise.tsv")[0]["file"].startswith(str(corpus / "datasets" / "noise"))


def test_the_same_seed_gives_the_same_tables(prepare, corpus, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 3)):
        prepare(CORPUS, corpus, "-o", tmp_path / folder, "--seed", seed)
    texts = {folder: (tmp_path / folder / "validation.tsv").read_text() for folder in "abc"}
    assert texts["a"] == texts["b"] != texts["c"]


def test_other_trees_are_refused(prepare, corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    one_line(prepare(CORPUS, tmp_path / "empty"), "no clean or clean_fullband in it, nor in its datasets", "found nothing")
    one_line(prepare(CORPUS, tmp_path / "gone"), "found no folder")
    datasets = corpus / "datasets"
    (datasets / "impulse_responses").rename(datasets / "rirs")
    one_line(prepare(CORPUS, corpus), "no impulse_responses in it")
    write_room(datasets / "impulse_responses" / "real_rir.wav", channels=8)
    one_line(prepare(CORPUS, corpus), "no impulse response of one channel in it, expected SLR26 and SLR28")
    (datasets / "impulse_responses" / "real_rir.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    one_line(prepare(CORPUS, corpus), "real_rir.wav: cannot be read")
    for path in (datasets / "noise").iterdir():
        path.unlink()
    one_line(prepare(CORPUS, corpus), "noise: no sound files in it: are its archives unpacked?")


@pytest.mark.parametrize("arguments", [(), ("here", "--rooms", 0), ("here", "--validation", 0), ("here", "--seed", -1)])
def test_wrong_use_exits_2(prepare, arguments):
    assert prepare(CORPUS, *arguments).status == 2


@pytest.mark.parametrize("model", ["bridge", "storm"])
def test_a_recipe_mixes_from_disk_what_the_tables_name(recipe, model):
    built = recipe(f"{CORPUS}/{model}", "data.root=tables")
    data = built.data
    assert (data.keep, data.root, data.clean, data.noise, data.rooms) == ("disk", "tables", "clean.tsv", "noise.tsv", "rooms.tsv")
    assert (data.validation, data.validation_snr, built.mixing.snr) == ("validation.tsv", (-5, 25), (-5, 25))
    assert (built.card.task, built.card.recipe) == ("denoise", f"recipes/{CORPUS}/{model}.yaml")
