import socket
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgaudio.errors import AudioError, ConfigError
from sgaudio.metrics import METRICS, words
from sgaudio.metrics.words import PACE, RATE, word_error_rate, words_in

SAID = {1.0: "", 2.0: "One two, three four!", 3.0: "one three FOUR five", 4.0: "one two three four " * 3}


def sound(key: float) -> np.ndarray:
    return np.full(100, key, np.float32)


@pytest.fixture
def listener(monkeypatch):
    """A recogniser that knows a sound by its first sample."""
    pytest.importorskip("jiwer")
    monkeypatch.setattr(words, "_hear", lambda waveform: SAID[float(np.frombuffer(waveform, np.float32)[0])])


@pytest.fixture
def recogniser():
    """The real one, where it is installed; away from any network."""
    for module in METRICS["wer"].modules:
        pytest.importorskip(module)
    words._hear.cache_clear()
    return word_error_rate


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr(socket, "socket", refuse)


def beeps(seconds: float = 3.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_without_its_packages_it_says_how_to_install_them(monkeypatch):
    monkeypatch.setattr("sgaudio.metrics.metric.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sgaudio\[words\]'"):
        METRICS["wer"].check_installed()


def test_replaced_lost_and_added_words_are_counted_against_what_is_heard_in_the_reference(listener):
    assert word_error_rate(sound(3), sound(2), RATE) == {"WER": 50.0, "words": 4.0}  # "two" is lost, "five" is added


def test_a_text_counts_before_the_reference(listener):
    assert word_error_rate(sound(2), sound(3), RATE, text="One, two... three-four") == {"WER": 0.0, "words": 4.0}
    assert word_error_rate(sound(2), None, RATE, text="two") == {"WER": 300.0, "words": 1.0}


def test_where_nothing_is_heard_all_words_are_lost(listener):
    assert word_error_rate(sound(1), sound(2), RATE) == {"WER": 100.0, "words": 4.0}
    assert word_error_rate(sound(0), sound(2), RATE) == {"WER": 100.0, "words": 4.0}


def test_more_words_than_were_said_exceed_100_percent(listener):
    assert word_error_rate(sound(4), sound(2), RATE)["WER"] == 200.0


@pytest.mark.parametrize("reference", [{"reference": sound(1)}, {"reference": sound(0)}, {"reference": sound(2), "text": "... -- !"}])
def test_there_is_no_rate_without_words(listener, reference):
    with pytest.raises(AudioError, match=r"^WER: no words in the reference$"):
        word_error_rate(sound(2), sample_rate=RATE, **reference)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Well-known,\n“quoted” — words… ", "well known quoted words"),
        ("Don’t say 'don`t' or rock ‘n’ roll", "don't say don't or rock n roll"),
        ("In 1984, colour & CAFÉ_cafe\u0301", "in 1984 colour café café"),
        ("?!", ""),
    ],
)
def test_case_punctuation_and_kinds_of_apostrophes_do_not_matter(text, expected):
    assert " ".join(words_in(text)) == expected


@given(st.text())
def test_words_stay_as_they_are(text):
    found = words_in(text)
    assert words_in(" ".join(found)) == found
    assert words_in(f"“{'”, «'.join(found)}»!") == found


def test_a_sound_that_several_systems_are_judged_against_is_listened_to_once(monkeypatch):
    pytest.importorskip("jiwer")
    listened = []

    class Recogniser:
        def transcribe(self, samples, **options):
            listened.append(float(samples[0]))
            return [type("Segment", (), {"text": text}) for text in ("one", "two")], None

    monkeypatch.setattr(words, "_recogniser", Recogniser)
    words._hear.cache_clear()
    for system in range(20):
        assert word_error_rate(sound(100 + system), sound(99), RATE) == {"WER": 0.0, "words": 2.0}
    words._hear.cache_clear()
    assert listened == [99, *range(100, 120)]


def test_the_recogniser_hears_the_same_at_every_call_in_every_process_without_a_network(recogniser, offline):
    scores = recogniser(beeps(), None, RATE, text="beep")
    assert scores["words"] == 1
    assert 0 < scores["WER"] <= 100 * (PACE + 3 * PACE)  # it hears beeps, and says so until it is stopped
    heard = words._hear(beeps().tobytes())
    words._hear.cache_clear()
    assert words._hear(beeps().tobytes()) == heard
    alone = (
        "import numpy as np\nfrom sgaudio.metrics.words import RATE, _hear\n"
        "print(_hear((0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)).astype(np.float32).tobytes()))"
    )
    command = [sys.executable, "-W", "error", "-c", alone]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == heard + "\n"


def test_a_sound_longer_than_the_recognisers_window_is_heard_to_its_end(recogniser, offline):
    late = np.concatenate([np.zeros(32 * RATE, np.float32), beeps()])
    assert "beep" in words_in(words._hear(late.tobytes()))


def test_silence_and_a_single_sample_say_nothing(recogniser, offline):
    for nothing in (np.zeros(RATE, np.float32), np.ones(1, np.float32)):
        assert recogniser(nothing, None, RATE, text="some words") == {"WER": 100.0, "words": 2.0}
