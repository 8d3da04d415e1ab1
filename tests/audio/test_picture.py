import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.audio import picture
from sgaudio.audio.picture import HOP, WINDOW, Trace, save_spectrograms
from sgaudio.errors import AudioError


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


def test_pictures_of_nothing_and_of_names_with_dollars_and_in_any_script_are_drawn(tmp_path):
    save_spectrograms(tmp_path / "a.png", {"before": Trace(16_000), "日$\\frac$": traced(np.zeros((1, 20_000)))}, title="a$\\frac$日.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def saved(monkeypatch):
    """The figures that are saved, instead of files."""
    figures = []
    monkeypatch.setattr(picture, "save_figure", lambda path, figure: figures.append(figure))
    return figures


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_every_sound_has_its_panel_on_one_scale(saved, count):
    names = [f"sound {place}" for place in range(count)]
    sounds = {name: traced(10.0**-place * np.ones((1, 5_000 + 1_000 * place))) for place, name in enumerate(names)}
    save_spectrograms("a.png", sounds)
    panels = saved[0].axes[:-1]  # the last one shows the colours
    assert [panel.get_title(loc="left") for panel in panels] == names
    assert len({(panel.get_xlim(), panel.get_ylim(), *panel.images[0].get_clim()) for panel in panels}) == 1
    assert panels[0].get_xlim() == (0, max(trace.seconds for trace in sounds.values()))


def test_a_picture_of_no_sound_is_refused():
    with pytest.raises(AudioError, match="there is no sound to draw"):
        save_spectrograms("a.png", {})
