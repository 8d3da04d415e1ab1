"""Mel-cepstral distortion (Kubichek 1993, IEEE Pacific Rim Conference, 125-128): how far timbre is from the reference's.

Mel-cepstra (Tokuda, Kobayashi, Masuko, Imai 1994, ICSLP, 1043-1046, with gamma = 0) of WORLD's spectral envelope. With c_1, c_2, ...
complete, the distortion of a frame is the root mean square over warped frequency of the difference of the two envelopes in dB, their means,
c_0, removed: a gain costs nothing.
"""

from functools import lru_cache

import numpy as np

from sgaudio.errors import AudioError, ConfigError
from sgaudio.metrics.pairs import numbers, pair
from sgaudio.metrics.pitch import FLOOR, recorded_f0, world

ORDER = 34  # usual at 22 and 24 kHz
PERIOD = 0.005  # s between frames, WORLD's own
DEPTH = 80.0  # dB below the highest point of a sound's envelope: what lies deeper counts as this
SILENT = 50.0  # dB: a frame whose power lies so far below the loudest one's is a rest
MOST = 400_000_000  # pairs of frames that are held in memory, a byte each: some hundred seconds against as many


def distortion(
    estimate: np.ndarray, reference: np.ndarray, sample_rate: int, order: int = ORDER, alpha: float | None = None
) -> dict[str, float]:
    """MCD in dB of two sounds (time) of one length and equal durations: frame by frame, 5 ms apart, but for the reference's rests.

    Two rules are ours, for without them silence outweighs what is sung: rests are frames 50 dB below the loudest, and each sound's envelope
    ends 80 dB below its highest point (a band that is empty in one has some noise in the other).

    Args:
        alpha: the all-pass constant; by default `all_pass_constant` of the sample rate.

    Raises:
        AudioError: on sounds that cannot be compared, or a silent one.
        ConfigError: where pyworld is missing, or on an order or constant out of range.
    """
    pair(estimate, reference, "MCD")
    ours, theirs = spectral_envelope(estimate, sample_rate), spectral_envelope(reference, sample_rate)
    alpha, sings = all_pass_constant(sample_rate) if alpha is None else alpha, _sings(theirs)
    return {"MCD": mel_cepstral_distortion(*(warped_cepstra(envelope[sings], order, alpha) for envelope in (ours, theirs)))}


def warped_distortion(
    estimate: np.ndarray, reference: np.ndarray, sample_rate: int, order: int = ORDER, alpha: float | None = None
) -> dict[str, float]:
    """MCD in dB as `distortion`, but along the path of `time_warping` and without the rests of both: the sounds may differ in length.

    Raises:
        AudioError: on sounds that cannot be compared, or a silent one.
        ConfigError: where pyworld is missing, on an order or constant out of range, or sounds that are too long.
    """
    envelopes = (spectral_envelope(sound, sample_rate) for sound in (estimate, reference))
    alpha = all_pass_constant(sample_rate) if alpha is None else alpha
    ours, theirs = (warped_cepstra(envelope[_sings(envelope)], order, alpha) for envelope in envelopes)
    first, second = time_warping(ours[:, 1:], theirs[:, 1:])
    return {"MCD-DTW": mel_cepstral_distortion(ours[first], theirs[second])}


