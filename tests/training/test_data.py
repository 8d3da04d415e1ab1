"""Sound is found, cut, brought to rate and level; what is missing is named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError
from sgaudio.training.data import (
    Disk,
    Memory,
    Segment,
    around,
    faster,
    find_sound,
    gather,
    hold_out,
    load,
    load_few,
    load_rooms,
    move,
    read_header,
    read_piece,
    sped,
)

from .conftest import RATE, hiss, tone

CPU = torch.device("cpu")


@pytest.fixture
def packs(tmp_path):
    """Three segments in one pack."""
    (tmp_path / "speech").mkdir()
    sound = np.concatenate([np.full(1000, 0.25), np.zeros(100), np.full(500, 0.5)])
    soundfile.write(tmp_path / "speech" / "one.flac", sound, RATE)
    rows = ["file\tstart\tstop\tovr", "speech/one.flac\t0\t1000\t3.0", "speech/one.flac\t1100\t1600\t3.5", "speech/one.flac\t0\t10\t"]
    (tmp_path / "speech" / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path / "speech"


def whole(path: Path) -> Segment:
    header = read_header(path)
    return Segment(path.name, path, 0, header.samples, header.sample_rate)


def level(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean((sound / 32768.0) ** 2)))


def test_packs_are_cut_as_their_manifest_says_and_keep_their_level(packs):
    segments = find_sound(packs)
    sounds = load(segments, RATE)
    assert all(map(np.array_equal, sounds, load_few(segments, RATE)))
    assert [(set(sound), len(sound)) for sound in sounds] == [({8192}, 1000), ({16384}, 500), ({8192}, 10)]


def test_files_are_brought_to_rate_and_level(tmp_path):
    stereo = np.stack([tone(1, rate=16_000), tone(1, rate=16_000)], 1)
    soundfile.write(tmp_path / "a.flac", stereo * 0.01, 16_000, subtype="PCM_24")
    segments = find_sound(tmp_path)
    for sound in (*load(segments, RATE), *load_few(segments, RATE)):
        assert len(sound) == RATE
        assert level(sound) == pytest.approx(0.05, rel=0.01)


def test_a_table_names_sounds_and_parts_of_them(tmp_path):
    soundfile.write(tmp_path / "a.wav", hiss(1), RATE)
    soundfile.write(tmp_path / "b.wav", hiss(0.5), RATE)
    (tmp_path / "some.tsv").write_text(f"file\tstart\tstop\na.wav\t100\t900\na.wav\t\t\n{tmp_path / 'b.wav'}\t4\t\n")
    segments = find_sound(tmp_path / "some.tsv")
    assert [(segment.start, segment.stop) for segment in segments] == [(100, 900), (0, 8000), (4, 4000)]
    assert [level(sound) for sound in load(segments, RATE)] == pytest.approx([0.05] * 3, rel=0.01)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("speach", "speach: no such folder"),
        ("speach.tsv", "speach.tsv: no such table"),
        ("empty", "empty: no sound in it"),
        ("none.tsv", "none.tsv: no rows with the columns file"),
        ("other.tsv", "other.tsv: no rows with the columns file"),
        ("odd.tsv", "odd.tsv: start of a.wav is '-4', expected a number of samples"),
        ("beyond.tsv", "segment 0 to 9000 of a.wav, which has 800 samples"),
        ("latin.tsv", "latin.tsv: no table that can be read"),
    ],
)
def test_what_is_missing_is_named(tmp_path, place, words):
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "a.wav", hiss(0.1), RATE)
    tables = {"none": "file\n", "other": "path\na.wav\n", "odd": "file\tstart\na.wav\t-4\n", "beyond": "file\tstop\na.wav\t9000\n"}
    for name, text in tables.items():
        (tmp_path / f"{name}.tsv").write_text(text)
    (tmp_path / "latin.tsv").write_bytes(b"file\n\xff\xfe.wav\n")
    with pytest.raises(ConfigError, match=words):
        find_sound(tmp_path / place)


def test_a_file_that_is_no_sound_is_named(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"a\.wav"):
        find_sound(tmp_path)


def test_more_sounds_move_few_of_those_held_out():
    names = [f"speech/{i}.wav" for i in range(100)]
    first = {names[i] for i in hold_out(names, 8)}
    assert len(first) == 8
    more = [*names[50:], "speech/new.wav", *names[:50]]
    assert len(first - {more[i] for i in hold_out(more, 8)}) <= 1
    assert [len(hold_out(names[:count], 8)) for count in (3, 4, 20, 60)] == [0, 1, 5, 8]


@pytest.mark.parametrize(("own", "other"), [(16_000, 16_000), (44_100, 16_000), (48_000, 16_000), (16_000, 22_050), (14_720, 16_000)])
def test_a_piece_of_a_file_is_that_piece_of_all_of_it(tmp_path, own, other):
    sound = hiss(2, own)
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.ones(100), sound, np.ones(50)]), own, subtype="FLOAT")
    segment = Segment("a", tmp_path / "a.wav", 100, 100 + len(sound), own)
    expected = resample(sound, own, other)
    length = segment.length(other)
    for start, stop in ((0, 500), (777, 9001), (length - 300, length), (0, length)):
        np.testing.assert_allclose(read_piece(segment, start, stop, other), expected[start:stop], atol=2e-4)


def test_a_file_shorter_than_it_says_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", hiss(0.1), RATE)
    with pytest.raises(AudioError, match=r"a\.wav: truncated: it ends before sample 900"):
        read_piece(Segment("a", tmp_path / "a.wav", 0, 900, RATE), 700, 900, RATE)
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"b\.wav: no sound that can be read"):
        read_piece(Segment("b", tmp_path / "b.wav", 0, 900, RATE), 0, 9, RATE)


def test_a_circle_of_sound_is_the_same_in_memory_on_the_device_and_on_disk(tmp_path):
    sounds = [(hiss(0.05) * 32768).astype(np.int16), np.arange(300, dtype=np.int16), np.arange(-70, 0, dtype=np.int16)]
    for i, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{i}.wav", sound, RATE, subtype="PCM_16")
    line = np.concatenate(sounds)
    starts, circles = np.array([0, 350, 690, 769, 4]), np.array([770, 770, 770, 770, 9])
    expected = [np.resize(np.roll(line[:circle], -start), 1600) for start, circle in zip(starts, circles, strict=True)]
    for track in (Memory(line[None]), Disk([whole(tmp_path / f"{i}.wav") for i in range(3)], RATE)):
        for start, circle, piece in zip(starts, circles, expected, strict=True):
            np.testing.assert_array_equal(around(track, start, circle, 1600)[0], piece)
    on_device = gather(torch.from_numpy(line)[None], torch.from_numpy(starts), torch.from_numpy(circles), 1600)
    np.testing.assert_array_equal(on_device[0], expected)


@given(st.integers(1, 30), st.integers(0, 29), st.integers(1, 100))
def test_any_piece_of_a_circle_follows_itself(circle, start, length):
    piece = around(Memory(np.arange(30)[None]), start % circle, circle, length)
    np.testing.assert_array_equal(piece[0], (start % circle + np.arange(length)) % circle)


@pytest.mark.parametrize("speed", [0.5, 0.92, 1.25])
def test_faster_sound_is_shorter_and_higher(tmp_path, speed):
    time = torch.arange(16_000) / RATE
    sound = (8000 * torch.sin(2 * torch.pi * 500 * time)).to(torch.int16)[None]
    soundfile.write(tmp_path / "a.wav", sound[0].numpy(), RATE, subtype="PCM_16")
    (played,) = sped([whole(tmp_path / "a.wav")], [speed])
    from_disk = torch.from_numpy(Disk([played], RATE).piece(0, played.length(RATE)))
    for out in (faster(sound, speed, 8000, CPU), from_disk):
        assert out.shape[-1] == pytest.approx(16_000 / speed, abs=4)
        piece = out[0, : out.shape[-1] // 2].float()
        peak = torch.fft.rfft(piece).abs().argmax().item() * RATE / len(piece)
        assert peak == pytest.approx(500 * speed, abs=2)
        assert piece.abs().max() == pytest.approx(8000, rel=0.1)


@pytest.fixture
def room_table(tmp_path):
    """Two rooms: an echo of a half after 100 ms, and one of a quarter after 5 ms; both after 4 ms of silence."""
    (tmp_path / "rir").mkdir()
    responses = np.zeros((2, 1600))
    responses[:, 32], responses[0, 832], responses[1, 72] = 0.5, 0.25, 0.125
    soundfile.write(tmp_path / "rir" / "r.flac", responses.flatten(), RATE)
    table = tmp_path / "rir" / "r.tsv"
    table.write_text("file\tstart\tstop\tdirect_sample\nrir/r.flac\t0\t1600\t32\nrir/r.flac\t1600\t3200\t32\n")
    return table


@pytest.mark.parametrize(("target", "heard"), [("early", [1, 1.0625]), ("direct", [1, 1])])
def test_rooms_begin_with_the_direct_sound_and_a_target_has_unit_energy(room_table, target, heard):
    rooms = load_rooms(room_table, RATE, target)
    kept = rooms.full * rooms.kept
    assert rooms.full.shape == (2, 1568)
    assert torch.allclose(kept.square().sum(-1), torch.ones(2))
    assert rooms.full[:, 0].square().reciprocal().tolist() == pytest.approx(heard, rel=1e-4)
    assert (rooms.full[:, 800] / rooms.full[:, 0]).tolist() == pytest.approx([0.5, 0], abs=1e-4)
    assert kept[0, 800] == 0


def test_only_the_named_rooms_are_loaded(room_table):
    rooms = load_rooms(room_table, RATE, names=["rir/r.flac:1600"])
    assert torch.equal(rooms.full[0], load_rooms(room_table, RATE).full[1])


@pytest.mark.parametrize(
    ("row", "rate", "words"),
    [
        ("rir/r.flac\t0\t3300\t32", RATE, "room 0 to 3300 of rir/r.flac, which has 3200 samples"),
        ("rir/r.flac\t0\t1600\t1600", RATE, "with its direct sound at 1600"),
        ("rir/r.flac\t0\tall\t32", RATE, "stop of rir/r.flac is 'all'"),
        ("rir/r.flac\t0\t1600\t32", 16_000, "sample rate is 8000 Hz, the model's is 16000"),
    ],
)
def test_rooms_that_do_not_fit_are_refused(room_table, row, rate, words):
    room_table.write_text(f"file\tstart\tstop\tdirect_sample\n{row}\n")
    with pytest.raises(ConfigError, match=words):
        load_rooms(room_table, rate)


def test_sound_beyond_the_memory_of_the_device_is_refused_in_words(monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(ConfigError, match=r"do not fit into the memory of cpu: take data.keep=host or disk"):
        move(torch.zeros(10**6, dtype=torch.int16), CPU)
