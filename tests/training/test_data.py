"""Sound is found, cut, brought to rate and level; what is missing is named."""

import numpy as np
import pytest
import soundfile
import torch

from sgaudio.errors import ConfigError
from sgaudio.training.data import DataConfig, faster, load_folder, load_material, load_rooms

from .conftest import RATE, hiss, tone

CPU = torch.device("cpu")


@pytest.fixture
def packs(tmp_path):
    """Two segments in one pack, noise in a plain folder."""
    (tmp_path / "speech").mkdir()
    (tmp_path / "noise").mkdir()
    sound = np.concatenate([np.full(1000, 0.25), np.zeros(100), np.full(500, 0.5)])
    soundfile.write(tmp_path / "speech" / "one.flac", sound, RATE)
    soundfile.write(tmp_path / "noise" / "n.wav", hiss(1), RATE)
    rows = ["file\tstart\tstop\tovr", "speech/one.flac\t0\t1000\t3.0", "speech/one.flac\t1100\t1600\t3.5", "speech/one.flac\t0\t10\t"]
    (tmp_path / "speech" / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_packs_are_cut_as_their_manifest_says(packs):
    config = DataConfig("speech", "noise", root=str(packs), cleanest={"ovr": 3.2})
    material = load_material(config, RATE, CPU)
    assert torch.equal(material.speech, torch.tensor([[8192] * 1000 + [16384] * 500 + [8192] * 10], dtype=torch.int16))
    assert material.cleanest is not None
    assert torch.equal(material.cleanest, torch.full((1, 500), 16384, dtype=torch.int16))


def test_targets_come_beside_the_speech(packs):
    config = DataConfig("speech", "noise", root=str(packs), cleanest={"ovr": 3.2}, clean_speeds=(1.0, 2.0))
    material = load_material(config, RATE, CPU, lambda sound: sound // 2)
    assert material.speech.shape == (2, 1510 + 756)
    assert material.cleanest is not None
    assert torch.equal(material.cleanest[1, :500], material.cleanest[0, :500] // 2)


def test_files_are_brought_to_rate_and_level(tmp_path):
    stereo = np.stack([tone(1, rate=16_000), tone(1, rate=16_000)], 1)
    soundfile.write(tmp_path / "a.flac", stereo * 0.01, 16_000, subtype="PCM_24")
    (segment,) = load_folder(tmp_path, RATE)
    assert len(segment.sound) == RATE
    assert np.sqrt(np.mean((segment.sound / 32768.0) ** 2)) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("speed", [0.5, 0.92, 1.25])
def test_faster_sound_is_shorter_and_higher(speed):
    time = torch.arange(16_000) / RATE
    sound = (8000 * torch.sin(2 * torch.pi * 500 * time)).to(torch.int16)[None]
    out = faster(sound, speed, 8000)
    assert out.shape[-1] == pytest.approx(16_000 / speed, abs=4)
    piece = out[0, : out.shape[-1] // 2].float()
    peak = torch.fft.rfft(piece).abs().argmax().item() * RATE / len(piece)
    assert peak == pytest.approx(500 * speed, abs=2)
    assert piece.abs().max() == pytest.approx(8000, rel=0.1)


def test_rooms_begin_with_the_direct_sound(tmp_path):
    (tmp_path / "rir").mkdir()
    response = np.zeros(1600)
    response[32], response[32 + 800] = 0.5, 0.25
    soundfile.write(tmp_path / "rir" / "r.flac", response, RATE)
    (tmp_path / "rir" / "r.tsv").write_text("file\tstart\tstop\tdirect_sample\nrir/r.flac\t0\t1600\t32\n")
    rooms = load_rooms(tmp_path / "rir" / "r.tsv", RATE)
    assert rooms.full[0, :2].tolist() == [1, 0]
    assert rooms.full[0, 800] == 0.5
    assert rooms.early[0, 800] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clean": "speach"}, "speach: no such folder"),
        ({"noise": "empty"}, "empty: no sound in it"),
        ({"cleanest": {"ovrl": 3}}, "no column 'ovrl': did you mean 'ovr'"),
        ({"cleanest": {"ovr": 4.9}}, "lower data.cleanest"),
        ({"rooms": "rir.tsv"}, "rir.tsv: no such table"),
    ],
)
def test_what_is_missing_is_named(packs, change, words):
    (packs / "empty").mkdir()
    config = DataConfig(**{"clean": "speech", "noise": "noise", "root": str(packs), **change})
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        load_material(config, RATE, CPU)


def test_a_segment_beyond_its_pack_is_refused(packs):
    manifest = packs / "speech" / "manifest.tsv"
    manifest.write_text("file\tstart\tstop\nspeech/one.flac\t0\t1601\n")
    with pytest.raises(ConfigError, match="has 1600 samples"):
        load_folder(packs / "speech", RATE)
