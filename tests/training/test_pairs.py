"""Pairs are found by name, cut alike, dealt out in turn; what does not fit together is refused."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from sgaudio.audio.resampling import resample
from sgaudio.errors import AudioError, ConfigError
from sgaudio.training.pairs import Pairs, PairsData, Turns

from .conftest import RATE, hiss

CPU = torch.device("cpu")
LEVEL = 1 / 12
COUNT = 12


def source_of(config: PairsData, rate: int = RATE, **options) -> Pairs:
    common = {"sample_rate": rate, "level": LEVEL, "batch": 4, "length": 1000, "device": CPU, "rank": 0, "ranks": 1, "seed": 1}
    return Pairs(config, **(common | options))


def batch_of(source: Pairs, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return source.batch(step, torch.Generator())


def write(path, sound, rate: int = RATE, subtype: str = "FLOAT") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate, subtype=subtype)


@pytest.fixture
def folders(tmp_path):
    """Noisy sound is clean sound and a hundredth of its number; lengths differ, and some are shorter than a batch is long."""
    for i in range(COUNT):
        sound = hiss(0.05 + 0.03 * i)
        write(tmp_path / "clean" / "deep" / f"{i}.wav", sound)
        write(tmp_path / "noisy" / "deep" / f"{i}.wav", sound + (i + 1) / 100)
    return tmp_path


@pytest.fixture
def config(folders) -> PairsData:
    return PairsData(str(folders), clean="clean", noisy="noisy")


@pytest.fixture
def table(folders):
    """The same as tables."""

    def write_table(name: str, numbers) -> None:
        rows = [f"{i}\tclean/deep/{i}.wav\t{folders}/noisy/deep/{i}.wav\thello" for i in numbers]
        (folders / name).write_text("\n".join(["id\tclean\tnoisy\ttext", *rows]) + "\n")

    write_table("train.tsv", range(9))
    write_table("validation.tsv", range(9, 12))
    return PairsData(str(folders))


@pytest.fixture
def mixtures(folders):
    header = "id\tspeech\tnoise\tsnr_db\tnoise_offset_samples"
    rows = [f"mix {i}\tclean/deep/{i}.wav\tnoisy/deep/{i + 1}.wav\t{i}\t7" for i in range(9)]
    (folders / "train.tsv").write_text("\n".join([header, *rows]) + "\n")
    return PairsData(str(folders), held_out=0)


def test_clean_and_noisy_are_cut_alike(config):
    source = source_of(config)
    for step in range(5):
        clean, noisy = batch_of(source, step)
        names = source.items(step, torch.Generator())
        for i, name in enumerate(names):
            heard = (clean[i] != 0).sum()
            offsets = (noisy - clean)[i, :heard]
            assert offsets.std() < 1e-3 * offsets.mean()
            assert offsets.mean() / clean[i, :heard].std() == pytest.approx((int(name.split("/")[1]) + 1) / 100 / 0.05, rel=0.15)


def test_noisy_sound_has_the_asked_level_and_shorter_sound_is_followed_by_silence(config):
    source = source_of(config, length=4000)
    clean, noisy = batch_of(source, 0)
    assert torch.allclose(noisy.square().mean(-1).sqrt(), torch.tensor(LEVEL), rtol=1e-4)
    for i, name in enumerate(source.items(0, torch.Generator())):
        samples = round(RATE * (0.05 + 0.03 * int(name.split("/")[1])))
        assert not clean[i, samples:].any()
        assert not noisy[i, samples:].any()
        assert noisy[i, samples - 1] != 0


@pytest.mark.parametrize("kind", ["config", "table", "mixtures"])
def test_a_batch_is_the_same_wherever_the_sound_is_kept(kind, request):
    config = request.getfixturevalue(kind)
    device, host, disk = (source_of(replace(config, keep=keep, workers=0)) for keep in ("device", "host", "disk"))
    for step in range(4):
        one, other, third = (batch_of(source, step) for source in (device, host, disk))
        for a, b, c in zip(one, other, third, strict=True):
            assert torch.equal(a, b)
            assert torch.allclose(a, c, atol=1e-4)


def test_processes_read_the_same_from_disk(config):
    ahead, alone = (source_of(replace(config, keep="disk", workers=workers)) for workers in (1, 0))
    for step in (2, 3):
        assert all(torch.equal(a, b) for a, b in zip(batch_of(ahead, step), batch_of(alone, step), strict=True))


def test_in_memory_a_pair_is_as_exact_as_a_file_of_16_bit(tmp_path):
    quiet = (1e-2 * hiss(1)).astype(np.float32)
    write(tmp_path / "clean" / "a.wav", quiet)
    write(tmp_path / "noisy" / "a.wav", quiet)
    source = source_of(PairsData(str(tmp_path), clean="clean", noisy="noisy"), batch=1, length=8000)
    clean, _ = batch_of(source, 0)
    error = clean[0] * np.sqrt(np.square(quiet).mean()) / LEVEL - torch.from_numpy(quiet)
    assert error.abs().max() <= 0.51 * np.abs(quiet).max() / 32767


def test_every_pair_has_its_turn_once_an_epoch_on_one_process():
    turns = Turns(np.full(10, 500), 4, 100, seed=3, rank=0, ranks=1)
    drawn = np.concatenate([turns(step).items for step in range(15)])
    epochs = drawn.reshape(6, 10)
    assert (np.sort(epochs) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_every_pair_has_its_turn_once_an_epoch_over_all_processes():
    processes = [Turns(np.full(12, 500), 2, 100, seed=3, rank=rank, ranks=3) for rank in range(3)]
    drawn = [turns(step).items for step in range(4) for turns in processes]
    assert Counter(np.concatenate(drawn[:6]).tolist()) == Counter(range(12))
    assert Counter(np.concatenate(drawn[6:]).tolist()) == Counter(range(12))
    assert not np.array_equal(processes[0](0).starts, processes[1](0).starts)


def test_a_batch_may_be_larger_than_the_corpus():
    turns = Turns(np.array([500, 80]), 5, 100, seed=1, rank=0, ranks=1)
    assert Counter(turns(0).items.tolist()).keys() == {0, 1}
    assert {count for item, count in zip(turns(0).items, turns(0).counts, strict=True) if item == 1} == {80}


def test_pieces_begin_anywhere(config):
    turns = Turns(np.array([1100]), 64, 1000, seed=1, rank=0, ranks=1)
    starts = np.concatenate([turns(step).starts for step in range(50)])
    assert (starts.min(), starts.max()) == (0, 100)
    assert Turns(np.array([1100]), 64, 1000, seed=2, rank=0, ranks=1)(0).starts.tolist() != turns(0).starts.tolist()


def test_tables_say_what_is_for_validation(table, folders):
    source = source_of(table)
    assert str(source).startswith("9 pairs, 0.0 min, to validate on 3")
    items = source.validation()
    assert [item.name for item in items] == ["9", "10", "11"]
    clean, noisy, rate = items[0].load()
    assert rate == RATE
    np.testing.assert_allclose(noisy - clean, 0.1, atol=1e-6)
    np.testing.assert_array_equal(clean, soundfile.read(folders / "clean" / "deep" / "9.wav", dtype="float32")[0])
    (folders / "validation.tsv").rename(folders / "dev.tsv")
    assert len(source_of(replace(table, train="train.tsv", validation="dev.tsv")).validation()) == 3
    assert len(source_of(table).validation()) == 2  # held out: one in four of nine


def test_pairs_are_held_out_where_there_is_no_table(config):
    source = source_of(replace(config, held_out=2))
    kept = {item.name for item in source.validation()}
    assert len(kept) == 2
    drawn = {name for step in range(20) for name in source.items(step, torch.Generator())}
    assert len(drawn) == COUNT - 2
    assert not drawn & kept
    assert "nothing to validate on (give data.validation" in str(source_of(replace(config, held_out=0)))


def test_mixtures_are_mixed_as_their_table_says(mixtures):
    source = source_of(mixtures, length=2000)
    for step in range(3):
        clean, noisy = batch_of(source, step)
        for i, name in enumerate(source.items(step, torch.Generator())):
            if len(np.trim_zeros(clean[i].numpy(), "b")) < 2000:  # the whole of it
                ratio = 10 * torch.log10(clean[i].square().sum() / (noisy - clean)[i].square().sum())
                assert ratio == pytest.approx(int(name[4:]), abs=0.01)


def test_a_mixture_is_as_long_as_the_part_of_its_speech_and_a_noise_may_have_channels(folders):
    write(folders / "stereo.wav", np.stack([hiss(1), 0.5 * hiss(1)], 1))
    header = "id\tspeech\tnoise\tsnr_db\tspeech_start\tspeech_stop\tnoise_channel"
    rows = [f"{i}\tclean/deep/11.wav\tstereo.wav\t0\t{100 * i}\t{100 * i + 700}\t{i % 2}" for i in range(4)]
    (folders / "train.tsv").write_text("\n".join([header, *rows]) + "\n")
    for keep in ("host", "disk"):
        source = source_of(PairsData(str(folders), held_out=0, keep=keep, workers=0))
        clean, noisy = batch_of(source, 0)
        assert source._turns.lengths.tolist() == [700] * 4
        speech = torch.from_numpy(hiss(0.05 + 0.03 * 11))
        for i, name in enumerate(source.items(0, torch.Generator())):
            part = speech[100 * int(name) : 100 * int(name) + 700]
            assert torch.nn.functional.cosine_similarity(clean[i, :700], part, dim=0) == pytest.approx(1, abs=1e-6)
            assert not noisy[i, 700:].any()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1\tclean/deep/11.wav\tstereo.wav\t0\t\t", r"stereo.wav: 2 channels, a mixture is made of mono files"),
        ("1\tclean/deep/11.wav\tstereo.wav\t0\t\t2", r"stereo.wav: 2 channels, 1 wants number 2, counted from 0"),
        ("1\tclean/deep/11.wav\tclean/deep/1.wav\t0\t9999\t", r"11.wav: 3040 samples, 1 wants those from 0 to 9999"),
    ],
)
def test_a_mixture_that_cannot_be_made_is_refused_before_the_training(folders, row, words):
    write(folders / "stereo.wav", np.stack([hiss(1), hiss(1)], 1))
    (folders / "train.tsv").write_text(f"id\tspeech\tnoise\tsnr_db\tspeech_stop\tnoise_channel\n{row}\n")
    with pytest.raises(AudioError, match=words):
        source_of(PairsData(str(folders), held_out=0, keep="disk", workers=0))


def test_sound_of_a_higher_rate_is_brought_to_the_model_s(tmp_path):
    sound = hiss(0.5, 48_000)
    for folder in ("clean", "noisy"):
        write(tmp_path / folder / "a.wav", sound, 48_000)
    for keep in ("host", "disk"):
        config = PairsData(str(tmp_path), clean="clean", noisy="noisy", keep=keep, workers=0)
        clean, _ = batch_of(source_of(config, rate=16_000, batch=1, length=8000), 0)
        expected = torch.from_numpy(resample(sound, 48_000, 16_000))
        assert torch.nn.functional.cosine_similarity(clean[0], expected, dim=0) == pytest.approx(1, abs=1e-5)


def test_files_are_paired_whatever_their_suffix(config, folders):
    sound, rate = soundfile.read(folders / "noisy" / "deep" / "3.wav")
    (folders / "noisy" / "deep" / "3.wav").unlink()
    write(folders / "noisy" / "deep" / "3.flac", sound, rate, "PCM_24")
    assert str(source_of(replace(config, held_out=0))).startswith(f"{COUNT} pairs")


def test_a_missing_corpus_names_what_makes_its_table(tmp_path):
    with pytest.raises(ConfigError, match=r"train.tsv: no such table: the prepare.py beside the recipe makes it: python prepare.py .*vbd$"):
        source_of(PairsData(str(tmp_path / "vbd")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\tclean\tnoisy\n", "no rows with the columns id"),
        ("", "no rows with the columns id"),
        ("id\tclean\n1\ta.wav\n", "has the columns id, clean, expected id, clean and noisy, or those of mixtures"),
        ("id\tclean\tnoisy\n1\ta.wav\n", "line 2: id, clean or noisy is empty"),
        ("id\tspeech\tnoise\tsnr_db\n1\ta.wav\tb.wav\tloud\n", "snr_db is 'loud', expected a number in dB"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "train.tsv").write_text(text)
    with pytest.raises(ConfigError, match=words):
        source_of(PairsData(str(tmp_path)))


def test_a_file_that_a_table_names_in_vain_is_named(tmp_path):
    (tmp_path / "train.tsv").write_text("id\tclean\tnoisy\n1\ta.wav\tb.wav\n")
    with pytest.raises(AudioError, match=r"a\.wav: no such file"):
        source_of(PairsData(str(tmp_path)))


def test_files_without_a_partner_are_named_three_at_most(config, folders):
    for i in (1, 2, 3, 4):
        (folders / "noisy" / "deep" / f"{i}.wav").unlink()
    with pytest.raises(
        ConfigError, match=r"clean: 4 files without a partner of the same name in .*noisy: deep/1.wav, deep/2.wav, deep/3.wav, \.\.\.$"
    ):
        source_of(config)
    for i in (1, 2, 3, 4, 5):
        (folders / "clean" / "deep" / f"{i}.wav").unlink()
    with pytest.raises(ConfigError, match=r"noisy: 1 files without a partner of the same name in .*clean: deep/5.wav$"):
        source_of(config)


def test_two_files_of_one_name_are_refused(config, folders):
    write(folders / "clean" / "deep" / "3.flac", hiss(0.1), subtype="PCM_16")
    with pytest.raises(ConfigError, match=r"3.wav and 3.flac have the same name"):
        source_of(config)


@pytest.mark.parametrize(
    ("sound", "rate", "words"),
    [
        (hiss(0.3), RATE, r"deep/7: .* lasts 0.260 s, .* 0.300 s: expected the same sound, within 16 ms"),
        (hiss(0.13, 4000), 4000, r"7.wav: sample rate is 4000 Hz, the model's is 8000: .*train a model of 4000 Hz"),
        (np.stack([hiss(0.26)] * 2, 1), RATE, r"7.wav: 2 channels, expected one"),
        (hiss(0), RATE, r"7.wav: no samples in it"),
    ],
)
def test_sound_that_does_not_fit_is_refused(config, folders, sound, rate, words):
    write(folders / "noisy" / "deep" / "7.wav", sound, rate)
    with pytest.raises(ConfigError, match=words):
        source_of(config)


def test_a_few_samples_more_are_cut(config, folders):
    write(folders / "noisy" / "deep" / "7.wav", hiss(0.27))
    assert source_of(replace(config, held_out=0))._turns.lengths.sum() == sum(round(RATE * (0.05 + 0.03 * i)) for i in range(COUNT))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clean": "clean"}, "noisy is null: the folders clean and noisy go together"),
        ({"noisy": "noisy"}, "clean is null"),
        ({"clean": "clean", "noisy": "noisy", "train": "train.tsv"}, "give one or the other"),
        ({"workers": -1}, "workers is -1, expected 0 to 1024"),
    ],
)
def test_what_does_not_go_together_is_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        PairsData(**options)


@pytest.mark.parametrize(
    ("options", "words"), [({"clean": "klean"}, "klean: no such folder"), ({"noisy": "empty"}, "empty: no sound in it")]
)
def test_a_folder_without_sound_is_refused(config, folders, options, words):
    (folders / "empty").mkdir()
    with pytest.raises(ConfigError, match=words):
        source_of(replace(config, **options))


def test_silence_is_stored_as_silence(tmp_path):
    for folder in ("clean", "noisy"):
        write(tmp_path / folder / "a.wav", np.zeros(2000))
    clean, noisy = batch_of(source_of(PairsData(str(tmp_path), clean="clean", noisy="noisy")), 0)
    assert not clean.any()
    assert not noisy.any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("keep", ["device", "host"])
def test_nothing_waits_for_the_device(config, keep):
    device = torch.device("cuda")
    source = source_of(replace(config, keep=keep), device=device)
    generator = torch.Generator(device)
    source.batch(0, generator)
    torch.cuda.set_sync_debug_mode("error")
    try:
        clean, noisy = source.batch(1, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = batch_of(source_of(replace(config, keep="host")), 1)
    assert torch.allclose(clean.cpu(), expected[0], atol=1e-6)
    assert torch.allclose(noisy.cpu(), expected[1], atol=1e-6)
