"""EARS-WHAM and EARS-Reverb: recordings in pieces, ratios by loudness, measured rooms; speakers and noises keep to their splits."""

import json

import numpy as np
import pytest
import soundfile

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.training.compose import HOUSE
from sgaudio.training.sources import PairsData

from .conftest import one_line, read_rows, write_sound

RATE = 48_000
SPLITS = ("train", "validation", "test")
ROOMS = {
    "ARNI/IR_Arni_upload_numClosed_0-5/IR_numClosed_0_numComb_1_mic_1_sweep_1.wav": 1,
    "DetmoldSRIR/SetA_SingleSources/Data/S1_R2.wav": 4,
    "Palimpsest/Impulse/Spring.wav": 2,
    "AIR/AIR_1_4/AIR_wav_files/air_binaural_aula_1.wav": 1,
    "ACE-Challenge/ACE_Corpus_RIRN_Chromebook/Chromebook/Office_1/1/Chromebook_RIR.wav": 2,
}


@pytest.fixture(autouse=True)
def _as_scripts(monkeypatch):
    """A script finds what lies beside it."""
    monkeypatch.syspath_prepend(str(HOUSE / "ears_wham"))


@pytest.fixture
def speech(tmp_path):
    """EARS in miniature: a long recording, short ones, what is no speech, and speakers of all splits."""
    root = tmp_path / "data"
    for name, seconds in {
        "p001/emo_anger_freeform": 23,
        "p001/sentences_01_loud": 3.9,
        "p001/melodic_01": 6,
        "p099/rainbow_01_whisper": 5,
        "p100/rainbow_01_slow": 4,
        "p102/freeform_speech_01": 31,
        "p102/rainbow_01_fast": 1,
        "p107/vegetative_eating": 5,
    }.items():
        write_sound(root / "EARS" / f"{name}.wav", round(seconds * RATE), RATE)
    return root


@pytest.fixture
def wham(speech):
    """With the noise: stereo, and by the table of its splits."""
    folder = speech / "WHAM48kHz" / "high_res_wham"
    lines = ["Filename,File Length (sec),WHAM! Split"]
    for split in ("Train", "Valid", "Test", "None"):
        write_sound(folder / "audio" / f"{split.lower()}.wav", 32 * RATE, RATE, channels=2)
        lines.append(f"{split.lower()}.wav,32,{split}")
    (folder / "high_res_metadata.csv").write_text("\n".join([*lines, "gone.wav,5,Test"]) + "\n")
    return speech


@pytest.fixture
def rooms(speech):
    """With measured rooms: clicks that decay, after some silence."""
    for number, (name, channels) in enumerate(ROOMS.items()):
        rate = 44_100 if name.startswith("ARNI") else RATE
        path = speech / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.5 * click(number, rate, channels), rate, subtype="FLOAT")
    return speech


