import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.audio import picture
from sgaudio.audio.picture import HOP, WINDOW, Trace, save_picture


def traced(waveform: np.ndarray, block: int = 10_000) -> Trace:
    trace = Trace(16_000)
    for start in range(0, waveform.shape[1], block):
        trace.push(waveform[:, start : start + block])
    return trace


def test_a_full_scale_sine_is_at_0_decibels_and_at_its_frequency():
    levels = traced(np.sin(2 * np.pi * 2_000 * np.arange(32_000) / 16_000)[None]).decibels()
    assert np.allclose(levels.max(0), 0, atol=0.1)
    assert set(levels.argmax(0)) == {2_000 * WINDOW // 16_000}


@settings(max_examples=20)
@given(block=st.integers(1, 5_000))
def test_a_trace_does_not_depend_on_the_cut(block):
    waveform = np.random.default_rng(0).uniform(-1, 1, (2, 6_000))
    assert np.allclose(traced(waveform, block).decibels(), traced(waveform).decibels())


def test_a_long_recording_keeps_its_time_and_power_in_few_columns(monkeypatch):
    monkeypatch.setattr(picture, "MOST_COLUMNS", 8)
    waveform = np.random.default_rng(0).uniform(-1, 1, (1, 64 * HOP + WINDOW))
    trace = traced(waveform)
    assert trace.decibels().shape[1] < 8
    assert trace.seconds == 64 * HOP / 16_000
    assert np.allclose(np.mean(10 ** (trace.decibels() / 10)), 1 / 3 * 3 / 8 * WINDOW / (WINDOW / 4) ** 2, rtol=0.05)  # variance, Hann


def test_pictures_of_nothing_and_of_names_with_dollars_are_drawn(tmp_path):
    save_picture(tmp_path / "a.png", Trace(16_000), traced(np.zeros((1, 20_000))), title="a$b$.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
