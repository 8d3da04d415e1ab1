"""open_singing: labels exact to the frame, vowels on the onsets, no piece in two tables, the same corpus for the same seed.

A small script answers as flite does, and WORLD is silent, but where a test says otherwise: neither has to be there.
"""

import importlib
import runpy
import shutil
import stat
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sgaudio.errors import ConfigError
from sgaudio.scores import Note, Score
from sgaudio.scores.ds import read_ds
from sgaudio.scores.lyrics import syllables
from sgaudio.scores.timing import frames_at, rows
from sgaudio.training.compose import HOUSE

from .conftest import one_line, read_rows

CORPUS = "open_singing"
HERE = HOUSE / CORPUS
FLITE = """#!{python} -IS
import math, struct, sys, wave
SOUNDS = dict(a="aa", e="eh", i="ih", o="ow", u="uw", y="iy", c="k", h="hh", j="jh", q="k", x="z")
options = sys.argv[1:]
if "-lv" in options:
    print("Voices available: kal {voices}")
elif "-t" in options:
    spelled = [SOUNDS.get(letter, letter) for letter in options[options.index("-t") + 1] if letter.isalpha()]
    print("pau", *spelled, "pau", "")
else:
    phones = options[options.index("-p") + 1].split()
    print("".join(f"{{phone}}:{{0.09 * (1 + number):.3f}} " for number, phone in enumerate({said})))
    time = range(1440 * len(phones))
    levels = [round(2000 * sum(math.cos(2 * math.pi * 106.7 * part * i / 16000) / part for part in range(1, 9))) for i in time]
    with wave.open(options[options.index("-o") + 1], "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{{len(levels)}}h", *levels))
"""


def install(folder: Path, voices="awb_time kal16 awb rms slt", said="phones") -> Path:
    """The script, in a folder for PATH."""
    folder.mkdir(exist_ok=True)
    script = folder / "flite"
    script.write_text(FLITE.format(python=sys.executable, voices=voices, said=said))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return folder


def silent_world():
    """Something with the shapes of pyworld."""
    world = types.ModuleType("pyworld")

    def harvest(sound, rate, low, high, period):
        count = 1 + int(1000 * len(sound) / rate / period)
        return np.full(count, (low + high) / 2), np.arange(count) * period / 1000

    world.harvest = harvest
    world.cheaptrick = lambda sound, f0, times, rate: np.full((len(f0), 513), 1e-4)
    world.d4c = lambda sound, f0, times, rate: np.full((len(f0), 513), 0.5)
    world.synthesize = lambda f0, envelope, aperiodicity, rate, period: np.zeros(int((len(f0) - 1) * period * rate / 1000) + 1)
    return world


@pytest.fixture(autouse=True)
def programs(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(install(tmp_path / "bin")))
    monkeypatch.setitem(sys.modules, "pyworld", silent_world())
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A corpus of a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(install(tmp_path_factory.mktemp("bin"))))
        patch.setitem(sys.modules, "pyworld", silent_world())
        patch.syspath_prepend(HERE)
        folder = tmp_path_factory.mktemp("corpus") / "made"
        assert runpy.run_path(str(HERE / "prepare.py"))["main"]([str(folder), "--minutes", "1", "--jobs", "1"]) == 0
    return folder


def all_rows(folder):
    return [row for split in ("train", "validation", "test") for row in read_rows(folder / f"{split}.tsv")]


def counts(row, column):
    return np.array(row[column].split(), int)


def test_frames_of_phones_sum_to_those_of_sound_and_f0(made):
    for row in all_rows(made):
        frames = counts(row, "frames")
        assert frames.min() > 0
        assert soundfile.info(made / row["file"]).frames == 128 * frames.sum()
        assert soundfile.info(made / row["file"]).samplerate == 24_000
        assert np.load(made / row["f0"]).shape == (frames.sum(),)
        assert len({len(row[column].split()) for column in ("phones", "frames", "notes", "note_frames", "slurs")}) == 1


