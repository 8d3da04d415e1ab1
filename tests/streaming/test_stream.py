import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgaudio.audio.windows import Windows
from sgaudio.errors import AudioError, ConfigError
from sgaudio.streaming import Stream

WINDOWS = Windows(2048, 256, 512)
RATES = [16_000, 48_000, 44_100, 8_000, 11_025, 192_000, 1_000]


def untouched(windows, starts):
    return windows


def halved_by_place(windows, starts):
    """A function whose result depends on all that it is told."""
    return windows * (0.5 + 0.1 * torch.sin(starts[:, None].float()))


def run(stream: Stream, signal: np.ndarray, cuts: list[int]) -> np.ndarray:
    blocks = np.split(signal, sorted(cut % (signal.shape[-1] + 1) for cut in cuts), -1)
    return np.concatenate([*map(stream.push, blocks), stream.flush()], -1)


def sound(channels: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, length)).astype(np.float32)


@settings(max_examples=30)
@given(
    rate=st.sampled_from(RATES),
    channels=st.integers(1, 3),
    length=st.integers(0, 9000),
    cuts=st.lists(st.integers(0, 9000), max_size=8),
    batch=st.integers(1, 6),
    high_band=st.sampled_from(["follow", "drop"]),
)
def test_the_samples_do_not_depend_on_the_cut_and_as_many_come_out_as_go_in(rate, channels, length, cuts, batch, high_band):
    signal = sound(channels, length)
    stream = Stream(halved_by_place, 16_000, WINDOWS, rate, channels, batch=batch, high_band=high_band)
    whole = run(stream, signal, [])
    assert whole.shape == signal.shape
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    assert np.array_equal(run(stream, signal, cuts), whole)


@pytest.mark.parametrize("rate", [16_000, 48_000, 44_100, 192_000])
def test_what_the_function_leaves_alone_comes_out_as_it_went_in(rate):
    signal = sound(2, rate // 2)
    np.testing.assert_allclose(run(Stream(untouched, 16_000, WINDOWS, rate, 2), signal, []), signal, atol=2e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025])
def test_below_the_functions_rate_nothing_is_lost_but_the_very_top(rate):
    time = np.arange(rate) / rate
    signal = 0.3 * np.sin(2 * np.pi * 0.4 * rate * time)[None].astype(np.float32)
    out = run(Stream(untouched, 16_000, WINDOWS, rate, 1), signal, [])
    np.testing.assert_allclose(out[:, 500:-500], signal[:, 500:-500], atol=3e-4)


def test_batches_only_change_the_order_of_work():
    signal = sound(3, 20_000)
    one, many = (run(Stream(halved_by_place, 16_000, WINDOWS, 16_000, 3, batch=b), signal, []) for b in (1, 8))
    np.testing.assert_allclose(one, many, atol=1e-7)


