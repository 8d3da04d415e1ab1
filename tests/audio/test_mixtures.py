"""Mixtures from a table: what it says is what is mixed, and a table that cannot be used is refused with its line."""

import numpy as np
import pytest
import soundfile

from sgaudio.audio.files import Reader
from sgaudio.audio.mixtures import read_mixtures
from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError

RATE = 8_000
HEADER = "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples"


def sound(seed: int, frames: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(frames)).astype(np.float32)


@pytest.fixture
def files(tmp_path):
    """A folder with speech (1000 samples), noise (300) and a room (direct path at 5)."""
    room = 0.3 * sound(2, 400) * np.exp(-np.arange(400) / 100, dtype=np.float32)
    room[:5], room[5] = 0, 1
    for name, samples in {"s.wav": sound(0, 1000), "n.wav": sound(1, 300), "room.wav": room, "silent.wav": np.zeros(300)}.items():
        soundfile.write(tmp_path / name, samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "stereo.wav", sound(3, 600).reshape(300, 2), RATE)
    return tmp_path


def table(folder, *rows, header=HEADER):
    path = folder / "m.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("snr", [-5.0, 0.0, 12.5])
def test_the_noise_lies_at_the_ratio_from_its_offset_and_is_repeated(files, snr):
    (mixture,) = read_mixtures(table(files, f"a\ts.wav\tn.wav\t{snr}\t100"))
    clean, noisy, rate = mixture.load()
    noise = noisy.astype(np.float64) - clean
    assert rate == RATE
    assert np.array_equal(clean, sound(0, 1000))
    assert 10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(noise**2)) == pytest.approx(snr, abs=1e-4)
    assert np.corrcoef(noise, np.resize(np.roll(sound(1, 300), -100), 1000))[0, 1] == pytest.approx(1, abs=1e-9)


def test_a_mixture_is_the_same_every_time_and_wherever_its_table_lies(files, tmp_path_factory):
    path = table(files, "a\ts.wav\tn.wav\t3\t7")
    elsewhere = table(tmp_path_factory.mktemp("elsewhere"), "a\ts.wav\tn.wav\t3\t7")
    (first,), (second,) = read_mixtures(path), read_mixtures(elsewhere, root=files)
    assert np.array_equal(first.load().noisy, second.load().noisy)


def test_a_noise_at_another_rate_is_resampled_and_its_offset_counts_in_its_own_samples(files):
    time = np.arange(4 * RATE) / (2 * RATE)
    soundfile.write(files / "fast.wav", np.sin(2 * np.pi * 440 * time) * (time >= 1), 2 * RATE, subtype="FLOAT")
    (mixture,) = read_mixtures(table(files, f"a\ts.wav\tfast.wav\t0\t{2 * RATE}"))
    clean, noisy, _ = mixture.load()
    tone = np.sin(2 * np.pi * 440 * np.arange(1000) / RATE)
    assert np.corrcoef((noisy - clean)[50:], tone[50:])[0, 1] > 0.999
    assert len(mixture.load(2 * RATE).noisy) == 2000


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS")])
@pytest.mark.parametrize(("samples", "offset"), [(5000, 0), (5000, 123), (5000, 4000), (5000, 4700), (5000, 25_123), (300, 299), (1, 7)])
def test_of_a_noise_the_samples_are_those_of_all_of_it_however_often_it_is_repeated(files, suffix, subtype, samples, offset):
    soundfile.write(files / f"noise.{suffix}", sound(4, samples), RATE, subtype=subtype)
    (mixture,) = read_mixtures(table(files, f"a\ts.wav\tnoise.{suffix}\t-3.5\t{offset}"))
    whole = soundfile.read(files / f"noise.{suffix}", dtype="float32")[0].astype(np.float64)
    noise = whole[(offset + np.arange(1000)) % samples]
    speech = sound(0, 1000).astype(np.float64)
    gain = np.sqrt(np.mean(np.square(speech)) / np.mean(np.square(noise))) * 10 ** (3.5 / 20)
    assert np.array_equal(mixture.load().noisy, (speech + gain * noise).astype(np.float32))


@pytest.mark.parametrize("offset", [0, 9_000, 43_000, 44_000])
@pytest.mark.parametrize("own", [44_100, 22_050, 5_000])
def test_of_a_noise_at_another_rate_the_samples_are_all_but_those_of_all_of_it(files, own, offset):
    soundfile.write(files / "other.wav", sound(4, 44_100), own, subtype="FLOAT")
    (mixture,) = read_mixtures(table(files, f"a\ts.wav\tother.wav\t0\t{offset}"))
    clean, noisy, _ = mixture.load()
    whole = resample(sound(4, 44_100), own, RATE)
    noise = whole[(round(offset * RATE / own) + np.arange(1000)) % len(whole)]
    noise *= np.sqrt(np.mean(np.square(clean)) / np.mean(np.square(noise)))
    np.testing.assert_allclose(noisy - clean, noise, atol=1e-5)


