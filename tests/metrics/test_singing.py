"""Scores of singing: what they must give by their definitions."""

import builtins

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgaudio.errors import AudioError, ConfigError
from sgaudio.metrics.cepstra import (
    MOST,
    all_pass_constant,
    distortion,
    mel_cepstral_distortion,
    spectral_envelope,
    time_warping,
    warped_cepstra,
    warped_distortion,
)
from sgaudio.metrics.pitch import pitch_error, recorded_f0, voicing_error
from sgaudio.metrics.singing import SINGING, duration_error, mel_variance, stft_distance

RATE, HOP = 24_000, 128
CURVE = np.array([0, 220, 230, 0, 440, 300], float)


@pytest.fixture
def pyworld():
    return pytest.importorskip("pyworld", reason="pip install 'sgaudio[sing]'")


def sung(frequency: float = 220.0, seconds: float = 0.5, dullness: float = 1.0, level: float = 1e-4) -> np.ndarray:
    """Harmonics up to 8 kHz that fall with their number to the power of `dullness`, with noise of this level."""
    time = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, 8000 // frequency)[:, None]
    noise = level * np.random.default_rng(0).standard_normal(len(time))
    return 0.1 * (np.sin(2 * np.pi * frequency * harmonics * time) / harmonics**dullness).sum(0) + noise


def shifted(curve: np.ndarray, cents: float) -> np.ndarray:
    return curve * 2 ** (cents / 1200)


# pitch


@given(st.floats(-49, 49))
def test_a_shifted_curve_is_off_by_the_cents_it_is_shifted_by(cents):
    errors = pitch_error(shifted(CURVE, cents), CURVE)
    assert errors == pytest.approx({"F0 median": abs(cents), "F0 RMSE": abs(cents), "F0 within 50": 100, "GPE": 0, "voiced": 4}, abs=1e-6)


