"""One sound by one system: what is brought together, what is said of it, and what fails alone."""

import numpy as np
import pytest

from sgaudio.audio.resampling import resample
from sgaudio.evaluation import Folder, Item, Unprocessed, pairs
from sgaudio.evaluation.scoring import Record, Task, estimated, score

from .conftest import RATE, put, sound

OWN = ("si-sdr", "si-sir", "lsd", "level")


def scored(tree, estimate=None, rate=RATE, metrics=("si-sdr",), align=False, noisy=True) -> Record:
    """The record of clean/one by a folder that holds `estimate`."""
    file = put(tree / "new/one.wav", sound(0) + 0.1 * sound(20) if estimate is None else estimate, rate)
    item = Item("one", tree / "clean/one.wav", tree / "noisy/one.wav" if noisy else None, estimates=((tree / "new", file),))
    return score(Task(item, Folder("new", tree / "new"), metrics, align))


def test_an_estimate_of_another_rate_is_resampled_and_said_so(tree):
    tones = [np.sin(np.arange(4_000) * frequency).astype(np.float32) for frequency in (0.3, 1.1)]
    put(tree / "clean/one.wav", tones[0])
    plain = scored(tree, tones[0] + 0.1 * tones[1])
    again = scored(tree, resample(tones[0] + 0.1 * tones[1], RATE, 48_000), 48_000)
    assert again.scores["SI-SDR"] == pytest.approx(plain.scores["SI-SDR"], abs=0.1)
    assert again.remarks == ["the estimate resampled from 48000 to 8000 Hz"]
    assert (plain.remarks, plain.failures, plain.seconds) == ([], {}, 0.5)


@pytest.mark.parametrize(("frames", "what"), [(3_990, "10 samples shorter"), (4_100, "100 samples longer")])
def test_lengths_that_differ_a_little_are_cut_to_the_common_part(tree, frames, what):
    estimate = np.resize(sound(0) + 0.1 * sound(20), frames)
    record = scored(tree, estimate, metrics=OWN)
    assert record.remarks == [f"the estimate is {what}: the common part is compared"]
    assert record.failures == {}
    assert record.scores["SI-SDR"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (np.resize(sound(0), 12_001), "the estimate lasts 1.50 s, the clean sound 0.50 s: at most 1 s or half may lie between"),
        (np.stack([sound(0)] * 2), "the estimate has 2 channels, the clean sound has 1 channel: mono and stereo are not compared"),
        (np.where(sound(0) > 0.2, np.nan, sound(0)), "estimate has NaN or infinite samples"),
        (np.zeros(4_000, np.float32), "estimate is silent"),
        (np.zeros(0, np.float32), "the estimate has no samples"),
    ],
)
def test_an_estimate_that_cannot_be_compared_is_a_line_for_each_metric(tree, estimate, reason):
    record = scored(tree, estimate, metrics=OWN)
    assert record.scores == {}
    assert record.failures == dict.fromkeys(OWN, reason)


def test_a_clean_sound_that_is_silent_is_a_line(tree):
    put(tree / "clean/one.wav", np.zeros(4_000, np.float32))
    assert scored(tree, noisy=False).failures == {"si-sdr": "reference is silent"}


def test_a_metric_that_fails_leaves_the_others_alone(tree):
    put(tree / "noisy/one.wav", sound(0))  # there is no noise in it
    record = scored(tree, metrics=OWN)
    assert record.failures == {"si-sir": "noise is silent"}
    assert set(record.scores) == {"SI-SDR", "LSD", "level"}


@pytest.mark.parametrize("delay", [80, -80])
def test_a_constant_delay_is_found_and_only_removed_when_asked_for(tree, delay):
    whole = sound(0) + 0.1 * sound(20)
    moved = np.concatenate([np.zeros(80, np.float32), whole]) if delay > 0 else whole[80:]
    as_it_is, aligned = scored(tree, moved), scored(tree, moved, align=True)
    assert as_it_is.delay == aligned.delay == delay / RATE
    assert as_it_is.scores["SI-SDR"] < -10
    assert aligned.remarks[-1] == f"moved by {-delay} samples: it was {'late' if delay > 0 else 'early'}"
    if delay > 0:  # nothing is missing
        assert aligned.scores == scored(tree, whole).scores
    else:
        put(tree / "clean/one.wav", sound(0)[80:])
        assert aligned.scores == scored(tree, moved).scores


def test_what_is_wrong_with_a_file_is_in_the_record_not_on_the_screen(tree, recwarn):
    file = tree / "enhanced/one.wav"
    file.write_bytes(file.read_bytes()[:-400])
    record = score(
        Task(Item("one", tree / "clean/one.wav", estimates=((tree / "enhanced", file),)), Folder("e", tree / "enhanced"), OWN[:1], False)
    )
    assert record.remarks[0].startswith(f"{file}: truncated: the header claims ")
    assert list(record.scores) == ["SI-SDR"]
    assert not recwarn


def test_the_ratio_of_a_pair_is_measured_and_the_noise_is_what_the_noisy_sound_has_besides(tree):
    (item, *_), _ = pairs(tree / "clean", tree / "noisy")
    record = score(Task(item, Unprocessed(), OWN, False))
    assert record.item == "deep/three"
    expected = 10 * np.log10(np.square(sound(2)).sum() / np.square(sound(12)).sum())
    assert record.snr_db == pytest.approx(expected, abs=1e-3)
    assert record.scores["SI-SAR"] == 100  # nothing but speech and noise
    assert record.scores["SI-SDR"] == pytest.approx(record.scores["SI-SIR"], abs=1e-6)


def test_files_that_are_missing_or_damaged_are_lines(tree):
    (tree / "enhanced/one.wav").write_bytes(b"RIFF")
    found = {}
    for name, files in {"one": ((tree / "enhanced", tree / "enhanced/one.wav"),), "gone": ()}.items():
        item = Item(name, tree / "clean/one.wav", estimates=files)
        found[name] = score(Task(item, Folder("enhanced", tree / "enhanced"), ("si-sdr",), False)).failures["si-sdr"]
    assert found["one"].startswith(f"{tree / 'enhanced/one.wav'}: half a WAV header")
    assert found["gone"] == f"no estimate in {tree / 'enhanced'}"
    assert estimated(Task(Item("one", tree / "clean/one.wav"), Unprocessed(), (), False)) == "no noisy sound of this name"
