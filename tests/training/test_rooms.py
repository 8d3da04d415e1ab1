"""A bank of simulated rooms: as asked for, the same every time, and read back as it was written."""

import csv
import sys

import numpy as np
import pytest
import soundfile

from sgaudio.audio.mixtures import read_mixtures
from sgaudio.errors import ConfigError
from sgaudio.training import rooms
from sgaudio.training.data import load_rooms
from sgaudio.training.rooms import Place, RoomsConfig, respond, reverberation_time, simulate, write_bank

RATE = 16_000


@pytest.fixture(scope="module")
def some():
    pytest.importorskip("pyroomacoustics")
    return list(simulate(RoomsConfig(), 12, 7, RATE))


def table_rows(table):
    return list(csv.DictReader(table.read_text().splitlines(), delimiter="\t"))


def test_same_seed_gives_same_rooms(some):
    again = list(simulate(RoomsConfig(), 2, 7, RATE))
    for one, other in zip(some, again, strict=False):
        assert one.place == other.place
        np.testing.assert_array_equal(one.response, other.response)
    (another,) = simulate(RoomsConfig(), 1, 8, RATE)
    assert another.place != some[0].place


def test_rooms_differ(some):
    assert len({room.place for room in some}) == len(some)


def test_places_lie_in_the_asked_ranges(some):
    config = RoomsConfig(distance=(1.5, 2.5), microphone_height=(1.0, 1.0))
    generator = np.random.default_rng(0)
    for place in [room.place for room in some] + [rooms.draw_place(config, generator) for _ in range(50)]:
        for side, low, high in zip(place.size, (5, 5, 2), (15, 15, 6), strict=True):
            assert low <= side <= high
        assert 0.4 <= place.t60 <= 1
        for point in (place.source, place.microphone):
            assert all(1 <= where <= side - 1 for where, side in zip(point, place.size, strict=True))
    near = [rooms.draw_place(config, generator) for _ in range(50)]
    assert all(1.5 <= place.distance <= 2.5 and place.microphone[2] == 1 for place in near)


def test_sound_decays_in_the_time_asked_for(some):
    ratios = [reverberation_time(room, RATE) / room.place.t60 for room in some]
    assert np.median(ratios) == pytest.approx(1, abs=0.1)
    assert min(ratios) > 0.75
    assert max(ratios) < 1.5


def test_reverberation_time_of_a_known_decay():
    time = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).choice([-1.0, 1.0], RATE)
    room = rooms.Room(np.concatenate([np.zeros(40), noise * 10 ** (-3 * time / 0.6)]), 40, Place((1,), (0,), (0,), 0.6))
    assert reverberation_time(room, RATE) == pytest.approx(0.6, rel=1e-3)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_direct_sound_and_echoes_arrive_when_geometry_says(rate):
    pytest.importorskip("pyroomacoustics")
    room = respond(Place((12, 10, 5), (5, 5, 1.3), (7, 5, 1.3), 0.5), rate, 3, 0.0, 0)
    floor, ceiling = (np.hypot(2, 2 * height) for height in (1.3, 3.7))
    heights = []
    for way in (2.0, floor, ceiling):
        at = room.direct_sample + (way - 2) / 343 * rate
        near = np.abs(room.response[round(at) - 4 : round(at) + 5])
        assert abs(near.argmax() - 4) <= 1
        heights.append(near.max())
    assert heights[0] > heights[1] > heights[2]
    assert np.abs(room.response[: room.direct_sample - 8]).max() < 0.1 * heights[0]


def test_responses_have_unit_energy_and_are_about_as_long_as_they_are_heard(some):
    for room in some:
        assert np.square(room.response).sum() == pytest.approx(1, rel=1e-5)
        assert 0.6 < len(room.response) / (room.place.t60 * RATE) < 1.5


def test_what_cannot_be_heard_at_the_end_is_cut():
    pytest.importorskip("pyroomacoustics")
    flat = respond(Place((15, 5, 2), (3, 2, 1), (12, 3, 1), 0.4), RATE, 3, 0.0, 0)  # mirrors: goes on for twice as long
    before = len(flat.response) - RATE // 100
    assert rooms.energy_decay(flat.response)[before] == pytest.approx(-66, abs=4)  # the last 10 ms of 60 dB


def test_a_bank_reads_back(some, tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "PACK", 2)
    table = write_bank(tmp_path / "bank", some, RATE)
    rows = table_rows(table)
    assert len(rows) == len(some)
    assert len({row["file"] for row in rows}) > 1
    for row, room in zip(rows, some, strict=True):
        stored, rate = soundfile.read(table.parent / row["file"], start=int(row["start"]), stop=int(row["stop"]))
        assert rate == RATE
        np.testing.assert_allclose(stored, room.response, atol=2**-23)
        assert float(row["t60"]) == pytest.approx(room.place.t60, abs=1e-3)
        assert float(row["distance_m"]) == pytest.approx(room.place.distance, abs=1e-3)
    full = load_rooms(table, RATE).full
    for loaded, room in zip(full, some, strict=True):
        expected = room.response[room.direct_sample :]
        got = loaded[: len(expected)].numpy()
        assert np.dot(got, expected) == pytest.approx(np.linalg.norm(got) * np.linalg.norm(expected), rel=1e-5)


def test_rooms_of_a_bank_serve_in_a_table_of_mixtures(some, tmp_path):
    row = table_rows(write_bank(tmp_path, some[:3], RATE))[2]
    click = np.zeros(8000, np.float32)
    click[0] = 0.5
    soundfile.write(tmp_path / "click.wav", click, RATE, subtype="FLOAT")
    names = ("id", "speech", "noise", "snr_db", "room", "room_start", "room_stop", "room_direct_sample")
    values = ("a", "click.wav", "", "", row["file"], row["start"], row["stop"], row["direct_sample"])
    (tmp_path / "mixtures.tsv").write_text("\t".join(names) + "\n" + "\t".join(values) + "\n")
    mixed = read_mixtures(tmp_path / "mixtures.tsv")[0].load()
    length = min(8000, len(some[2].response))
    np.testing.assert_allclose(mixed.noisy[:length], 0.5 * some[2].response[:length], atol=1e-6)
    assert abs(np.abs(mixed.clean).argmax() - some[2].direct_sample) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t60": (1.0, 0.4)}, "t60 is .* smaller number first"),
        ({"height": (1.5, 3.0)}, "height from 1.5 m leaves no place 1 m from both walls"),
        ({"microphone_height": (1.0, 1.5)}, r"expected numbers from 1 to 1"),
        ({"t60": (0.0, 0.4)}, "t60"),
        ({"scattering": 2.0}, "scattering is 2.0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RoomsConfig(**options)


@pytest.mark.parametrize("options", [{"distance": (30.0, 40.0)}, {"t60": (0.05, 0.06)}])
def test_impossible_rooms_are_named(options):
    with pytest.raises(ConfigError, match="none of 1000 has a source"):
        next(simulate(RoomsConfig(**options), 1, 0, RATE))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(ConfigError, match=r"pip install 'sgaudio\[train\]'"):
        next(simulate(RoomsConfig(), 1, 0, RATE))


def test_a_bank_of_no_rooms_or_in_a_file_is_refused(some, tmp_path):
    with pytest.raises(ConfigError, match="no room to write"):
        write_bank(tmp_path / "bank", [], RATE)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file, expected a folder"):
        write_bank(tmp_path / "file", some, RATE)