def mel_cepstral_distortion(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Mean over frames of 10 / ln 10 sqrt(2 sum_{d >= 1} (c_d - c_reference,d)^2), in dB.

    Args:
        estimate, reference: mel-cepstra (frame, 1 + order), c_0 first, which does not count.

    Raises:
        AudioError: on shapes that do not fit.
    """
    estimate, reference = pair(estimate, reference, "MCD", 2)
    return float(10 / np.log(10) * np.sqrt(2 * np.square(estimate - reference)[:, 1:].sum(1)).mean())


def spectral_envelope(sound: np.ndarray, sample_rate: int, hop: int | None = None, depth: float = DEPTH) -> np.ndarray:
    """The envelope by CheapTrick (Morise 2015, Speech Communication 67, 1-7) at the F0 of Harvest.

    Args:
        sound: (time).
        hop: distance of the frames in samples, frame k on sample k hop; 5 ms by default.
        depth: dB below the highest point of all frames, where the envelope ends.

    Returns:
        Power, float64 (1 + time // hop, bin), from 0 to half the sample rate.

    Raises:
        AudioError: where the sound is silent, or not (time) of finite numbers.
        ConfigError: where pyworld is missing.
    """
    hop = round(PERIOD * sample_rate) if hop is None else hop
    waveform = numbers(sound, "MCD: a sound")
    if not waveform.any():
        raise AudioError("MCD: a sound is silent")
    f0 = recorded_f0(waveform, sample_rate, hop)
    times = np.arange(len(f0)) * (hop / sample_rate)
    power = world().cheaptrick(waveform, f0, times, sample_rate, f0_floor=FLOOR)
    return np.maximum(power, power.max() * 10 ** (-depth / 10))


def warped_cepstra(power: np.ndarray, order: int, alpha: float) -> np.ndarray:
    """c_0 ... c_order of ln |H(θ)| = sum_m c_m cos(m θ), on the frequency θ that an all-pass of the first order warps ω to.

        θ(ω) = ω + 2 arctan(alpha sin ω / (1 - alpha cos ω))

    They are integrals over θ, here sums over ω, which converge as alpha^bins.

    Args:
        power: |H|^2 above 0 from 0 to half the sample rate: (frame, bin).
        order: up to half the bins.
        alpha: -1 to 1, both excluded.

    Returns:
        float64 (frame, 1 + order).

    Raises:
        AudioError: where power is not above 0.
        ConfigError: on an order or constant out of range.
    """
    power = numbers(power, "mel-cepstra: the envelope", 2)
    if power.min() <= 0:
        raise AudioError(f"mel-cepstra: the envelope has {power.min():g}, expected more than 0")
    if not 1 <= order <= power.shape[1] // 2:
        raise ConfigError(f"mel-cepstra: order is {order}, expected 1 to {power.shape[1] // 2}, half the bins of the envelope")
    if not -1 < alpha < 1:
        raise ConfigError(f"mel-cepstra: the all-pass constant is {alpha:g}, expected more than -1 and less than 1")
    frequency = np.linspace(0, np.pi, power.shape[1])
    density = (1 - alpha**2) / (1 + alpha**2 - 2 * alpha * np.cos(frequency)) / (len(frequency) - 1)  # dθ/dω, of the trapezoidal rule
    density[[0, -1]] /= 2
    waves = np.cos(np.arange(order + 1) * _warped(frequency, alpha)[:, None])
    waves[:, 0] /= 2
    return np.log(power) @ (density[:, None] * waves)


@lru_cache
def all_pass_constant(sample_rate: int) -> float:
    """The alpha, in thousandths, whose warping is nearest to the mel scale 1000 log2(1 + f / 1000) (Fant 1968), both from 0 to 1.

    Nearest in mean square over 1000 frequencies up to half the sample rate, as SPTK's users choose it: 0.41 at 16 kHz, 0.466 at 24 kHz.
    """
    places = np.arange(1, 1001) / 1000
    mel = np.log2(1 + places * sample_rate / 2000)
    alphas = np.arange(1000) / 1000
    errors = [np.square(_warped(np.pi * places, alpha) / np.pi - mel / mel[-1]).mean() for alpha in alphas]
    return float(alphas[np.argmin(errors)])


def time_warping(estimate: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of frames along the path of least summed Euclidean distance (Sakoe, Chiba 1978, IEEE Transactions ASSP 26, 43-49).

    From the first pair to the last, by a frame of one, of the other or of both, each pair of weight 1; of equal paths the one that goes on
    in both.

    Args:
        estimate, reference: (frame, dimension).

    Returns:
        Indices into each, int64 (pair).

    Raises:
        ConfigError: on more than 400 million pairs.
    """
    rows, columns = len(estimate), len(reference)
    if rows * columns > MOST:
        raise ConfigError(f"time warping of {rows} frames on {columns}: expected at most {MOST:,} pairs, cut the sounds into segments")
    steps = np.zeros((rows, columns), np.int8)  # 0 in both, 1 in the estimate, 2 in the reference
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)  # sums on the two diagonals before this; row i at i + 1
    before[0] = 0.0
    for diagonal in range(rows + columns - 1):
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        choices = np.stack([before[row], last[row], last[row + 1]])
        steps[row, diagonal - row] = best = choices.argmin(0)
        now = np.full(rows + 1, np.inf)
        now[row + 1] = np.linalg.norm(estimate[row] - reference[diagonal - row], axis=1) + choices[best, np.arange(len(row))]
        before, last = last, now
    row, column = rows - 1, columns - 1
    path = [(row, column)]
    while row or column:
        step = steps[row, column]
        row, column = row - (step != 2), column - (step != 1)
        path.append((row, column))
    first, second = np.array(path[::-1], np.int64).T
    return first, second


def _warped(frequency: np.ndarray, alpha: float) -> np.ndarray:
    return frequency + 2 * np.arctan(alpha * np.sin(frequency) / (1 - alpha * np.cos(frequency)))


def _sings(envelope: np.ndarray) -> np.ndarray:
    power = envelope.mean(1)
    return power >= power.max() * 10 ** (-SILENT / 10)