def test_a_recorded_tone_shifted_by_10_cents_is_10_cents_off(pyworld):
    curve = np.full(1 + len(sung()) // HOP, 220.0)
    for cents in (0, 10):
        found = recorded_f0(sung(shifted(np.array(220.0), cents)), RATE, HOP)
        assert pitch_error(found[5:-5], curve[5:-5])["F0 median"] == pytest.approx(cents, abs=1)


def test_median_rmse_share_and_gross_errors_are_counted_over_frames_voiced_in_both():
    reference = np.array([100, 100, 100, 100, 0, 100], float)
    estimate = np.array([100, 130, 200, 81, 50, 0], float)  # 0, 454, 1200 and -365 cents; 30 % and 100 % are gross, 19 % is not
    cents = 1200 * np.log2(np.array([1, 1.3, 2, 0.81]))
    assert pitch_error(estimate, reference) == pytest.approx(
        {
            "F0 median": (cents[1] - cents[3]) / 2,
            "F0 RMSE": np.sqrt(np.square(cents).mean()),
            "F0 within 50": 25,
            "GPE": 50,
            "voiced": 4,
        }
    )


def test_voicing_and_frame_errors_are_counted_over_all_frames():
    reference = np.array([0, 0, 100, 100, 100, 100, 100, 0], float)
    estimate = np.array([0, 90, 0, 0, 121, 119, 79, 0], float)  # three wrongly voiced, two gross
    assert voicing_error(estimate, reference) == pytest.approx({"VDE": 37.5, "FFE": 62.5, "frames": 8})


@given(*[arrays(float, 12, elements=st.sampled_from([0.0, 90.0, 100.0, 150.0]))] * 2)
def test_a_frame_error_is_a_voicing_error_or_a_gross_one(estimate, reference):
    errors = voicing_error(estimate, reference)
    voiced = (estimate > 0) & (reference > 0)
    gross = pitch_error(estimate, reference)["GPE"] * voiced.sum() / len(voiced) if voiced.any() else 0
    assert errors["FFE"] == pytest.approx(errors["VDE"] + gross)
    assert errors["VDE"] == voicing_error(reference, estimate)["VDE"]


def test_where_nothing_is_voiced_in_both_pitch_has_no_value_but_voicing_has():
    with pytest.raises(AudioError, match="of 2 frames none is voiced in both"):
        pitch_error(np.array([0.0, 100]), np.array([100.0, 0]))
    assert voicing_error(np.array([0.0, 100]), np.array([100.0, 0]))["VDE"] == 100


@pytest.mark.parametrize(
    ("estimate", "line"),
    [
        (CURVE[:-1], r"shape \(5,\), the reference \(6,\): cut both"),
        (np.full(6, np.nan), "the estimate has NaN"),
        (-CURVE, "has -440 Hz, expected 0 where unvoiced"),
        (CURVE[None], "expected 1 dimension with"),
        (CURVE[:0], "with something in each"),
    ],
)
@pytest.mark.parametrize("score", [pitch_error, voicing_error])
def test_bad_curves_are_refused(score, estimate, line):
    with pytest.raises(AudioError, match=line):
        score(estimate, CURVE)


@pytest.mark.parametrize(
    ("samples", "rate", "hop"),
    [(1, RATE, HOP), (HOP - 1, RATE, HOP), (HOP, RATE, HOP), (40 * HOP + 1, RATE, HOP), (13 * 256, 22_050, 256)],
)
def test_a_recording_has_the_frames_of_its_mel_spectrogram(pyworld, samples, rate, hop):
    """The last: WORLD itself rounds a frame away."""
    assert len(recorded_f0(sung()[:samples], rate, hop)) == 1 + samples // hop


def test_silence_is_unvoiced(pyworld):
    assert not recorded_f0(np.zeros(RATE // 10), RATE, HOP).any()


@pytest.mark.parametrize("options", [{"hop": 0}, {"floor": 0}, {"floor": 2000}, {"ceiling": RATE}])
def test_frequencies_and_hops_that_find_nothing_are_refused(options):
    with pytest.raises(ConfigError, match="expected a hop of 1 or more, and 0 < floor < ceiling"):
        recorded_f0(sung(), RATE, **{"hop": HOP} | options)


def test_without_pyworld_it_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "pyworld":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pyworld, which is not installed: pip install 'sgaudio\[sing\]'"):
        distortion(sung(), sung(), RATE)


# cepstra


def freqt(cepstrum: np.ndarray, order: int, alpha: float) -> np.ndarray:
    """The recursion of Oppenheim and Johnson (1972): an independent way to the same numbers."""
    warped = np.zeros(order + 1)
    for value in cepstrum[::-1]:
        before = warped.copy()
        warped[0] = value + alpha * before[0]
        warped[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for m in range(2, order + 1):
            warped[m] = before[m - 1] + alpha * (before[m] - warped[m - 1])
    return warped


@pytest.mark.parametrize("alpha", [0.0, 0.466, -0.3])
def test_mel_cepstra_are_those_of_the_recursion_on_the_cepstrum(alpha):
    levels = np.cumsum(np.random.default_rng(0).standard_normal(257)) / 4
    cepstrum = np.fft.irfft(levels)[:257]
    cepstrum[[0, -1]] /= 2
    assert warped_cepstra(np.exp(levels)[None], 24, alpha)[0] == pytest.approx(freqt(cepstrum, 24, alpha), abs=1e-10)
    smooth = np.exp(2 * np.cos(np.linspace(0, np.pi, 257)) + 1)  # c_0 = 1/2, c_1 = 1
    assert warped_cepstra(smooth[None], 24, alpha)[0] == pytest.approx(freqt(np.array([0.5, 1]), 24, alpha), abs=1e-12)


@pytest.mark.parametrize(("rate", "alpha"), [(16_000, 0.41), (22_050, 0.455), (24_000, 0.466), (44_100, 0.544), (48_000, 0.554)])
def test_the_all_pass_constants_are_the_usual_ones(rate, alpha):
    assert all_pass_constant(rate) == alpha


def test_distortion_is_the_distance_of_the_envelopes_in_decibels():
    """An envelope that is 2 a cos θ higher in ln power than a flat one, without warping: 10 / ln 10 sqrt(2) a dB."""
    flat, wavy = np.ones((3, 129)), np.exp(np.tile(2 * 0.3 * np.cos(np.linspace(0, np.pi, 129)), (3, 1)))
    found = mel_cepstral_distortion(warped_cepstra(wavy, 24, 0), warped_cepstra(flat, 24, 0))
    decibels = 10 * np.log10(wavy[0, :-1])
    assert found == pytest.approx(10 / np.log(10) * np.sqrt(2) * 0.3)
    assert found == pytest.approx(np.sqrt(np.square(np.concatenate([decibels, -decibels])).mean()), rel=1e-6)


@given(st.floats(-100, 100))
def test_a_gain_costs_no_distortion(decibels):
    power = np.exp(np.random.default_rng(1).standard_normal((6, 65)))
    loud = power * 10 ** (decibels / 10)
    assert mel_cepstral_distortion(warped_cepstra(loud, 12, 0.4), warped_cepstra(power, 12, 0.4)) == pytest.approx(0, abs=1e-9)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=12))
def test_time_warping_finds_a_stretched_copy(times):
    reference = np.random.default_rng(2).standard_normal((len(times), 3))
    rows, columns = time_warping(np.repeat(reference, times, axis=0), reference)
    assert columns.tolist() == np.repeat(np.arange(len(times)), times).tolist()
    assert rows.tolist() == list(range(sum(times)))


@pytest.mark.parametrize("rows", [4, 5, 6, 7, 8])
def test_time_warping_takes_the_cheapest_path(rows):
    estimate, reference = np.split(np.random.default_rng(0).standard_normal((12, 2)), [rows])
    distance = np.linalg.norm(estimate[:, None] - reference, axis=2)

    def least(row: int, column: int) -> float:
        before = [(row - 1, column - 1), (row - 1, column), (row, column - 1)]
        return distance[row, column] + min((least(*place) for place in before if min(place) >= 0), default=0.0)

    first, second = time_warping(estimate, reference)
    assert distance[first, second].sum() == pytest.approx(least(rows - 1, 11 - rows))
    assert (first[0], second[0], first[-1], second[-1]) == (0, 0, rows - 1, 11 - rows)
    steps = {(int(row), int(column)) for row, column in zip(np.diff(first), np.diff(second), strict=True)}
    assert steps <= {(0, 1), (1, 0), (1, 1)}


def test_distortion_of_sounds_is_the_distance_of_their_timbre(pyworld):
    sound, dull = sung(), sung(dullness=1.5)
    assert distortion(sound, sound, RATE) == {"MCD": 0}
    assert distortion(0.5 * sound, sound, RATE)["MCD"] == pytest.approx(0, abs=0.02)
    assert distortion(dull, sound, RATE) == distortion(dull, sound, RATE)
    distances = [distortion(sung(dullness=each), sound, RATE)["MCD"] for each in (1.2, 1.5, 2)]
    assert distances == sorted(distances)
    assert distances[0] > 0.5
    assert 0.1 < distortion(dull, sound, RATE, order=1)["MCD"] < distortion(dull, sound, RATE, order=24)["MCD"] < distances[1]


def test_a_longer_note_is_distorted_in_neither_timbre_nor_rests(pyworld):
    longer = np.concatenate([np.zeros(RATE // 10), sung(seconds=0.7)])
    assert warped_distortion(longer, sung(), RATE)["MCD-DTW"] < 0.2 * warped_distortion(sung(dullness=1.5), sung(), RATE)["MCD-DTW"]


def test_loudness_does_not_lead_the_path(pyworld):
    bright, dull = sung(seconds=0.25, level=3e-3), sung(seconds=0.25, dullness=1.5, level=3e-3)
    swelling, fading = np.concatenate([0.3 * bright, dull]), np.concatenate([bright, 0.3 * dull])
    assert warped_distortion(swelling, fading, RATE)["MCD-DTW"] < 0.1 * warped_distortion(bright, dull, RATE)["MCD-DTW"]


def test_noise_in_the_references_rests_or_empty_band_costs_little(pyworld):
    rest = np.arange(len(sung())) >= 60 * HOP
    reference = np.where(rest, 0, sung(level=0))
    faint = np.random.default_rng(1).standard_normal(len(rest))
    assert distortion(reference + 1e-3 * faint * rest, reference, RATE)["MCD"] < 1
    assert distortion(reference + 1e-6 * faint, reference, RATE)["MCD"] < 0.1
    assert distortion(reference + 1e-3 * faint, reference, RATE)["MCD"] > 3


def test_an_envelope_has_frames_on_hops_and_ends_at_its_depth(pyworld):
    sound = sung() * np.where(np.arange(len(sung())) < 60 * HOP, 0.01, 1)
    envelope = spectral_envelope(sound, RATE, HOP, depth=70)
    assert len(envelope) == 1 + len(sound) // HOP
    assert len(spectral_envelope(sound, RATE)) == 101
    assert envelope.min() == pytest.approx(1e-7 * envelope.max())
    level = np.log(envelope).mean(1)
    assert np.flatnonzero(level > level[[10, -10]].mean())[0] == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("call", "error", "line"),
    [
        (lambda: distortion(sung(), np.append(sung(), 0), RATE), AudioError, "cut both to what they share"),
        (lambda: distortion(np.zeros(999), np.ones(999), RATE), AudioError, "a sound is silent"),
        (lambda: warped_distortion(np.zeros(999), np.ones(9), RATE), AudioError, "a sound is silent"),
        (lambda: mel_cepstral_distortion(np.ones((4, 5)), np.ones((5, 5))), AudioError, "cut both to what they share"),
        (lambda: mel_cepstral_distortion(np.ones(4), np.ones(4)), AudioError, "expected 2 dimensions"),
        (lambda: warped_distortion(np.ones((2, 9)), np.ones(9), RATE), AudioError, "expected 1 dimension with"),
        (lambda: warped_cepstra(np.zeros((1, 129)), 24, 0.4), AudioError, "the envelope has 0, expected more than 0"),
        (lambda: warped_cepstra(np.ones((1, 129)), 65, 0.4), ConfigError, "order is 65, expected 1 to 64"),
        (lambda: warped_cepstra(np.ones((1, 129)), 0, 0.4), ConfigError, "order is 0, expected 1 to 64"),
        (lambda: warped_cepstra(np.ones((1, 129)), 24, 1), ConfigError, "the all-pass constant is 1, expected"),
        (lambda: time_warping(np.broadcast_to(1.0, (MOST, 1)), np.ones((2, 1))), ConfigError, "cut the sounds into segments"),
    ],
)
def test_what_has_no_distortion_is_refused(call, error, line):
    with pytest.raises(error, match=line):
        call()


# durations


def test_duration_errors_of_phones_and_notes_are_counted():
    reference, estimate = [10, 20, 5, 15, 7, 7], [12, 18, 5, 11, 8, 7]
    assert duration_error(np.array(estimate), np.array(reference), 6.0, np.array([0, 0, 1, 1, 2, 2])) == {
        "phones": 6 * (2 + 2 + 0 + 4 + 1 + 0) / 6,
        "notes": 6 * (0 + 4 + 1) / 3,
        "notes exact": pytest.approx(100 / 3),
    }


def test_without_notes_all_phones_are_one():
    assert duration_error(np.array([3, 4]), np.array([4, 3])) == {"phones": 1, "notes": 0, "notes exact": 100}


@pytest.mark.parametrize(
    ("estimate", "notes", "line"),
    [
        ([1.5, 2], None, "lasts 1.5 frames, expected whole numbers"),
        ([-1, 2], None, "lasts -1 frames, expected whole numbers, 0 or more"),
        ([1, 2, 3], None, "cut both to what they share"),
        ([1, 2], [0], r"notes has shape \(1,\), expected one for each of 2 phones"),
    ],
)
def test_bad_durations_are_refused(estimate, notes, line):
    with pytest.raises(AudioError, match=line):
        duration_error(np.array(estimate), np.array([1, 2]), 1.0, None if notes is None else np.array(notes))


# spectra


@pytest.mark.parametrize("rate", [16_000, RATE, 44_100])
@pytest.mark.parametrize("gain", [0.8, 1.0, 2.0])
def test_a_gain_is_its_own_stft_distance(gain, rate):
    sound = np.random.default_rng(0).standard_normal(6000)
    distances = stft_distance(gain * sound, sound, rate)
    expected = abs(1 - gain), abs(np.log(gain))
    assert distances == pytest.approx({"STFT": sum(expected), "STFT-SC": expected[0], "STFT-log": expected[1]}, abs=1e-3)


def test_stft_distance_is_the_same_however_many_frames_are_held_at_once(monkeypatch):
    sounds = np.random.default_rng(0).standard_normal((2, 3000))
    whole = stft_distance(*sounds, RATE)
    monkeypatch.setattr("sgaudio.metrics.singing.AT_ONCE", 7)
    assert stft_distance(*sounds, RATE) == pytest.approx(whole)


def test_stft_distance_is_that_of_torch():
    torch = pytest.importorskip("torch")
    sounds = np.random.default_rng(0).standard_normal((2, 3000))
    expected = []
    for transform, window, hop in ((1024, 600, 120), (2048, 1200, 240), (512, 240, 50)):
        shape = torch.hann_window(window, dtype=torch.float64)
        spectra = torch.stft(torch.from_numpy(sounds), transform, hop, window, shape, pad_mode="constant", return_complex=True)
        ours, theirs = spectra.abs().square().clamp_min(1e-7).sqrt()
        expected.append((torch.linalg.norm(ours - theirs) / torch.linalg.norm(theirs)).item())
        expected.append((ours.log() - theirs.log()).abs().mean().item())
    assert stft_distance(*sounds, RATE)["STFT"] == pytest.approx(sum(expected) / 3)


@pytest.mark.parametrize("samples", [1, 100, 3000])
def test_short_sounds_and_silent_estimates_have_an_stft_distance(samples):
    sound = np.random.default_rng(0).standard_normal(samples)
    assert stft_distance(sound, sound, RATE)["STFT"] == 0
    assert stft_distance(np.zeros(samples), sound, RATE)["STFT-SC"] == pytest.approx(1, abs=0.01)


def test_a_silent_reference_has_no_stft_distance():
    with pytest.raises(AudioError, match="the reference is silent"):
        stft_distance(np.ones(100), np.zeros(100), RATE)


@given(st.floats(0, 2), st.floats(-3, 3))
def test_detail_that_is_scaled_changes_variance_by_its_square(scale, offset):
    mel = np.random.default_rng(0).standard_normal((4, 50)) * np.array([[1], [2], [3], [0.5]])
    assert mel_variance(scale * mel + offset, mel)["mel variance"] == pytest.approx(100 * (scale**2 - 1), abs=1e-6)


def test_a_mean_of_two_frames_takes_from_a_wave_what_it_must():
    """Of a wave of whole periods of eight frames, cos^2(π / 8) of the variance is left."""
    wave = np.sin(2 * np.pi * np.arange(64) / 8)[None]
    smooth = (wave + np.roll(wave, 1)) / 2
    assert mel_variance(smooth, wave)["mel variance"] == pytest.approx(100 * (np.cos(np.pi / 8) ** 2 - 1))


def test_bins_that_hardly_vary_in_the_reference_are_left_out():
    wave = np.sin(2 * np.pi * np.arange(64) / 8)
    assert mel_variance(np.stack([wave, wave, wave]), np.stack([wave, np.ones(64), 1e-3 * wave]))["mel variance"] == pytest.approx(0)
    with pytest.raises(AudioError, match="the reference does not vary"):
        mel_variance(wave[None], np.full((1, 64), 0.1))
    with pytest.raises(AudioError, match="expected 2 dimensions"):
        mel_variance(wave, wave)


# the table


def test_every_entry_gives_its_columns_and_their_weights(pyworld):
    given_to = {
        "sound": (sung(), sung(dullness=1.5), RATE),
        "f0": (CURVE, CURVE),
        "mel": (np.eye(3), np.eye(3)),
        "durations": (np.arange(3), np.arange(3), 5.0, np.arange(3)),
    }
    for metric in SINGING.values():
        scores = metric.score(*given_to[metric.of])
        weights = {column.weight for column in metric.columns} - {""}
        assert list(scores) == [*(column.name for column in metric.columns), *weights]
        assert all(type(score) is float for score in scores.values())