def test_the_score_of_an_item_says_what_its_row_says(made):
    for row in all_rows(made):
        (score,) = read_ds(made / row["score"]).segments
        assert [each.phone for each in rows(score)] == row["phones"].split()
        assert sum(note.duration for note in score.notes) * 187.5 == pytest.approx(counts(row, "frames").sum(), abs=1e-6)
        assert np.array(score.curves["f0"].values, np.float32).tolist() == np.load(made / row["f0"]).tolist()
        assert score.speaker == row["voice"]


def test_vowels_stand_on_the_onsets_of_their_notes(made):
    for row in all_rows(made):
        (score,) = read_ds(made / row["score"]).segments
        starts, onsets = np.cumsum([0, *counts(row, "frames")]), frames_at(score.onsets, 187.5)
        ends = np.cumsum([len(note.leading) + len(note.phones) for note in score.notes])
        vowels = {end - len(note.phones) for note, end in zip(score.notes, ends, strict=True) if note.phones}
        for number, each in enumerate(rows(score)):
            if each.source in vowels:
                assert starts[number] == onsets[each.note]
                assert counts(row, "note_frames")[number] == onsets[each.note + 1] - onsets[each.note]


def test_f0_is_0_in_voiceless_phones_and_nowhere_else(made):
    render = importlib.import_module("render")
    for row in all_rows(made):
        f0, starts = np.load(made / row["f0"]), np.cumsum([0, *counts(row, "frames")])
        for phone, start, stop in zip(row["phones"].split(), starts, starts[1:], strict=False):
            assert (f0[start:stop] > 0).all() == (phone not in render.VOICELESS)
            assert (f0[start:stop] == 0).all() == (phone in render.VOICELESS)


def test_no_piece_is_in_two_tables(made):
    prepare = importlib.import_module("prepare")
    pieces = [{row["piece"] for row in read_rows(made / f"{split}.tsv")} for split in ("train", "validation", "test")]
    assert not pieces[0] & pieces[1] | pieces[0] & pieces[2] | pieces[1] & pieces[2]
    chosen = [set().union(*prepare.pieces(split, prepare.SONGS)) for split in ("train", "validation", "test")]
    assert sum(map(len, chosen)) == len(set.union(*chosen)) == len(prepare.SONGS) + len(prepare.POEMS)
    assert all(piece in prepare.SONGS or piece in prepare.POEMS for piece in (*prepare.VALIDATION, *prepare.TEST))
    assert all(all(prepare.pieces(split, prepare.SONGS)) for split in ("train", "validation", "test"))


def test_the_same_seed_makes_the_same_corpus(prepare, made, tmp_path):
    assert prepare(CORPUS, tmp_path / "again", "--minutes", 1, "--jobs", 1).status == 0
    files = [path.relative_to(made) for path in made.rglob("*") if path.is_file()]
    assert files
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (made / file).read_bytes()


def test_a_longer_corpus_begins_with_the_shorter_one_and_another_seed_is_another():
    prepare = importlib.import_module("prepare")
    singers = [("slt", 1.0), ("rms", 0.85)]
    short, long, other = (list(prepare.plan("train", *options)) for options in ((2, singers, 0), (4, singers, 0), (2, singers, 1)))
    assert long[: len(short)] == short
    assert 108 <= sum(item.score.onsets[-1] for item in short) < 160
    assert [item.singer for item in short[:3]] == ["slt_100", "rms_085", "slt_100"]
    assert other[0].score != short[0].score


def test_a_voice_sings_within_its_range():
    prepare, flite = (importlib.import_module(name) for name in ("prepare", "flite"))
    for item in prepare.plan("train", 5, [("slt", 1.0), ("rms", 1.0)], 3):
        pitches = [note.pitch for note in item.score.notes if note.pitch is not None]
        assert flite.VOICES[item.voice].low <= min(pitches)
        assert max(pitches) <= flite.VOICES[item.voice].high
        assert min(note.duration for note in item.score.notes) > 0.19


