"""What holds for every metric of the registry."""

import importlib.util
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sgaudio.errors import AudioError, ConfigError
from sgaudio.metrics import METRICS, selected
from sgaudio.metrics.pesq_itu import narrow_band
from sgaudio.metrics.selection import DEFAULT

from .conftest import RATE, noisy, voice

WITHOUT_WORDS = [name for name in METRICS if name != "wer"]  # a recogniser hears no words in synthetic syllables
OWN = ["si-sdr", "si-sir", "lsd", "level"]


def ready(name: str):
    try:
        METRICS[name].check_installed()
    except ConfigError as error:
        pytest.skip(str(error))
    return METRICS[name]


@pytest.fixture(params=WITHOUT_WORDS)
def metric(request):
    return ready(request.param)


def test_a_metric_gives_its_columns_the_same_at_every_call(metric, pair):
    clean, sound = pair
    scores = metric(sound, clean, RATE, noise=sound - clean)
    assert list(scores) == [column.name for column in metric.columns]
    assert all(type(value) is float and np.isfinite(value) for value in scores.values())
    assert metric(sound, clean, RATE, noise=sound - clean) == scores


def test_less_noise_is_better(metric):
    clean = voice(3)
    better, worse = (metric(noisy(clean, level=level), clean, RATE, noise=noisy(clean, 1) - clean) for level in (0.003, 0.03))
    for column in metric.columns:
        if column.name not in ("SI-SIR", "SIG", "BAK", "OVRL"):  # the first hears one noise only, the others were trained on speech
            gains = {"highest": better[column.name] - worse[column.name], "lowest": worse[column.name] - better[column.name]}
            assert gains.get(column.best, abs(worse[column.name]) - abs(better[column.name])) > 0


def test_the_score_of_several_channels_is_their_mean(metric):
    clean = np.stack([voice(1), voice(2)])
    sound = noisy(clean)
    together = metric(sound, clean, RATE, noise=sound - clean)
    alone = [metric(sound[i], clean[i], RATE, noise=sound[i] - clean[i]) for i in (0, 1)]
    for name, value in together.items():
        assert value == pytest.approx((alone[0][name] + alone[1][name]) / 2, abs=1e-9)


def test_sound_above_the_rate_of_a_metric_is_resampled():
    metric = ready("estoi")
    clean = voice(rate=48_000)
    assert metric(noisy(clean, level=0.003), clean, 48_000)["ESTOI"] > 0.9
    seen = []
    wide = METRICS["pesq-wb"]
    probe = type(wide)(lambda e, r, rate: seen.append((len(e), len(r), rate)) or {"x": 1.0}, wide.columns, "", rates=(16_000, 8_000))
    probe(clean, clean, 48_000)
    probe(clean, clean, 16_000)
    probe(clean, clean, 11_025)
    assert seen == [(36_800, 36_800, 16_000), (110_400, 110_400, 16_000), (80_109, 80_109, 8_000)]


def test_sound_below_the_rate_of_a_metric_has_no_value(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: name)
    for name in ("pesq-wb", "dnsmos"):
        with pytest.raises(AudioError, match="defined for 16000 Hz and above, this sound has 8000 Hz"):
            METRICS[name](voice(rate=8_000), voice(rate=8_000), 8_000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clean, sound: (sound, 0 * clean), "reference is silent"),
        (lambda clean, sound: (0 * sound, clean), "estimate is silent"),
        (lambda clean, sound: (sound, np.where(clean > 0.1, np.nan, clean)), "reference has NaN or infinite samples"),
        (lambda clean, sound: (sound[:-1], clean), r"reference has shape \(36800,\), expected .* \(36799,\)"),
        (lambda clean, sound: (sound[:0], clean[:0]), r"estimate has shape \(0,\)"),
        (lambda clean, sound: (np.stack([sound, sound]), clean), r"reference has shape \(36800,\), expected .* \(2, 36800\)"),
    ],
)
@pytest.mark.parametrize("name", OWN)
def test_sound_that_cannot_be_judged_is_named(name, change, message, pair):
    estimate, reference = change(*pair)
    with pytest.raises(AudioError, match=message):
        METRICS[name](estimate, reference, RATE, noise=np.ones_like(estimate))


@pytest.mark.parametrize(
    ("name", "message"),
    [("pesq-wb", "PESQ-wb: Buffer needs to be at least 1/4 of a second"), ("estoi", "ESTOI: too little speech in the reference")],
)
def test_too_little_speech_is_a_line(name, message, pair):
    with pytest.raises(AudioError, match=message):
        ready(name)(pair[1][:3000], pair[0][:3000], RATE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_a_line(value, pair):
    probe = replace(METRICS["lsd"], score=lambda *_: {"LSD": value})
    with pytest.raises(AudioError, match=f"LSD: is {value} for this sound"):
        probe(*pair, RATE)


def test_what_pesq_raises_on_silence_is_a_line(monkeypatch, pair):
    class PesqError(RuntimeError):
        pass

    def raises(*_):
        raise PesqError(b"No utterances detected")

    monkeypatch.setitem(sys.modules, "pesq", SimpleNamespace(pesq=raises, PesqError=PesqError))
    with pytest.raises(AudioError, match="PESQ-nb: No utterances detected"):
        narrow_band(*pair, RATE)


def test_stoi_leaves_numpys_generator_alone(pair):
    metric = ready("estoi")
    before = np.random.get_state()  # noqa: NPY002
    metric(pair[1], pair[0], RATE)
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_what_a_metric_needs_is_named(monkeypatch, pair):
    with pytest.raises(ConfigError, match="SI-SIR, SI-SAR: needs the noise that was added"):
        METRICS["si-sir"](pair[1], pair[0], RATE)
    with pytest.raises(ConfigError, match="LSD: needs the clean sound"):
        METRICS["lsd"](pair[1], None, RATE)
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"PESQ-wb: pesq is not installed: pip install 'sgaudio\[metrics\]' \(it is built from source"):
        METRICS["pesq-wb"](pair[1], pair[0], RATE)


def test_the_usual_metrics_are_taken_as_far_as_they_can_be_had(monkeypatch):
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None if name == "pesq" else name)
    everything = {"reference", "noise", "words"}
    chosen, left_out = selected(METRICS, [], everything)
    assert chosen == [name for name in DEFAULT if name != "pesq-wb"]
    assert left_out == [
        "PESQ-wb: pesq is not installed: pip install 'sgaudio[metrics]' (it is built from source, by a C compiler): left out"
    ]
    chosen, left_out = selected(METRICS, [], set())
    assert chosen == ["dnsmos"]
    assert left_out[1] == "ESTOI: needs the clean sound as a reference: left out"
    assert selected(METRICS, ["all"], everything)[0] == [name for name in METRICS if not name.startswith("pesq")]


def test_a_metric_that_is_asked_for_and_cannot_be_had_is_refused(monkeypatch):
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pesq is not installed"):
        selected(METRICS, ["si-sdr", "pesq-wb"], {"reference"})
    with pytest.raises(ConfigError, match="needs the noise"):
        selected(METRICS, ["si-sir"], {"reference"})
    with pytest.raises(ConfigError, match="unknown metric 'pesq': did you mean"):
        selected(METRICS, ["pesq"], {"reference"})
    with pytest.raises(ConfigError, match="no metric can be computed: PESQ-wb: needs the clean sound"):
        selected(METRICS, [], set())
