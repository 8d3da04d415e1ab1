"""The wrappers give what their packages give alone."""

import numpy as np
import pytest

from sgaudio.metrics import METRICS

from .conftest import RATE, noisy, voice

FILES = [(voice(seed), noisy(voice(seed), seed, 0.005 * (1 + seed % 5))) for seed in range(20)]


@pytest.mark.parametrize(("name", "mode"), [("pesq-wb", "wb"), ("pesq-nb", "nb")])
def test_pesq_is_the_packages(name, mode):
    pesq = pytest.importorskip("pesq", reason="pesq is built from source: pip install '.[metrics]' where there is a compiler").pesq
    for clean, sound in FILES:
        (value,) = METRICS[name](sound, clean, RATE).values()
        assert value == pytest.approx(pesq(RATE, clean, sound, mode), abs=1e-6)


@pytest.mark.parametrize(("name", "extended"), [("stoi", False), ("estoi", True)])
def test_stoi_is_the_packages(name, extended):
    stoi = pytest.importorskip("pystoi").stoi
    for clean, sound in FILES:
        np.random.seed(0)  # noqa: NPY002 - pystoi draws from it
        (value,) = METRICS[name](sound, clean, RATE).values()
        assert value == pytest.approx(stoi(clean, sound, RATE, extended=extended), abs=1e-6)


def test_dnsmos_is_the_packages():
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    for _, sound in FILES:
        expected = dnsmos.run(sound, RATE)
        assert METRICS["dnsmos"](sound, None, RATE) == pytest.approx(
            {"SIG": expected["sig_mos"], "BAK": expected["bak_mos"], "OVRL": expected["ovrl_mos"]}, abs=1e-6
        )


def test_dnsmos_clips_what_lies_beyond_full_scale():
    pytest.importorskip("speechmos.dnsmos")
    loud = 20 * voice()
    assert METRICS["dnsmos"](loud, None, RATE) == METRICS["dnsmos"](np.clip(loud, -1, 1), None, RATE)
