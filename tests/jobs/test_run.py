import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgaudio.audio.files import Reader, read, write, writing
from sgaudio.audio.formats import Format
from sgaudio.errors import ConfigError
from sgaudio.jobs import Settings, Task, run, total_seconds
from sgaudio.models import load

DRY = Settings(strength=0)  # what comes out is what went in


@pytest.fixture(scope="module")
def model(tiny):
    return load(tiny, device="cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def sound(channels: int = 1, frames: int = 9_000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)


def enhanced(model, settings=DRY, source="in.wav", target="out.wav", **options):
    (outcome,) = run([Task(source, target)], model, settings, **options)
    return outcome


@pytest.mark.parametrize(
    ("suffix", "format"),
    [
        (".wav", Format("WAV", "PCM_16")),
        (".wav", Format("WAVEX", "PCM_24")),
        (".wav", Format("WAV", "FLOAT")),
        (".flac", Format("FLAC", "PCM_24")),
        (".caf", Format("CAF", "ALAC_16")),
        (".aiff", Format("AIFF", "PCM_16")),
        (".w64", Format("W64", "DOUBLE")),
    ],
)
def test_rate_channels_length_sample_format_and_tags_are_kept(model, suffix, format):
    tags = {} if suffix == ".w64" else {"title": "A", "artist": "B"}
    with writing(f"in{suffix}", 44_100, 2, format, tags) as writer:
        writer.write(sound(2))
    outcome = enhanced(model, source=f"in{suffix}", target=f"sub/out{suffix}")
    assert (outcome.status, outcome.warnings, outcome.sample_rate, outcome.channels) == ("done", [], 44_100, 2)
    with Reader(f"sub/out{suffix}") as reader:
        assert (reader.format, reader.tags, reader.sample_rate) == (format, tags, 44_100)
    assert np.array_equal(read(f"sub/out{suffix}")[0], read(f"in{suffix}")[0])


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
def test_lossy_formats_keep_their_length(model, suffix):
    write(f"in{suffix}", sound(2), 48_000)
    assert enhanced(model, source=f"in{suffix}", target=f"out{suffix}").status == "done"
    assert read(f"out{suffix}")[0].shape == (2, 9_000)


ODD = {
    "one sample": (np.full((1, 1), 0.5), 16_000),
    "10 ms": (sound(1, 160), 16_000),
    "silence": (np.zeros((1, 9_000)), 16_000),
    "DC": (np.full((1, 9_000), 0.5), 16_000),
    "full-scale square wave": (np.sign(np.sin(np.arange(9_000) * 0.1))[None], 16_000),
    "NaN and infinite samples": (np.resize([0.1, np.nan, 0.2, np.inf, -np.inf], (1, 9_000)), 16_000),
    "peaks of 20": (40 * sound(), 16_000),
    "192 kHz": (sound(1, 50_000), 192_000),
    "8 kHz": (sound(), 8_000),
    "11 025 Hz": (sound(), 11_025),
    "8 channels": (sound(8), 16_000),
    "nothing": (np.zeros((2, 0)), 16_000),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_sound_comes_out_finite_and_of_the_right_length(model, name):
    waveform, rate = ODD[name]
    write("in.wav", waveform, rate)
    outcome = enhanced(model, Settings())
    assert outcome.status == "done", outcome.reason
    found, found_rate = read("out.wav")
    assert (found.shape, found_rate) == (waveform.shape, rate)
    assert np.isfinite(found).all()
    if name == "silence":
        assert not found.any()


def test_samples_that_are_no_numbers_become_zeros_and_are_counted(model):
    waveform = sound()
    waveform[0, [5, 100, 8_000]] = np.nan, np.inf, -np.inf
    write("in.wav", waveform, 16_000)
    assert enhanced(model).warnings == ["NaN or infinite samples replaced by zeros: 3"]
    assert np.array_equal(read("out.wav")[0], np.where(np.isfinite(waveform), waveform, 0))


def test_samples_that_are_no_numbers_fail_where_that_is_wanted(model):
    write("in.wav", np.array([0.1, np.nan]), 16_000)
    outcome = enhanced(model, replace(DRY, nan="fail"))
    assert outcome.status == "failed"
    assert outcome.reason.startswith("in.wav: NaN or infinite samples, 1 in")
    assert not Path("out.wav").exists()


def test_clamped_samples_are_counted(model):
    write("in.wav", np.array([0.1, 2.0, -2.0]), 16_000)
    assert enhanced(model, target="out.flac").warnings == ["samples beyond full scale clamped: 2"]


def test_a_truncated_file_is_enhanced_with_a_warning(model):
    write("in.wav", sound(), 16_000)
    content = Path("in.wav").read_bytes()
    Path("in.wav").write_bytes(content[: len(content) // 2])
    outcome = enhanced(model)
    assert (outcome.status, len(outcome.warnings)) == ("done", 1)
    assert "truncated" in outcome.warnings[0]


def test_a_failed_file_never_stops_the_rest(model):
    write("good.wav", sound(), 16_000)
    Path("text.wav").write_text("Dear diary")
    Path("zero.wav").touch()
    Path("half.wav").write_bytes(Path("good.wav").read_bytes()[:20])
    names = ["missing.wav", "text.wav", "zero.wav", "half.wav", "good.wav"]
    outcomes = list(run([Task(name, f"out/{name}") for name in names], model, DRY))
    assert [outcome.status for outcome in outcomes] == ["failed"] * 4 + ["done"]
    for outcome in outcomes[:4]:
        assert outcome.reason.startswith(f"{outcome.input}: ")
        assert "\n" not in outcome.reason
    assert [path.name for path in Path("out").iterdir()] == ["good.wav"]


def test_a_model_that_breaks_down_fails_that_file_alone(model, monkeypatch):
    write("a.wav", sound(1), 16_000)
    write("b.wav", sound(2), 16_000)
    stream = model.stream

    def broken(sample_rate, channels, **options):
        if channels == 1:
            raise RuntimeError("CUDA out of memory.\nTried to allocate everything")
        return stream(sample_rate, channels, **options)

    monkeypatch.setattr(model, "stream", broken)
    outcomes = list(run([Task("a.wav", "out/a.wav"), Task("b.wav", "out/b.wav")], model, DRY))
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [
        ("failed", "a.wav: RuntimeError: CUDA out of memory."),
        ("done", ""),
    ]


def test_an_output_that_appears_during_the_work_is_kept(model):
    write("in.wav", sound(), 16_000)
    outcome = enhanced(model, on_block=lambda rate, before, after: Path("out.wav").write_text("mine"))
    assert outcome.status == "failed"
    assert "appeared while it was being made" in outcome.reason
    assert Path("out.wav").read_text() == "mine"


def test_an_interruption_ends_the_job_and_leaves_no_half_file(model):
    write("in.wav", sound(), 16_000)

    def interrupt(rate, before, after):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enhanced(model, on_block=interrupt)
    assert [path.name for path in Path().iterdir()] == ["in.wav"]


def test_a_file_sounds_the_same_alone_and_in_a_folder(model):
    for name in ("a.wav", "b.wav"):
        write(name, sound(2, 6_000) * (0.5 if name == "a.wav" else 1), 16_000)
    settings = Settings(steps=4)
    list(run([Task(name, f"together/{name}") for name in ("a.wav", "b.wav")], model, settings))
    list(run([Task("b.wav", "alone/b.wav")], model, settings))
    assert np.array_equal(read("together/b.wav")[0], read("alone/b.wav")[0])
    assert not np.array_equal(read("alone/b.wav")[0], read("b.wav")[0])


def test_a_file_sounds_as_the_model_enhances_the_array(model):
    write("in.wav", sound(2, 6_000), 48_000)
    enhanced(model, Settings(seed=3))
    assert np.allclose(read("out.wav")[0], model.enhance(sound(2, 6_000), 48_000, seed=3), atol=1e-5)


def test_the_report_says_all_in_one_line(model):
    write("in.wav", sound(), 16_000)
    line = enhanced(model, Settings(seed=7)).to_json()
    found = json.loads(line)
    assert "\n" not in line
    assert found.pop("times_real_time") > 0
    assert found == {
        "input": "in.wav",
        "output": "out.wav",
        "status": "done",
        "reason": "",
        "seconds": 9_000 / 16_000,
        "sample_rate": 16_000,
        "channels": 1,
        "model": "tiny",
        "solver": "ddim",
        "steps": 1,
        "seed": 7,
        "warnings": [],
    }


def test_callbacks_hear_every_sample_before_and_after(model):
    write("in.wav", sound(2, 6_000), 16_000)
    opened, before, after = [], [], []

    def hear(rate, block, samples):
        before.append(block)
        after.append(samples)

    enhanced(model, on_open=lambda reader: opened.append(reader.name), on_block=hear)
    assert opened == ["in.wav"]
    assert np.array_equal(np.concatenate(before, 1), sound(2, 6_000))
    assert np.array_equal(np.concatenate(after, 1), sound(2, 6_000))


def test_the_length_of_a_job_is_known_where_its_headers_say_it():
    write("a.wav", sound(), 16_000)
    tasks = [Task("a.wav", "b.wav"), Task("missing.wav", "c.wav")]
    assert total_seconds(tasks) == 9_000 / 16_000
    assert total_seconds([*tasks, Task("-", "d.wav")]) is None


def test_a_named_pipe_is_read_once_only():
    os.mkfifo("pipe.wav")
    assert total_seconds([Task("pipe.wav", "a.wav")]) is None


def test_settings_refuse_what_they_do_not_know():
    with pytest.raises(ConfigError, match="nan is 'one', expected one of 'zero', 'fail'"):
        Settings(nan="one")
