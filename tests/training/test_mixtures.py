"""Sound to be mixed: wherever it is kept a batch is the same, and what is held out is in none."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch

from sgaudio.errors import ConfigError
from sgaudio.training.mixing import MixingConfig
from sgaudio.training.mixtures import Gathered, MixingData, Mixtures
from sgaudio.training.sources import make_source

from .conftest import RATE, hiss, tone

CPU = torch.device("cpu")
LEVEL = 1 / 12
FILES = 16


def source_of(config: MixingData, mixing: MixingConfig | None = None, rate: int = RATE, **options) -> Mixtures:
    common = {"sample_rate": rate, "level": LEVEL, "batch": 4, "seconds": 0.1, "device": CPU}
    source = make_source(config, mixing or MixingConfig(), **(common | options))
    assert isinstance(source, Mixtures)
    return source


def batch_of(source: Mixtures, step: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return source.batch(step, torch.Generator().manual_seed(seed))


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture
def folders(tmp_path):
    """Tones of a pitch of their own, each at the level to which files are brought, and noises."""
    for folder in ("clean", "noise"):
        (tmp_path / folder).mkdir()
    for i in range(FILES):
        soundfile.write(tmp_path / "clean" / f"{i:02}.wav", at_level(tone(0.3 + 0.02 * i, 200.0 + 100 * i)), RATE, subtype="PCM_16")
        soundfile.write(tmp_path / "noise" / f"{i:02}.wav", at_level(np.roll(hiss(0.4), 100 * i)), RATE, subtype="PCM_16")
    return tmp_path


def at_level(sound: np.ndarray) -> np.ndarray:
    return 0.05 * sound / np.sqrt(np.square(sound).mean())


@pytest.fixture
def packs(tmp_path):
    """Three segments in one pack, noise in a plain folder."""
    (tmp_path / "speech").mkdir()
    (tmp_path / "noise").mkdir()
    sound = np.concatenate([np.full(1000, 0.25), np.zeros(100), np.full(500, 0.5)])
    soundfile.write(tmp_path / "speech" / "one.flac", sound, RATE)
    soundfile.write(tmp_path / "noise" / "n.wav", hiss(1), RATE)
    rows = ["file\tstart\tstop\tovr", "speech/one.flac\t0\t1000\t3.0", "speech/one.flac\t1100\t1600\t3.5", "speech/one.flac\t0\t10\t"]
    (tmp_path / "speech" / "manifest.tsv").write_text("\n".join(rows) + "\n")
    return MixingData("speech", "noise", root=str(tmp_path))


@pytest.fixture
def rooms(tmp_path):
    """Eight rooms with one echo each, after 50 ms and more."""
    responses = np.zeros((8, 1600))
    responses[:, 32] = 0.5
    responses[np.arange(8), 32 + 400 + 20 * np.arange(8)] = 0.4
    soundfile.write(tmp_path / "rooms.wav", responses.flatten(), RATE, subtype="FLOAT")
    rows = [f"rooms.wav\t{1600 * i}\t{1600 * (i + 1)}\t32" for i in range(8)]
    (tmp_path / "rooms.tsv").write_text("\n".join(["file\tstart\tstop\tdirect_sample", *rows]) + "\n")
    return "rooms.tsv"


def kept(source: Mixtures) -> np.ndarray:
    """Int16 (track, time)."""
    return source._speech.sound.piece(0, source._speech.samples)


def test_the_cleanest_segments_come_first(packs):
    source = source_of(replace(packs, cleanest={"ovr": 3.2}, held_out=0))
    np.testing.assert_array_equal(kept(source), [[16384] * 500 + [8192] * 1010])
    assert source._draw.cleanest == 500
    assert "cleanest 0.0 min" in str(source)


def test_a_share_of_the_items_is_of_the_cleanest(packs):
    source = source_of(replace(packs, cleanest={"ovr": 3.2}, held_out=0), MixingConfig(cleanest=0.75), batch=8)
    places = source._draw(5)
    assert places.circles.tolist() == [1510] * 2 + [500] * 6
    assert (places.speech < places.circles).all()


def test_targets_and_coded_copies_come_beside_the_speech(packs):
    config = replace(packs, cleanest={"ovr": 3.2}, clean_speeds=(1.0, 2.0), codecs=("vorbis",), target_floor=-20.0, held_out=0)
    source = source_of(config, clean=lambda sound: sound // 2)
    sound = kept(source)
    first, rest = 2 * 500, 2 * 1010
    assert sound.shape == (2, first + first // 2 + rest + rest // 2)
    assert source._draw.cleanest == first + first // 2
    np.testing.assert_array_equal(sound[1, :500], sound[0, :500] // 2)
    np.testing.assert_array_equal(sound[1, 500:1000], sound[1, :500])  # the target of the copy
    assert np.any(sound[0, 500:1000] != sound[0, :500])


def test_a_batch_is_the_same_wherever_the_sound_is_kept(folders):
    config = MixingData("clean", "noise", str(folders), workers=0)
    on_disk, in_memory = (source_of(replace(config, keep=keep)) for keep in ("disk", "host"))
    assert str(on_disk) == str(in_memory)
    for step in (0, 7):
        for one, other in zip(batch_of(on_disk, step), batch_of(in_memory, step), strict=True):
            assert torch.allclose(one, other, atol=2e-3)  # files are brought to their level before they are rounded
    sounds = (in_memory._speech.sound, in_memory._noise.sound)
    gathered = Gathered(in_memory._draw, *(torch.from_numpy(sound.sound) for sound in sounds), 800)
    in_host = in_memory._crops(3)
    assert same(gathered(3), in_host)


def test_processes_read_the_same_from_disk(folders):
    config = MixingData("clean", "noise", str(folders), keep="disk", workers=1)
    ahead, alone = source_of(config), source_of(replace(config, workers=0))
    assert all(same(batch_of(ahead, step), batch_of(alone, step)) for step in (4, 5))


def test_a_batch_is_a_pure_function_of_seed_step_and_rank(folders):
    config = MixingData("clean", "noise", str(folders))
    one = source_of(config)
    assert same(batch_of(one, 3), batch_of(source_of(config), 3))
    others = [
        batch_of(one, 4),
        batch_of(source_of(config, seed=2), 3),
        batch_of(source_of(config, rank=1, ranks=2), 3),
        batch_of(one, 3, seed=1),
    ]
    assert not any(same(batch_of(one, 3), other) for other in others)


def test_a_batch_has_its_form_and_level(folders):
    batch = source_of(MixingData("clean", "noise", str(folders)), MixingConfig(level=0.0)).batch(0, torch.Generator().manual_seed(0))
    assert batch.clean.shape == batch.noisy.shape == (4, 800)
    assert batch.clean.dtype == batch.noisy.dtype == torch.float32
    assert torch.allclose(batch.noisy.square().mean(-1).sqrt(), torch.tensor(LEVEL), rtol=1e-3)


def test_items_are_named(folders):
    quiet = MixingConfig(snr=(60.0, 60.0), coloured_alone=0.0, coloured_added=0.0, muted=0.0, speech_equalizer=0.0, narrow=0.0)
    source = source_of(MixingData("clean", "noise", str(folders), clean_speeds=(1.0, 2.0)), quiet, batch=1, seconds=0.05)
    for step in range(20):
        clean, _ = batch_of(source, step)
        loudest = torch.fft.rfft(clean[0] * torch.hann_window(400)).abs().argmax().item() * RATE / 400
        names = source.items(step, torch.Generator())
        pitches = [speed * (200 + 100 * int(name[:2])) for name in names for speed in (1, 2)]
        assert min(abs(loudest - pitch) for pitch in pitches) < 40


def test_what_is_held_out_is_in_no_batch_and_mixed_over_the_range(folders):
    config = MixingData("clean", "noise", str(folders), held_out=4, validation_snr=(0.0, 15.0))
    source = source_of(config)
    items = source.validation()
    assert len(items) == 4
    assert "to validate on 4" in str(source)
    assert not {item.name for item in items} & set(source._speech.names)
    assert len(source._speech.names) == len(source._noise.names) == FILES - 4
    sounds = [item.load() for item in items]
    ratios = [10 * np.log10(np.square(clean).sum() / np.square(noisy - clean).sum()) for clean, noisy, _ in sounds]
    assert ratios == pytest.approx([0, 5, 10, 15], abs=1e-3)
    again = source_of(config).validation()
    assert all(np.array_equal(item.load().noisy, sound.noisy) for item, sound in zip(again, sounds, strict=True))


def test_a_long_sound_is_validated_on_its_middle(folders):
    soundfile.write(folders / "clean" / "long.wav", tone(12), RATE)
    for i in range(FILES):
        (folders / "clean" / f"{i:02}.wav").rename(folders / "noise" / f"other {i}.wav")
    for i in range(3):
        soundfile.write(folders / "clean" / f"other {i}.wav", tone(11), RATE)
    (item,) = source_of(MixingData("clean", "noise", str(folders))).validation()
    assert len(item.load().clean) == 10 * RATE


def test_rooms_alone_make_sound_noisy(folders, rooms):
    mixing = MixingConfig(reverberant=1.0, target="direct", clipped=0.0)
    source = source_of(MixingData("clean", None, str(folders), rooms, held_out=4), mixing)
    assert "noise" not in str(source)
    assert "rooms 6" in str(source)  # one in four is held out
    clean, noisy = batch_of(source, 1)
    assert ((clean - noisy).abs().amax(-1) > 1e-3).all()
    for item in source.validation():
        clean, noisy, _ = item.load()
        left = [np.abs(noisy[after:] - clean[after:] - 0.8 * clean[:-after]).max() for after in range(400, 560, 20)]
        assert min(left) < 1e-5


def test_items_of_a_table_in_a_range_are_validated_on(folders):
    header, files = "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples", "clean/00.wav\tnoise/00.wav"
    (folders / "m.tsv").write_text(f"{header}\na\t{files}\t-5\t0\nb\t{files}\t10\t3\nc\tclean/01.wav\t\t\t\n")
    source = source_of(MixingData("clean", "noise", str(folders), validation="m.tsv"))
    assert [item.name for item in source.validation()] == ["b", "c"]
    assert source.validation()[0].load().sample_rate == RATE
    assert len(source._speech.names) == FILES
    (folders / "m.tsv").write_text(f"{header}\na\t{files}\t-5\t0\n")
    with pytest.raises(ConfigError, match="no mixture between 20 and 30 dB"):
        source_of(MixingData("clean", "noise", str(folders), validation="m.tsv", validation_snr=(20.0, 30.0)))


@pytest.mark.parametrize("held_out", [0, 8])
def test_where_there_is_nothing_to_validate_on_it_is_said(packs, held_out):
    source = source_of(replace(packs, held_out=held_out))
    assert source.validation() == []
    assert "nothing to validate on (give data.validation" in str(source)
    assert len(source._speech.names) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clean": "speach"}, "speach: no such folder"),
        ({"noise": "empty"}, "empty: no sound in it"),
        ({"clean": "clean.tsv"}, "clean.tsv: no such table"),
        ({"cleanest": {"ovrl": 3}}, "no column 'ovrl': did you mean 'ovr'"),
        ({"cleanest": {"ovr": 4.9}}, "lower data.cleanest"),
        ({"cleanest": {"file": 4.9}}, "could not convert string to float: 'speech/one.flac'"),
        ({"rooms": "rir.tsv"}, "rir.tsv: no such table"),
        ({"validation": "dev.tsv"}, "dev.tsv: no table"),
    ],
)
def test_what_is_missing_is_named(packs, tmp_path, change, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=words):
        source_of(replace(packs, **change), MixingConfig(reverberant=1.0 if "rooms" in change else 0.0))


def test_clean_sound_of_a_lower_rate_than_the_model_s_is_refused(packs):
    with pytest.raises(ConfigError, match=r"one.flac: sample rate is 8000 Hz, the model's is 16000: .*train a model of 8000 Hz"):
        source_of(packs, rate=16_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keep": "disk", "target_floor": -20.0}, "codecs and target_floor are for sound in memory"),
        ({"keep": "disk", "codecs": ("mp3",)}, "codecs and target_floor are for sound in memory"),
        ({"codecs": ("mp4",)}, "unknown codec 'mp4': did you mean 'mp3'"),
        ({"clean_speeds": ()}, "clean_speeds and noise_speeds are empty"),
        ({"keep": "tape"}, "keep is 'tape', expected one of 'device', 'host', 'disk'"),
    ],
)
def test_what_does_not_go_together_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        MixingData(**{"clean": "clean", "noise": "noise", **change})


def test_a_bank_of_rooms_needs_a_share_and_a_share_a_bank():
    with pytest.raises(ConfigError, match=r"reverberant is 0.3 without rooms"):
        source_of(MixingData("clean", "noise"), MixingConfig(reverberant=0.3))
    with pytest.raises(ConfigError, match=r"reverberant is 1 without rooms: give data.rooms, a table$"):
        source_of(MixingData("clean", None), MixingConfig(reverberant=1.0))
    with pytest.raises(ConfigError, match=r"reverberant is 0 and data.noise null"):
        source_of(MixingData("clean", None, rooms="rooms.tsv"))


def test_places_are_spread_evenly(folders):
    draw = source_of(MixingData("clean", "noise", str(folders))).__dict__["_draw"]
    starts = np.sort(np.concatenate([draw(step).speech for step in range(500)])) / draw.speech
    assert np.abs(starts - np.linspace(0, 1, len(starts))).max() < 0.05
    noises = np.stack([draw(step).noise for step in range(500)])
    assert (noises[:, 0] >= 0).all()
    assert [(noises[:, i] >= 0).mean() for i in (1, 2)] == pytest.approx([0.35, 0.15], abs=0.05)
    assert all(not np.array_equal(a, b) for a, b in pairwise(noises[:, 0]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("keep", ["device", "host"])
def test_nothing_waits_for_the_device(folders, rooms, keep):
    device = torch.device("cuda")
    source = source_of(MixingData("clean", "noise", str(folders), rooms, keep=keep), MixingConfig(reverberant=0.5), device=device)
    generator = torch.Generator(device)
    source.batch(0, generator.manual_seed(0))
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = source.batch(1, generator.manual_seed(1))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert batch.noisy.device.type == "cuda"
    assert torch.isfinite(batch.noisy).all()