def test_windows_start_at_multiples_of_the_hop_and_calls_hold_at_most_a_batch():
    seen = []

    def function(windows, starts):
        seen.append((len(windows), starts.tolist()))
        return windows

    run(Stream(function, 16_000, WINDOWS, 16_000, 2, batch=3), sound(2, 9000), [])
    assert all(count <= 3 for count, _ in seen)
    starts = sorted(start for _, found in seen for start in found)
    assert starts == sorted(2 * [k * WINDOWS.hop for k in range(len(starts) // 2)])


def test_silence_stays_silence_and_costs_no_call():
    def function(windows, starts):
        raise AssertionError("called")

    for rate in (16_000, 44_100):
        assert not run(Stream(function, 16_000, WINDOWS, rate, 2), np.zeros((2, 30_000), np.float32), []).any()


def test_a_silent_channel_stays_silent_beside_a_loud_one():
    signal = sound(2, 30_000)
    signal[1] = 0
    out = run(Stream(lambda windows, starts: windows + 0.1, 16_000, WINDOWS, 48_000, 2), signal, [])
    assert out[0].any()
    assert not out[1].any()


@pytest.mark.parametrize(("rate", "batch"), [(16_000, 1), (48_000, 1), (44_100, 2), (8_000, 3), (1_000, 1)])
def test_no_sample_waits_longer_than_the_latency_and_the_bound_is_tight(rate, batch):
    windows = Windows(8000, 512, 1024)
    stream = Stream(untouched, 16_000, windows, rate, 1, batch=batch)
    signal, sent, received, worst = sound(1, 4 * rate)[0], 0, 0, 0
    for block in np.array_split(signal, 2000):
        sent += len(block)
        received += len(stream.push(block))
        worst = max(worst, sent - received)
    assert worst <= stream.latency <= 1.4 * worst


def level(signal: np.ndarray, rate: int, above: float) -> float:
    spectrum = np.fft.rfft(signal * np.hanning(len(signal)))
    return 10 * np.log10((np.abs(spectrum[np.fft.rfftfreq(len(signal), 1 / rate) > above]) ** 2).sum())


@pytest.mark.parametrize("gain_db", [0, -20])
def test_the_high_band_follows_the_gain_of_the_band_below(gain_db):
    signal = sound(1, 48_000)
    gain = 10 ** (gain_db / 20)
    follow = run(Stream(lambda windows, _: gain * windows, 16_000, WINDOWS, 48_000, 1), signal, [])
    assert level(follow[0], 48_000, 8_500) == pytest.approx(level(signal[0], 48_000, 8_500) + gain_db, abs=0.5)


def test_the_high_band_is_dropped_on_demand():
    signal = sound(1, 48_000)
    out = run(Stream(untouched, 16_000, WINDOWS, 48_000, 1, high_band="drop"), signal, [])
    assert level(out[0], 48_000, 8_500) < level(signal[0], 48_000, 8_500) - 60


def test_the_dry_share_lies_at_the_place_of_the_input():
    signal = sound(1, 20_000)
    out = run(Stream(lambda windows, _: 0 * windows, 16_000, WINDOWS, 44_100, 1, wet=0.25, high_band="drop"), signal, [])
    np.testing.assert_allclose(out, 0.75 * signal, atol=1e-6)


def test_blocks_come_back_as_the_kind_they_were():
    for block in (np.zeros(5000), np.zeros((1, 5000), np.float32), torch.zeros(5000), torch.zeros(1, 5000, dtype=torch.float64)):
        stream = Stream(untouched, 16_000, WINDOWS, 16_000, 1)
        for out in (stream.push(block), stream.flush()):
            assert type(out) is type(block)
            assert out.ndim == block.ndim
            assert out.dtype == block.dtype
    assert stream.flush().shape == (1, 0)


def test_after_flush_and_reset_a_stream_is_as_new():
    signal = sound(1, 9000)
    stream = Stream(halved_by_place, 16_000, WINDOWS, 48_000, 1)
    first = run(stream, signal, [])
    stream.push(signal)
    stream.reset()
    assert np.array_equal(run(stream, signal, []), first)
    with stream as same:
        same.push(signal)
    assert np.array_equal(run(stream, signal, []), first)


def test_wrong_blocks_are_refused_and_lose_nothing():
    signal = sound(2, 9000)
    stream = Stream(untouched, 16_000, WINDOWS, 16_000, 2)
    pieces = [stream.push(signal[:, :5000])]
    with pytest.raises(AudioError, match=r"shape \(3, 10\), expected \(2, time\)"):
        stream.push(np.zeros((3, 10), np.float32))
    with pytest.raises(AudioError, match="2 samples that are not finite"):
        stream.push(np.array([[0, np.nan], [np.inf, 0]], np.float32))
    pieces += [stream.push(signal[:, 5000:]), stream.flush()]
    np.testing.assert_allclose(np.concatenate(pieces, -1), signal, atol=1e-6)


def test_arrays_of_any_layout_are_taken_and_whole_numbers_are_not():
    signal = sound(1, 5000)
    expected = run(Stream(untouched, 16_000, WINDOWS, 16_000, 1), signal, [])
    frozen = signal.copy()
    frozen.flags.writeable = False
    for same in (frozen, signal.astype(">f4"), signal[:, ::-1].copy()[:, ::-1]):
        assert np.array_equal(run(Stream(untouched, 16_000, WINDOWS, 16_000, 1), same, []), expected)
    for whole in (np.zeros((1, 10), np.int16), torch.zeros(1, 10, dtype=torch.int16)):
        with pytest.raises(AudioError, match="int16, expected floating point"):
            Stream(untouched, 16_000, WINDOWS, 16_000, 1).push(whole)


@pytest.mark.parametrize(
    ("rate", "channels", "batch"),
    [(0, 1, 1), (2_000_000_000, 1, 1), (16_000.0, 1, 1), (16_000, 0, 1), (16_000, 48_000, 1), (16_000, 1.5, 1), (16_000, 1, 0)],
)
def test_wrong_rates_channels_and_batches_are_refused(rate, channels, batch):
    with pytest.raises(ConfigError):
        Stream(untouched, 16_000, WINDOWS, rate, channels, batch=batch)