def click(number, rate, channels=1, decay=0.5):
    """A response (time, channel) whose direct path comes after 10 ms, and which decays by 60 dB in so many seconds."""
    time = np.arange(round(1.2 * decay * rate)) / rate
    response = 0.3 * np.random.default_rng(number).normal(size=(len(time), channels)) * 10 ** (-3 * time[:, None] / decay)
    response[: rate // 100], response[rate // 100] = 0, 1
    return response


def ids(root, split):
    return [row["id"] for row in read_rows(root / f"{split}.tsv")]


@pytest.mark.parametrize("corpus", ["ears_wham", "ears_reverb"])
def test_speakers_have_their_splits_and_long_recordings_are_cut(prepare, wham, rooms, corpus):
    assert prepare(corpus, rooms).status == 0
    pieces = [f"p001_emo_anger_freeform_{start:08}" for start in (0, 480_000)]
    assert ids(rooms, "train") == [*pieces, "p099_rainbow_01_whisper"]  # too short, or no speech: left out
    assert ids(rooms, "validation") == ["p100_rainbow_01_slow"]
    assert ids(rooms, "test") == [*(f"p102_freeform_speech_01_{start:08}" for start in (0, 480_000, 960_000)), "p102_rainbow_01_fast"]
    rows = read_rows(rooms / "train.tsv")
    assert [(row["speech_start"], row["speech_stop"]) for row in rows[:2]] == [("0", "480000"), ("480000", str(23 * RATE))]


def test_the_test_is_cut_where_the_benchmark_cuts_it(prepare, wham):
    cuts = {"p102": {"freeform_speech_01": [[16_800, 480_000], [480_000, -1]], "rainbow_01_fast": [[0, -1]]}}
    (wham / "test_files.json").write_text(json.dumps(cuts))
    ran = prepare("ears_wham", wham)
    spans = [(row["speech_start"], row["speech_stop"]) for row in read_rows(wham / "test.tsv")]
    assert spans == [("16800", "480000"), ("480000", str(31 * RATE)), ("0", str(RATE))]
    assert "were cut every 10 s" not in ran.out
    cuts["p102"]["freeform_speech_01"].append([0, 99 * RATE])
    (wham / "test_files.json").write_text(json.dumps(cuts))
    one_line(prepare("ears_wham", wham), "has 1488000 samples, the cuts want those from 0 to 4752000")
    (wham / "test_files.json").write_text("[]")
    one_line(prepare("ears_wham", wham), "test_files.json: expected the cuts of the test")
    one_line(prepare("ears_wham", wham, "--cuts", wham / "gone.json"), "gone.json: cannot be read")


def test_noise_keeps_to_its_split_and_a_ratio_is_a_difference_of_loudness(prepare, wham):
    import pyloudnorm

    prepare("ears_wham", wham)
    measure = pyloudnorm.Meter(RATE).integrated_loudness
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        assert {row["noise"].rsplit("/")[-1] for row in read_rows(wham / f"{split}.tsv")} == {f"{name}.wav"}
    for row in read_rows(wham / "train.tsv")[2:]:  # one piece: what was measured is what is mixed
        sounds, channel = soundfile.read(wham / row["speech"])[0], int(row["noise_channel"])
        offset = int(row["noise_offset_samples"])
        noise = soundfile.read(wham / row["noise"], start=offset, frames=len(sounds))[0][:, channel]
        gain = np.sqrt(np.mean(sounds**2) / np.mean(noise**2)) * 10 ** (-float(row["snr_db"]) / 20)
        ratio = measure(sounds) - measure(gain * noise)
        assert ratio == pytest.approx(round(ratio, 1), abs=0.01)
        assert -2.5 <= ratio <= 17.6


def test_pieces_of_a_recording_lie_in_one_stretch_of_noise_at_one_gain(prepare, wham):
    prepare("ears_wham", wham)
    first, second = read_rows(wham / "train.tsv")[:2]
    assert int(second["noise_offset_samples"]) - int(first["noise_offset_samples"]) == 480_000
    assert (first["noise"], first["noise_channel"]) == (second["noise"], second["noise_channel"])
    gains = []
    for row in (first, second):
        start, stop, offset = (int(row[name]) for name in ("speech_start", "speech_stop", "noise_offset_samples"))
        sounds = soundfile.read(wham / row["speech"], start=start, stop=stop)[0]
        noise = soundfile.read(wham / row["noise"], start=offset, frames=stop - start)[0][:, int(row["noise_channel"])]
        gains.append(np.sqrt(np.mean(sounds**2) / np.mean(noise**2)) * 10 ** (-float(row["snr_db"]) / 20))
    assert gains[0] == pytest.approx(gains[1], rel=1e-3)


def test_a_mixture_that_would_clip_gets_less_noise(prepare, wham):
    loud = np.clip(np.random.default_rng(0).normal(0, 0.3, 4 * RATE), -0.99, 0.99)
    soundfile.write(wham / "EARS" / "p100" / "rainbow_01_slow.wav", loud, RATE)
    prepare("ears_wham", wham)
    (row,) = read_rows(wham / "validation.tsv")
    noise = soundfile.read(wham / row["noise"], start=int(row["noise_offset_samples"]), frames=len(loud))[0][:, int(row["noise_channel"])]
    noise *= np.sqrt(np.mean(loud**2) / np.mean(noise**2)) * 10 ** (-float(row["snr_db"]) / 20)
    assert float(row["snr_db"]) > 17.5
    assert np.abs(loud + noise).max() < 1


def test_styles_of_the_test_have_their_ratios_spread_evenly(prepare, wham):
    for number in range(2, 14):
        write_sound(wham / "EARS" / "p103" / f"rainbow_{number:02}_fast.wav", RATE, RATE)
    (wham / "EARS" / "p102" / "rainbow_01_fast.wav").unlink()
    prepare("ears_wham", wham)
    ratios = sorted(float(row["snr_db"]) for row in read_rows(wham / "test.tsv") if "rainbow" in row["id"])
    edges = np.linspace(-2.5, 17.5, 13)
    assert len(ratios) == 12
    for low, high, ratio in zip(edges[:-1], edges[1:], ratios, strict=True):  # white as speech and noise are, loudness is power
        assert low - 0.3 <= ratio <= high + 0.3


def test_all_but_silent_pieces_are_left_out_unless_whispered(prepare, wham):
    quiet = np.random.default_rng(0).normal(0, 1e-3, 5 * RATE)
    for name in ("p099/rainbow_01_whisper", "p001/rainbow_02_slow"):
        soundfile.write(wham / "EARS" / f"{name}.wav", quiet, RATE, subtype="FLOAT")
    soundfile.write(wham / "EARS" / "p001" / "rainbow_03_whisper.wav", 0 * quiet, RATE)
    prepare("ears_wham", wham)
    assert [name for name in ids(wham, "train") if "rainbow" in name] == ["p099_rainbow_01_whisper"]


def test_a_noise_that_is_too_short_is_repeated(prepare, wham):
    write_sound(wham / "WHAM48kHz" / "high_res_wham" / "audio" / "train.wav", 3 * RATE, RATE, channels=2)
    assert prepare("ears_wham", wham).status == 0
    assert len(ids(wham, "train")) == 3


def test_rooms_are_heard_from_their_direct_path_on(prepare, rooms):
    assert prepare("ears_reverb", rooms, "-o", rooms / "tables").status == 0
    used = [read_rows(rooms / "tables" / f"{split}.tsv") for split in SPLITS]
    for rows, names in zip(used, (("IR_num", "S1_R2", "Spring"), ("air_",), ("Chromebook_RIR",)), strict=True):
        assert all(any(name in row["room"] for name in names) for row in rows)
        assert all((row["noise"], row["snr_db"], row["room_direct_sample"]) == ("", "", "0") for row in rows)
        for row in rows:
            response, rate = soundfile.read(rooms / "tables" / row["room"])
            assert rate == RATE
            assert np.abs(response).argmax() == 0
            assert np.linalg.norm(response) == pytest.approx(1, abs=1e-3)
            assert 0.4 * RATE < len(response) < 0.6 * RATE


def test_rooms_of_matlab_and_sofa_files_are_read(prepare, rooms):
    h5py = pytest.importorskip("h5py")
    for name in list(ROOMS)[:3]:
        (rooms / name).unlink()
    for path, names in {"BRUDEX/rir/low/a.mat": ("data", "fs"), "dEchorate/sofa/room1/b.sofa": ("Data.IR", "Data.SamplingRate")}.items():
        (rooms / path).parent.mkdir(parents=True)
        responses = click(7, RATE, 3).T
        with h5py.File(rooms / path, "w") as file:
            file[names[0]] = responses if path.endswith(".mat") else responses[None]
            file[names[1]] = [[float(RATE)]] if path.endswith(".mat") else [float(RATE)]
    for path in ("p001/rainbow_04_slow", "p001/rainbow_05_slow", "p001/rainbow_06_slow"):
        write_sound(rooms / "EARS" / f"{path}.wav", 4 * RATE, RATE)
    assert prepare("ears_reverb", rooms).status == 0
    assert {row["room"].rsplit("_")[1] for row in read_rows(rooms / "train.tsv")} == {"a", "b"}
    (rooms / "BRUDEX/rir/low/a.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    one_line(prepare("ears_reverb", rooms, "-o", rooms / "again"), "a.mat: expected an HDF5 file with data and fs")


def test_rooms_that_sound_too_long_are_not_taken(prepare, rooms):
    for name in list(ROOMS)[:3]:
        (rooms / name).unlink()
    for name, decay in (("dry", 1.0), ("hall", 3.0)):
        soundfile.write(rooms / "Palimpsest" / f"{name}.wav", 0.5 * click(1, RATE, decay=decay), RATE, subtype="FLOAT")
    assert prepare("ears_reverb", rooms).status == 0
    assert {"dry" in row["room"] for row in read_rows(rooms / "train.tsv")} == {True}
    (rooms / "Palimpsest" / "dry.wav").unlink()
    one_line(prepare("ears_reverb", rooms), "Palimpsest", "none decays by 60 dB in 2 s")


@pytest.mark.parametrize(("corpus", "noisy", "suffix"), [("ears_wham", "noisy", "_5.3dB"), ("ears_reverb", "reverberant", "_0.62")])
def test_the_benchmark_as_its_own_scripts_made_it_becomes_pairs_by_name(prepare, tmp_path, corpus, noisy, suffix):
    for folder in ("train", "valid", "test"):
        for number in (1, 0):
            write_sound(tmp_path / folder / "clean" / "p101" / f"{number:05}.wav")
            write_sound(tmp_path / folder / noisy / "p101" / f"{number:05}{suffix}.wav")
    assert prepare(corpus, tmp_path).status == 0
    assert read_rows(tmp_path / "validation.tsv")[1] == {
        "id": "p101_00001",
        "clean": "valid/clean/p101/00001.wav",
        "noisy": f"valid/{noisy}/p101/00001{suffix}.wav",
    }
    (tmp_path / "test" / noisy / "p101" / f"00000{suffix}.wav").unlink()
    one_line(prepare(corpus, tmp_path), "test/clean/p101/00000.wav", f"no {noisy} sound of this number (2 clean, 1 {noisy})")


@pytest.mark.parametrize("corpus", ["ears_wham", "ears_reverb"])
def test_the_same_seed_gives_the_same_tables_whatever_else_there_is(prepare, wham, rooms, corpus):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepare(corpus, rooms, "-o", rooms / folder, "--seed", seed)
        write_sound(rooms / "EARS" / "p001" / "sentences_03_loud.wav", 4 * RATE, RATE)
    tables = {folder: {row["id"]: row for row in read_rows(rooms / folder / "train.tsv")} for folder in "abc"}
    assert tables["b"] == tables["a"] | {name: row for name, row in tables["b"].items() if "sentences_03" in name}
    assert tables["b"] != tables["c"]


def test_other_trees_are_refused(prepare, wham, tmp_path):
    (tmp_path / "empty").mkdir()
    one_line(prepare("ears_wham", tmp_path / "empty"), "empty: EARS/p001/*.wav to EARS/p107/*.wav are expected, found none of p001 to p099")
    (wham / "EARS" / "p100" / "rainbow_01_slow.wav").unlink()
    one_line(prepare("ears_wham", wham), "found none of p100 and p101 for validation")
    write_sound(wham / "EARS" / "p100" / "rainbow_01_slow.wav", 4 * RATE, 44_100)
    one_line(prepare("ears_wham", wham), "rainbow_01_slow.wav: 44100 Hz and 1 channels, expected 48000 Hz, mono")
    write_sound(wham / "EARS" / "p100" / "rainbow_01_slow.wav", RATE, RATE)
    one_line(prepare("ears_wham", wham), "validation.tsv: nothing to write")
    (wham / "EARS" / "p100" / "rainbow_01_slow.wav").write_bytes(b"RIFF")
    one_line(prepare("ears_wham", wham), "rainbow_01_slow.wav: cannot be read")


def test_other_noise_is_refused(prepare, wham):
    folder = wham / "WHAM48kHz" / "high_res_wham"
    write_sound(folder / "audio" / "valid.wav", 800, 16_000)
    one_line(prepare("ears_wham", wham), "valid.wav: sample rate is 16000 Hz, expected 48000")
    (folder / "audio" / "valid.wav").unlink()
    one_line(prepare("ears_wham", wham), "none of the noises that its table has for validation lies in audio")
    (folder / "high_res_metadata.csv").write_text("name\na.wav\n")
    one_line(prepare("ears_wham", wham), "the columns 'Filename' and 'WHAM! Split' are expected, found 'name'")
    (folder / "high_res_metadata.csv").unlink()
    one_line(prepare("ears_wham", wham), "no high_res_metadata.csv in it")
    folder.rename(wham / "wham")
    one_line(prepare("ears_wham", wham), "the noise of WHAM! at 48 kHz is expected in WHAM48kHz/high_res_wham")


def test_a_split_without_rooms_is_refused(prepare, rooms):
    (rooms / "AIR").rename(rooms / "air")
    one_line(prepare("ears_reverb", rooms), "no rooms for validation: AIR/AIR_1_4/AIR_wav_files/*.wav expected")


@pytest.mark.parametrize("corpus", ["ears_wham", "ears_reverb"])
@pytest.mark.parametrize("arguments", [(), ("here", "--seed", -1), ("here", "there")])
def test_wrong_use_exits_2(prepare, corpus, arguments):
    assert prepare(corpus, *arguments).status == 2


def test_what_is_mixed_is_what_the_table_says(prepare, wham, rooms):
    for corpus in ("ears_wham", "ears_reverb"):
        prepare(corpus, rooms, "-o", rooms / corpus)
        for split in SPLITS:
            table = rooms / corpus / f"{split}.tsv"
            for mixture, row in zip(read_mixtures(table), read_rows(table), strict=True):
                sounds = mixture.load()
                assert sounds.clean.shape == sounds.noisy.shape == (int(row["speech_stop"]) - int(row["speech_start"]),)
                assert np.isfinite(sounds.noisy).all()
                assert not np.allclose(sounds.clean, sounds.noisy)


@pytest.mark.parametrize(("corpus", "task"), [("ears_wham", "denoise"), ("ears_reverb", "dereverberate")])
@pytest.mark.parametrize("model", ["sgmse_48k", "bridge"])
def test_a_recipe_trains_on_the_tables_at_48_khz(recipe, corpus, task, model):
    built = recipe(f"{corpus}/{model}", "data.root=tables")
    assert built.data == PairsData(root="tables", keep="disk", workers=8)
    assert built.model.sample_rate == RATE
    assert (built.card.task, built.card.recipe) == (task, f"recipes/{corpus}/{model}.yaml")