def test_an_interrupted_run_goes_on_where_it_was(prepare, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "copy")
    sounds = sorted((folder / "sound").iterdir())
    before = {path: path.stat().st_mtime_ns for path in sounds}
    whole = sounds[0].read_bytes()
    sounds[0].unlink()
    (folder / "test.tsv").unlink()
    assert prepare(CORPUS, folder, "--minutes", 1, "--jobs", 1).status == 0
    assert sounds[0].read_bytes() == whole
    assert [path for path in sounds if path.stat().st_mtime_ns != before[path]] == sounds[:1]
    assert read_rows(folder / "test.tsv") == read_rows(made / "test.tsv")


def test_too_few_minutes_are_refused(prepare, tmp_path):
    one_line(prepare(CORPUS, tmp_path / "new", "--minutes", 0.5), "--minutes is 0.5, expected 1 or more")
    one_line(prepare(CORPUS, tmp_path / "new", "--minutes", "nan"), "--minutes is nan")
    assert not (tmp_path / "new").exists()


def test_a_missing_program_is_named_with_where_to_get_it(prepare, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    one_line(prepare(CORPUS, tmp_path / "new"), "flite is missing", "apt-get install flite")
    monkeypatch.setenv("PATH", str(install(tmp_path / "few", voices="kal16")))
    one_line(prepare(CORPUS, tmp_path / "new"), "no voice 'slt'", "kal, kal16")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setitem(sys.modules, "pyworld", None)
    one_line(prepare(CORPUS, tmp_path / "new"), "pyworld is missing", "pip install")
    assert not (tmp_path / "new").exists()


def test_a_folder_with_something_else_is_refused(prepare, made, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    one_line(prepare(CORPUS, tmp_path / "photos"), "holds a.jpg", "choose an empty folder")
    one_line(prepare(CORPUS, tmp_path / "photos" / "a.jpg"), "no folder")
    one_line(prepare(CORPUS, made, "--seed", 1), '"seed": 0', '"seed": 1', "choose another folder")
    one_line(prepare(CORPUS, made, "--voices", "slt"), "choose another folder")


def test_a_sound_that_was_changed_is_named(prepare, made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "copy")
    path = folder / read_rows(made / "test.tsv")[0]["file"]
    soundfile.write(path, np.zeros(1280), 24_000)
    one_line(prepare(CORPUS, folder, "--minutes", 1), path.name, "has 1280 samples", "delete it and run again")


def test_a_synthesiser_that_says_other_phones_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(install(tmp_path / "wrong", said="phones[:-1]")))
    with pytest.raises(ConfigError, match="asked for the phones 'pau t uw pau', said 'pau t uw'"):
        importlib.import_module("flite").speak("slt", ["SP", "t", "uw", "SP"])


@pytest.mark.parametrize(
    "options", [(), ("a", "b"), ("a", "--seed", -1), ("a", "--voices", "nobody"), ("a", "--warps", 3), ("a", "--jobs", 0)]
)
def test_wrong_use_exits_2(prepare, options):
    assert prepare(CORPUS, *options).status == 2


def test_a_song_with_another_number_of_syllables_than_notes_is_refused():
    songs = importlib.import_module("songs")
    with pytest.raises(ConfigError, match="'Twin-kle': 2 syllables for 3 notes"):
        songs.song(100, "| C4 D4/2 E4\nTwin-kle")


def test_a_melody_keeps_to_its_compass_and_ends_on_the_tonic_chord():
    melody = importlib.import_module("melody")
    poems = importlib.import_module("verse").POEMS
    for seed, line in enumerate(line for poem in poems.values() for line in poem):
        phrase = melody.melody(line, np.random.default_rng(seed))
        assert phrase == melody.melody(line, np.random.default_rng(seed))
        assert phrase.words.replace("-_", "").replace(" _", "") == line
        assert all(melody.TONIC - 5 <= tone.pitch <= melody.TONIC + 15 for tone in phrase.tones)
        assert (phrase.tones[-1].pitch - melody.TONIC) % 12 in (0, 3, 4, 7)


def test_songs_of_music21_train_in_phrases_of_whole_words():
    music21 = pytest.importorskip("music21")
    prepare, songs = (importlib.import_module(name) for name in ("prepare", "music21_songs"))
    assert (Path(music21.__file__).parent / "corpus").is_dir()
    found = songs.music21_songs()
    phrases = found["jeanie"].verses[0]
    assert phrases[0].words == "I dream of Jean-nie with the light brown _ hair"
    assert all(len(syllables(phrase.words)) == len(phrase.tones) for phrase in phrases)
    every = prepare.SONGS | found
    assert "jeanie" in prepare.pieces("train", every)[0]
    assert "jeanie" not in prepare.pieces("test", every)[0] + prepare.pieces("validation", every)[0]
    assert "jeanie" in {item.piece for item in prepare.plan("train", 60, [("slt", 1.0)], 0, every)}


def test_a_file_of_music21_with_other_rights_is_refused(monkeypatch):
    pytest.importorskip("music21")
    songs = importlib.import_module("music21_songs")
    monkeypatch.setitem(songs.FILES, "jeanie", "leadSheet/berlinAlexandersRagtime.mxl")
    with pytest.raises(ConfigError, match="its rights are 'All Rights Reserved'"):
        songs.music21_songs()


def test_f0_is_that_of_the_notes_smoothed_with_vibrato_on_long_ones():
    render = importlib.import_module("render")
    notes = (Note(0.8, None), Note(0.4, 60, "la"), Note(1.6, 64, "la"), Note(0.4, None))
    score, _ = render.timed(render.on_frames(Score(notes)), "slt")
    f0 = render.target_f0(score)
    cents = 1200 * np.log2(np.where(f0 > 0, f0, 1) / 440) + 6900
    assert f0[:130].max() == f0[-70:].max() == 0
    assert cents[170:200] == pytest.approx(6000, abs=0.1)  # 0.4 s is too short for vibrato
    assert (np.diff(cents[215:235]) >= -0.1).all()  # portamento
    assert cents[240:270] == pytest.approx(6400, abs=0.1)
    vibrato = cents[330:500] - 6400
    assert (vibrato.max(), vibrato.min()) == (pytest.approx(30, abs=1), pytest.approx(-30, abs=1))
    assert np.count_nonzero(np.diff(np.sign(vibrato))) == pytest.approx(2 * 5.5 * 170 / 187.5, abs=1)


def test_vowels_keep_their_edges_and_consonants_stretch_evenly():
    render = importlib.import_module("render")
    notes = (Note(0.8, None), Note(1.6, 64, "sa"), Note(0.4, None))
    score, speech = render.timed(render.on_frames(Score(notes)), "slt")
    places = render.source_places(score, speech.ends)
    (_, pause), (_, consonant), (_, vowel), _ = render.phone_frames(score)
    assert np.diff(places[pause : pause + consonant]) == pytest.approx(np.diff(places[pause : pause + 2])[0])
    steps = np.diff(places[pause + consonant : pause + consonant + vowel])
    assert steps[:3] == pytest.approx(1)
    assert steps[-3:] == pytest.approx(1)
    assert steps[150] < 0.1
    assert (np.diff(places) > 0).all()


def test_what_is_heard_has_the_pitch_that_was_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "pyworld")
    world = pytest.importorskip("pyworld")
    render = importlib.import_module("render")
    notes = (Note(0.5, None), Note(0.5, 57, "la"), Note(1.0, 61, "la"), Note(0.4, 59, "so"), Note(0.4, None))
    score, sound = render.sing(render.on_frames(Score(notes)), "rms", 1.1)
    f0 = np.array(score.curves["f0"].values)
    assert sound.shape == (128 * len(f0),)
    assert np.abs(sound).max() == pytest.approx(0.8)
    assert np.abs(sound[: 128 * 70]).max() < 1e-3
    found = world.harvest(sound, 24_000, 60.0, 600.0, 128 / 24)[0][: len(f0)]
    both = (found > 0) & (f0 > 0)
    assert np.median(np.abs(1200 * np.log2(found[both] / f0[both]))) < 10
    assert ((found > 0) != (f0 > 0)).mean() < 0.08