def test_of_long_files_no_more_is_decoded_than_a_mixture_uses(files, monkeypatch):
    decoded = dict.fromkeys(("speech.flac", "noise.flac", "rooms.flac"), 0)
    for seed, name in enumerate(decoded):
        soundfile.write(files / name, sound(seed, 100_000), RATE)
    plain = Reader._read

    def counted(self, size, count):
        block = plain(self, size, count)
        decoded[self.name.rsplit("/", 1)[-1]] += len(block)
        return block

    monkeypatch.setattr(Reader, "_read", counted)
    header = f"{HEADER}\tspeech_start\tspeech_stop\troom\troom_start\troom_stop"
    (mixture,) = read_mixtures(table(files, "a\tspeech.flac\tnoise.flac\t0\t99500\t50000\t51000\trooms.flac\t70000\t70400", header=header))
    mixture.load()
    assert decoded == {"speech.flac": 1000, "noise.flac": 1000, "rooms.flac": 400}


def test_a_noise_whose_header_does_not_say_how_long_it_is_is_repeated_all_the_same(files):
    rows = [f"a\ts.wav\t{name}.wav\t0\t250" for name in ("n", "unclosed")]
    stored = bytearray((files / "n.wav").read_bytes())
    size = stored.index(b"data") + 4
    stored[size : size + 4] = bytes(4)  # as a recorder leaves it that was cut off
    (files / "unclosed.wav").write_bytes(stored)
    closed, unclosed = (read_mixtures(table(files, row))[0].load().noisy for row in rows)
    assert np.array_equal(closed, unclosed)


def test_a_part_of_the_speech_and_a_channel_of_the_noise_are_used_where_they_are_named(files):
    header = HEADER + "\tspeech_start\tspeech_stop\tnoise_channel"
    rows = ["a\ts.wav\tstereo.wav\t0\t40\t100\t250\t1", "b\ts.wav\tstereo.wav\t0\t0\t900\t\t0", "c\ts.wav\tn.wav\t0\t0\t\t\t"]
    part, end, whole = (mixture.load() for mixture in read_mixtures(table(files, *rows, header=header)))
    assert np.array_equal(part.clean, sound(0, 1000)[100:250])
    assert np.array_equal(end.clean, sound(0, 1000)[900:])
    assert len(whole.clean) == 1000
    stereo = soundfile.read(files / "stereo.wav")[0]
    assert np.corrcoef(part.noisy - part.clean, stereo[40:190, 1])[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(end.noisy - end.clean, stereo[:100, 0])[0, 1] == pytest.approx(1, abs=1e-6)


def test_in_a_room_the_clean_sound_is_the_direct_path_and_the_noisy_one_has_all(files):
    header = HEADER + "\troom\troom_start\troom_stop\troom_direct_sample"
    rows = ["a\ts.wav\tn.wav\t0\t0\troom.wav\t\t\t", "b\ts.wav\t\t\t\troom.wav\t5\t400\t0", "c\ts.wav\t\t\t\troom.wav\t0\t400\t5"]
    noisy, from_direct, whole = (mixture.load() for mixture in read_mixtures(table(files, *rows, header=header)))
    response = soundfile.read(files / "room.wav")[0]
    expected = np.convolve(sound(0, 1000).astype(np.float64), response)[:1000]
    np.testing.assert_allclose(whole.noisy, expected, atol=1e-6)
    np.testing.assert_allclose(from_direct.noisy[:995], expected[5:], atol=1e-6)
    direct = np.convolve(sound(0, 1000).astype(np.float64), response[: 5 + 20 + 1])[:1000]  # 2.5 ms are 20 samples
    np.testing.assert_allclose(whole.clean, direct, atol=1e-6)
    added = noisy.noisy - whole.noisy
    assert np.sum(added.astype(np.float64) ** 2) == pytest.approx(np.sum(expected**2), rel=1e-4)


def test_a_text_belongs_to_its_mixture_and_empty_lines_and_fields_are_nothing(files):
    first, second = read_mixtures(table(files, "a\ts.wav\tn.wav\t0\t\thello there", "", "b\ts.wav\tn.wav\t0\t\t", header=HEADER + "\ttext"))
    assert (first.text, second.text, first.noise_offset) == ("hello there", None, 0)
    assert [path.name for path in first.files] == ["s.wav", "n.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'id' in its first line"),
        (HEADER + "\n", "no mixture in it"),
        ("id\tspeech\tnoise\n", "no column 'snr_db'"),
        (HEADER + "\tnoise_offset\n", "unknown column 'noise_offset': did you mean 'noise_offset_samples'"),
        (HEADER + "\na\ts.wav\tn.wav\t0\n", "line 2: 4 fields, the first line has 5"),
        (HEADER + "\na\ts.wav\tn.wav\tloud\t0\n", "line 2: snr_db is 'loud', expected a number in dB"),
        (HEADER + "\na\ts.wav\tn.wav\tinf\t0\n", "line 2: snr_db is 'inf'"),
        (HEADER + "\na\ts.wav\tn.wav\t0\t-1\n", "line 2: noise_offset_samples is '-1', expected a number, 0 or more"),
        (HEADER + "\na\ts.wav\tn.wav\t\t0\n", "line 2: noise and snr_db go together"),
        (HEADER + "\na\ts.wav\tn.wav\t0\t99999999999999999999999999\n", "line 2: noise_offset_samples is '9999"),
        (HEADER + f"\na\ts.wav\tn.wav\t0\t{'9' * 400}\n", "line 2: noise_offset_samples is '9999"),
        (
            HEADER + "\tspeech_start\tspeech_stop\na\ts.wav\tn.wav\t0\t0\t5\t5\n",
            "line 2: speech_stop is 5, expected more than speech_start",
        ),
        (HEADER + "\tnoise_channel\na\ts.wav\tn.wav\t0\t0\tleft\n", "line 2: noise_channel is 'left', expected a number, 0 or more"),
        (HEADER + "\tid\n", "two columns are called 'id'"),
        (HEADER + "\troom_start\troom_stop\na\ts.wav\tn.wav\t0\t0\t5\t5\n", "line 2: room_stop is 5, expected more than room_start"),
        ("id\tspeech\tnoise\tsnr_db" + "x" * 200_000 + "\n", "no table that can be read .field larger"),
        (HEADER + "\na\t\tn.wav\t0\t0\n", "line 2: speech is empty"),
        (HEADER + "\na\ts.wav\tn.wav\t0\t0\na\ts.wav\tn.wav\t5\t0\n", "line 3: id 'a' stands there a second time"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "m.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"m.tsv: {message}"):
        read_mixtures(tmp_path / "m.tsv")


def test_a_table_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none.tsv: no table that can be read \(No such file"):
        read_mixtures(tmp_path / "none.tsv")
    (tmp_path / "m.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"m.tsv: no table that can be read \(not UTF-8\)"):
        read_mixtures(tmp_path / "m.tsv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a\ts.wav\tsilent.wav\t0\t0", "silent.wav: silent where a uses it"),
        ("a\tsilent.wav\tn.wav\t0\t0", "silent.wav: silent"),
        ("a\ts.wav\tstereo.wav\t0\t0", "stereo.wav: 2 channels, a mixture is made of mono files"),
        ("a\ts.wav\tmissing.wav\t0\t0", "missing.wav"),
        ("a\ts.wav\tstereo.wav\t0\t0\t2", "stereo.wav: 2 channels, a wants number 2, counted from 0"),
        ("a\tstereo.wav\tstereo.wav\t0\t0\t1", "stereo.wav: 2 channels, a mixture is made of mono files"),
        ("a\ts.wav\tn.wav\t0\t0\t\t900\t1001", "s.wav: 1000 samples, a wants those from 900 to 1001"),
        ("a\ts.wav\tn.wav\t0\t0\t\t1000", "s.wav: 1000 samples, a wants those from 1000 to the end"),
        ("a\ts.wav\tn.wav\t0\t0\t\t\t\troom.wav\t0\t401", "room.wav: 400 samples, a wants those from 0 to 401"),
        ("a\ts.wav\tempty.wav\t0\t0", "empty.wav: 0 samples, a wants those from 0 to the end"),
        ("a\ts.wav\tcut.flac\t0\t5000", "cut.flac: "),
    ],
)
def test_a_mixture_that_cannot_be_made_says_why(files, row, message):
    soundfile.write(files / "empty.wav", np.zeros(0), RATE)
    soundfile.write(files / "cut.flac", sound(5, 9000), RATE)
    (files / "cut.flac").write_bytes((files / "cut.flac").read_bytes()[:5000])
    header = f"{HEADER}\tnoise_channel\tspeech_start\tspeech_stop\troom\troom_start\troom_stop"
    row += "\t" * (header.count("\t") - row.count("\t"))
    (mixture,) = read_mixtures(table(files, row, header=header))
    with pytest.raises(AudioError, match=message):
        mixture.load()
